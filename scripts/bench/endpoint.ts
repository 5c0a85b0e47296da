/** What the primary endpoint costs: throughput and latency through it and straight at the primary, in turn. */
import { BatonCluster } from './baton-cluster.ts';
import type { Bench, Part } from './bench.ts';
import { makeTables, type Mix } from './load.ts';
import { runLoad } from './load-process.ts';
import type { Findings, Series, Verdict } from './result.ts';
import { median } from './statistics.ts';

const CONNECTIONS = 16;
const SECONDS = 4;
const STATEMENTS = 3000;
const SHARE = 0.9;
const ADDED_US = 100;

const NAMES: Readonly<Record<Mix, string>> = {
  insert: 'inserts',
  select: 'selects of one row',
  oltp: 'transactions of reads and writes',
};

export const endpoint: Part = {
  title: 'The primary endpoint: throughput and latency',
  run: measure,
};

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(5);
  await using cluster = await BatonCluster.start(bench, 'endpoint');
  const [through, straight] = [await cluster.endpoint(), await cluster.straight()];
  await makeTables(straight);
  const series: Series[] = [];
  const verdicts: Verdict[] = [];
  for (const mix of ['insert', 'oltp', 'select'] as const) {
    const rates = { straight: [] as number[], through: [] as number[] };
    for (let round = 1; round <= rounds; round++) {
      const rate = async (target: typeof through): Promise<number> =>
        (await runLoad({ kind: 'rate', mix, target, connections: CONNECTIONS, seconds: SECONDS }, bench.signal)).rate;
      rates.straight.push(await rate(straight));
      rates.through.push(await rate(through));
      bench.progress(`${NAMES[mix]}, ${round} of ${rounds}`);
    }
    const share = median(rates.through) / median(rates.straight);
    series.push(
      { label: `${NAMES[mix]}, straight`, unit: '/s', values: rates.straight },
      { label: `${NAMES[mix]}, endpoint`, unit: '/s', values: rates.through },
    );
    verdicts.push({
      what: `throughput with ${CONNECTIONS} connections, ${NAMES[mix]}`,
      baseline: `${median(rates.straight).toFixed(0)} /s straight`,
      measured: `${median(rates.through).toFixed(0)} /s, ${share.toFixed(2)} ×`,
      target: `≥ ${SHARE} ×`,
      met: share >= SHARE,
    });
  }
  const throughputs = [...series];
  for (const mix of ['select', 'insert'] as const) {
    bench.progress(`latency of ${NAMES[mix]}`);
    const order = { kind: 'latency', mix, targets: [straight, through], times: STATEMENTS } as const;
    const { latenciesUs } = await runLoad(order, bench.signal);
    const [plain = [], proxied = []] = latenciesUs;
    const addedUs = median(proxied) - median(plain);
    series.push(
      { label: `one of the ${NAMES[mix]}, straight`, unit: 'µs', values: plain },
      { label: `one of the ${NAMES[mix]}, endpoint`, unit: 'µs', values: proxied },
    );
    verdicts.push({
      what: `latency added by the endpoint, ${NAMES[mix]}, median`,
      baseline: `${median(plain).toFixed(0)} µs straight`,
      measured: `${median(proxied).toFixed(0)} µs, ${addedUs.toFixed(0)} µs more`,
      target: `< ${ADDED_US} µs`,
      met: addedUs < ADDED_US,
    });
  }
  return {
    series,
    verdicts,
    plots: [{ name: 'throughput', title: `Throughput, ${CONNECTIONS} connections`, kind: 'bars', series: throughputs }],
    method:
      `Three members, k = 1. Throughput: ${CONNECTIONS} connections of a Node process with mysql2, ${SECONDS} s straight at ` +
      `the primary's own port, ${SECONDS} s through the endpoint, in turn; members, daemon and client share the machine's ` +
      'processors. The transactions are those of sysbench oltp_read_write (10 points, 4 ranges, 2 updates, a delete and an ' +
      `insert on 10,000 rows). Latency: two connections, one statement over each in turn, ${STATEMENTS} times. The proxy ` +
      'parses nothing: its profile is the system handing on what it reads. Where client and server keep both processors busy, as with ' +
      'selects of one row, whatever it takes is taken from them.',
  };
}
