/** The primary dies, while a client writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

test('kill -9 of the primary: writes go on at the same address, nothing acknowledged is lost, the old primary comes back as a replica', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  for (let round = 0; round < 3; round++) {
    await scene.until('healthy', 30_000);
    writer.takeLongestGap();
    const old = scene.primary;
    process.kill(scene.pid(old), 'SIGKILL');
    await writer.writesAgain();
    const { ms, lastError } = writer.takeLongestGap();
    t.diagnostic(`gap ${ms.toFixed(0)} ms (${lastError})`);
    assert.notEqual(scene.primary, old);
  }
  await verify(scene, [writer], 3);
});
