/** What ends the wait of a commit that no replica acknowledges, and what it holds up meanwhile (docs/mysql.md). */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Acker, type Position } from './acker.ts';
import { Servers, outcome, soon, until, type Server } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

const ENABLED = 'SET GLOBAL rpl_semi_sync_source_enabled';
const COUNT = 'SET GLOBAL rpl_semi_sync_source_wait_for_replica_count';
const LOST = /lost|closed|reset/i;

/** For the tests that leave it as sound as they found it; the others have one of their own. */
const shared = await servers.source(1);
let rows = 0;

/** Anew, with what was acknowledged before forgotten, and what waits answered. */
async function sharedSource(required: number): Promise<Server> {
  await shared.ask(`${ENABLED} = OFF`);
  await shared.ask(`${COUNT} = ${required}`);
  await shared.ask(`${ENABLED} = ON`);
  return shared;
}

/** What a source wants acknowledged for the last transaction that it sent. */
async function last(acker: Acker): Promise<Position> {
  return acker.isAsked(acker.asked.length);
}

/** The server's number for the connection whose commit waits. */
function waiter(source: Server): Promise<string> {
  return source.value(`SELECT ID FROM performance_schema.processlist WHERE STATE LIKE 'Waiting for semi-sync ACK%'`);
}

test('an acknowledgement ends it', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  using acker = await Acker.attach(source);
  const write = await source.waitingWrite(n);
  await write.stillWaits();
  acker.acknowledge(await last(acker));
  assert.equal(await write.within(15_000), 'OK');
});

test('switching semi-synchronous replication off answers OK, though nothing acknowledged it', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  const write = await source.waitingWrite(n);
  await source.ask(`${ENABLED} = OFF`);
  assert.equal(await write.within(15_000), 'OK');
  assert.equal(await source.has(n), true);
});

for (const how of ['SHUTDOWN', 'SIGTERM'] as const) {
  test(`${how} answers OK, though nothing acknowledged it`, async () => {
    await using source = await servers.source(1);
    const write = await source.waitingWrite(1);
    if (how === 'SHUTDOWN') await source.ask('SHUTDOWN');
    else source.signal('SIGTERM');
    assert.equal(await write.within(15_000), 'OK');
    if (how === 'SIGTERM') return;
    assert.equal(await source.exited(), 0);
    await source.start();
    assert.equal(await source.has(1), true, 'committed, on the source alone');
  });
}

test('SIGTERM answers OK when two acknowledgements are required and one replica is attached', async () => {
  await using source = await servers.source(2);
  using acker = await Acker.attach(source, { automatic: true });
  const write = await source.waitingWrite(1);
  assert.equal(acker.asked.length, 1);
  source.signal('SIGTERM');
  assert.equal(await write.within(15_000), 'OK');
});

test('offline_mode, then SIGTERM: the client hears that the connection is lost, never OK', async () => {
  await using source = await servers.source(1);
  const write = await source.waitingWrite(1);
  await source.ask('SET GLOBAL offline_mode = ON');
  assert.match(await write.within(2000), LOST);
  source.signal('SIGTERM');
  assert.equal(await source.exited(15_000), 0);
  await source.start();
  assert.equal(await source.has(1), true, 'committed, on the source alone');
});

test('KILL QUERY does not end it; KILL CONNECTION cuts its client, while the server waits on and commits on a late acknowledgement', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  using acker = await Acker.attach(source);
  const write = await source.waitingWrite(n);
  const id = await waiter(source);
  await source.ask(`KILL QUERY ${id}`);
  await write.stillWaits();
  await source.ask(`KILL CONNECTION ${id}`);
  assert.match(await write.within(2000), LOST);
  assert.equal(await source.status('Rpl_semi_sync_source_wait_sessions'), '1', 'the server waits on');
  assert.equal(await source.has(n), false);
  acker.acknowledge(await last(acker));
  await until('it commits', () => source.has(n));
});

test('a client that goes away leaves a server that waits on', async () => {
  await using source = await servers.source(1);
  const client = await source.session('application');
  const write = outcome(client.query('INSERT INTO shop.orders VALUES (1)', [], soon()));
  await until('it waits', async () => (await waiter(source)) !== '');
  client.destroy();
  assert.match(await write.within(2000), /closed/);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.equal(await source.status('Rpl_semi_sync_source_wait_sessions'), '1');
});

