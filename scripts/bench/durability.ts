/** What acknowledged writes cost, by durability, against one plain mysqld. */
import type { Credentials } from '../../src/local/api-client.ts';
import { BareServer } from './bare-server.ts';
import { BatonCluster } from './baton-cluster.ts';
import type { Bench, Part } from './bench.ts';
import { makeTables } from './load.ts';
import { runLoad } from './load-process.ts';
import type { Findings, Series } from './result.ts';
import { median } from './statistics.ts';

const SECONDS = 3;
const CONNECTIONS = [1, 16];

const MODES: readonly (readonly [string, string])[] = [
  ['asynchronous', '{durability: {mode: asynchronous}}'],
  ['quorum', '{durability: {mode: quorum}}'],
  ['quorum, powerLoss', '{durability: {mode: quorum, powerLoss: true}}'],
];

export const durability: Part = {
  title: 'Writes per second by durability',
  run: measure,
};

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(5);
  await using stack = new AsyncDisposableStack();
  const targets: (readonly [string, Credentials])[] = [];
  const plain = stack.use(await BareServer.create(bench, 'plain', 0));
  await plain.start();
  await plain.open();
  targets.push(['one plain mysqld', plain.credentials]);
  for (const [at, [label, spec]] of MODES.entries()) {
    const cluster = stack.use(await BatonCluster.start(bench, `mode-${at}`, spec));
    targets.push([label, await cluster.straight()]);
  }
  for (const [, target] of targets) await makeTables(target);
  const rates = new Map<string, number[]>();
  for (let round = 1; round <= rounds; round++) {
    for (const connections of CONNECTIONS) {
      for (const [label, target] of targets) {
        const order = { kind: 'rate', mix: 'insert', target, connections, seconds: SECONDS } as const;
        const { rate } = await runLoad(order, bench.signal);
        const name = nameOf(label, connections);
        rates.set(name, [...(rates.get(name) ?? []), rate]);
      }
    }
    bench.progress(`${round} of ${rounds}`);
  }
  return findings(
    targets.map(([label]) => label),
    rates,
  );
}

function nameOf(label: string, connections: number): string {
  return `${label}, ${connections} connection${connections === 1 ? '' : 's'}`;
}

function findings(labels: readonly string[], rates: ReadonlyMap<string, readonly number[]>): Findings {
  const of = (label: string, connections: number): readonly number[] => rates.get(nameOf(label, connections)) ?? [];
  const series: Series[] = CONNECTIONS.flatMap((connections) =>
    labels.map((label): Series => ({ label: nameOf(label, connections), unit: '/s', values: of(label, connections) })),
  );
  const [plain = '', ...modes] = labels;
  const verdicts = CONNECTIONS.flatMap((connections) =>
    modes.map((mode) => {
      const [base, rate] = [median(of(plain, connections)), median(of(mode, connections))];
      return {
        what: `inserts, ${nameOf(mode, connections)}`,
        baseline: `${base.toFixed(0)} /s, ${plain}`,
        measured: `${rate.toFixed(0)} /s, ${(rate / base).toFixed(2)} ×`,
        target: '',
        met: null,
      };
    }),
  );
  return {
    series,
    verdicts,
    plots: [{ name: 'durability', title: 'Inserts per second by durability, 3 members', kind: 'bars', series }],
    method:
      `Single-row inserts straight at the primary, ${SECONDS} s each, in turn; all clusters run at once and rest while ` +
      'another is measured. The plain mysqld has the same configuration, binlog and syncs included, and no replicas; the ' +
      'three members of a cluster share this one machine and its disk, which costs more than three machines would.',
  };
}
