/** From the last write acknowledged before kill -9 of the primary to the first after it; by hand and by Baton, in turn. */
import { BatonCluster } from './baton-cluster.ts';
import { wallMs, type Bench, type Part } from './bench.ts';
import { ByHand, type HandSteps } from './by-hand.ts';
import type { Findings } from './result.ts';
import { summarise } from './statistics.ts';
import { breakdown, durations, timelineOf, type Step, type Timeline } from './timeline.ts';
import { connectAs, makeTable, Writer } from './writer.ts';

const WRITES_AROUND = 100;
const TIMES_BY_HAND = 2.5;
const MEDIAN_MS = 250;
const P99_MS = 1000;

export const failover: Part = {
  title: 'Failover: the gap after kill -9 of the primary, one writer',
  run: measure,
};

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(100);
  await using hand = await ByHand.start(bench);
  await using cluster = await BatonCluster.start(bench, 'failover');
  const setup = await connectAs(await cluster.endpoint());
  await makeTable(setup);
  setup.destroy();
  const gaps = { hand: [] as number[], baton: [] as number[] };
  const timelines = { hand: [] as Timeline[], baton: [] as Timeline[] };
  for (let round = 1; round <= rounds; round++) {
    const byHand = await handRound(bench, hand);
    const byBaton = await batonRound(bench, cluster);
    gaps.hand.push(byHand.gapMs);
    gaps.baton.push(byBaton.gapMs);
    timelines.hand.push(byHand.timeline);
    timelines.baton.push(byBaton.timeline);
    bench.progress(
      `${round} of ${rounds}: by hand ${byHand.gapMs.toFixed(0)} ms, Baton ${byBaton.gapMs.toFixed(0)} ms`,
    );
  }
  return findings(gaps, timelines);
}

async function handRound(bench: Bench, hand: ByHand): Promise<{ gapMs: number; timeline: Timeline }> {
  let steps: HandSteps;
  let gap: Writer['longestGap'];
  {
    await using writer = new Writer(() => hand.locate());
    await writer.goesOn(WRITES_AROUND, bench.signal);
    writer.reset();
    steps = await hand.failOver();
    await writer.goesOn(WRITES_AROUND, bench.signal);
    gap = writer.longestGap;
  }
  await hand.mend();
  const since = (ms: number): number => ms - steps.killedMs;
  const timeline: Timeline = [
    ['both receivers stopped', since(steps.sealedMs)],
    ['sets read, all applied', since(steps.appliedMs)],
    ['replication reset', since(steps.resetMs)],
    ['semi-sync on, writable', since(steps.openMs)],
    ['the other follows', since(steps.followedMs)],
    ['first write acknowledged', since(gap.endedAtMs)],
  ];
  return { gapMs: gap.ms, timeline };
}

export async function batonRound(bench: Bench, cluster: BatonCluster): Promise<{ gapMs: number; timeline: Timeline }> {
  await cluster.settled();
  const where = await cluster.endpoint();
  const { pid } = await cluster.primary();
  await using writer = new Writer(() => Promise.resolve(where));
  await writer.goesOn(WRITES_AROUND, bench.signal);
  writer.reset();
  const killedMs = wallMs();
  process.kill(pid, 'SIGKILL');
  // The primary it was may still have answered one or two.
  await writer.goesOn(WRITES_AROUND, bench.signal);
  const gap = writer.longestGap;
  const timeline = timelineOf(await cluster.journal(), STEPS, killedMs, gap.endedAtMs);
  return { gapMs: gap.ms, timeline };
}

/** What the journal tells of the milliseconds between. */
const STEPS: readonly Step[] = [
  ['the death is known', /^state failing-over/, 'first'],
  ['replicas sealed', /^done seal/],
  ['the choice recorded', /^record failover/],
  ['prepared', /^done prepare/],
  ['opened', /^done open/],
  ["the epoch's row acknowledged", /^done write-epoch/, 'first'],
];

function findings(
  gaps: { readonly hand: number[]; readonly baton: number[] },
  timelines: { readonly hand: Timeline[]; readonly baton: Timeline[] },
): Findings {
  const [hand, baton] = [summarise(gaps.hand), summarise(gaps.baton)];
  const ratio = baton.median / hand.median;
  const series = [
    { label: 'by hand', unit: 'ms' as const, values: gaps.hand },
    { label: 'Baton', unit: 'ms' as const, values: gaps.baton },
  ];
  return {
    series,
    verdicts: [
      {
        what: 'gap after kill -9 of the primary, median',
        baseline: `${hand.median.toFixed(0)} ms by hand`,
        measured: `${baton.median.toFixed(0)} ms, ${ratio.toFixed(2)} ×`,
        target: `≤ ${TIMES_BY_HAND} × and < ${MEDIAN_MS} ms`,
        met: ratio <= TIMES_BY_HAND && baton.median < MEDIAN_MS,
      },
      {
        what: `the same, p99 of ${baton.count}`,
        baseline: `${hand.p99.toFixed(0)} ms by hand`,
        measured: `${baton.p99.toFixed(0)} ms`,
        target: `< ${P99_MS} ms`,
        met: baton.p99 < P99_MS,
      },
    ],
    breakdowns: [
      breakdown('By hand, ms since the kill', timelines.hand),
      breakdown('Baton, ms since the kill', timelines.baton),
    ],
    plots: [
      {
        name: 'failover',
        title: 'Writes go on after kill -9: share of failovers over within',
        kind: 'cumulative',
        series,
      },
      {
        name: 'failover-steps',
        title: 'Where the milliseconds of a failover go (median of each step)',
        kind: 'bars',
        series: durations(timelines.baton),
      },
    ],
    method:
      'Two clusters of three, the same template and configuration, k = 1; one round of each in turn. By hand: a script that ' +
      'knows what is dead and has its sessions open; it stops both receivers, reads the sets, waits until all is applied, ' +
      'resets, sets k, opens, repoints the other. The gap is from the last write acknowledged before to the first after, ' +
      'connecting included. Baton has to notice by itself, and records its choice durably.',
  };
}
