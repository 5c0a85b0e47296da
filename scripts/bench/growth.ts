/** How the gap of a failover and the cost of observing grow with the number of members. */
import { watch } from './at-rest.ts';
import { BatonCluster } from './baton-cluster.ts';
import { sleep, type Bench, type Part } from './bench.ts';
import { batonRound } from './failover.ts';
import type { Findings, Series } from './result.ts';
import { summarise } from './statistics.ts';
import { connectAs, makeTable } from './writer.ts';

const SIZES = [3, 5, 7, 9];
const WINDOW_MS = 10_000;

export const growth: Part = {
  title: 'From 3 to 9 members',
  onlyByName: true,
  run: measure,
};

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(10);
  const gaps: Series[] = [];
  const costs: Series[] = [];
  for (const size of SIZES) {
    await using cluster = await BatonCluster.start(bench, `grown-${size}`, `{replicas: ${size}}`);
    const session = await connectAs(await cluster.endpoint());
    await makeTable(session);
    session.destroy();
    await sleep(WINDOW_MS, bench.signal);
    const { cpuPercent, memoryMb } = await watch(cluster.daemonPid, WINDOW_MS, bench.signal);
    const values: number[] = [];
    for (let round = 0; round < rounds; round++) values.push((await batonRound(bench, cluster)).gapMs);
    gaps.push({ label: `${size} members, gap`, unit: 'ms', values });
    costs.push(
      { label: `${size} members, daemon at rest`, unit: '%', values: [cpuPercent] },
      { label: `${size} members, daemon's memory`, unit: 'MB', values: [memoryMb] },
    );
    bench.progress(`${size} members: ${summarise(values).median.toFixed(0)} ms, ${cpuPercent.toFixed(1)} % of a core`);
  }
  return {
    series: [...gaps, ...costs],
    verdicts: [],
    plots: [{ name: 'growth', title: 'Gap after kill -9 by number of members', kind: 'bars', series: gaps }],
    method: `The failovers of the first part, ${rounds} for each size, and the daemon at rest over ${WINDOW_MS / 1000} s.`,
  };
}
