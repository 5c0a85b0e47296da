/** A cluster as it lies on disk, whether or not its daemon runs. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import type { MySQLCluster } from '../spec/resource.ts';
import { lockDaemon } from './daemon-lock.ts';
import { listClusters, type ClusterDirectories, clusterDirectories } from './directories.ts';
import { bootId, hasArgument, processState, signalProcess } from './process-identity.ts';
import type { ProcessId } from '../cluster/view.ts';
import { setTimeout as sleep } from 'node:timers/promises';

/** Where a resource has its members' data. */
export function dataDirectory(directories: ClusterDirectories, { metadata, spec }: MySQLCluster): string {
  return spec.storage.path === undefined ? directories.data : join(spec.storage.path, metadata.name);
}

/** The resource as it was last applied, as text; null if no such cluster was ever made. */
export async function storedResource(directories: Pick<ClusterDirectories, 'resource'>): Promise<string | null> {
  return readFile(directories.resource, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null;
    throw error;
  });
}

/** The clusters that this user has made, running or not. */
export async function knownClusters(env: NodeJS.ProcessEnv): Promise<string[]> {
  const names = await listClusters(env);
  const made = await Promise.all(names.map((name) => storedResource(clusterDirectories(name, env)).catch(() => '')));
  return names.filter((_, index) => made[index] !== null);
}

export interface RunningMember {
  readonly ordinal: number;
  readonly port: number;
  readonly process: ProcessId;
}

/** Loaded when it is needed: what checks such a file is large, and every command knows of clusters. */
function loadMemberState(): Promise<typeof import('./member-state.ts')> {
  return import('./member-state.ts');
}

/** Members whose process runs, looked up without a daemon. */
export async function runningMembers(dataDir: string): Promise<RunningMember[]> {
  const members: RunningMember[] = [];
  for (const name of await readdir(dataDir).catch(() => [])) {
    const ordinal = /^member-(\d+)\.json$/.exec(name)?.[1];
    if (ordinal === undefined) continue;
    const { readMemberState } = await loadMemberState();
    const state = await readMemberState(join(dataDir, name)).catch(() => null);
    const last = state?.process;
    if (state === null || last === null || last === undefined || last.bootId !== bootId()) continue;
    const process = { pid: last.pid, startTime: last.startTime };
    const config = join(dataDir, `member-${ordinal}`, 'my.cnf');
    if (await hasArgument(process, `--defaults-file=${config}`)) {
      members.push({ ordinal: state.ordinal, port: state.port, process });
    }
  }
  return members.sort((a, b) => a.ordinal - b.ordinal);
}

const killDeadlineMs = 10_000;

/**
 * Stops the members of a cluster whose daemon is gone. By SIGKILL: commits may wait for an acknowledgement, and a mysqld
 * that is asked to stop answers them OK. Rejects with DaemonTakenError if there is a daemon after all.
 */
export async function stopUnattended(directories: ClusterDirectories, dataDir: string): Promise<number> {
  const unlock = await lockDaemon(directories);
  try {
    const members = await runningMembers(dataDir);
    const { readMemberState, writeMemberState } = await loadMemberState();
    for (const { ordinal, process } of members) {
      const path = join(dataDir, `member-${ordinal}.json`);
      const state = await readMemberState(path);
      if (state !== null) await writeMemberState(path, { ...state, wanted: false });
      signalProcess(process, 'SIGKILL');
    }
    const deadline = performance.now() + killDeadlineMs;
    while (members.some(({ process }) => processState(process) !== 'gone') && performance.now() < deadline) {
      await sleep(10);
    }
    return members.length;
  } finally {
    await unlock();
  }
}

/** Passwords, record and journal of a cluster, and its data unless `dataDir` is null. Its daemon and members must be gone. */
export async function deleteCluster(directories: ClusterDirectories, dataDir: string | null): Promise<void> {
  // The data first: while the state is there, the cluster is listed and can be deleted again.
  if (dataDir !== null) await rm(dataDir, { recursive: true, force: true });
  await rm(directories.socket, { force: true });
  await rm(directories.state, { recursive: true, force: true });
}
