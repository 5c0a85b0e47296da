/** A primary that can't write to its disk is a dead primary, told in words. Needs root, for a file system of its own. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

const SIZE_BYTES = 512 * 1024 ** 2;

/** Member 0, which becomes the primary, lives on a file system of its own. Null, with a word, where that can't be made. */
async function sceneWithDisk(t: TestContext): Promise<{ scene: Scene; repair: () => Promise<void> } | null> {
  let home = '';
  let image = '';
  const unmount = (): void => {
    if (home !== '') execFileSync('umount', ['--lazy', home], { stdio: 'ignore' });
  };
  const prepare = async (dataDir: string): Promise<void> => {
    image = join(dataDir, '..', 'disk');
    await writeFile(image, '');
    await truncate(image, SIZE_BYTES);
    execFileSync('mkfs.ext4', ['-q', image], { stdio: 'ignore' });
    const place = join(dataDir, 'member-0');
    execFileSync('mkdir', ['-m', '700', place]);
    execFileSync('mount', ['-o', 'loop', image, place], { stdio: 'ignore' });
    home = place;
  };
  let scene: Scene;
  try {
    scene = await Scene.begin('{replicas: 3}', { prepare });
  } catch (error) {
    if (home !== '') throw error;
    t.skip('no file system can be made and mounted here');
    return null;
  }
  scene.atEnd(unmount);
  assert.equal(scene.primary, 0);
  const repair = async (): Promise<void> => {
    // Nobody is to find the place empty meanwhile.
    await scene.cluster.release();
    unmount();
    // It tells with its exit code that there was something to repair.
    execFileSync('sh', ['-c', `fsck.ext4 -p ${image} || [ $? -eq 1 ]`], { stdio: 'ignore' });
    execFileSync('mount', ['-o', 'loop', image, home], { stdio: 'ignore' });
    await scene.restartController();
  };
  return { scene, repair };
}

test("the primary's disk is full: another takes over, the status says why, and with room again it is a replica", async (t) => {
  const made = await sceneWithDisk(t);
  if (made === null) return;
  await using scene = made.scene;
  const writer = await Writer.begin(scene);
  const filler = join(scene.home(0), 'filler');
  execFileSync('sh', ['-c', `cat /dev/zero > ${filler} || true`], { stdio: 'ignore' });
  await scene.until(() => scene.primary !== 0);
  await writer.writesAgain();
  t.diagnostic(`gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);
  // It waits for room, or InnoDB has ended it; which of the two is seen first, nobody can say.
  const moved = scene.lines().filter((line) => line.startsWith('record failover: '));
  assert.match(moved.join('\n'), /: the primary, member 0, /);
  await scene.until(() => /disk full/.test(scene.view(0)?.disk ?? ''));
  await rm(filler);
  await verify(scene, [writer]);
});

test("the primary's file system has become read-only: another takes over, the status says why, and repaired it is a replica", async (t) => {
  const made = await sceneWithDisk(t);
  if (made === null) return;
  const { repair } = made;
  await using scene = made.scene;
  const writer = await Writer.begin(scene);
  // Aborted, it keeps nothing that is not on the disk: what the member was made of is, a moment after its birth.
  execFileSync('sync', ['--file-system', scene.home(0)]);
  execFileSync('mount', ['-o', 'remount,abort', scene.home(0)]);
  await scene.until(() => scene.primary !== 0);
  await writer.writesAgain();
  t.diagnostic(`gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);
  assert.ok(scene.lines().some((line) => line.startsWith('record failover: the primary, member 0, ')));
  await scene.until(() => /read-only/.test(`${scene.report(0)} ${scene.view(0)?.disk ?? ''}`));
  await repair();
  await verify(scene, [writer]);
});

test("a replica's disk is full: writes go on without it, it leaves, and is back soon after there is room", async (t) => {
  const made = await sceneWithDisk(t);
  if (made === null) return;
  await using scene = made.scene;
  const [other = -1] = scene.replicas;
  const { done, reason } = await scene.switchover(other);
  assert.equal(done, true, reason);
  await scene.until('healthy');
  const writer = await Writer.begin(scene);
  const filler = join(scene.home(0), 'filler');
  execFileSync('sh', ['-c', `cat /dev/zero > ${filler} || true`], { stdio: 'ignore' });
  await scene.until(() => /disk full/.test(scene.view(0)?.disk ?? ''));
  await scene.until(() => scene.lines().some((line) => line.startsWith('record member 0 acknowledges no more')));
  await writer.writesAgain();
  const { ms } = writer.takeLongestGap();
  await rm(filler);
  const roomMs = performance.now();
  await scene.until('healthy', 30_000);
  t.diagnostic(`gap ${ms.toFixed(0)} ms; in sync ${(performance.now() - roomMs).toFixed(0)} ms after there was room`);
  await verify(scene, [writer]);
});
