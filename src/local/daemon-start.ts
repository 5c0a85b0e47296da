/** Starting a cluster's daemon, from a command or a test. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { ProcessId } from '../cluster/view.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { ApiClient } from './api-client.ts';
import { runningDaemon, type DaemonIdentity } from './daemon-lock.ts';
import { makeClusterDirectories, type ClusterDirectories } from './directories.ts';
import { processState } from './process-identity.ts';

/** What a daemon is told at its start, on its standard input. */
export interface DaemonStart {
  /** What it brings up; null: what was applied last. */
  readonly resource: MySQLCluster | null;
  /** When this process is gone, the daemon stops the cluster and ends. Null: it stays. */
  readonly owner: ProcessId | null;
  /** Whether the cluster is deleted then. */
  readonly deleteAfterOwner: boolean;
}

/** The daemon did not get as far as answering. */
export class DaemonStartError extends Error {
  override readonly name = 'DaemonStartError';
  readonly code = 'DAEMON_START_FAILED';
  readonly hint: string;
  constructor(said: string, log: string) {
    super(`the daemon ended before it answered${said === '' ? '' : `: ${said}`}`);
    this.hint = `Its log: ${log}`;
  }
}

const startDeadlineMs = 15_000;
/** What a daemon keeps is small: a garbage collector that waits for more than this only makes it look large. */
const smallHeap = ['--max-semi-space-size=4'];

/** A client of the daemon that runs; null if none does. */
export async function connectDaemon(directories: ClusterDirectories): Promise<ApiClient | null> {
  const daemon = await runningDaemon(directories);
  return daemon === null ? null : new ApiClient(daemon.socket);
}

/**
 * Starts a daemon of its own session, and resolves once one answers: this, or another that was quicker. What keeps the
 * cluster from coming up is told by `ApiClient.watch`.
 */
export async function startDaemon(
  name: string,
  directories: ClusterDirectories,
  start: DaemonStart,
): Promise<ApiClient> {
  await makeClusterDirectories(directories);
  const log = await open(directories.daemonLog, 'a', 0o600);
  const child = spawn(process.execPath, [...runtimeOptions(), ...smallHeap, daemonEntry(), name], {
    cwd: '/',
    detached: true,
    stdio: ['pipe', 'ignore', log.fd],
  });
  let ended = false;
  try {
    child.once('exit', () => (ended = true));
    await once(child, 'spawn');
    child.stdin?.on('error', () => {});
    child.stdin?.end(JSON.stringify(start));
    child.unref();
    const deadline = performance.now() + startDeadlineMs;
    for (;;) {
      const daemon = await runningDaemon(directories);
      const client = daemon === null ? null : new ApiClient(daemon.socket);
      if (client !== null && (await answers(client))) return client;
      if ((ended && daemon === null) || performance.now() > deadline) {
        throw new DaemonStartError(await lastLine(directories.daemonLog), directories.daemonLog);
      }
      await sleep(15);
    }
  } finally {
    await log.close();
  }
}

const endDeadlineMs = 15_000;

/** Resolves once a daemon that is about to end has ended; false if it has not in time. */
export async function daemonEnded(daemon: DaemonIdentity): Promise<boolean> {
  const deadline = performance.now() + endDeadlineMs;
  while (processState(daemon) !== 'gone') {
    if (performance.now() > deadline) return false;
    await sleep(10);
  }
  return true;
}

/** A daemon has its lock a moment before it listens. */
function answers(client: ApiClient): Promise<boolean> {
  return client.status().then(
    () => true,
    () => false,
  );
}

/** Beside this file, as a source or as a bundle. */
function daemonEntry(): string {
  const suffix = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return fileURLToPath(new URL(`./daemon.${suffix}`, import.meta.url));
}

/** What this process was started with may be what runs a source; nothing of a debugger, a test runner or a watcher. */
function runtimeOptions(): string[] {
  return process.execArgv.filter((option) => /^--(experimental-strip-types|disable-warning|no-warnings)/.test(option));
}

async function lastLine(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const lines = text.trim().split('\n').slice(-20);
  const error = lines.findLast((line) => /^\w*Error/.test(line)) ?? lines.at(-1) ?? '';
  return error.slice(0, 300);
}
