import { parseCluster } from '../spec/parse.ts';
import type { ClusterDirectories } from './directories.ts';
import { readJournal } from './journal-file.ts';
import { isNews } from '../control/journal-news.ts';
import { dataDirectory, runningMembers } from './known-cluster.ts';
import { RecordFiles } from './record-files.ts';
import type { Status } from './status.ts';

/**
 * A cluster that no daemon looks after, from its record and its processes.
 *
 * @param stored the resource as it was last applied, as text
 * @param start the command that brings it up, for the reason
 */
export async function offlineStatus(
  name: string,
  directories: ClusterDirectories,
  stored: string,
  start: string,
): Promise<Status> {
  const { cluster } = parseCluster(stored, directories.resource);
  const members = await runningMembers(dataDirectory(directories, cluster));
  const record = (await new RecordFiles(directories.record).read())?.record;
  const primary = record?.primary?.ordinal ?? null;
  return {
    name,
    state: members.length > 0 ? 'unattended' : 'stopped',
    reason:
      members.length > 0
        ? `members run and no daemon looks after them, so nothing is served; ${start} takes them up`
        : `no member runs; ${start} brings it up again`,
    epoch: record?.epoch ?? 0,
    term: record?.term ?? 0,
    primary,
    durability:
      record === undefined || record.epoch === 0
        ? null
        : { mode: record.mode, required: record.required, ackers: record.ackers.map(({ ordinal }) => ordinal) },
    endpoints: null,
    members: members.map(({ ordinal, port, process }) => ({
      ordinal,
      role: ordinal === primary ? 'primary' : 'replica',
      state: 'unattended',
      reason: '',
      pid: process.pid,
      port,
      lagSeconds: null,
      gtidExecuted: null,
    })),
    mysql: null,
    daemon: null,
    restarting: [],
    replicas: cluster.spec.replicas,
    lastEvents: (await readJournal(directories.journal, 300)).filter(isNews).slice(-10),
    progress: null,
  };
}
