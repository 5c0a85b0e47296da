/** How long it takes until a cluster is there, or has one member more. */
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clusterDirectories } from '../../src/local/directories.ts';
import { BareServer } from './bare-server.ts';
import { BatonCluster, environment } from './baton-cluster.ts';
import type { Bench, Part, Skipped } from './bench.ts';
import { batonCommand, timeCommand } from './command.ts';
import type { Findings } from './result.ts';
import { median, summarise } from './statistics.ts';

const MEMBERS = 3;
const TIMES_BARE = 1.8;
const MORE_THAN_DOWNLOAD_S = 10;
const ONE_MORE_S = 5;

export const up: Part = {
  title: `${MEMBERS} members up, MySQL and template present`,
  run: measureUp,
};

async function measureUp(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(5);
  const bare: number[] = [];
  const baton: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    bare.push(await startBare(bench));
    baton.push((await bringUp(bench, `up-${round}`, {})).seconds);
    bench.progress(`${round} of ${rounds}: bare ${bare.at(-1)?.toFixed(2)} s, baton up ${baton.at(-1)?.toFixed(2)} s`);
  }
  const ratio = median(baton) / median(bare);
  return {
    series: [
      { label: 'three mysqld, spawn to ready', unit: 's', values: bare },
      { label: 'baton up', unit: 's', values: baton },
    ],
    verdicts: [
      {
        what: `${MEMBERS} members up`,
        baseline: `${median(bare).toFixed(1)} s, three mysqld`,
        measured: `${median(baton).toFixed(1)} s, ${ratio.toFixed(2)} ×`,
        target: `≤ ${TIMES_BARE} ×`,
        met: ratio <= TIMES_BARE,
      },
    ],
    plots: [],
    method:
      'From calling `baton up` to its end: daemon started, data copied, accounts made, three members started, joined, in sync ' +
      'and endpoints open. Baseline: three mysqld at once on data that was copied before, without accounts, until all greet.',
  };
}

async function startBare(bench: Bench): Promise<number> {
  const servers: BareServer[] = [];
  try {
    for (let ordinal = 0; ordinal < MEMBERS; ordinal++) servers.push(await BareServer.create(bench, 'bare', ordinal));
    const sinceMs = performance.now();
    await Promise.all(servers.map((server) => server.start({ withAccounts: false })));
    return (performance.now() - sinceMs) / 1000;
  } finally {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

async function bringUp(
  bench: Bench,
  name: string,
  extra: NodeJS.ProcessEnv,
): Promise<{ seconds: number; daemonLog: string }> {
  const directory = join(bench.directory, name);
  await mkdir(directory, { mode: 0o700 });
  const env = { ...environment(directory), ...extra };
  try {
    const { ms } = await timeCommand(batonCommand(bench, 'up', '--name', name), { env, signal: bench.signal });
    const daemonLog = await readFile(clusterDirectories(name, env).daemonLog, 'utf8');
    return { seconds: ms / 1000, daemonLog };
  } finally {
    await timeCommand(batonCommand(bench, 'down', '--delete', '--yes', '--name', name), { env }).catch(() => undefined);
  }
}

export const firstUp: Part = {
  title: 'The first `up` ever: MySQL fetched',
  run: measureFirstUp,
};

interface Progress {
  readonly at: string;
  readonly kind: string;
  readonly step?: string;
}

async function measureFirstUp(bench: Bench): Promise<Findings | Skipped> {
  if (bench.distribution.origin !== 'fetched') {
    return { skipped: 'MySQL is installed here, so none would be fetched' };
  }
  const whole: number[] = [];
  const download: number[] = [];
  for (let round = 1; round <= bench.rounds(1); round++) {
    const cache = join(bench.directory, `cache-${round}`);
    let brought: Awaited<ReturnType<typeof bringUp>>;
    try {
      brought = await bringUp(bench, `first-${round}`, { XDG_CACHE_HOME: cache });
    } catch (error) {
      if (bench.signal.aborted) throw error;
      return { skipped: `nothing could be fetched: ${(error as Error).message.split('\n').at(-1) ?? ''}` };
    }
    whole.push(brought.seconds);
    download.push(downloadSeconds(brought.daemonLog));
    bench.progress(`${whole.at(-1)?.toFixed(1)} s, of which download ${download.at(-1)?.toFixed(1)} s`);
  }
  const more = median(whole) - median(download);
  return {
    series: [
      { label: 'download alone', unit: 's', values: download },
      { label: 'first baton up', unit: 's', values: whole },
    ],
    verdicts: [
      {
        what: 'first up ever, MySQL to be fetched',
        baseline: `${median(download).toFixed(1)} s, download alone`,
        measured: `${median(whole).toFixed(1)} s, ${more.toFixed(1)} s more`,
        target: `+ ${MORE_THAN_DOWNLOAD_S} s at most`,
        met: more <= MORE_THAN_DOWNLOAD_S,
      },
    ],
    plots: [],
    method:
      'With an empty cache, from calling `baton up` to its end. The download is timed in the same run, by the steps in the ' +
      "daemon's log: package lists and packages, before they are unpacked, the template made and the members started.",
  };
}

/** From the first word of the package lists to that of unpacking. */
function downloadSeconds(log: string): number {
  const told = log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Progress)
    .filter(({ kind }) => kind === 'daemon.progress');
  const [begun, over] = ['index', 'unpack'].map((name) => told.find(({ step }) => step === name));
  if (begun === undefined || over === undefined) throw new Error("the daemon's log tells of no download");
  return (Date.parse(over.at) - Date.parse(begun.at)) / 1000;
}

export const oneMore: Part = {
  title: 'One more member, empty database',
  run: measureOneMore,
};

async function measureOneMore(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(5);
  await using cluster = await BatonCluster.start(bench, 'more', '{replicas: 3, storage: {whenScaled: Delete}}');
  const seconds: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const sinceMs = performance.now();
    await cluster.client.scale(MEMBERS + 1);
    await cluster.settled();
    seconds.push((performance.now() - sinceMs) / 1000);
    bench.progress(`${round} of ${rounds}: ${seconds.at(-1)?.toFixed(2)} s`);
    await cluster.client.scale(MEMBERS);
    await cluster.settled();
  }
  const { median: middle, max } = summarise(seconds);
  return {
    series: [{ label: 'from 3 to 4 members', unit: 's', values: seconds }],
    verdicts: [
      {
        what: 'one more member, empty database',
        baseline: '',
        measured: `${middle.toFixed(1)} s, at most ${max.toFixed(1)} s`,
        target: `< ${ONE_MORE_S} s`,
        met: middle < ONE_MORE_S,
      },
    ],
    plots: [],
    method:
      'Scaled from 3 to 4, until the fourth is in sync and the cluster healthy; its data is deleted again in between.',
  };
}
