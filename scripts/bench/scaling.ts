/** Whether writes stand still while members come and go, the primary among them. */
import { BatonCluster } from './baton-cluster.ts';
import type { Bench, Part } from './bench.ts';
import type { Findings, Series } from './result.ts';
import { summarise } from './statistics.ts';
import { connectAs, makeTable, Writer } from './writer.ts';

/** After "from 1 to 3" the primary moves to member 2, which the next step has leave. */
const SIZES = [1, 3, 2, 5, 1];
const WRITES_AROUND = 50;
const TARGET_MS = 1000;

export const scaling: Part = {
  title: 'From 1 to 3, 2, 5 and 1 members: the gap for one writer',
  run: measure,
};

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(10);
  const gaps = new Map<string, number[]>();
  await using cluster = await BatonCluster.start(bench, 'scaling', `{replicas: 1, storage: {whenScaled: Delete}}`);
  const where = await cluster.endpoint();
  const session = await connectAs(where);
  await makeTable(session);
  session.destroy();
  for (let round = 1; round <= rounds; round++) {
    for (const [at, to] of SIZES.slice(1).entries()) {
      const what = `from ${SIZES[at]} to ${to} members${to === 2 ? ', the primary leaves' : ''}`;
      if (to === 2) await cluster.client.switchover(2, bench.signal);
      await cluster.settled();
      await using writer = new Writer(() => Promise.resolve(where));
      await writer.goesOn(WRITES_AROUND, bench.signal);
      writer.reset();
      await cluster.client.scale(to);
      await cluster.settled();
      await writer.goesOn(WRITES_AROUND, bench.signal);
      gaps.set(what, [...(gaps.get(what) ?? []), writer.longestGap.ms]);
    }
    bench.progress(`${round} of ${rounds}: ${[...gaps.values()].map((each) => each.at(-1)?.toFixed(0)).join(', ')} ms`);
  }
  const series = [...gaps].map(([label, values]): Series => ({ label, unit: 'ms', values }));
  const { median, max } = summarise([...gaps.values()].flat());
  return {
    series,
    verdicts: [
      {
        what: 'longest gap while members come and go',
        baseline: '',
        measured: `median ${median.toFixed(0)} ms, worst ${max.toFixed(0)} ms of ${rounds * gaps.size}`,
        target: `< ${TARGET_MS} ms`,
        met: max < TARGET_MS,
      },
    ],
    plots: [],
    method:
      'One client writes without pause through the primary endpoint; the gap is the longest time between two writes ' +
      'acknowledged one after the other, from before the request until the cluster is healthy in its new size.',
  };
}
