import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { buildOnce } from './build-once.ts';

describe('building a directory of the cache', () => {
  let cacheDir = '';
  beforeEach(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'baton-test-'));
  });
  afterEach(() => rm(cacheDir, { recursive: true }));

  const buildOf =
    (content: string, before: () => Promise<void> = async () => {}) =>
    async (staging: string): Promise<{ directory: string; name: string }> => {
      await mkdir(join(staging, 'out'));
      await writeFile(join(staging, 'out/file'), content);
      await before();
      return { directory: join(staging, 'out'), name: 'thing-1' };
    };

  test('publishes it whole and leaves nothing else', async () => {
    const published = await buildOnce(join(cacheDir, 'deep/cache'), buildOf('a'));
    assert.equal(published, join(cacheDir, 'deep/cache/thing-1'));
    assert.deepEqual(await readdir(join(cacheDir, 'deep/cache')), ['thing-1']);
  });

  test('of two at once the first to finish wins, and both are given what it published', async () => {
    const bothBuilt = Promise.withResolvers<void>();
    let built = 0;
    const meet = async (): Promise<void> => {
      if (++built === 2) bothBuilt.resolve();
      await bothBuilt.promise;
    };
    const [a, b] = await Promise.all([
      buildOnce(cacheDir, buildOf('a', meet)),
      buildOnce(cacheDir, buildOf('b', meet)),
    ]);
    assert.equal(a, b);
    assert.match(await readFile(join(a, 'file'), 'utf8'), /^[ab]$/);
    assert.deepEqual(await readdir(cacheDir), ['thing-1']);
  });

  test('a build that fails leaves nothing, and says why', async () => {
    const failing = buildOf('a', () => Promise.reject(new Error('no luck')));
    await assert.rejects(buildOnce(cacheDir, failing), /no luck/);
    assert.deepEqual(await readdir(cacheDir), []);
  });

  test('what a killed process left is removed; what a living one builds is not', async () => {
    // Larger than any process number of Linux.
    const dead = `.staging-${hostname()}-4194305-aa`;
    const living = `.staging-${hostname()}-${process.pid}-bb`;
    const elsewhere = '.staging-another-host-4194305-cc';
    const elsewhereOld = '.staging-another-host-4194305-dd';
    for (const name of [dead, living, elsewhere, elsewhereOld]) await mkdir(join(cacheDir, name));
    await utimes(join(cacheDir, elsewhereOld), 0, 0);
    await buildOnce(cacheDir, buildOf('a'));
    assert.deepEqual((await readdir(cacheDir)).sort(), [elsewhere, living, 'thing-1'].sort());
  });
});