test('kill -9 and a restart commit it: in gtid_executed and in the table, acknowledged by nobody', async () => {
  await using source = await servers.source(1);
  const before = await source.executed();
  const write = await source.waitingWrite(1);
  assert.equal(await source.executed(), before, 'while it waits it is not in gtid_executed');
  await source.kill();
  assert.match(await write.within(2000), LOST);
  await source.start();
  assert.equal(await source.has(1), true);
  assert.notEqual(await source.executed(), before);
});

test('there is no 0: required set to 0 becomes 1, and the commit waits on', async () => {
  const source = await sharedSource(2);
  const n = ++rows;
  const write = await source.waitingWrite(n);
  await source.ask(`${COUNT} = 0`);
  assert.equal(await source.value('SELECT @@global.rpl_semi_sync_source_wait_for_replica_count'), '1');
  await write.stillWaits();
});

test('required lowered to what is attached and has acknowledged ends it at once', async () => {
  const source = await sharedSource(2);
  const n = ++rows;
  using acker = await Acker.attach(source, { automatic: true });
  const write = await source.waitingWrite(n);
  await write.stillWaits();
  assert.equal(acker.asked.length, 1);
  await source.ask(`${COUNT} = 1`);
  assert.equal(await write.within(15_000), 'OK');
});

test('required raised counts for the commit that waits already', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  using first = await Acker.attach(source, { ordinal: 1 });
  using second = await Acker.attach(source, { ordinal: 2 });
  const write = await source.waitingWrite(n);
  await source.ask(`${COUNT} = 2`);
  first.acknowledge(await last(first));
  await write.stillWaits();
  second.acknowledge(await last(second));
  assert.equal(await write.within(15_000), 'OK');
});

test('a short timeout disarms: the next write gets OK unacknowledged, and only OFF and ON arm it again', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  using acker = await Acker.attach(source);
  const longest = await source.value('SELECT @@global.rpl_semi_sync_source_timeout');
  const first = await source.waitingWrite(n);
  await source.ask('SET GLOBAL rpl_semi_sync_source_timeout = 1');
  const second = await source.write(++rows);
  await Promise.all([first.stillWaits(500), second.stillWaits(500)]);
  acker.acknowledge(await acker.isAsked(1));
  assert.equal(await first.within(15_000), 'OK');
  assert.equal(await second.within(15_000), 'OK', 'acknowledged by nobody');
  assert.equal(await source.status('Rpl_semi_sync_source_status'), 'OFF');
  await source.ask(`SET GLOBAL rpl_semi_sync_source_timeout = ${longest}`);
  assert.equal(await (await source.write(++rows)).within(15_000), 'OK', 'the timeout put back does not arm it');
  await source.ask(`${ENABLED} = OFF`);
  await source.ask(`${ENABLED} = ON`);
  assert.equal(await source.status('Rpl_semi_sync_source_status'), 'ON');
  await (await source.waitingWrite(++rows)).stillWaits();
});

test('UNINSTALL PLUGIN does not end it, and leaves nothing that could', async () => {
  await using source = await servers.source(1);
  const write = await source.waitingWrite(1);
  const uninstall = outcome(source.ask('UNINSTALL PLUGIN rpl_semi_sync_source'));
  await write.stillWaits(1000);
  assert.equal(await uninstall.within(15_000), 'OK');
  await write.stillWaits(0);
});

test('while it waits: invisible except at READ UNCOMMITTED, its locks held, not in gtid_executed, but with the replica', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  using acker = await Acker.attach(source);
  const before = await source.executed();
  const write = await source.waitingWrite(n);
  await acker.isAsked(1);
  assert.equal(await source.has(n), false);
  assert.equal(await source.executed(), before);
  const client = await source.session('application');
  await client.run(['SET SESSION transaction_isolation = "READ-UNCOMMITTED", innodb_lock_wait_timeout = 1'], soon());
  assert.equal((await client.query('SELECT n FROM shop.orders WHERE n = ?', [n], soon())).length, 1);
  await assert.rejects(client.query('UPDATE shop.orders SET n = -1 WHERE n = ?', [n], soon()), { errno: 1205 });
  await write.stillWaits(0);
});

