/** Plots as SVG, small and plain; they bring both their light and their dark colours. */
import { figure } from './report.ts';
import type { Plot, Series } from './result.ts';
import { summarise } from './statistics.ts';

const WIDTH = 720;
const LEFT = 24;
const RIGHT = 24;
const TOP = 48;

const STYLE = `
  .paper { fill: #ffffff; stroke: #d0d7de }
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 15px }
  .faint { fill: #59636e }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .mark { stroke: #59636e; stroke-width: 1; stroke-dasharray: 4 4 }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round }
  .whisker { stroke: #1f2328; stroke-width: 1.5 }
  .stroke0 { stroke: #8c959f } .stroke1 { stroke: #0969da } .stroke2 { stroke: #bc4c00 }
  .fill0 { fill: #8c959f } .fill1 { fill: #0969da } .fill2 { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #3d444d }
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .grid { stroke: #3d444d }
    .mark { stroke: #9198a1 }
    .whisker { stroke: #f0f6fc }
    .stroke1 { stroke: #4493f8 } .stroke2 { stroke: #f0883e }
    .fill1 { fill: #4493f8 } .fill2 { fill: #f0883e }
  }`;

export function draw(plot: Plot): string {
  return plot.kind === 'bars' ? bars(plot) : cumulative(plot);
}

function frame(title: string, height: number, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="paper" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>`,
    `<text class="title" x="${LEFT}" y="28">${escape(title)}</text>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}

const LABELS = 250;
const ROW = 30;

/** Medians as bars, with a whisker from the smallest to the largest. */
function bars({ title, series, mark }: Plot): string {
  const summaries = series.map(({ values }) => summarise(values));
  const most = Math.max(...summaries.map(({ max }) => max), mark?.value ?? 0) || 1;
  const from = LEFT + LABELS;
  const x = (value: number): number => from + (Math.max(0, value) / most) * (WIDTH - RIGHT - 90 - from);
  const shades = shadesOf(series);
  const rows = series.flatMap(({ label, unit }, at) => {
    const summary = summaries[at];
    if (summary === undefined) return [];
    const y = TOP + at * ROW;
    const { median, min, max, count } = summary;
    const whisker = `<line class="whisker" x1="${px(x(min))}" x2="${px(x(max))}" y1="${y + 10}" y2="${y + 10}"/>`;
    return [
      `<text x="${LEFT}" y="${y + 15}">${escape(label)}</text>`,
      `<rect class="fill${shades[at]}" x="${from}" y="${y}" width="${px(Math.max(1, x(median) - from))}" height="20" rx="2"/>`,
      ...(count > 1 ? [whisker] : []),
      `<text class="faint" x="${px(x(Math.max(max, median)) + 8)}" y="${y + 15}">${figure(median)} ${unit}</text>`,
    ];
  });
  const height = TOP + series.length * ROW + 14;
  const line =
    mark === undefined
      ? []
      : [
          `<line class="mark" x1="${px(x(mark.value))}" x2="${px(x(mark.value))}" y1="${TOP - 6}" y2="${height - 14}"/>`,
        ];
  return frame(title, height, [...rows, ...line]);
}

/** Grey for what is a baseline by its name, blue for the rest; alike where there is no baseline. */
function shadesOf(series: readonly Series[]): number[] {
  const isBaseline = ({ label }: Series): boolean => /straight|plain|by hand/.test(label);
  return series.map((one) => (isBaseline(one) ? 0 : 1));
}

const PLOT_HEIGHT = 220;

/** For each value the share of measurements that are no larger. */
function cumulative({ title, series, mark }: Plot): string {
  const all = series.flatMap(({ values }) => values);
  const most = niceAbove(Math.max(...all, mark?.value ?? 0));
  const from = LEFT + 40;
  const bottom = TOP + PLOT_HEIGHT;
  const x = (value: number): number => from + (value / most) * (WIDTH - RIGHT - 40 - from);
  const y = (share: number): number => bottom - share * PLOT_HEIGHT;
  const unit = series[0]?.unit ?? 'ms';
  const right = px(x(most));
  const grid = [0, 0.5, 0.9, 1].flatMap((share) => [
    `<line class="grid" x1="${from}" x2="${right}" y1="${px(y(share))}" y2="${px(y(share))}"/>`,
    `<text class="faint" x="${from - 8}" y="${px(y(share) + (share === 1 ? 2 : 4))}" text-anchor="end">${share * 100} %</text>`,
  ]);
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<text class="faint" x="${px(x(share * most))}" y="${bottom + 20}" text-anchor="middle">${figure(share * most).replace(/\.0+$/, '')}${share === 1 ? ` ${unit}` : ''}</text>`,
  );
  const shades = shadesOf(series);
  const lines = series.flatMap(({ label, values }, at) => {
    const sorted = values.toSorted((a, b) => a - b);
    const points = sorted.flatMap((value, rank) => [
      `${px(x(value))},${px(y(rank / sorted.length))}`,
      `${px(x(value))},${px(y((rank + 1) / sorted.length))}`,
    ]);
    const { median, p99 } = summarise(values);
    const legend = `${label}: median ${figure(median)} ${unit}, p99 ${figure(p99)} ${unit}`;
    const top = bottom - 18 - (series.length - 1 - at) * 20;
    return [
      `<polyline class="line stroke${shades[at]}" points="${points.join(' ')}"/>`,
      `<rect class="fill${shades[at]}" x="${px(x(most) - 296)}" y="${top - 9}" width="18" height="4"/>`,
      `<text x="${px(x(most) - 270)}" y="${top}">${escape(legend)}</text>`,
    ];
  });
  const marked =
    mark === undefined
      ? []
      : [
          `<line class="mark" x1="${px(x(mark.value))}" x2="${px(x(mark.value))}" y1="${TOP}" y2="${bottom}"/>`,
          `<text class="faint" x="${px(x(mark.value) - 6)}" y="${bottom - 6}" text-anchor="end">${escape(mark.label)}</text>`,
        ];
  return frame(title, bottom + 36, [...grid, ...ticks, ...marked, ...lines]);
}

/** The next of 1, 2, 4 or 5 times a power of ten. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
  return ([1, 1.2, 1.6, 2, 3, 4, 5, 6, 8].find((factor) => factor * power >= value) ?? 10) * power;
}

function px(value: number): string {
  return value.toFixed(1);
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
