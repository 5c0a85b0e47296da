/** What is looked at before anything is made. */
import { mkdir, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { MySQLCluster } from '../spec/resource.ts';
import type { ClusterDirectories } from './directories.ts';
import { byteWords, diskTrouble, freeBytes, sizeBytes } from './disk.ts';
import type { Distribution } from './distribution.ts';
import { RecordFiles } from './record-files.ts';

/** The cluster can't be brought up here as it is; nothing was made. */
export class StartRefusedError extends Error {
  override readonly name = 'StartRefusedError';
  readonly code: 'DATA_WITHOUT_RECORD' | 'OTHER_VERSION' | 'NO_DISK_SPACE' | 'UNWRITABLE';
  readonly hint: string;
  constructor(code: StartRefusedError['code'], message: string, hint: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

/** Redo and binary logs, a relay log, and room to start in. */
const memberMarginBytes = 96 * 1024 ** 2;

/** Whether nothing of this cluster was ever kept: what is made for it may be taken away again. */
export async function isNewCluster({ state }: ClusterDirectories): Promise<boolean> {
  // A daemon that gets ready has its log, its lock and its socket there, and no more.
  const kept = await Promise.all(['record', 'secrets.json', 'cluster.yaml'].map((name) => isEmpty(join(state, name))));
  return kept.every(Boolean);
}

/** Rejects if there is data of which there is no record. */
export async function checkData(directories: ClusterDirectories, dataDir: string): Promise<void> {
  if ((await new RecordFiles(directories.record).read()) !== null) return;
  const members = await memberNames(dataDir);
  if (members.length === 0) return;
  // With the passwords the members can be asked, and the record is made again from what they show.
  if (!(await isEmpty(directories.secrets))) return;
  throw new StartRefusedError(
    'DATA_WITHOUT_RECORD',
    `${dataDir} holds ${members.join(', ')} of a cluster, but its record and passwords (${directories.state}) are gone`,
    `Bring ${directories.state} back, move the data away, or bring up a cluster by another name.`,
  );
}

export function checkVersion({ spec }: MySQLCluster, { version, basedir }: Distribution): void {
  const wanted = spec.mysql.version;
  if (wanted === undefined || `${version}.`.startsWith(`${wanted}.`)) return;
  throw new StartRefusedError(
    'OTHER_VERSION',
    `spec.mysql.version asks for MySQL ${wanted}, and the one found (${basedir}) is ${version}`,
    'Name the directory of that MySQL (--mysql-basedir, or spec.mysql.basedir), or leave the version out.',
  );
}

/** Rejects unless the members that are still to be made fit, and the place can be written to. */
export async function checkRoom(
  dataDir: string,
  template: string,
  replicas: number,
  free: (directory: string) => Promise<number> = freeBytes,
): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 }).catch((error: Error) => {
    throw new StartRefusedError('UNWRITABLE', `can't make ${dataDir}: ${error.message}`, elsewhere);
  });
  const trouble = await diskTrouble(dataDir);
  if (trouble !== null) throw new StartRefusedError('UNWRITABLE', trouble, elsewhere);
  const missing = Math.max(0, replicas - (await memberNames(dataDir)).length);
  const needed = missing * ((await sizeBytes(template)) + memberMarginBytes);
  const available = await free(dataDir);
  if (available >= needed) return;
  throw new StartRefusedError(
    'NO_DISK_SPACE',
    `${missing} new members need ${byteWords(needed)} of disk, and ${dirname(dataDir)} has ${byteWords(available)} free`,
    elsewhere,
  );
}

const elsewhere = 'Make room, or put the data elsewhere: spec.storage.path, or XDG_DATA_HOME.';

/** There is no such thing, or it is an empty directory. */
async function isEmpty(path: string): Promise<boolean> {
  return readdir(path).then(
    (names) => names.length === 0,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

async function memberNames(dataDir: string): Promise<string[]> {
  const names = await readdir(dataDir).catch(() => []);
  return names.filter((name) => /^member-\d+$/.test(name)).sort();
}