test('super_read_only blocks behind it: bounded by lock_wait_timeout and KILL QUERY, not by max_execution_time; while pending it reads 1 and read_only 0, and 0 again when it gave up', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  const write = await source.waitingWrite(n);
  const session = await source.session('tester');
  const variables = 'SELECT CONCAT(@@global.super_read_only, @@global.read_only)';
  await session.query('SET SESSION lock_wait_timeout = 1, max_execution_time = 100', [], soon());
  const bounded = outcome(session.query('SET GLOBAL super_read_only = ON', [], soon()));
  await bounded.stillWaits(500);
  assert.equal(await source.value(variables), '10');
  const queued = await source.write(++rows);
  assert.match(await bounded.within(3000), /Lock wait timeout/);
  assert.equal(await source.value(variables), '00');
  await queued.stillWaits();
  await session.query('SET SESSION lock_wait_timeout = 60', [], soon());
  const killed = outcome(session.query('SET GLOBAL super_read_only = ON', [], soon()));
  await killed.stillWaits();
  await source.ask(`KILL QUERY ${session.id}`);
  assert.match(await killed.within(2000), /interrupted/);
  await session.query('SET SESSION lock_wait_timeout = 1', [], soon());
  for (const statement of ['SET GLOBAL read_only = ON', 'FLUSH TABLES WITH READ LOCK']) {
    await assert.rejects(session.query(statement, [], soon()), { errno: 1205 }, statement);
  }
  await write.stillWaits(0);
  using acker = await Acker.attach(source, { automatic: true });
  assert.equal(await queued.within(15_000), 'OK', 'who queued behind it goes on');
  await acker.isAsked(2);
});

test('FLUSH BINARY LOGS hangs, and after it new writes and SHOW BINARY LOG STATUS; gtid_executed and the status still answer', async () => {
  await using source = await servers.source(1);
  await source.waitingWrite(1);
  const flushing = await source.session('tester');
  const showing = await source.session('tester');
  const flush = outcome(flushing.query('FLUSH BINARY LOGS', [], soon(60_000)));
  await flush.stillWaits();
  const write = await source.write(2);
  const show = outcome(showing.query('SHOW BINARY LOG STATUS', [], soon(60_000)));
  await Promise.all([write.stillWaits(500), show.stillWaits(500), flush.stillWaits(500)]);
  assert.notEqual(await source.executed(), '');
  assert.equal(await source.status('Rpl_semi_sync_source_wait_sessions'), '1');
});

test('an account statement that waits keeps everybody from logging in, replicas too, and hangs KILL and SET in sessions without SUPER; only SIGKILL ends it', async () => {
  await using source = await servers.source(1);
  // Sessions that were open before. The controller's privileges are looked up at each use; SUPER is remembered.
  const creating = await source.session('tester');
  const killing = await source.session('controller');
  const setting = await source.session('controller');
  const client = await source.session('application');
  const late = soon(60_000);
  const create = outcome(creating.query(`CREATE USER 'somebody'@'%'`, [], late));
  await until('it waits', async () => (await waiter(source)) !== '');
  const hung = [
    outcome(source.session('application', late).then(() => [])),
    outcome(source.session('controller', late, source.adminPort).then(() => [])),
    outcome(Acker.attach(source).then(() => [])),
    outcome(killing.query(`KILL CONNECTION ${client.id}`, [], late)),
    outcome(setting.query(`${COUNT} = 1`, [], late)),
    create,
  ];
  await Promise.all(hung.map((statement) => statement.stillWaits(2000)));
  assert.notEqual(await source.executed(), '', 'it still answers who was there before');
  await source.kill();
  await source.start();
  assert.equal(await source.value(`SELECT COUNT(*) FROM mysql.user WHERE User = 'somebody'`), '1');
});

test('a session that waits keeps its named lock, killed or not', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  const holder = await source.session('tester');
  await holder.query(`SELECT GET_LOCK('held', 0)`, [], soon());
  const write = outcome(holder.query('INSERT INTO shop.orders VALUES (?)', [n], soon(60_000)));
  await until('it waits', async () => (await waiter(source)) !== '');
  await source.ask(`KILL CONNECTION ${holder.id}`);
  assert.match(await write.within(2000), LOST);
  assert.equal(await source.value(`SELECT IS_USED_LOCK('held')`), `${holder.id}`);
  assert.equal(await source.value(`SELECT GET_LOCK('held', 1)`), '0');
});

