import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { runCommand } from './command.ts';

const stagingPrefix = '.staging-';

/** Longer than any build may take: a staging directory older than this belongs to nobody. */
const abandonedAfterMs = 3 * 3600_000;

/**
 * Builds a directory of a cache such that it is either absent or complete, whoever is killed when.
 *
 * `build` works in a private staging directory and says which directory in it to publish under which name. Publishing is
 * one rename; of several processes that build the same at once the first wins and the others use what it published.
 * Whatever happens the staging directory is removed; what a killed process left behind is removed by the next build.
 *
 * @returns the path of the published directory.
 */
export async function buildOnce(
  cacheDir: string,
  build: (staging: string) => Promise<{ directory: string; name: string }>,
): Promise<string> {
  await mkdir(cacheDir, { recursive: true });
  await sweep(cacheDir);
  const staging = join(cacheDir, `${stagingPrefix}${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`);
  await mkdir(staging, { mode: 0o700 });
  try {
    const { directory, name } = await build(staging);
    const published = join(cacheDir, name);
    // A power cut after the rename must not leave a name for files that never reached the disk.
    await runCommand(['sync', '-f', directory], { timeoutMs: 300_000 });
    try {
      await rename(directory, published);
    } catch (error) {
      if (!(await isDirectory(published))) throw error;
    }
    return published;
  } finally {
    await removeTree(staging);
  }
}

/** Removes what killed builds left behind, judged by process on this host and by age elsewhere (a shared home). */
async function sweep(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith(stagingPrefix)) continue;
    const path = join(cacheDir, name);
    const rest = name.slice(stagingPrefix.length);
    const ours = rest.startsWith(`${hostname()}-`);
    const pid = Number(rest.split('-').at(-2));
    const modified = await stat(path).then(
      (found) => found.mtimeMs,
      () => Infinity,
    );
    const old = Date.now() - modified > abandonedAfterMs;
    if (old || (ours && !isAlive(pid))) await removeTree(path);
  }
}

/** Tries again for a moment, since a program just killed may have a child that still writes a file. */
const removeTree = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
