/** `scale`, `switchover`, `restart`, `stop`, `down`, `url`: what is asked of a running cluster. */
import { createInterface } from 'node:readline/promises';

import { ApiClient } from '../local/api-client.ts';
import { runningDaemon } from '../local/daemon-lock.ts';
import { daemonEnded } from '../local/daemon-start.ts';
import { dataDirectory, deleteCluster, stopUnattended } from '../local/known-cluster.ts';
import { Context, type CommonOptions } from './context.ts';
import { badInput } from './exit.ts';
import { numberOf, secondsOf } from './up.ts';
import { waitFor } from './wait.ts';

interface Timed extends CommonOptions {
  readonly timeout: string;
}

export async function scale(replicas: string, options: Timed, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const timeoutMs = secondsOf(options.timeout);
  const { defaultCluster, validateCluster } = await import('../spec/parse.ts');
  // Said in the schema's words, whether or not the cluster runs.
  const some = defaultCluster(context.name);
  validateCluster({ ...some, spec: { ...some.spec, replicas: numberOf(replicas) } });
  const client = await context.cluster();
  const ticker = context.ticker();
  try {
    const { changes } = await client.scale(Number(replicas));
    if (changes.length === 0) ticker.note(`It has ${replicas} members already.`);
    for (const change of changes) ticker.note(change);
    const status = await waitFor(context, client, { timeoutMs, ticker });
    ticker.end();
    if (context.json) context.printJson(status);
    else context.print(`${status.replicas} members: ${status.reason}`);
  } finally {
    ticker.end();
  }
}

export async function switchover(options: CommonOptions & { to?: string }, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const to = options.to === undefined ? null : ordinalOf(options.to);
  const client = await context.cluster();
  const ticker = context.ticker();
  ticker.show(to === null ? 'Choosing a replica to switch over to' : `Switching over to member ${to}`);
  try {
    const result = await client.switchover(to, context.interrupted);
    ticker.end();
    if (context.json) context.printJson(result);
    else context.print(`member ${result.primary} is the primary now (${result.ms} ms)`);
  } finally {
    ticker.end();
  }
}

export async function restart(members: readonly string[], options: Timed, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const timeoutMs = secondsOf(options.timeout);
  const ordinals = members.map(ordinalOf);
  const client = await context.cluster();
  const ticker = context.ticker();
  try {
    const { restarting } = await client.restart(ordinals);
    const status = await waitFor(context, client, { timeoutMs, ticker });
    ticker.end();
    if (context.json) context.printJson(status);
    else context.print(`restarted ${restarting.map((ordinal) => `member ${ordinal}`).join(', ')}: ${status.reason}`);
  } finally {
    ticker.end();
  }
}

export async function stop(options: CommonOptions, interrupted: AbortSignal): Promise<void> {
  await takeDown(new Context(options, interrupted), false);
}

export async function down(
  options: CommonOptions & { delete?: boolean; yes?: boolean },
  interrupted: AbortSignal,
): Promise<void> {
  const context = new Context(options, interrupted);
  const withData = options.delete === true;
  if (withData && options.yes !== true) await confirmDeletion(context);
  await takeDown(context, withData);
}

async function confirmDeletion(context: Context): Promise<void> {
  const { name } = context;
  await context.mustExist();
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw badInput(
      `deleting cluster "${name}" is to be confirmed, and there is no terminal to ask on`,
      `If its data is of no use any more: ${context.command('down --delete --yes')}`,
    );
  }
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const question = `All data of cluster "${name}" will be deleted, for good. Type its name to go on: `;
    const answer = await ask.question(question, { signal: context.interrupted });
    if (answer.trim() !== name) throw badInput(`that is not its name: nothing was deleted`);
  } finally {
    ask.close();
  }
}

async function takeDown(context: Context, withData: boolean): Promise<void> {
  const { directories, name } = context;
  const daemon = await runningDaemon(directories);
  const ticker = context.ticker();
  ticker.show(withData ? `Deleting cluster "${name}"` : `Stopping cluster "${name}"`);
  try {
    if (daemon === null) await takeDownUnattended(context, withData);
    else {
      await new ApiClient(daemon.socket).stop({ delete: withData });
      await daemonEnded(daemon);
    }
  } finally {
    ticker.end();
  }
  if (context.json) return context.printJson({ name, state: withData ? 'deleted' : 'stopped' });
  if (withData) return context.print(`Cluster "${name}" is deleted.`);
  context.print(`Cluster "${name}" is stopped; its data is kept. Bring it up again: ${context.command('start')}`);
}

async function takeDownUnattended(context: Context, withData: boolean): Promise<void> {
  const { parseCluster } = await import('../spec/parse.ts');
  const { cluster } = parseCluster(await context.mustExist(), context.directories.resource);
  const dataDir = dataDirectory(context.directories, cluster);
  await stopUnattended(context.directories, dataDir);
  if (withData) await deleteCluster(context.directories, dataDir);
}

/** A member is named by its number, alone or as in NAME-2. */
export function ordinalOf(text: string): number {
  const digits = /^(?:[a-z][-a-z0-9]*-)?(\d{1,4})$/.exec(text)?.[1];
  if (digits !== undefined) return Number(digits);
  throw badInput(`expected a member's number, such as 0, found ${JSON.stringify(text.slice(0, 60))}`);
}

interface UrlOptions extends CommonOptions {
  readonly read?: boolean;
  readonly forward?: boolean;
}

export async function url(options: UrlOptions, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const { read = false } = options;
  const there = await context.inKubernetes();
  const forwarded = there !== null && options.forward === true;
  if (options.forward === true && there === null) {
    throw badInput('on this machine the endpoints are ports of this machine already: leave --forward out');
  }
  const login =
    there === null
      ? await (await context.daemon()).credentials({ read })
      : await (forwarded ? there.credentials({ read }) : there.serviceCredentials(read));
  const { host, port, user, password, database } = login;
  const at = host.includes(':') ? `[${host}]` : host;
  const written = `mysql://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${at}:${port}${database === null ? '' : `/${database}`}`;
  if (context.json) context.printJson({ url: written, host, port, user, password, database });
  else context.print(written);
  if (forwarded) await untilInterrupted(context);
}

/** The port is there until Ctrl-C. */
async function untilInterrupted({ interrupted }: Context): Promise<void> {
  const staying = setInterval(() => undefined, 60_000);
  await new Promise<void>((resolve) => {
    if (interrupted.aborted) resolve();
    interrupted.addEventListener('abort', () => resolve(), { once: true });
  });
  clearInterval(staying);
}
