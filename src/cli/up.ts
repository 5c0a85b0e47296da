/** `up` and `start`: bring a cluster up, or to what its resource asks for. */
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { ApiClient } from '../local/api-client.ts';
import { changesBetween, changeWords } from '../local/changes.ts';
import { connectDaemon, daemonEnded, startDaemon } from '../local/daemon-start.ts';
import { dataDirectory, runningMembers, storedResource } from '../local/known-cluster.ts';
import { signalProcess } from '../local/process-identity.ts';
import { runningDaemon } from '../local/daemon-lock.ts';
import type { Status } from '../local/status.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { Context, type CommonOptions } from './context.ts';
import { badInput } from './exit.ts';
import { nameOfFile, readResource } from './resource-file.ts';
import { waitFor } from './wait.ts';

export interface UpOptions extends CommonOptions {
  readonly file?: string;
  readonly replicas?: string;
  readonly mysqlBasedir?: string;
  readonly timeout: string;
}

export async function up(options: UpOptions, interrupted: AbortSignal): Promise<void> {
  const timeoutMs = secondsOf(options.timeout);
  const { resource, notes } = await wantedResource(options);
  const context = new Context({ ...options, name: resource.metadata.name }, interrupted);
  for (const note of notes) process.stderr.write(`note: ${note}\n`);
  await bringUp(context, resource, timeoutMs);
}

export async function start(options: CommonOptions & { timeout: string }, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const timeoutMs = secondsOf(options.timeout);
  await context.mustExist();
  const { resource } = await wantedResource(options);
  await bringUp(context, resource, timeoutMs);
}

/** The file; else what was applied last; else the defaults. Options go over each of them. */
async function wantedResource(
  options: Omit<UpOptions, 'timeout'>,
): Promise<{ resource: MySQLCluster; notes: readonly string[] }> {
  const { defaultCluster, parseCluster, validateCluster } = await import('../spec/parse.ts');
  const { file, name, replicas, mysqlBasedir } = options;
  let notes: readonly string[] = [];
  let found: MySQLCluster;
  if (file === undefined) {
    const { directories, name: checked } = new Context(options, new AbortController().signal);
    const stored = await storedResource(directories);
    found = stored === null ? defaultCluster(checked) : parseCluster(stored, directories.resource).cluster;
  } else {
    const read = parseCluster(await readResource(file), nameOfFile(file));
    [found, notes] = [read.cluster, read.notes];
  }
  const { metadata, spec, ...rest } = found;
  const changed = {
    ...rest,
    metadata: { ...metadata, ...(name === undefined ? {} : { name }) },
    spec: {
      ...spec,
      ...(replicas === undefined ? {} : { replicas: numberOf(replicas) }),
      mysql: { ...spec.mysql, ...(mysqlBasedir === undefined ? {} : { basedir: resolve(mysqlBasedir) }) },
    },
  };
  return { resource: validateCluster(changed), notes };
}

/** What is no number stays what it is, for the schema to refuse in its words. */
export function numberOf(value: string): unknown {
  return value.trim() !== '' && Number.isFinite(Number(value)) ? Number(value) : value;
}

