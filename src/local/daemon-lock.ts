/** One daemon a cluster: a file that names the process, its start time and its socket. It outlives its daemon harmlessly. */
import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { ClusterDirectories } from './directories.ts';
import { bootId, processOf, processState } from './process-identity.ts';

export interface DaemonIdentity {
  readonly pid: number;
  readonly startTime: string;
  readonly bootId: string;
  /** Where it answers. The directory for sockets may be another one in another session. */
  readonly socket: string;
}

/** Another daemon has this cluster. */
export class DaemonTakenError extends Error {
  override readonly name = 'DaemonTakenError';
  readonly code = 'DAEMON_TAKEN';
  readonly hint = 'Use it as it is, or stop it first: baton stop';
  constructor(pid: number) {
    super(`a daemon (process ${pid}) looks after this cluster already`);
  }
}

const attempts = 20;

function lockPath(directories: Pick<ClusterDirectories, 'state'>): string {
  return join(directories.state, 'daemon.json');
}

/** Resolves with the way to let go. Rejects with DaemonTakenError while another process lives that has it. */
export async function lockDaemon(directories: ClusterDirectories): Promise<() => Promise<void>> {
  const path = lockPath(directories);
  const self = processOf(process.pid);
  if (self === null) throw new Error('expected to find this process in /proc, found none');
  const mine = JSON.stringify({ ...self, bootId: bootId(), socket: directories.socket } satisfies DaemonIdentity);
  for (let attempt = 0; attempt < attempts; attempt++) {
    if (await make(path, mine)) return () => letGo(path, mine);
    const holder = await runningDaemon(directories);
    if (holder !== null) throw new DaemonTakenError(holder.pid);
    await clearAway(path);
  }
  throw new Error(`expected to make ${path} in ${attempts} attempts, found others at it all the time`);
}

/** The daemon that runs; null if none does. */
export async function runningDaemon(directories: Pick<ClusterDirectories, 'state'>): Promise<DaemonIdentity | null> {
  const text = await readFile(lockPath(directories), 'utf8').catch(() => '');
  return holderOf(text);
}

function holderOf(text: string): DaemonIdentity | null {
  let found: Partial<DaemonIdentity>;
  try {
    found = JSON.parse(text) as Partial<DaemonIdentity>;
  } catch {
    return null;
  }
  const { pid, startTime, bootId: boot, socket } = found;
  if (typeof pid !== 'number' || typeof startTime !== 'string' || typeof socket !== 'string') return null;
  if (boot !== bootId() || processState({ pid, startTime }) === 'gone') return null;
  return { pid, startTime, bootId: boot, socket };
}

/** A link is made whole or not at all, and by one process only. */
async function make(path: string, text: string): Promise<boolean> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' });
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

/** Takes a dead daemon's file away. If it turns out to be a live one's, which was quicker, that one gets it back. */
async function clearAway(path: string): Promise<void> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if (holderOf(await readFile(aside, 'utf8').catch(() => '')) !== null) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function letGo(path: string, mine: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => '')) === mine) await rm(path, { force: true });
}
