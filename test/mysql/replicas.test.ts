/** What a replica keeps, destroys and acknowledges, and what is seen of it from either side (docs/mysql.md). */
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { GtidSet } from '../../src/gtid/gtid-set.ts';
import { Servers, outcome, soon, until, type Server } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

/** One acknowledgement is required, and the replica gives it. */
const source = await servers.source(1);
const replica = await servers.replica(1, source);
let rows = 0;

/** Acknowledged by the replica, and not applied there: its applier is stopped first. */
async function writeUnapplied(): Promise<number> {
  await replica.ask('STOP REPLICA SQL_THREAD');
  const n = ++rows;
  assert.equal(await (await source.write(n)).within(15_000), 'OK');
  await until('received and unapplied', async () => (await unapplied()) !== '');
  return n;
}

function unapplied(): Promise<string> {
  return replica.value(
    'SELECT GTID_SUBTRACT(RECEIVED_TRANSACTION_SET, @@global.gtid_executed) FROM performance_schema.replication_connection_status',
  );
}

/** As every test finds them: nothing waits, and the replica follows, acknowledges and has everything. */
async function isWhole(): Promise<void> {
  await replica.ask('STOP REPLICA');
  await replica.ask('SET GLOBAL rpl_semi_sync_replica_enabled = ON');
  await replica.ask('START REPLICA');
  await until('it receives', async () => (await replica.receiver()) === 'ON');
  await source.ask('SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1');
  if ((await source.status('Rpl_semi_sync_source_wait_sessions')) !== '0') {
    await source.ask('SET GLOBAL rpl_semi_sync_source_enabled = OFF');
    await source.ask('SET GLOBAL rpl_semi_sync_source_enabled = ON');
  }
  await replica.caughtUp(source);
}

beforeEach(isWhole);

test('a fresh member has an empty gtid_executed and follows by auto-position, from the first transaction on', async (t) => {
  await using fresh = await servers.born(2);
  assert.equal(await fresh.executed(), '');
  await source.ask('CREATE TABLE shop.many (n INT PRIMARY KEY AUTO_INCREMENT, t INT)');
  for (let i = 0; i < 100; i++) await source.ask('INSERT INTO shop.many (t) VALUES (1)');
  const from = performance.now();
  await fresh.follow(source);
  await fresh.caughtUp(source);
  t.diagnostic(`100 transactions in ${(performance.now() - from).toFixed(0)} ms`);
  assert.equal(await fresh.executed(), await source.executed());
});

test('accounts that are in no binlog are on every member, by birth', async () => {
  const accounts = `SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'baton%'`;
  assert.notEqual(await source.value(accounts), '0');
  assert.equal(await replica.value(accounts), await source.value(accounts));
});

test('an acknowledged row that was not applied survives kill -9 of the replica, with relay_log_recovery off', async () => {
  const n = await writeUnapplied();
  const received = await unapplied();
  await replica.kill();
  await replica.start();
  assert.equal(await unapplied(), received);
  await replica.ask('START REPLICA SQL_THREAD');
  await until('applied, with no source to fetch it from', () => replica.has(n));
});

test('relay_log_recovery on throws away at a restart what was acknowledged and not applied', async () => {
  const n = await writeUnapplied();
  await replica.kill();
  await replica.start('--relay-log-recovery=ON');
  assert.equal(await unapplied(), '');
  assert.equal(await replica.has(n), false);
});

for (const statement of [
  'CHANGE REPLICATION SOURCE TO SOURCE_HEARTBEAT_PERIOD = 0.25',
  'RESET REPLICA',
  'RESET REPLICA ALL',
]) {
  test(`${statement.replace(/ TO .*/, '')} with both threads stopped destroys what was received and not applied, without a warning`, async () => {
    await writeUnapplied();
    await replica.ask('STOP REPLICA IO_THREAD');
    assert.notEqual(await unapplied(), '');
    await replica.ask(statement);
    assert.deepEqual(await replica.ask('SHOW WARNINGS'), []);
    assert.equal(await unapplied(), '');
    await replica.follow(source);
  });
}