export function secondsOf(value: string): number {
  const seconds = Number(value);
  if (Number.isFinite(seconds) && seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw badInput(`expected --timeout to be a number of seconds up to 86400, found ${JSON.stringify(value)}`);
}

/** After this long a status shows what a change has set going. */
const APPLIED_MS = 500;

async function bringUp(context: Context, resource: MySQLCluster, timeoutMs: number): Promise<void> {
  const { directories, name } = context;
  const ticker = context.ticker();
  const running = await connectDaemon(directories);
  if (running === null) await showChanges(context, resource);
  const wereRunning = running !== null || (await runningMembers(dataDirectory(directories, resource))).length > 0;
  ticker.show(running === null ? `Starting cluster "${name}"` : `Looking at cluster "${name}"`);
  let applied = running === null;
  let epoch = 0;
  try {
    const client =
      running ?? (await startDaemon(name, directories, { resource, owner: null, deleteAfterOwner: false }));
    const onStatus = async (status: Status): Promise<Status> => {
      ({ epoch } = status);
      if (applied || status.state === 'starting') return status;
      applied = true;
      const { changes } = await client.apply(resource);
      for (const change of changes) ticker.note(change);
      if (changes.length === 0) return status;
      // What changes nothing that a status shows is followed by no other status.
      await sleep(APPLIED_MS);
      return client.status(context.interrupted);
    };
    const status = await waitFor(context, client, { timeoutMs, ticker, claim: true, onStatus });
    ticker.end();
    if (context.json) context.printJson(status);
    else context.print((await summary(context, client, status)).join('\n'));
  } catch (error) {
    ticker.end();
    if (running === null) await undo(context, error, wereRunning, epoch);
    throw error;
  }
}

/** Of a stopped cluster. Rejects, before anything is started, if it can't change so. */
async function showChanges({ directories }: Context, resource: MySQLCluster): Promise<void> {
  const stored = await storedResource(directories);
  if (stored === null) return;
  const { parseCluster } = await import('../spec/parse.ts');
  const before = parseCluster(stored, directories.resource).cluster;
  for (const change of changesBetween(before, resource, false)) process.stderr.write(`${changeWords(change)}\n`);
}

/**
 * What this command started and did not finish is stopped, if it was asked to end or can never come to be. A daemon that
 * could not bring the cluster up ends by itself, and is waited for.
 */
async function undo(context: Context, error: unknown, wereRunning: boolean, epoch: number): Promise<void> {
  const daemon = await runningDaemon(context.directories);
  if (daemon === null) return;
  const { code } = error as { code?: unknown };
  switch (code) {
    case 'TIMED_OUT':
    case 'UP_IN_PROGRESS':
      return;
    case 'INTERRUPTED':
      // Members that ran before go on: only the daemon ends.
      if (wereRunning) signalProcess(daemon, 'SIGTERM');
      else {
        process.stderr.write(`Stopping what was started. To go on: ${context.command('up')}\n`);
        await new ApiClient(daemon.socket).stop({ delete: false }).catch(() => {});
      }
      break;
    case 'CLUSTER_FAILED':
      if (wereRunning || epoch > 0) return;
      // One that never had a primary has no data: nothing is kept of it.
      await new ApiClient(daemon.socket).stop({ delete: true }).catch(() => {});
      break;
    default:
      break;
  }
  await daemonEnded(daemon);
}

async function summary(context: Context, client: ApiClient, status: Status): Promise<string[]> {
  const { bold, dim } = context.colours;
  const { host, port, user, database } = await client.credentials();
  const read = status.endpoints?.read;
  const primary = status.members.find(({ role }) => role === 'primary');
  const replicas = status.members.filter(({ role }) => role === 'replica').map(({ ordinal }) => ordinal);
  const followed = replicas.length === 0 ? 'no replicas' : `followed by ${replicas.join(', ')}`;
  const at = `${host}:${port}/${database ?? ''}`;
  return [
    `Cluster ${bold(`"${status.name}"`)} is up: MySQL ${status.mysql?.version ?? ''}, member ${status.primary} is the primary, ${followed}.`,
    '',
    `  writes  ${bold(`${host}:${port}`)}`,
    `  reads   ${bold(`${read?.host ?? host}:${read?.port ?? ''}`)}`,
    '',
    `  mysql   mysql -h ${host} -P ${port} -u ${user} -p${database === null ? '' : ` ${database}`}`,
    `  mysql2  createConnection({ host: '${host}', port: ${port}, user: '${user}', password })`,
    `  JDBC    jdbc:mysql://${at}?user=${user}`,
    `  with its password, as a URL: ${bold(context.command('url'))}`,
    '',
    dim('Try next:'),
    `  ${context.command('sql -e "select @@server_uuid, @@port"')}`,
    ...(primary?.pid === null || primary === undefined || replicas.length === 0
      ? []
      : [`  kill -9 ${primary.pid}   ${dim('the primary: writes go on at the same address')}`]),
    `  ${context.command('status --watch')}`,
    `  ${context.command('explain')}   ${dim('what happened, and why')}`,
  ];
}
