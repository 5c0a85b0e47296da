/** What somebody asks for while clients write: scaling, switchovers, other durability. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STANDSTILL_MS, Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

test('1 → 3 → 2 → 5 → 1 members under writes, which never stand still', async (t) => {
  await using scene = await Scene.begin('{replicas: 1}');
  let writer = await Writer.begin(scene);
  const scale = async (replicas: number, required: number): Promise<void> => {
    writer.takeLongestGap();
    scene.apply(`{replicas: ${replicas}}`);
    const running = (): number => [0, 1, 2, 3, 4].filter((ordinal) => scene.pid(ordinal) > 0).length;
    await scene.until(() => scene.state === 'healthy' && scene.required === required && running() === replicas, 60_000);
    await writer.writesAgain();
    const { ms } = writer.takeLongestGap();
    t.diagnostic(`to ${replicas}: gap ${ms.toFixed(0)} ms`);
    assert.ok(ms < STANDSTILL_MS, `to ${replicas}: writes stood still for ${ms.toFixed(0)} ms`);
  };
  await scale(3, 1);
  await scale(2, 1);
  await scale(5, 2);
  await verify(scene, [writer]);
  writer = await Writer.begin(scene, { name: 2 });
  await scale(1, 0);
  await verify(scene, [writer]);
});

test('a primary that is to leave hands over first', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  assert.equal((await scene.switchover(2)).done, true);
  await scene.until('healthy');
  writer.takeLongestGap();
  scene.apply('{replicas: 2}');
  await scene.until(() => scene.primary !== 2 && scene.pid(2) < 0 && scene.state === 'healthy');
  const { ms } = writer.takeLongestGap();
  t.diagnostic(`gap ${ms.toFixed(0)} ms`);
  assert.ok(ms < STANDSTILL_MS);
  await verify(scene, [writer]);
});

test('switchovers under load: to whom it was asked, without an error but for the connections that moved', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writers = await Promise.all([1, 2, 3, 4].map((name) => Writer.begin(scene, { name })));
  for (const to of [2, 1, 0]) {
    for (const writer of writers) writer.takeLongestGap();
    const { done, reason } = await scene.switchover(to);
    assert.equal(done, true, reason);
    await Promise.all(writers.map((writer) => writer.writesAgain()));
    assert.equal(scene.primary, to);
    const gaps = writers.map((writer) => writer.takeLongestGap().ms);
    t.diagnostic(`gap ${Math.max(...gaps).toFixed(0)} ms`);
    assert.ok(Math.max(...gaps) < STANDSTILL_MS);
    await scene.until('healthy');
  }
  for (const writer of writers) {
    const strange = [...writer.errors.keys()].filter((error) => !/connection|shutdown|epipe|econnreset/i.test(error));
    assert.deepEqual(strange, []);
  }
  await verify(scene, writers);
});

test('a switchover that can not be is refused with its reason, and writes are not touched', async () => {
  await using scene = await Scene.begin('{replicas: 3, lag: {switchoverMaxSeconds: 1}}');
  const writer = await Writer.begin(scene);
  const { primary, epoch } = scene;
  const [lagging = -1, dead = -1] = scene.replicas;
  writer.takeLongestGap();

  assert.match((await scene.switchover(primary)).reason, /is the primary already/);
  assert.match((await scene.switchover(7)).reason, /there is no member 7/);
  const root = await scene.root(lagging);
  await root.query('FLUSH TABLES WITH READ LOCK');
  await scene.until(() => (scene.server(lagging)?.lagSeconds ?? 0) > 1.2);
  const refused = await scene.switchover(lagging);
  assert.equal(refused.done, false);
  assert.match(refused.reason, /s behind; the limit is 1 s/);
  await root.query('UNLOCK TABLES');
  root.destroy();
  await scene.down(dead);
  await scene.until(() => scene.server(dead) === null);
  assert.match((await scene.switchover(dead)).reason, /does not answer/);
  await scene.back(dead);

  assert.ok(writer.takeLongestGap().ms < STANDSTILL_MS);
  assert.deepEqual([scene.primary, scene.epoch], [primary, epoch]);
  await verify(scene, [writer]);
});

test('a target that stops applying in the middle: the switchover is undone, and the old primary writes again', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const { primary, epoch } = scene;
  const [target = -1] = scene.replicas;
  const root = await scene.root(target);
  writer.takeLongestGap();
  await root.query('FLUSH TABLES WITH READ LOCK');
  const { done, reason } = await scene.switchover(target);
  assert.equal(done, false);
  assert.match(reason, new RegExp(`member ${target} did not catch up in time; writes go on at member ${primary}`));
  await writer.writesAgain();
  const { ms } = writer.takeLongestGap();
  t.diagnostic(`gap ${ms.toFixed(0)} ms`);
  assert.ok(ms < STANDSTILL_MS);
  assert.deepEqual([scene.primary, scene.epoch], [primary, epoch]);
  await root.query('UNLOCK TABLES');
  root.destroy();
  await verify(scene, [writer]);
});

test('a switchover with a long transaction open waits its grace, others write on meanwhile, then the transaction is undone', async (t) => {
  await using scene = await Scene.begin('{replicas: 3, switchover: {graceSeconds: 2}}');
  const writer = await Writer.begin(scene);
  const [target = -1] = scene.replicas;
  const client = await scene.connect();
  await client.query('CREATE TABLE ledger.long_ones (id INT PRIMARY KEY)');
  await client.query('START TRANSACTION');
  await client.query('INSERT INTO ledger.long_ones VALUES (1)');
  await scene.until(() => (scene.server(scene.primary)?.oldestTransactionSeconds ?? 0) >= 1);
  writer.takeLongestGap();
  const begun = performance.now();
  const { done, reason } = await scene.switchover(target);
  assert.equal(done, true, reason);
  const tookMs = performance.now() - begun;
  await writer.writesAgain();
  const { ms } = writer.takeLongestGap();
  t.diagnostic(`took ${tookMs.toFixed(0)} ms, gap ${ms.toFixed(0)} ms`);
  assert.ok(tookMs > 1000 && tookMs < 1000 + STANDSTILL_MS, 'the grace is kept, and no more');
  assert.ok(ms < STANDSTILL_MS);
  await assert.rejects(client.query('COMMIT'));
  const again = await scene.connect();
  const [rows] = await again.query('SELECT * FROM ledger.long_ones');
  assert.deepEqual(rows, []);
  await again.end();
  await verify(scene, [writer]);
});

test('a switchover that waits for a long transaction goes on as soon as that is over, though its client stays', async (t) => {
  await using scene = await Scene.begin('{replicas: 3, switchover: {graceSeconds: 30}}');
  const writer = await Writer.begin(scene);
  const [target = -1] = scene.replicas;
  const client = await scene.connect();
  client.on('error', () => undefined);
  await client.query('CREATE TABLE ledger.long_ones (id INT PRIMARY KEY)');
  await client.query('START TRANSACTION');
  await client.query('INSERT INTO ledger.long_ones VALUES (1)');
  await scene.until(() => (scene.server(scene.primary)?.oldestTransactionSeconds ?? 0) >= 1);
  const switching = scene.switchover(target);
  await scene.until(() => scene.reason.startsWith('a transaction is open for 2 s'));
  await client.query('COMMIT');
  const over = performance.now();
  const { done, reason } = await switching;
  assert.equal(done, true, reason);
  t.diagnostic(`${(performance.now() - over).toFixed(0)} ms after the transaction`);
  assert.ok(performance.now() - over < 2 * STANDSTILL_MS);
  client.destroy();
  await verify(scene, [writer]);
});

test('events run on the primary, wherever it is, for those who made them, and nowhere else', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const client = await scene.connect();
  await client.query('CREATE TABLE ledger.ticks (server INT, at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6))');
  await client.query(
    'CREATE EVENT ledger.tick ON SCHEDULE EVERY 1 SECOND DO INSERT INTO ledger.ticks SET server = @@server_id',
  );
  await client.end();
  const ticks = async (): Promise<{ server: number; n: number }[]> =>
    (await scene.sql(scene.primary, 'SELECT server, COUNT(*) AS n FROM ledger.ticks GROUP BY server')) as never;
  const ticksHere = async (): Promise<boolean> => {
    const [here] = await scene.sql(scene.primary, 'SELECT @@server_id AS id');
    return (await ticks()).some(({ server, n }) => server === here?.['id'] && n >= 1);
  };
  await scene.until(ticksHere);
  const [to = -1] = scene.replicas;
  assert.equal((await scene.switchover(to)).done, true);
  await scene.until(ticksHere);
  await scene.until('healthy');
  scene.kill(scene.primary);
  await writer.writesAgain();
  await scene.until(ticksHere);

  const before = await ticks();
  const [now] = await scene.sql(scene.primary, 'SELECT @@server_id AS id');
  const had = before.find(({ server }) => server === now?.['id'])?.n ?? 0;
  await scene.until(async () => (await ticks()).some(({ server, n }) => n > had && server === now?.['id']));
  const grown = (await ticks()).filter(({ server, n }) => n > (before.find((one) => one.server === server)?.n ?? 0));
  assert.deepEqual(
    grown.map(({ server }) => server),
    [now?.['id']],
  );
  const [event] = await scene.sql(
    scene.primary,
    "SELECT DEFINER AS who FROM information_schema.EVENTS WHERE EVENT_NAME = 'tick'",
  );
  assert.equal(event?.['who'], 'app@%');
  const last = await scene.connect();
  await last.query('DROP EVENT ledger.tick');
  await last.end();
  await verify(scene, [writer]);
});

test('durability of three members as promised, and changed live: quorum waits, adaptive goes on after a moment, asynchronous at once', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const replicas = [...scene.replicas];
  const standsStill = async (): Promise<void> => {
    await scene.until('blocked');
    const { size } = writer.acknowledged;
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(writer.acknowledged.size, size);
  };
  await scene.freeze(...replicas);
  await standsStill();
  scene.thaw(...replicas);
  await writer.writesAgain();
  await scene.until('healthy');

  scene.apply('{replicas: 3, durability: {mode: adaptive}}');
  await scene.until(() => recorded(scene) === 'adaptive 1');
  writer.takeLongestGap();
  await scene.freeze(...replicas);
  await writer.writesAgain();
  t.diagnostic(`adaptive: gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);
  assert.equal(recorded(scene), 'adaptive 0');
  scene.thaw(...replicas);
  await scene.until(() => recorded(scene) === 'adaptive 1' && scene.state === 'healthy');

  scene.apply('{replicas: 3, durability: {mode: asynchronous}}');
  await scene.until(() => recorded(scene) === 'asynchronous 0');
  writer.takeLongestGap();
  await scene.freeze(...replicas);
  await writer.writesAgain();
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await writer.writesAgain();
  assert.equal(recorded(scene), 'asynchronous 0', 'it waits for nobody');
  scene.thaw(...replicas);
  await scene.until('healthy');

  scene.apply('{replicas: 3}');
  await scene.until(() => recorded(scene) === 'quorum 1' && scene.state === 'healthy');
  await scene.freeze(...replicas);
  await standsStill();
  scene.thaw(...replicas);
  await verify(scene, [writer]);
});

test('asynchronous: another takes over when the primary is known to be gone, with what had reached it', async () => {
  await using scene = await Scene.begin('{replicas: 3, durability: {mode: asynchronous}}');
  const writer = await Writer.begin(scene);
  await writer.rest();
  const { primary } = scene;
  const [set] = await scene.sql(primary, 'SELECT @@global.gtid_executed AS it');
  for (const ordinal of scene.replicas) {
    await scene.sql(ordinal, `SELECT WAIT_FOR_EXECUTED_GTID_SET('${String(set?.['it'])}', 10)`);
  }
  await scene.down(primary);
  await scene.until(() => scene.primary !== primary);
  writer.goOn();
  await writer.writesAgain();
  await scene.back(primary);
  await verify(scene, [writer]);
});

test('two members: writes go on when the replica dies, the primary alone is safe then; in sync again, the replica can take over', async (t) => {
  await using scene = await Scene.begin('{replicas: 2}');
  const writer = await Writer.begin(scene);
  const { primary, epoch } = scene;
  const [replica = -1] = scene.replicas;
  assert.equal(recorded(scene), 'adaptive 1');
  writer.takeLongestGap();
  await scene.down(replica);
  await scene.until(() => recorded(scene) === 'adaptive 0');
  await writer.writesAgain();
  t.diagnostic(`replica dead: gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);

  await scene.down(primary);
  await scene.until(() => scene.server(primary) === null);
  await scene.back(replica);
  await scene.until(() => scene.server(replica) !== null);
  await scene.until('lost');
  assert.match(scene.reason, /It alone was sure to have every acknowledged write/);
  await scene.back(primary);
  await writer.writesAgain();
  assert.equal(scene.primary, primary);
  assert.equal(scene.epoch, epoch);

  await scene.until(() => recorded(scene) === 'adaptive 1' && scene.state === 'healthy');
  scene.kill(primary);
  await writer.writesAgain();
  assert.equal(scene.primary, replica);
  await verify(scene, [writer]);
});

function recorded(scene: Scene): string {
  const record = scene.cluster.loop.latest?.view.record;
  return `${record?.mode ?? ''} ${record?.required ?? ''}`;
}