test('CHANGE REPLICATION SOURCE while the applier runs keeps what was received', async () => {
  // Something holds the applier up.
  const holding = await replica.session('tester');
  await holding.query('LOCK TABLES shop.orders READ', [], soon());
  const n = ++rows;
  assert.equal(await (await source.write(n)).within(15_000), 'OK');
  await replica.ask('STOP REPLICA IO_THREAD');
  const received = await unapplied();
  assert.notEqual(received, '');
  await assert.rejects(replica.ask('RESET REPLICA ALL'), { errno: 3081 });
  await replica.ask('CHANGE REPLICATION SOURCE TO SOURCE_CONNECT_RETRY = 2');
  assert.equal(await unapplied(), received);
  await holding.query('UNLOCK TABLES', [], soon());
  await until('applied', () => replica.has(n));
});

test('whether it acknowledges is decided when the receiver starts: ON later is too late, OFF later does not stop it', async () => {
  await replica.ask('STOP REPLICA IO_THREAD');
  await replica.ask('SET GLOBAL rpl_semi_sync_replica_enabled = OFF');
  await replica.ask('START REPLICA IO_THREAD');
  await until('it receives', async () => (await replica.receiver()) === 'ON');
  await replica.ask('SET GLOBAL rpl_semi_sync_replica_enabled = ON');
  const n = ++rows;
  const write = await source.waitingWrite(n);
  await until('received', async () => await replica.has(n));
  await write.stillWaits();
  await replica.ask('STOP REPLICA IO_THREAD');
  await replica.ask('START REPLICA IO_THREAD');
  // Nor does it acknowledge again, or for the first time, what it has already: see below.
  const next = await source.write(++rows);
  assert.equal(await next.within(15_000), 'OK');
  assert.equal(await write.within(15_000), 'OK');
  await replica.ask('SET GLOBAL rpl_semi_sync_replica_enabled = OFF');
  assert.equal(await (await source.write(++rows)).within(15_000), 'OK', 'OFF goes on acknowledging');
  await replica.ask('SET GLOBAL rpl_semi_sync_replica_enabled = ON');
});

test('what a replica received without its acknowledgement arriving is not acknowledged again: not after restarting replication, nor after RESET REPLICA; a small write releases it', async () => {
  await replica.ask('STOP REPLICA IO_THREAD');
  await replica.ask('SET GLOBAL rpl_semi_sync_replica_enabled = OFF');
  await replica.ask('START REPLICA IO_THREAD');
  const n = ++rows;
  const write = await source.waitingWrite(n);
  await until('received and applied', () => replica.has(n));
  assert.equal(
    GtidSet.parse(await source.executed()).contains(GtidSet.parse(await replica.executed())),
    false,
    'a replica is ahead of a living source',
  );
  await replica.ask('SET GLOBAL rpl_semi_sync_replica_enabled = ON');
  for (const statements of [['STOP REPLICA'], ['STOP REPLICA', 'RESET REPLICA']]) {
    for (const statement of [...statements, 'START REPLICA']) await replica.ask(statement);
    await until('it acknowledges', async () => (await source.status('Rpl_semi_sync_source_clients')) === '1');
    await until('it receives', async () => (await replica.receiver()) === 'ON');
    await write.stillWaits(500);
  }
  const barrier = await source.session('tester');
  await barrier.query('INSERT INTO baton.barrier VALUES (1, 1)', [], soon());
  assert.equal(await write.within(15_000), 'OK');
});

test('STOP REPLICA IO_THREAD returns at once while it reads, from a frozen source too, and within seconds while it connects', async (t) => {
  source.signal('SIGSTOP');
  let from = performance.now();
  await replica.ask('STOP REPLICA IO_THREAD');
  const readingMs = performance.now() - from;
  // Frozen still: its port takes connections, and nobody answers.
  await replica.ask('START REPLICA IO_THREAD');
  await until('it connects', async () => (await replica.receiver()) === 'CONNECTING');
  await new Promise((resolve) => setTimeout(resolve, 100));
  from = performance.now();
  await replica.ask('STOP REPLICA IO_THREAD');
  const connectingMs = performance.now() - from;
  source.signal('SIGCONT');
  t.diagnostic(`reading ${readingMs.toFixed(0)} ms, connecting ${connectingMs.toFixed(0)} ms`);
  assert.ok(readingMs < 4000);
  assert.ok(connectingMs < 8000);
});

