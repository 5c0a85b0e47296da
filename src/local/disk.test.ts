import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { byteWords, diskTrouble, freeBytes, sizeBytes } from './disk.ts';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'baton-disk-'));
});
after(async () => {
  await rm(dir, { recursive: true, force: true });
});

test('a directory that can be written has no trouble, and the trial leaves nothing behind', async () => {
  assert.equal(await diskTrouble(dir), null);
  assert.deepEqual(await readdir(dir), []);
});

test('a directory that is gone is told as such', async () => {
  assert.match((await diskTrouble(join(dir, 'no'))) ?? '', /^directory gone: /);
});

test('a full and a read-only file system are told apart', async (t) => {
  const mount = join(dir, 'mount');
  await mkdir(mount);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'baton-test', mount], { stdio: 'ignore' });
  } catch {
    return t.skip('mounting is not allowed here');
  }
  try {
    await writeFile(join(mount, 'filler'), Buffer.alloc(224 * 1024));
    assert.match((await diskTrouble(mount)) ?? '', /^disk full: /);
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    assert.match((await diskTrouble(mount)) ?? '', /^file system is read-only /);
  } finally {
    execFileSync('umount', [mount]);
  }
});

test('what the files of a directory take is told with their holes: a copy for a member has none', async () => {
  await mkdir(join(dir, 'used', 'deep'), { recursive: true });
  await writeFile(join(dir, 'used', 'deep', 'file'), Buffer.alloc(1024 ** 2, 'x'));
  await writeFile(join(dir, 'used', 'hole'), '');
  await truncate(join(dir, 'used', 'hole'), 1024 ** 2);
  const used = await sizeBytes(join(dir, 'used'));
  assert.equal(used, 2 * 1024 ** 2);
  assert.ok((await freeBytes(dir)) > 0);
  assert.deepEqual([byteWords(12 * 1024 ** 2), byteWords(3.4 * 1024 ** 3)], ['12 MiB', '3.4 GiB']);
});
