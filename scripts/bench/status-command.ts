/** What `baton status` takes over Node's own start. */
import { join } from 'node:path';
import { BatonCluster, environment } from './baton-cluster.ts';
import type { Bench, Part } from './bench.ts';
import { batonCommand, timeCommand } from './command.ts';
import type { Findings } from './result.ts';
import { median } from './statistics.ts';

const MORE_MS = 100;

export const statusCommand: Part = {
  title: '`baton status`',
  run: measure,
};

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(20);
  await using cluster = await BatonCluster.start(bench, 'status');
  await cluster.settled();
  const env = environment(join(bench.directory, 'status'));
  const { signal } = bench;
  const times = { node: [] as number[], bundle: [] as number[], clone: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    times.node.push((await timeCommand(['node', '-e', '0'], { env, signal })).ms);
    const args = ['status', '--name', 'status'];
    times.bundle.push((await timeCommand(['node', join(bench.root, 'dist/baton.js'), ...args], { env, signal })).ms);
    times.clone.push((await timeCommand(batonCommand(bench, ...args), { env, signal })).ms);
  }
  const more = median(times.clone) - median(times.node);
  bench.progress(`node ${median(times.node).toFixed(0)} ms, status ${median(times.clone).toFixed(0)} ms`);
  return {
    series: [
      { label: 'node -e 0', unit: 'ms', values: times.node },
      { label: 'baton status, as installed', unit: 'ms', values: times.bundle },
      { label: './baton status, from a clone', unit: 'ms', values: times.clone },
    ],
    verdicts: [
      {
        what: '`./baton status`',
        baseline: `${median(times.node).toFixed(0)} ms, node -e 0`,
        measured: `${median(times.clone).toFixed(0)} ms, ${more.toFixed(0)} ms more`,
        target: `+ ${MORE_MS} ms at most`,
        met: more <= MORE_MS,
      },
    ],
    plots: [],
    method: 'A running cluster of three, asked from a new process each time; the three in turn.',
  };
}
