/** Results as tables: on a terminal, and as docs/performance.md. */
import type { Result, Series, Verdict } from './result.ts';
import { summarise } from './statistics.ts';

const INTRODUCTION = `# Performance

<!-- Made by \`npm run bench\` from docs/performance/results.json; nothing here is typed by hand. -->

What Baton costs and how fast it is, each beside a baseline measured in the same run. \`npm run bench\` measures all of it
again on your machine (\`npm run bench -- --only failover --rounds 20\` one part) and writes this page. A machine that does
something else meanwhile shows in the load; ratios to the baseline say more than milliseconds.
`;

export function page(results: Readonly<Record<string, Result>>): string {
  const all = Object.values(results);
  const sections = all.map((result) => section(result));
  return `${INTRODUCTION}\n## Against the targets\n\n${targets(all)}\n${sections.join('\n')}`;
}

function targets(results: readonly Result[]): string {
  const verdicts = results.flatMap(({ findings }) => findings.verdicts).filter(({ met }) => met !== null);
  return markdown(VERDICT_HEAD, verdicts.map(verdictCells));
}

const VERDICT_HEAD = ['what', 'baseline', 'measured', 'target', 'met'];

function verdictCells({ what, baseline, measured, target, met }: Verdict): string[] {
  return [what, baseline, measured, target, met === null ? '' : met ? 'yes' : '**no**'];
}

function section({ title, setting, findings }: Result): string {
  const { at, commit, machine, versions, loadBefore } = setting;
  const untold = findings.verdicts.filter(({ met }) => met === null);
  const parts = [
    `## ${title}`,
    findings.method,
    ...findings.plots.map(({ name, title: words }) => `![${words}](performance/${name}.svg)`),
    markdown(SERIES_HEAD, findings.series.map(seriesCells)),
    ...(untold.length === 0
      ? []
      : [
          markdown(
            ['what', 'baseline', 'measured'],
            untold.map((one) => verdictCells(one).slice(0, 3)),
          ),
        ]),
    ...(findings.breakdowns ?? []).flatMap(({ title: words, steps }) => [
      `${words}, when each step was over:`,
      markdown(SERIES_HEAD, steps.map(seriesCells)),
    ]),
    `*${at} UTC, commit ${commit}; ${versions}; ${machine}; load ${loadBefore.toFixed(1)} at the start.*`,
  ];
  return `${parts.map((part) => part.trimEnd()).join('\n\n')}\n`;
}

const SERIES_HEAD = ['', 'median', 'p90', 'p99', 'min', 'max', 'times'];

function seriesCells({ label, unit, values }: Series): string[] {
  const { median, p90, p99, min, max, count } = summarise(values);
  return [label, `${figure(median)} ${unit}`, ...[p90, p99, min, max].map(figure), String(count)];
}

/** Three digits that mean something. */
export function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line), ''].join('\n');
}

/** For a terminal. */
export function terminal({ title, findings }: Result): string {
  const blocks = [
    title,
    columns([SERIES_HEAD, ...findings.series.map(seriesCells)]),
    ...(findings.breakdowns ?? []).map(
      (one) => `${one.title}\n${columns([SERIES_HEAD, ...one.steps.map(seriesCells)])}`,
    ),
    columns(findings.verdicts.map((one) => verdictCells(one).map((cell) => cell.replaceAll('*', '')))),
  ];
  return `\n${blocks.filter((block) => block !== '').join('\n\n')}\n`;
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
