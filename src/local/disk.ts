import { open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';

import { DATA_GONE } from '../cluster/view.ts';

const probeBytes = 64 * 1024;

/** What keeps this process, and so a member, from writing to a directory, in words; null if a small write succeeds. */
export async function diskTrouble(directory: string): Promise<string | null> {
  const probe = join(directory, '.probe');
  try {
    const file = await open(probe, 'w', 0o600);
    try {
      await file.writeFile(Buffer.alloc(probeBytes, 'baton'));
    } finally {
      await file.close();
      await rm(probe, { force: true });
    }
    return null;
  } catch (error) {
    return words(error as NodeJS.ErrnoException, directory);
  }
}

function words(error: NodeJS.ErrnoException, directory: string): string {
  switch (error.code) {
    case 'ENOSPC':
      return `disk full: no room left for ${directory}`;
    case 'EDQUOT':
      return `disk full: this user's quota is used up at ${directory}`;
    case 'EROFS':
      return `file system is read-only at ${directory}`;
    case 'ENOENT':
    case 'ENOTDIR':
      return `${DATA_GONE}: ${directory} does not exist any more`;
    case 'EACCES':
    case 'EPERM':
      return `no permission to write to ${directory}`;
    case 'EIO':
      return `disk error: writing to ${directory} failed (EIO)`;
    default:
      return `can't write to ${directory}: ${error.message}`;
  }
}

/** What this user may still write on the directory's file system, in bytes. */
export async function freeBytes(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}

/** How large the files of a directory are, holes and all, in bytes; those that vanish meanwhile count nothing. */
export async function sizeBytes(directory: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    total += entry.isDirectory()
      ? await sizeBytes(path)
      : await stat(path).then(
          (found) => found.size,
          () => 0,
        );
  }
  return total;
}

/** `12 MiB`, `3.4 GiB`. */
export function byteWords(bytes: number): string {
  const mebibytes = bytes / 1024 ** 2;
  return mebibytes < 1024 ? `${Math.round(mebibytes)} MiB` : `${(mebibytes / 1024).toFixed(1)} GiB`;
}
