/** Members die, freeze, and come back, while a client writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STANDSTILL_MS, Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

test('kill -9 and a restart of a replica: writes go on, and it comes back with the data that it had', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [first = -1, second = -1] = scene.replicas;
  const { epoch } = scene;
  const uuids = await Promise.all([first, second].map((ordinal) => scene.uuid(ordinal)));
  for (const [ordinal, signal] of [
    [first, 'SIGKILL'],
    [second, 'SIGTERM'],
  ] as const) {
    writer.takeLongestGap();
    const from = scene.entries.length;
    scene.signal(ordinal, signal);
    await scene.until(() => scene.state !== 'healthy');
    await scene.until('healthy');
    const { ms } = writer.takeLongestGap();
    t.diagnostic(`${signal}: gap ${ms.toFixed(0)} ms`);
    assert.ok(ms < STANDSTILL_MS, `writes stood still for ${ms.toFixed(0)} ms`);
    assert.deepEqual(
      scene.lines(from).filter((line) => /clone|rebuild/.test(line)),
      [],
    );
  }
  assert.deepEqual(await Promise.all([first, second].map((ordinal) => scene.uuid(ordinal))), uuids);
  assert.equal(scene.epoch, epoch);
  await verify(scene, [writer]);
});

test('a frozen primary is replaced; thawed, it acknowledges nothing, and what only it has is saved before it is rebuilt', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const old = scene.primary;
  const uuid = await scene.uuid(old);
  const through = await scene.connect();
  const direct = await scene.member(old);
  const late = await scene.member(old);
  // As where nobody can kill it: on a machine that hangs.
  const kill = scene.cluster.members.kill.bind(scene.cluster.members);
  scene.cluster.members.kill = () => Promise.reject(new Error('the machine hangs'));
  writer.takeLongestGap();
  await scene.freeze(old);
  const waits = writer.write(direct);
  await writer.writesAgain();
  t.diagnostic(`gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);
  assert.notEqual(scene.primary, old);
  assert.notEqual(await writer.write(through), 'OK');

  scene.thaw(old);
  const told = await Promise.race([Promise.all([waits, writer.write(late)]), elapsed(1500)]);
  assert.equal(told, 'nothing', 'it is not killed, and nobody acknowledges its writes');
  const fresh = await scene.connect();
  assert.equal(await serverUuid(fresh), await scene.uuid(scene.primary));
  await fresh.end();
  scene.cluster.members.kill = kill;
  assert.notEqual(await waits, 'OK');
  await scene.until(() => scene.state === 'healthy' && scene.replicas.includes(old));
  assert.notEqual(await scene.uuid(old), uuid);
  const saved = await scene.saved(old);
  assert.match(saved, /INSERT INTO `ledger`.`entries`/);
  assert.match(saved, new RegExp(uuid));
  await verify(scene, [writer]);
});

test('two of three dead: nothing is chosen blindly, writes wait; then back, they go on', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [first = -1, second = -1] = scene.replicas;
  const { primary, epoch } = scene;

  await scene.down(first, second);
  await scene.until('blocked');
  await scene.back(first);
  await writer.writesAgain();
  await scene.back(second);
  await scene.until('healthy');
  assert.equal(scene.epoch, epoch);

  await scene.down(primary, first);
  await scene.until(() => /Safe as soon as the primary, or 1 of member \d, is back/.test(scene.reason));
  assert.equal(scene.state, 'lost');
  await scene.back(first);
  await writer.writesAgain();
  assert.notEqual(scene.primary, primary);
  await scene.back(primary);
  await verify(scene, [writer]);
});

test('all dead, then back in any order: the primary first, the replicas first, one of each', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  for (const order of ['primary first', 'replicas first', 'one of each'] as const) {
    await scene.until('healthy');
    const { primary } = scene;
    const [first = -1, second = -1] = scene.replicas;
    await scene.down(0, 1, 2);
    await scene.until(() => [0, 1, 2].every((ordinal) => scene.server(ordinal) === null));
    if (order === 'primary first') {
      await scene.back(primary);
      await scene.until(() => scene.server(primary) !== null);
      assert.notEqual(scene.state, 'healthy');
    } else if (order === 'replicas first') {
      await scene.back(first);
      await scene.until('lost');
      await scene.back(second);
      await writer.writesAgain();
      assert.notEqual(scene.primary, primary);
    } else {
      await scene.back(second, primary);
      await writer.writesAgain();
    }
    await scene.back(0, 1, 2);
    await writer.writesAgain();
  }
  await verify(scene, [writer]);
});

test('a controller that is new finds all members dead, and brings them back', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  await scene.down(0, 1, 2);
  await scene.restartController();
  await scene.back(0, 1, 2);
  await writer.writesAgain();
  await verify(scene, [writer]);
});

async function serverUuid(connection: Awaited<ReturnType<Scene['connect']>>): Promise<string> {
  const [rows] = await connection.query('SELECT @@server_uuid AS uuid');
  return String((rows as { uuid: string }[])[0]?.uuid);
}

function elapsed(ms: number): Promise<'nothing'> {
  return new Promise((resolve) => setTimeout(() => resolve('nothing'), ms).unref());
}
