/** The pause that a switchover makes for one writer. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BatonCluster } from './baton-cluster.ts';
import { wallMs, type Bench, type Part } from './bench.ts';
import type { Findings } from './result.ts';
import { summarise } from './statistics.ts';
import { breakdown, durations, timelineOf, type Step, type Timeline } from './timeline.ts';
import { connectAs, makeTable, Writer } from './writer.ts';

const WRITES_AROUND = 50;
const TARGET_MS = 100;

export const switchover: Part = {
  title: 'Switchover: the gap for one writer',
  run: measure,
};

const STEPS: readonly Step[] = [
  ['connections drained', /^state switching: the old primary closes/],
  ['the old primary closed', /^done close/],
  ['the target has all', /^done seal/],
  ['the choice recorded', /^record switchover/],
  ['prepared', /^done prepare/],
  ['opened', /^done open/],
  ["the epoch's row acknowledged", /^done write-epoch/, 'first'],
];

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(50);
  await using cluster = await BatonCluster.start(bench, 'switchover');
  const where = await cluster.endpoint();
  const session = await connectAs(where);
  await makeTable(session);
  session.destroy();
  const gaps: number[] = [];
  const syncs: number[] = [];
  const inserts: number[] = [];
  const timelines: Timeline[] = [];
  for (let round = 1; round <= rounds; round++) {
    await cluster.settled();
    syncs.push(await fsyncedWrite(bench));
    inserts.push(await oneInsert(cluster));
    await using writer = new Writer(() => Promise.resolve(where));
    await writer.goesOn(WRITES_AROUND, bench.signal);
    writer.reset();
    const askedMs = wallMs();
    await cluster.client.switchover(null, bench.signal);
    await writer.goesOn(WRITES_AROUND, bench.signal);
    gaps.push(writer.longestGap.ms);
    timelines.push(timelineOf(await cluster.journal(), STEPS, askedMs, writer.longestGap.endedAtMs));
    bench.progress(`${round} of ${rounds}: ${writer.longestGap.ms.toFixed(0)} ms`);
  }
  const [gap, sync, insert] = [summarise(gaps), summarise(syncs), summarise(inserts)];
  const series = [
    { label: 'one write of 4 KiB, fdatasync', unit: 'ms' as const, values: syncs },
    { label: 'one insert, semi-synchronous', unit: 'ms' as const, values: inserts },
    { label: 'gap of a switchover', unit: 'ms' as const, values: gaps },
  ];
  return {
    series,
    verdicts: [
      {
        what: 'gap of a switchover, median',
        baseline: `${sync.median.toFixed(1)} ms a synced write, ${insert.median.toFixed(1)} ms an insert`,
        measured: `${gap.median.toFixed(0)} ms, p99 ${gap.p99.toFixed(0)} ms`,
        target: `< ${TARGET_MS} ms`,
        met: gap.median < TARGET_MS,
      },
    ],
    breakdowns: [breakdown('Milliseconds since it was asked for', timelines)],
    plots: [
      {
        name: 'switchover',
        title: 'Writes go on after a switchover: share over within',
        kind: 'cumulative',
        series: series.slice(2),
        mark: { label: 'target for the median', value: TARGET_MS },
      },
      {
        name: 'switchover-steps',
        title: 'Where the milliseconds of a switchover go (median of each step)',
        kind: 'bars',
        series: durations(timelines),
      },
    ],
    method:
      'Three members, k = 1; switched over to whichever replica Baton chooses while one client writes without pause ' +
      'through the primary endpoint. Baselines, taken before each: one write with fdatasync to a file beside the data, ' +
      'and one insert straight at the primary.',
  };
}

async function fsyncedWrite(bench: Bench): Promise<number> {
  const file = await open(join(bench.directory, 'synced'), 'w', 0o600);
  try {
    const sinceMs = performance.now();
    await file.write(Buffer.alloc(4096, 1));
    await file.datasync();
    return performance.now() - sinceMs;
  } finally {
    await file.close();
  }
}

async function oneInsert(cluster: BatonCluster): Promise<number> {
  const session = await connectAs(await cluster.straight());
  try {
    const insert = async (): Promise<number> => {
      const sinceMs = performance.now();
      await session.query('INSERT INTO bench.gap (at) VALUES (0)');
      return performance.now() - sinceMs;
    };
    await insert();
    return await insert();
  } finally {
    session.destroy();
  }
}
