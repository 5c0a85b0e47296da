/** `status` and `list`. */
import { setTimeout as sleep } from 'node:timers/promises';

import { DaemonGoneError } from '../local/api-client.ts';
import { connectDaemon } from '../local/daemon-start.ts';
import { knownClusters } from '../local/known-cluster.ts';
import type { Status } from '../local/status.ts';
import type { ClusterClient } from './cluster-client.ts';
import { Context, type CommonOptions } from './context.ts';
import { EXIT } from './exit.ts';
import { painted, statusLines } from './status-text.ts';
import { columns, Screen } from './terminal.ts';

export async function status(options: CommonOptions & { watch?: boolean }, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const there = await context.inKubernetes();
  if (options.watch === true) return watch(context, there);
  const now = there === null ? await current(context) : await there.status();
  if (context.json) context.printJson(now);
  else context.print(statusLines(now, context.colours).join('\n'));
  if (there === null && now.daemon === null) process.exitCode = EXIT.notRunning;
}

/** From the daemon; without one, from what lies on disk. */
async function current(context: Context): Promise<Status> {
  const client = await connectDaemon(context.directories);
  if (client === null) return offline(context);
  return client.status(context.interrupted).catch((error: unknown) => {
    if (error instanceof DaemonGoneError) return offline(context);
    throw error;
  });
}

/** What can be told without a daemon: the record and the processes. */
async function offline(context: Context): Promise<Status> {
  const { directories, name, env } = context;
  const stored = await context.mustExist();
  const { offlineStatus } = await import('../local/offline-status.ts');
  return offlineStatus(name, directories, stored, `${env['BATON_COMMAND'] ?? 'baton'} start`);
}

const reconnectMs = 500;

/** Until Ctrl-C. A daemon that is replaced meanwhile is followed. */
async function watch(context: Context, there: ClusterClient | null): Promise<void> {
  const live = process.stdout.isTTY && !context.json;
  const screen = new Screen(process.stdout);
  let said = '';
  const show = (now: Status): void => {
    if (context.json) return context.print(JSON.stringify(now));
    if (live) return screen.draw([...statusLines(now, context.colours), '', context.colours.dim('Ctrl-C ends this')]);
    const line = `${now.state}: ${now.reason}`;
    if (line !== said) context.print(line);
    said = line;
  };
  try {
    if (there === null) await watchHere(context, show);
    else for await (const now of there.watch({ signal: context.interrupted })) show(now);
  } finally {
    if (live) screen.end();
  }
}

async function watchHere(context: Context, show: (now: Status) => void): Promise<void> {
  while (!context.interrupted.aborted) {
    const client = await connectDaemon(context.directories);
    try {
      if (client === null) show(await offline(context));
      else for await (const now of client.watch({ signal: context.interrupted })) show(now);
    } catch (error) {
      if (!(error instanceof DaemonGoneError)) throw error;
    }
    await sleep(reconnectMs, undefined, { signal: context.interrupted }).catch(() => {});
  }
}

export async function list(options: CommonOptions, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const rows: { name: string; state: Status['state']; endpoint: string | null; reason: string }[] = [];
  const there = await context.inKubernetes();
  for (const name of await (there === null ? knownClusters(context.env) : there.names())) {
    const its = new Context({ ...options, name }, interrupted);
    const now = await ((await its.inKubernetes())?.status() ?? current(its));
    const endpoint = now.endpoints === null ? null : `${now.endpoints.primary.host}:${now.endpoints.primary.port}`;
    rows.push({ name, state: now.state, endpoint, reason: now.reason });
  }
  if (context.json) return context.printJson(rows);
  if (rows.length === 0) {
    const make = there === null ? context.command('up') : 'kubectl apply -f cluster.yaml';
    return context.print(`No clusters. Make one: ${make}`);
  }
  const lines = rows.map(({ name, state, endpoint, reason }) => [
    name,
    painted(state, context.colours),
    endpoint ?? '-',
    reason,
  ]);
  const head = ['NAME', 'STATE', 'WRITES', ''].map((title) => context.colours.dim(title));
  context.print(columns([head, ...lines]).join('\n'));
}