test('three required: each commit is released by the third to acknowledge it, whoever acknowledged what before', async (t) => {
  const source = await sharedSource(3);
  using a = await Acker.attach(source, { ordinal: 1 });
  using b = await Acker.attach(source, { ordinal: 2 });
  using c = await Acker.attach(source, { ordinal: 3 });
  const ackers = [a, b, c];
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const;
  for (const order of orders) {
    const from = a.asked.length;
    const writes = [];
    for (let i = 1; i <= 3; i++) {
      writes.push(await source.write(++rows));
      await Promise.all(ackers.map((acker) => acker.isAsked(from + i)));
    }
    // One of them is at the first of the three transactions, one at the second, one at the third.
    for (const [at, which] of order.entries()) {
      const acker = ackers[which] ?? a;
      acker.acknowledge(await acker.isAsked(from + at + 1));
      if (at < 2) await writes[0]?.stillWaits(60);
    }
    assert.equal(await writes[0]?.within(15_000), 'OK', order.join());
    await writes[1]?.stillWaits(100);
    for (const acker of ackers) acker.acknowledge(await acker.isAsked(from + 3));
    for (const write of writes) assert.equal(await write.within(15_000), 'OK', order.join());
  }
  t.diagnostic(`seen on ${servers.distribution.version}; bug 109829: older versions count otherwise`);
});

test('acknowledgements are remembered by server_id, not by server_uuid', async () => {
  const source = await sharedSource(2);
  const n = ++rows;
  using first = await Acker.attach(source, { ordinal: 1, serverId: 7 });
  using other = await Acker.attach(source, { ordinal: 2, serverId: 7 });
  const write = await source.waitingWrite(n);
  first.acknowledge(await last(first));
  other.acknowledge(await last(other));
  await write.stillWaits();
  using third = await Acker.attach(source, { ordinal: 3, serverId: 8 });
  third.acknowledge(await last(third));
  assert.equal(await write.within(15_000), 'OK');
});

test('an acknowledgement is remembered when its replica is gone', async () => {
  const source = await sharedSource(2);
  const n = ++rows;
  const first = await Acker.attach(source, { ordinal: 1 });
  const write = await source.waitingWrite(n);
  first.acknowledge(await last(first));
  await write.stillWaits();
  first.close();
  using second = await Acker.attach(source, { ordinal: 2 });
  second.acknowledge(await last(second));
  assert.equal(await write.within(15_000), 'OK');
});

test('a replica that attaches beside one that is silent is heard within a second, or as soon as that one acknowledges something', async (t) => {
  const source = await sharedSource(2);
  using first = await Acker.attach(source, { ordinal: 1, automatic: true });
  const write = await source.waitingWrite(++rows);
  await first.isAsked(1);
  await write.stillWaits();
  const from = performance.now();
  using second = await Acker.attach(source, { ordinal: 2, automatic: true });
  await second.isAsked(1);
  assert.equal(await write.within(15_000), 'OK');
  t.diagnostic(`heard after ${(performance.now() - from).toFixed(0)} ms`);
  second.close();
  const other = await source.waitingWrite(++rows);
  await first.isAsked(2);
  using third = await Acker.attach(source, { ordinal: 3, automatic: true });
  await third.isAsked(1);
  const since = performance.now();
  const barrier = await source.write(++rows);
  assert.equal(await other.within(15_000), 'OK');
  assert.equal(await barrier.within(15_000), 'OK');
  t.diagnostic(`heard after ${(performance.now() - since).toFixed(0)} ms, with a write to acknowledge`);
});

test('switching it off takes up to a second while a replica is attached', async (t) => {
  const source = await sharedSource(1);
  using acker = await Acker.attach(source, { automatic: true });
  assert.equal(await (await source.write(++rows)).within(15_000), 'OK');
  assert.equal(acker.asked.length, 1);
  const from = performance.now();
  await source.ask(`${ENABLED} = OFF`);
  const ms = performance.now() - from;
  t.diagnostic(`${ms.toFixed(0)} ms`);
  assert.ok(ms < 10_000);
});

test('an unlogged write never waits; of a group only the leader shows that it waits', async () => {
  const source = await sharedSource(1);
  const n = ++rows;
  await source.waitingWrite(n);
  const second = await source.write(++rows);
  await second.stillWaits();
  const states = await source.ask(
    `SELECT STATE AS state, COUNT(*) AS sessions FROM performance_schema.processlist
      WHERE USER = 'app' AND INFO LIKE 'INSERT%' GROUP BY STATE `,
  );
  assert.deepEqual(states.map(({ state, sessions }) => `${sessions as string} ${state as string}`).sort(), [
    '1 Waiting for semi-sync ACK from replica',
    '1 waiting for handler commit',
  ]);
  assert.equal(await source.status('Rpl_semi_sync_source_wait_sessions'), '1');
  const unlogged = await source.session('tester');
  await unlogged.query('SET SESSION sql_log_bin = 0', [], soon());
  await unlogged.query('INSERT INTO shop.orders VALUES (?)', [++rows], soon(3000));
});
