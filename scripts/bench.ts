/**
 * `npm run bench`: measures what docs/performance.md promises, each beside a baseline of the same run, and writes that page
 * and its plots. `-- --only failover,endpoint --rounds 20` measures parts of it; what was measured before stays.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { defaultCacheDir, findDistribution } from '../src/local/distribution.ts';
import { ensureTemplate } from '../src/local/template.ts';
import { atRest } from './bench/at-rest.ts';
import type { Bench, Part } from './bench/bench.ts';
import { batonCommand, timeCommand } from './bench/command.ts';
import { durability } from './bench/durability.ts';
import { endpoint } from './bench/endpoint.ts';
import { failover } from './bench/failover.ts';
import { growth } from './bench/growth.ts';
import { describe } from './bench/machine.ts';
import { draw } from './bench/plot.ts';
import { page, terminal } from './bench/report.ts';
import type { Result } from './bench/result.ts';
import { scaling } from './bench/scaling.ts';
import { firstUp, oneMore, up } from './bench/starting.ts';
import { statusCommand } from './bench/status-command.ts';
import { switchover } from './bench/switchover.ts';
import { sysbench } from './bench/sysbench.ts';

const PARTS: Readonly<Record<string, Part>> = {
  failover,
  switchover,
  up,
  'first-up': firstUp,
  'one-more': oneMore,
  scaling,
  endpoint,
  sysbench,
  'at-rest': atRest,
  status: statusCommand,
  durability,
  growth,
};

const USAGE = `usage: npm run bench -- [--only PART,…] [--rounds N] [--mysql-basedir DIR] [--dry]
parts: ${Object.keys(PARTS).join(', ')}
--dry: print, and write nothing
`;

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const docs = join(root, 'docs');
const resultsFile = join(docs, 'performance/results.json');

interface Options {
  readonly only: readonly string[];
  readonly rounds: number | null;
  readonly basedir: string | undefined;
  readonly dry: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      'mysql-basedir': { type: 'string' },
      dry: { type: 'boolean', default: false },
    },
  });
  const asked = values.only.flatMap((list) => list.split(','));
  for (const name of asked) if (PARTS[name] === undefined) throw new TypeError(`there is no part "${name}"`);
  const rounds = values.rounds === undefined ? null : Number(values.rounds);
  if (rounds !== null && !(Number.isInteger(rounds) && rounds >= 1 && rounds <= 10_000)) {
    throw new TypeError(`expected --rounds from 1 to 10000, found ${values.rounds ?? ''}`);
  }
  const usual = Object.keys(PARTS).filter((name) => PARTS[name]?.onlyByName !== true);
  return { only: asked.length > 0 ? asked : usual, rounds, basedir: values['mysql-basedir'], dry: values.dry };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function measure(options: Options, signal: AbortSignal): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-bench-'));
  try {
    const cacheDir = defaultCacheDir(process.env);
    const distribution = await findDistribution({ cacheDir, basedir: options.basedir, signal });
    const template = await ensureTemplate({ distribution, cacheDir, signal });
    // Builds what is due.
    const bench: Bench = {
      root,
      directory,
      distribution,
      template,
      signal,
      rounds: (usual) => options.rounds ?? usual,
      progress: (text) => say(`  ${text}`),
    };
    await timeCommand(batonCommand(bench, 'version'), { signal });
    for (const name of options.only) {
      const part = PARTS[name];
      if (part === undefined) continue;
      say(`${part.title} (${name})`);
      const setting = await describe(root, distribution);
      const found = await part.run(bench);
      if ('skipped' in found) {
        say(`  skipped: ${found.skipped}`);
        continue;
      }
      const result: Result = { title: part.title, setting, findings: found };
      say(terminal(result));
      if (!options.dry) await keep(name, result);
    }
  } finally {
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** After every part: a run that is interrupted has its first parts all the same. */
async function keep(name: string, result: Result): Promise<void> {
  const known = JSON.parse(await readFile(resultsFile, 'utf8').catch(() => '{}')) as Record<string, Result>;
  const rounded = (_: string, value: unknown): unknown =>
    typeof value === 'number' ? Number(value.toPrecision(4)) : value;
  const all = { ...known, [name]: result };
  const results = Object.fromEntries(
    Object.keys(PARTS).flatMap((part) => (all[part] === undefined ? [] : [[part, all[part]]])),
  );
  await mkdir(join(docs, 'performance'), { recursive: true });
  await writeFile(resultsFile, `${JSON.stringify(results, rounded)}\n`);
  await writeFile(join(docs, 'performance.md'), page(results));
  for (const plot of result.findings.plots) {
    await writeFile(join(docs, 'performance', `${plot.name}.svg`), draw(plot));
  }
}

const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    if (!interruption.signal.aborted) say('stopping what was started…');
    interruption.abort();
  });
}

let options: Options | null = null;
try {
  options = readOptions();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n${USAGE}`);
  process.exitCode = 2;
}
if (options !== null) {
  try {
    await measure(options, interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
    process.exitCode = 130;
  }
}