test('Rpl_semi_sync_replica_status is cleared when the receiver stops: afterwards nothing says who acknowledged', async () => {
  assert.equal(await replica.status('Rpl_semi_sync_replica_status'), 'ON');
  await replica.ask('STOP REPLICA IO_THREAD');
  assert.equal(await replica.status('Rpl_semi_sync_replica_status'), 'OFF');
});

test('an applier that stopped with an error leaves its receiver acknowledging', async () => {
  const n = ++rows;
  const errant = await replica.session('tester');
  await errant.run(
    ['SET GLOBAL super_read_only = OFF', 'SET SESSION sql_log_bin = 0', `INSERT INTO shop.orders VALUES (${n})`],
    soon(),
  );
  assert.equal(await (await source.write(n)).within(15_000), 'OK');
  await until('its applier stopped', async () => {
    const state = await replica.value('SELECT SERVICE_STATE FROM performance_schema.replication_applier_status');
    return state === 'OFF';
  });
  assert.equal(await (await source.write(++rows)).within(15_000), 'OK');
  await errant.run([`DELETE FROM shop.orders WHERE n = ${n}`, 'SET GLOBAL super_read_only = ON'], soon());
});

test('source_enabled on a replica holds its own applier up until somebody acknowledges', async () => {
  await replica.ask('SET GLOBAL rpl_semi_sync_source_enabled = ON');
  const n = ++rows;
  assert.equal(await (await source.write(n)).within(15_000), 'OK');
  await until('its applier waits', async () => {
    return (await replica.status('Rpl_semi_sync_source_wait_sessions')) === '1';
  });
  assert.equal(await replica.has(n), false);
  await replica.ask('SET GLOBAL rpl_semi_sync_source_enabled = OFF');
  await until('applied', () => replica.has(n));
});

test('events that came by replication lie disabled, and so do those that were disabled at the source: nothing tells them apart', async () => {
  await source.ask(`CREATE EVENT shop.running ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.many WHERE n < 0`);
  await source.ask(`CREATE EVENT shop.paused ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM shop.many WHERE n < 0`);
  await replica.caughtUp(source);
  const status = async (server: Server): Promise<unknown[]> =>
    (await server.ask('SELECT STATUS AS s FROM information_schema.EVENTS ORDER BY EVENT_NAME')).map(({ s }) => s);
  assert.deepEqual(await status(source), ['DISABLED', 'ENABLED']);
  const [paused, running] = await status(replica);
  assert.match(String(running), /^(REPLICA_SIDE|SLAVESIDE)_DISABLED$/);
  assert.equal(paused, running);
});

test('LOCK alone lets a replica acknowledge on, KILL alone has it back; both together cut it off until UNLOCK', async (t) => {
  const unlogged = await source.session('tester');
  const lock = (how: string): Promise<void> =>
    unlogged.run(['SET SESSION sql_log_bin = 0', `ALTER USER 'baton_replica_1'@'%' ACCOUNT ${how}`], soon());
  const dumping = (): Promise<string> =>
    source.value(
      `SELECT ID FROM performance_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%' AND USER = 'baton_replica_1'`,
    );

  const first = await dumping();
  await source.ask(`KILL CONNECTION ${first}`);
  let from = performance.now();
  await until('it is back', async () => !['', first].includes(await dumping()));
  t.diagnostic(`killed and back in ${(performance.now() - from).toFixed(0)} ms`);

  await lock('LOCK');
  assert.equal(await (await source.write(++rows)).within(15_000), 'OK', 'LOCK alone: acknowledged by it');
  await source.ask(`KILL CONNECTION ${await dumping()}`);
  const error = 'SELECT LAST_ERROR_NUMBER FROM performance_schema.replication_connection_status';
  await until('it is refused', async () => (await replica.value(error)) === '3118');
  const write = await source.waitingWrite(++rows);
  await write.stillWaits(1000);
  await lock('UNLOCK');
  from = performance.now();
  assert.equal(await write.within(15_000), 'OK');
  t.diagnostic(`unlocked and back in ${(performance.now() - from).toFixed(0)} ms`);
});

