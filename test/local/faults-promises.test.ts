/** What a client is told: never OK for a commit that nobody acknowledged, and never nothing for ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import { STANDSTILL_MS, Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

/** Waits until this many commits of clients wait for an acknowledgement on the primary. */
async function waiters(scene: Scene, count: number): Promise<void> {
  await scene.until(() => (scene.server(scene.primary)?.source.waiting ?? 0) >= count);
}

for (const [how, end] of [
  ['everything is stopped', (scene) => scene.cluster.stopAll()],
  ['the primary is killed', async (scene) => scene.kill(scene.primary)],
  ['somebody sends the primary a SIGTERM', async (scene) => scene.signal(scene.primary, 'SIGTERM')],
  ['the controller lets go', (scene) => scene.cluster.release()],
] as const satisfies readonly (readonly [string, (scene: Scene) => Promise<void>])[]) {
  test(`a commit that waits for an acknowledgement is never told OK when ${how}`, async () => {
    await using scene = await Scene.begin('{replicas: 3}');
    const writer = await Writer.begin(scene);
    await writer.rest();
    const [through, direct] = [await scene.connect(), await scene.member(scene.primary)];
    await scene.freeze(...scene.replicas);
    const told = [writer.write(through), writer.write(direct)];
    await waiters(scene, 1);
    const frozen = scene.replicas;
    await end(scene);
    if (how === 'the controller lets go') {
      assert.equal(await Promise.race([told[1], elapsed(1000)]), 'nothing', 'it waits on');
      assert.notEqual(await told[0], 'OK');
    } else {
      for (const outcome of await Promise.all(told)) assert.notEqual(outcome, 'OK');
    }
    if (how === 'everything is stopped') {
      await scene.restartController();
    } else {
      for (const ordinal of frozen) scene.thaw(ordinal);
      if (how === 'the controller lets go') await scene.restartController();
    }
    writer.goOn();
    await writer.writesAgain();
    await verify(scene, [writer]);
  });
}

test('a commit whose acknowledgement was lost on the way is released, though nobody else writes', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  await writer.rest();
  const { replicas, primary, epoch } = scene;
  const client = await scene.connect();
  const root = await scene.root(primary);
  await scene.freeze(...replicas);
  const told = writer.write(client);
  await waiters(scene, 1);
  // The row is on its way to them; their answers will find nobody.
  for (const row of await processes(root, "USER LIKE 'baton\\_replica\\_%'"))
    await root.query(`KILL ${String(row['ID'])}`);
  root.destroy();
  scene.thaw(...replicas);
  assert.equal(await Promise.race([told, elapsed(8000)]), 'OK');
  assert.equal(scene.epoch, epoch);
  await verify(scene, [writer]);
});

test('an account statement waits while its ackers break: nobody can log in any more, and that is over in seconds', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const client = await scene.connect();
  await client.query('CREATE EVENT ledger.never ON SCHEDULE EVERY 1 YEAR STARTS NOW() + INTERVAL 1 YEAR DO DO 1');
  await writer.rest();
  await scene.freeze(...scene.replicas);
  const told = client.query("CREATE USER somebody IDENTIFIED BY 'not-a-secret'").then(
    () => 'OK',
    () => 'error',
  );
  await waiters(scene, 1);
  writer.goOn();
  for (const ordinal of scene.replicas) scene.kill(ordinal);
  await writer.writesAgain();
  t.diagnostic(
    `writes stood still for ${writer.takeLongestGap().ms.toFixed(0)} ms; the account statement: ${await told}`,
  );
  await verify(scene, [writer]);
});

test('clients use up all connections, and a replica dies: that is no outage, for a new controller neither', async () => {
  await using scene = await Scene.begin('{replicas: 3, mysql: {config: {max_connections: 12}}}');
  const writer = await Writer.begin(scene);
  const { epoch, primary } = scene;
  const [replica = -1] = scene.replicas;
  const greedy: Connection[] = [];
  const refused = await (async () => {
    for (;;) {
      try {
        greedy.push(await scene.connect());
      } catch (error) {
        return (error as Error).message;
      }
    }
  })();
  assert.match(refused, /Too many connections/);
  scene.kill(replica);
  await scene.until(() => scene.state !== 'healthy');
  await writer.writesAgain();
  await scene.until('healthy');
  assert.deepEqual([scene.epoch, scene.primary], [epoch, primary]);

  const direct: Connection[] = [];
  await scene.restartController();
  for (const connection of greedy) connection.destroy();
  await assert.rejects(async () => {
    for (;;) direct.push(await scene.member(primary));
  }, /Too many connections/);
  await scene.restartController();
  await scene.until('healthy');
  assert.deepEqual([scene.epoch, scene.primary], [epoch, primary]);
  for (const connection of direct) connection.destroy();
  await writer.writesAgain();
  await verify(scene, [writer]);
});

test('a replica whose applier is broken is neither waited for nor chosen; mended, it goes on', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [broken = -1, sound = -1] = scene.replicas;
  const { primary } = scene;
  const client = await scene.connect();
  await client.query('CREATE TABLE ledger.once (id INT PRIMARY KEY)');
  await scene.until(() => scene.server(broken)?.lagSeconds === 0);
  await scene.writeAnyway(broken, 'SET sql_log_bin = 0', 'INSERT IGNORE INTO ledger.once VALUES (1)');
  await client.query('INSERT INTO ledger.once VALUES (1)');
  await scene.until(() => !scene.ackers.includes(broken));
  await scene.until(() => /^broken: .*1062/.test(scene.report(broken)));
  assert.ok(writer.takeLongestGap().ms < STANDSTILL_MS);

  scene.kill(primary);
  await writer.writesAgain();
  assert.equal(scene.primary, sound);
  await scene.until(() => scene.ackers.includes(primary));
  assert.ok(!scene.ackers.includes(broken));
  const tried = scene.lines().filter((line) => line.startsWith('act') && line.includes('applier is tried again'));
  assert.ok(tried.length <= 5, `tried again ${tried.length} times in seconds`);
  await scene.writeAnyway(broken, 'SET sql_log_bin = 0', 'DELETE FROM ledger.once');
  await verify(scene, [writer]);
});

async function processes(root: Connection, where: string): Promise<RowDataPacket[]> {
  return (await root.query<RowDataPacket[]>(`SELECT ID FROM performance_schema.processlist WHERE ${where}`))[0];
}

function elapsed(ms: number): Promise<'nothing'> {
  return new Promise((resolve) => setTimeout(() => resolve('nothing'), ms).unref());
}
