/** Data goes where it should not be, or is gone, while a client writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STANDSTILL_MS, Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

/** So that a member that needs the whole history can't have it. */
const PURGE = ['FLUSH BINARY LOGS', 'PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY'];

test('transactions that only a replica has are saved, readable, before it is rebuilt; the others go on', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [replica = -1] = scene.replicas;
  const uuid = await scene.uuid(replica);
  await scene.writeAnyway(replica, "CREATE TABLE IF NOT EXISTS ledger.notes AS SELECT 'by mistake' AS note");
  await scene.until(() => scene.server(replica)?.serverUuid !== uuid && scene.state === 'healthy');
  const saved = await scene.saved(replica);
  assert.match(saved, /CREATE TABLE .*`ledger`.`notes`/);
  assert.match(saved, /by mistake/);
  assert.ok(writer.takeLongestGap().ms < STANDSTILL_MS);
  await verify(scene, [writer]);
});

test('a replica whose binlogs were purged is cloned, and one that merely restarted after it is not', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [replica = -1, other = -1] = scene.replicas;
  const uuid = await scene.uuid(replica);
  await scene.down(replica);
  await scene.until('degraded');
  await writer.writesAgain();
  await scene.until(() => !scene.ackers.includes(replica));
  for (const ordinal of [scene.primary, other]) await scene.sql(ordinal, ...PURGE);
  const from = scene.entries.length;
  await scene.back(replica);
  await scene.until('healthy');
  assert.ok(scene.lines(from).some((line) => line.startsWith(`done clone member ${replica}`)));
  assert.notEqual(await scene.uuid(replica), uuid);

  const cloned = await scene.uuid(replica);
  scene.kill(replica);
  await scene.until(() => scene.state !== 'healthy');
  await scene.until('healthy');
  assert.equal(await scene.uuid(replica), cloned);
  await verify(scene, [writer]);
});

test("a replica's directory is gone: the status says so while its server still runs; then it comes back as a new member", async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [replica = -1] = scene.replicas;
  const uuid = await scene.uuid(replica);
  const pid = scene.pid(replica);
  await scene.loseDisk(replica);
  // A server that misses a file at once ends by itself before anybody looks.
  await scene.until(
    () => scene.view(replica)?.trouble?.startsWith('directory gone') === true || scene.pid(replica) !== pid,
  );
  await scene.until(() => scene.state === 'healthy' && scene.view(replica)?.trouble === null);
  assert.notEqual(await scene.uuid(replica), uuid);
  await verify(scene, [writer]);
});

test("the primary's directory is gone: another takes over, and it comes back as a new member", async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const { primary } = scene;
  await scene.loseDisk(primary);
  await scene.until(() => scene.primary !== primary);
  await writer.writesAgain();
  await verify(scene, [writer]);
});

for (const purged of [false, true]) {
  test(`the only acker loses its disk while a commit waits: ${
    purged ? 'its successor, which only a clone can fill,' : 'its successor'
  } releases it, and nothing is lost`, async () => {
    await using scene = await Scene.begin('{replicas: 3}');
    const writer = await Writer.begin(scene);
    const [acker = -1, out = -1] = scene.replicas;
    await scene.down(out);
    await scene.until(() => scene.ackers.join() === `${acker}`);
    if (purged) await scene.sql(scene.primary, ...PURGE);
    await scene.down(acker);
    await scene.loseDisk(acker);
    await scene.until('blocked');
    await scene.back(acker);
    await writer.writesAgain();
    await scene.back(out);
    await verify(scene, [writer]);
  });
}

test("an empty data directory under the primary's ordinal is never taken for the primary", async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const { primary } = scene;
  await scene.down(0, 1, 2);
  await scene.loseDisk(primary);
  await scene.back(primary);
  await scene.until(() => /has other data than the primary had/.test(scene.reason));
  assert.equal(scene.state, 'lost');
  await scene.back(0, 1, 2);
  await writer.writesAgain();
  assert.notEqual(scene.primary, primary);
  await verify(scene, [writer]);
});