test('accounts cannot be locked while a super_read_only is pending, nor after it', async () => {
  await replica.ask('STOP REPLICA IO_THREAD');
  const write = await source.waitingWrite(++rows);
  const closing = await source.session('tester');
  const locking = await source.session('tester');
  await locking.query('SET SESSION sql_log_bin = 0, lock_wait_timeout = 1', [], soon());
  const pending = outcome(closing.query('SET GLOBAL super_read_only = ON', [], soon()));
  await pending.stillWaits();
  const lock = `ALTER USER 'baton_replica_2'@'%' ACCOUNT LOCK`;
  await assert.rejects(locking.query(lock, [], soon()), { errno: 1205 });
  await replica.ask('START REPLICA IO_THREAD');
  assert.equal(await write.within(15_000), 'OK');
  assert.equal(await pending.within(15_000), 'OK');
  await assert.rejects(locking.query(lock, [], soon()), { errno: 1290 });
  await source.ask('SET GLOBAL super_read_only = OFF');
  await source.ask('SET GLOBAL read_only = OFF');
});

test('required lowered from 2 to 1, and the one replica restarted: it goes on receiving', async () => {
  await source.ask('SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 2');
  const write = await source.waitingWrite(++rows);
  await source.ask('SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1');
  assert.equal(await write.within(15_000), 'OK');
  await replica.ask('STOP REPLICA');
  await replica.kill();
  await replica.start();
  await isWhole();
  assert.equal(await (await source.write(++rows)).within(15_000), 'OK');
});

test('a receipt reaches the disk only with sync_relay_log=1, with several flushes for one transaction', async (t) => {
  const flushes = async (): Promise<number> =>
    Number(
      await replica.value(
        `SELECT SUM(COUNT_MISC) FROM performance_schema.file_summary_by_event_name WHERE EVENT_NAME = 'wait/io/file/sql/relaylog'`,
      ),
    );
  const perTransaction = async (): Promise<number> => {
    assert.equal(await (await source.write(++rows)).within(15_000), 'OK');
    const before = await flushes();
    for (let i = 0; i < 10; i++) assert.equal(await (await source.write(++rows)).within(15_000), 'OK');
    return ((await flushes()) - before) / 10;
  };
  const lazy = await perTransaction();
  await replica.ask('SET GLOBAL sync_relay_log = 1');
  const eager = await perTransaction();
  await replica.ask('SET GLOBAL sync_relay_log = 10000');
  t.diagnostic(`file operations of a one-row transaction: ${lazy}, with sync_relay_log=1 ${eager}`);
  assert.ok(eager - lazy >= 1);
});

test('how a dead source shows: a killed one at once, a frozen one when SERVICE_STATE leaves ON, after about replica_net_timeout', async (t) => {
  source.signal('SIGSTOP');
  let from = performance.now();
  await until('it leaves ON', async () => (await replica.receiver()) !== 'ON');
  const frozenMs = performance.now() - from;
  source.signal('SIGCONT');
  await until('it is back', async () => (await replica.receiver()) === 'ON');
  from = performance.now();
  await source.kill();
  await until('it leaves ON', async () => (await replica.receiver()) === 'CONNECTING');
  const killedMs = performance.now() - from;
  t.diagnostic(
    `frozen ${frozenMs.toFixed(0)} ms (replica_net_timeout 1 s, heartbeat 0.25 s), killed ${killedMs.toFixed(0)} ms`,
  );
  assert.ok(frozenMs < 8000);
  assert.ok(killedMs < 4000);
  const error = 'SELECT LAST_ERROR_NUMBER FROM performance_schema.replication_connection_status';
  await until('it says that nobody is there', async () => (await replica.value(error)) === '2003');
});
