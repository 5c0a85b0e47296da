/** Settings of the resource: live where MySQL allows it, else by restarts that no write notices for long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowDataPacket } from 'mysql2';
import { Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

async function variable(scene: Scene, ordinal: number, name: string): Promise<string> {
  const root = await scene.root(ordinal);
  try {
    const [[row]] = await root.query<RowDataPacket[]>('SELECT @@global.?? AS value', [name]);
    return String(row?.['value']);
  } finally {
    await root.end();
  }
}

test('dynamic settings go in live, by role, follow the role at a switchover, and go back to their defaults', async () => {
  await using scene = await Scene.begin('{replicas: 2}');
  const pids = [scene.pid(0), scene.pid(1)];
  await scene.apply(
    '{replicas: 2, mysql: {config: {max_connections: 321}, primaryConfig: {long_query_time: 3}, replicaConfig: {long_query_time: 7}}}',
  );
  const settled = async (primary: number): Promise<boolean> =>
    (await variable(scene, primary, 'long_query_time')) === '3' &&
    (await variable(scene, 1 - primary, 'long_query_time')) === '7' &&
    (await variable(scene, 0, 'max_connections')) === '321' &&
    (await variable(scene, 1, 'max_connections')) === '321';
  const old = scene.primary;
  await scene.until(() => settled(old));

  await scene.until('healthy');
  const moved = await scene.cluster.loop.switchover(1 - old, AbortSignal.timeout(10_000));
  assert.ok(moved.done, moved.reason);
  await scene.until(() => settled(1 - old));

  await scene.apply('{replicas: 2}');
  await scene.until(async () => (await variable(scene, 0, 'long_query_time')) === '10');
  assert.deepEqual([scene.pid(0), scene.pid(1)], pids, 'nothing was restarted');
});

test('a setting that only a start reads restarts the replicas one by one, then the primary after a switchover; writes go on', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const old = scene.primary;
  const pids = [0, 1, 2].map((ordinal) => scene.pid(ordinal));
  writer.takeLongestGap();
  await scene.apply('{replicas: 3, mysql: {config: {innodb_read_io_threads: 2}}}');
  assert.deepEqual(scene.cluster.loop.restarting(), [0, 1, 2]);
  await scene.until(() => scene.state === 'healthy' && scene.cluster.loop.restarting().length === 0, 60_000);
  const { ms } = writer.takeLongestGap();
  t.diagnostic(`longest gap ${ms.toFixed(0)} ms`);
  for (const ordinal of [0, 1, 2]) {
    assert.equal(await variable(scene, ordinal, 'innodb_read_io_threads'), '2');
    assert.notEqual(scene.pid(ordinal), pids[ordinal]);
  }
  assert.notEqual(scene.primary, old);
  await verify(scene, [writer], 3);
});
