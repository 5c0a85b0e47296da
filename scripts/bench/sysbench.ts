/** sysbench oltp_read_write, the load that everybody knows: through the primary endpoint and straight at the primary, in turn. */
import { access, constants, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Credentials } from '../../src/local/api-client.ts';
import { BatonCluster } from './baton-cluster.ts';
import type { Bench, Part, Skipped } from './bench.ts';
import { timeCommand } from './command.ts';
import type { Findings, Series, Verdict } from './result.ts';
import { median } from './statistics.ts';
import { connectAs } from './writer.ts';

const SECONDS = 10;
const THREADS = [1, 16];
const TABLES = 4;
const ROWS = 10_000;
const SHARE = 0.9;
const DATABASE = 'sbtest';

export const sysbench: Part = {
  title: 'sysbench oltp_read_write',
  run: measure,
};

async function measure(bench: Bench): Promise<Findings | Skipped> {
  if (!(await isThere('sysbench'))) return { skipped: 'there is no sysbench on PATH (apt-get install sysbench)' };
  const rounds = bench.rounds(3);
  await using cluster = await BatonCluster.start(bench, 'sysbench');
  const targets = { straight: await cluster.straight(), endpoint: await cluster.endpoint() };
  const run = async (target: Credentials, threads: number, command: string): Promise<string> => {
    const file = join(bench.directory, 'sysbench.cnf');
    await writeFile(file, options(target, threads), { mode: 0o600 });
    const argv = ['sysbench', `--config-file=${file}`, 'oltp_read_write', command];
    return (await timeCommand(argv, { signal: bench.signal })).said;
  };
  const session = await connectAs(targets.straight);
  await session.query(`CREATE DATABASE ${DATABASE}`);
  session.destroy();
  await run(targets.straight, 1, 'prepare');
  const series: Series[] = [];
  const verdicts: Verdict[] = [];
  for (const threads of THREADS) {
    const rates: Record<keyof typeof targets, number[]> = { straight: [], endpoint: [] };
    for (let round = 1; round <= rounds; round++) {
      for (const name of ['straight', 'endpoint'] as const)
        rates[name].push(rate(await run(targets[name], threads, 'run')));
      bench.progress(`${threads} threads, ${round} of ${rounds}`);
    }
    const share = median(rates.endpoint) / median(rates.straight);
    for (const name of ['straight', 'endpoint'] as const) {
      series.push({ label: `${threads} threads, ${name}`, unit: '/s', values: rates[name] });
    }
    verdicts.push({
      what: `sysbench oltp_read_write, ${threads} threads`,
      baseline: `${median(rates.straight).toFixed(0)} transactions/s straight`,
      measured: `${median(rates.endpoint).toFixed(0)} /s, ${share.toFixed(2)} ×`,
      target: `≥ ${SHARE} ×`,
      met: share >= SHARE,
    });
  }
  return {
    series,
    verdicts,
    plots: [{ name: 'sysbench', title: 'sysbench oltp_read_write, transactions', kind: 'bars', series }],
    method:
      `Three members, k = 1; ${TABLES} tables of ${ROWS} rows, ${SECONDS} s straight at the primary's own port, ${SECONDS} s ` +
      'through the endpoint, in turn; a transaction is 20 statements. sysbench, members and daemon share the processors. With one ' +
      'thread, which waits for each answer, every statement wakes the daemon twice more.',
  };
}

async function isThere(program: string): Promise<boolean> {
  const found = (process.env['PATH'] ?? '').split(delimiter).map((directory) =>
    access(join(directory, program), constants.X_OK).then(
      () => true,
      () => false,
    ),
  );
  return (await Promise.all(found)).includes(true);
}

/** In a file, since an argument list is everybody's to read. */
function options({ host, port, user, password }: Credentials, threads: number): string {
  const lines = {
    'db-driver': 'mysql',
    'mysql-host': host,
    'mysql-port': port,
    'mysql-user': user,
    'mysql-password': password,
    'mysql-db': DATABASE,
    tables: TABLES,
    'table-size': ROWS,
    threads,
    time: SECONDS,
  };
  return Object.entries(lines)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

function rate(said: string): number {
  const found = /transactions:\s+\d+\s+\(([\d.]+) per sec\.\)/.exec(said)?.[1];
  if (found === undefined) throw new Error(`sysbench said no rate: ${said.slice(-500)}`);
  return Number(found);
}
