/** What src/mysql does to real servers, step by step. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, test } from 'node:test';
import { GtidSet } from '../../src/gtid/gtid-set.ts';
import { LockHeldError, settle } from '../../src/mysql/lock.ts';
import { observe, type ServerObservation } from '../../src/mysql/observe.ts';
import { lockOut, unlockAccounts } from '../../src/mysql/procedures/accounts.ts';
import { configure } from '../../src/mysql/procedures/configure.ts';
import { enableEvents } from '../../src/mysql/procedures/events.ts';
import { follow } from '../../src/mysql/procedures/follow.ts';
import { close, disarm, open, reopen } from '../../src/mysql/procedures/open.ts';
import { prepare } from '../../src/mysql/procedures/prepare.ts';
import { purge } from '../../src/mysql/procedures/purge.ts';
import { ProcedureRefusedError } from '../../src/mysql/procedures/refused.ts';
import { setRequired } from '../../src/mysql/procedures/required.ts';
import { apply, seal } from '../../src/mysql/procedures/seal.ts';
import { writeBarrier, writeEpoch } from '../../src/mysql/procedures/write.ts';
import type { Row, Session, SqlValue } from '../../src/mysql/session.ts';
import { Acker } from './acker.ts';
import { Servers, outcome, passwords, soon, until, type Server } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

/** For tests that leave it sound: open anew, with nothing of the last one. */
const shared = await servers.source(0);
let rows = 0;

async function sharedSource(required: number): Promise<Server> {
  await shared.ask('SET GLOBAL rpl_semi_sync_source_enabled = OFF');
  await shared.open(required);
  return shared;
}

/** As the controller sees it, from a session beside the acting one. */
async function look(server: Server, holder = 0): Promise<ServerObservation> {
  const looking = await server.session('controller', soon(), server.adminPort);
  try {
    await settle(looking, soon());
    return await observe(looking, holder, soon());
  } finally {
    looking.destroy();
  }
}

// ── The lock ──────────────────────────────────────────────────────────────────────────────────────────────────────────

test('the lock is taken from a living holder, whose session is then over', async () => {
  await using server = await servers.born();
  const former = await server.acting();
  let over = false;
  former.onBroken(() => (over = true));
  assert.equal((await look(server, former.id)).locked, true);
  const now = await server.acting();
  await until('the former holder hears of it', () => over);
  await assert.rejects(former.query('SELECT 1', [], soon()), { code: 'SESSION_BROKEN' });
  assert.equal((await look(server, now.id)).locked, true);
  assert.equal((await look(server, former.id)).locked, false);
});

test('a holder whose statement waits for an acknowledgement keeps the lock, and it is said so in time', async () => {
  await using server = await servers.source(1);
  const former = await server.acting();
  await former.query('SET SESSION sql_log_bin = 1', [], soon());
  outcome(former.query('REPLACE INTO baton.barrier VALUES (1, 1)', [], soon(60_000)));
  await until('it waits', async () => (await look(server)).source.waiting === 1);
  const from = performance.now();
  await assert.rejects(server.acting(), LockHeldError);
  assert.ok(performance.now() - from < 5000);
  assert.equal((await look(server, former.id)).locked, true);
});

test('the acting session writes to no binlog and waits for nothing long, whatever the defaults of the server are', async () => {
  const modes = 'ANSI,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT';
  await using server = await servers.source(0, {
    settings: {
      sql_mode: modes,
      autocommit: 'OFF',
      wait_timeout: 1,
      lock_wait_timeout: 3600,
      default_time_zone: "'+05:30'",
    },
  });
  assert.match(await server.value('SELECT @@global.sql_mode'), /ANSI.*NO_BACKSLASH_ESCAPES/);
  const acting = await server.acting();
  const [row] = await acting.query(
    'SELECT CONCAT_WS(" ", @@sql_log_bin, @@lock_wait_timeout, @@autocommit, @@sql_mode, @@time_zone) AS settings, @@wait_timeout AS idle',
    [],
    soon(),
  );
  assert.equal(row?.['settings'], '0 2 1  +00:00');
  assert.ok(Number(row?.['idle']) > 86_400);
  const seen = await look(server, acting.id);
  assert.deepEqual(seen.source.unlocked, [1, 2, 3]);
  const before = await server.executed();
  await acting.query('REPLACE INTO baton.barrier VALUES (1, 1)', [], soon());
  assert.equal(await server.executed(), before);
});

// ── What is seen ──────────────────────────────────────────────────────────────────────────────────────────────────────

test('observe: a member as it is born', async () => {
  await using server = await servers.born(2);
  const seen = await look(server);
  assert.equal(seen.serverUuid, await server.value('SELECT @@server_uuid'));
  assert.ok(seen.version.startsWith(servers.distribution.version));
  assert.equal(seen.locked, false);
  assert.equal(seen.executed.isEmpty && seen.purged.isEmpty, true);
  assert.equal(seen.access, 'closed');
  assert.deepEqual(seen.source, {
    enabled: false,
    active: false,
    required: 1,
    waiting: 0,
    unlocked: [],
    connected: [],
  });
  assert.equal(seen.replica, null);
  assert.equal(seen.epochRow, null);
  assert.equal(seen.clone, null);
  assert.equal(seen.lagSeconds, null);
  assert.equal(seen.oldestTransactionSeconds, 0);
});

test('observe: a primary: who may and does replicate, what waits, its epoch, its oldest transaction', async () => {
  await using server = await servers.source(1);
  using acker = await Acker.attach(server, { ordinal: 2, automatic: true });
  const writing = await server.session('controller');
  const clusterId = '00000000-0000-4000-8000-000000000001';
  await writeEpoch(writing, { clusterId, epoch: 3, term: 7 }, soon());
  assert.ok(acker.asked.length > 0, 'the row is logged, and acknowledged');
  let seen = await look(server);
  assert.equal(seen.access, 'open');
  assert.deepEqual(seen.epochRow, { clusterId, epoch: 3, term: 7 });
  assert.deepEqual(seen.source, {
    enabled: true,
    active: true,
    required: 1,
    waiting: 0,
    unlocked: [1, 2, 3],
    connected: [2],
  });
  acker.close();
  await server.waitingWrite(1);
  seen = await look(server);
  assert.equal(seen.source.waiting, 1);
  // innodb_trx shows nothing new to who asks too often.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  assert.ok((await look(server)).oldestTransactionSeconds >= 1);
  const pending = await server.session('tester');
  const closing = outcome(pending.query('SET GLOBAL super_read_only = ON', [], soon()));
  await closing.stillWaits(100);
  assert.equal((await look(server)).access, 'ajar', 'not closed as long as it is pending');
});

test('observe: a replica: whom it follows, what it received, whether it applies and acknowledges, how late it is', async () => {
  await using source = await servers.source(1);
  await using replica = await servers.replica(1, source);
  await source.write(1).then((write) => write.within(5000));
  await replica.caughtUp(source);
  const acting = await replica.acting();
  let seen = await look(replica);
  assert.equal(seen.replica?.sourceHost, '127.0.0.1');
  assert.equal(seen.replica?.sourcePort, source.port);
  assert.equal(seen.replica?.sourceUuid, await source.value('SELECT @@server_uuid'));
  assert.equal(seen.replica?.receiver, 'on');
  assert.equal(seen.replica?.applier, 'on');
  assert.equal(seen.replica?.acking, true);
  assert.equal(seen.replica?.applierError, '');
  assert.ok(seen.executed.contains(seen.replica?.received ?? GtidSet.EMPTY));
  assert.equal(seen.lagSeconds, 0);

  await replica.ask('STOP REPLICA SQL_THREAD');
  await source.write(2).then((write) => write.within(5000));
  seen = await until('received', async () => {
    const now = await look(replica);
    return !now.executed.contains(now.replica?.received ?? GtidSet.EMPTY) && now;
  });
  assert.equal(seen.replica?.applier, 'off');
  assert.ok((seen.lagSeconds ?? 0) > 0);

  const errant = await replica.session('tester');
  await errant.run(
    ['SET GLOBAL super_read_only = OFF', 'SET sql_log_bin = 0', 'INSERT INTO shop.orders VALUES (2)'],
    soon(),
  );
  assert.equal((await look(replica)).access, 'ajar', 'read_only alone');
  await apply(acting, soon());
  seen = await until('its applier fails', async () => {
    const now = await look(replica);
    return now.replica?.applierError !== '' && now.replica?.applier === 'off' && now;
  });
  assert.match(seen.replica?.applierError ?? '', /^\d+: /);
  assert.equal(seen.replica?.receiver, 'on');

  await source.kill();
  seen = await until('it connects', async () => {
    const now = await look(replica);
    return now.replica?.receiver === 'connecting' && now.replica.receiverError !== '' && now;
  });
  assert.match(seen.replica?.receiverError ?? '', /^20\d\d: /);
  assert.equal(seen.replica?.acking, true, 'that it was started so, not that somebody hears it');
  await seal(acting, soon());
  seen = await look(replica);
  assert.equal(seen.replica?.receiver, 'off');
  assert.equal(seen.replica?.acking, false);
});

// ── Seal, apply, follow ───────────────────────────────────────────────────────────────────────────────────────────────

test('a sealed replica acknowledges nothing more, keeps what it received, applies it, and only then follows somebody else', async () => {
  await using source = await servers.source(1);
  await using replica = await servers.replica(1, source);
  const acting = await replica.acting();
  await replica.caughtUp(source);
  await replica.ask('STOP REPLICA SQL_THREAD');
  assert.equal(await (await source.write(1)).within(15_000), 'OK');
  await seal(acting, soon());
  const seen = await look(replica);
  assert.equal(seen.replica?.receiver, 'off');
  assert.equal(seen.executed.contains(seen.replica?.received ?? GtidSet.EMPTY), false);
  await (await source.waitingWrite(2)).stillWaits();

  // The applier is held up, so that what was received stays unapplied.
  const holding = await replica.session('tester');
  await holding.query('LOCK TABLES shop.orders READ', [], soon());
  const elsewhere = { host: '127.0.0.1', port: 1 };
  const refused = follow(acting, 1, elsewhere, passwords.replication, 0.25, soon());
  await assert.rejects(refused, (error: unknown) => {
    assert.ok(error instanceof ProcedureRefusedError);
    assert.match(error.message, /not yet applied: [0-9a-f]/);
    return true;
  });
  assert.equal((await look(replica)).replica?.sourcePort, source.port);
  await holding.query('UNLOCK TABLES', [], soon());
  await apply(acting, soon());
  await until('applied', () => replica.has(1));
  await follow(acting, 1, elsewhere, passwords.replication, 0.25, soon());
  assert.equal((await look(replica)).replica?.sourcePort, 1);
});

test('following the same source again keeps what was received and not yet applied', async () => {
  await using source = await servers.source(1);
  await using replica = await servers.replica(1, source);
  const acting = await replica.acting();
  await replica.caughtUp(source);
  const holding = await replica.session('tester');
  await holding.query('LOCK TABLES shop.orders READ', [], soon());
  assert.equal(await (await source.write(1)).within(15_000), 'OK');
  await seal(acting, soon());
  const received = await replica.received();
  await follow(acting, 1, source.address, passwords.replication, 0.25, soon());
  assert.equal(await replica.received(), received);
  await holding.query('UNLOCK TABLES', [], soon());
  await until('applied', () => replica.has(1));
});

test('a member on which commits could wait does not follow', async () => {
  const source = await sharedSource(1);
  const acting = await source.acting();
  await assert.rejects(follow(acting, 0, { host: '127.0.0.1', port: 1 }, 'x', 1, soon()), ProcedureRefusedError);
  assert.equal((await look(source)).replica, null);
});

// ── Prepare and open ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Breaks after so many statements, as a session does whose controller died. */
class Dying {
  readonly #session: Session;
  left: number;
  constructor(session: Session, left: number) {
    this.#session = session;
    this.left = left;
  }
  async query(sql: string, values: readonly SqlValue[], signal: AbortSignal): Promise<readonly Row[]> {
    if (this.left === 0) throw new Error('died');
    this.left--;
    return this.#session.query(sql, values, signal);
  }
  async run(statements: readonly string[], signal: AbortSignal): Promise<void> {
    for (const statement of statements) await this.query(statement, [], signal);
  }
}

function isPrepared(seen: ServerObservation): boolean {
  const { access, replica, source } = seen;
  return (
    access === 'closed' &&
    replica === null &&
    source.enabled &&
    source.active &&
    source.required === 1 &&
    source.unlocked.join() === '1,3'
  );
}

async function assertNobodyWrites(server: Server): Promise<void> {
  const application = await server.session('application').catch((error: unknown) => {
    assert.equal((error as { errno: number }).errno, 3032);
    return null;
  });
  if (application === null) return;
  await assert.rejects(application.query('CREATE TABLE shop.t (n INT)', [], soon()), { errno: 1290 });
  application.destroy();
}

test('prepare: closed before and after; commits will wait; accounts as told, and nobody else connected', async () => {
  await using server = await servers.born();
  const acting = await server.acting();
  await unlockAccounts(acting, [], soon());
  await prepare(acting, 1, [1, 3], soon());
  const seen = await look(server);
  assert.equal(isPrepared(seen), true);
  await assertNobodyWrites(server);
  assert.equal(seen.executed.isEmpty, true, 'nothing of it is in a binlog');
  await open(acting, 1, soon());
  assert.equal((await look(server)).access, 'open');
  assert.equal(await server.value('SELECT @@event_scheduler'), 'ON');
  await prepare(acting, 1, [3, 1], soon());
  assert.equal(isPrepared(await look(server)), true, 'of one that is open, too');
});

test('prepare, interrupted after any of its statements: nobody can write, and what looks prepared can be opened for everybody', async () => {
  await using server = await servers.born();
  for (let statements = 0, left = 0; left === 0; statements++) {
    const dying = new Dying(await server.acting(), statements);
    await prepare(dying as unknown as Session, 1, [1, 3], soon()).catch((error: unknown) => {
      assert.match(String(error), /died/);
    });
    ({ left } = dying);
    await assertNobodyWrites(server);
    const acting = await server.acting();
    if (!isPrepared(await look(server))) await prepare(acting, 1, [1, 3], soon());
    await open(acting, 1, soon());
    assert.equal(await server.value('SELECT @@offline_mode'), '0', `after ${statements} statements`);
    // As at its next start.
    for (const statement of [
      'SET GLOBAL super_read_only = ON',
      'SET GLOBAL rpl_semi_sync_source_enabled = OFF',
      'SET GLOBAL event_scheduler = OFF',
    ]) {
      await server.ask(statement);
    }
    await lockOut(await actingAjar(server), [1, 2, 3], soon());
    await server.ask('SET GLOBAL super_read_only = ON');
  }
});

async function actingAjar(server: Server): Promise<Session> {
  await server.ask('SET GLOBAL super_read_only = OFF');
  return server.acting();
}

test('prepare refuses while something received is not applied: nothing is reset, no account is opened, and it is applied', async () => {
  await using source = await servers.source(1);
  await using replica = await servers.replica(1, source);
  const acting = await replica.acting();
  await replica.caughtUp(source);
  await replica.ask('STOP REPLICA SQL_THREAD');
  assert.equal(await (await source.write(1)).within(15_000), 'OK');
  await seal(acting, soon());
  const holding = await replica.session('tester');
  await holding.query('LOCK TABLES shop.orders READ', [], soon());
  await assert.rejects(prepare(acting, 1, [0], soon()), ProcedureRefusedError);
  const seen = await look(replica);
  assert.equal(seen.access, 'closed');
  assert.equal(seen.replica?.sourcePort, source.port);
  assert.equal(seen.source.enabled, false);
  assert.deepEqual(seen.source.unlocked, []);
  await holding.query('UNLOCK TABLES', [], soon());
  await until('applied', () => replica.has(1));
  await prepare(acting, 1, [0], soon());
  assert.deepEqual((await look(replica)).source.unlocked, [0]);
});

test('open refuses a member on which commits would not wait for as many as told', async () => {
  await using server = await servers.born();
  const acting = await server.acting();
  await assert.rejects(open(acting, 1, soon()), ProcedureRefusedError);
  await prepare(acting, 1, [1, 2], soon());
  await assert.rejects(open(acting, 2, soon()), ProcedureRefusedError);
  await server.ask('SET GLOBAL sync_binlog = 0');
  await assert.rejects(open(acting, 1, soon()), /sync_binlog/);
  assert.equal((await look(server)).access, 'closed');
});

test('open sets a timeout right that somebody shortened since the member was prepared', async () => {
  await using server = await servers.born();
  const acting = await server.acting();
  await prepare(acting, 1, [1, 2], soon());
  await server.ask('SET GLOBAL rpl_semi_sync_source_timeout = 1000');
  await open(acting, 1, soon());
  const [row] = await acting.query('SELECT @@global.rpl_semi_sync_source_timeout AS ms', [], soon());
  assert.ok(Number(row?.['ms']) > 1_000_000_000);
});

// ── Required ──────────────────────────────────────────────────────────────────────────────────────────────────────────

test('required is set and read back; none is off; and a source that no longer waits is refused', async () => {
  const server = await sharedSource(0);
  const acting = await server.acting();
  assert.equal((await look(server)).source.enabled, false);
  await setRequired(acting, 2, soon());
  let { source } = await look(server);
  assert.deepEqual([source.enabled, source.active, source.required], [true, true, 2]);
  await setRequired(acting, 1, soon());
  await server.ask('SET GLOBAL rpl_semi_sync_source_timeout = 1');
  assert.equal(await (await server.write(++rows)).within(15_000), 'OK');
  ({ source } = await look(server));
  assert.deepEqual([source.enabled, source.active], [true, false]);
  await assert.rejects(setRequired(acting, 1, soon()), ProcedureRefusedError);
  await setRequired(acting, 0, soon());
  assert.equal((await look(server)).source.enabled, false);
});

// ── Close ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

test('close: a statement that stands in the way is ended soon, and every client with it', async (t) => {
  await using server = await servers.source(0);
  for (const table of ['more', 'third', 'fourth']) await server.ask(`CREATE TABLE shop.${table} (n INT)`);
  const acting = await server.acting();
  let cut = 0;
  const client = async (...statements: string[]): Promise<void> => {
    const session = await server.session('application');
    session.onBroken(() => cut++);
    await session.run(statements.slice(0, -1), soon());
    for (const last of statements.slice(-1)) outcome(session.query(last, [], soon(60_000)));
  };
  await client('SELECT 1');
  await client('BEGIN', 'INSERT INTO shop.orders VALUES (1)');
  await client('LOCK TABLES shop.fourth READ', 'SELECT SLEEP(30)');
  // As the brain does all the while: it must not hide what began since.
  await look(server);
  await client('INSERT INTO shop.more VALUES (SLEEP(30))');
  await client('LOCK TABLES shop.third WRITE', 'INSERT INTO shop.third VALUES (1)', 'SELECT 1');
  await until(
    'it runs',
    async () =>
      (await server.value(`SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE = 'User sleep'`)) === '2',
  );
  const from = performance.now();
  await close(acting, await server.session('controller', soon(), server.adminPort), soon());
  t.diagnostic(`${(performance.now() - from).toFixed(0)} ms`);
  assert.ok(performance.now() - from < 5000);
  assert.equal((await look(server)).access, 'closed');
  await until('all are cut', () => cut === 5);
  assert.equal(await server.has(1), false);
  assert.equal(await server.value('SELECT @@event_scheduler'), 'OFF');
  await disarm(acting, soon());
});

test('close: a transaction that only read does not stand in the way', async () => {
  const server = await sharedSource(0);
  const acting = await server.acting();
  const reading = await server.session('application');
  await reading.run(['BEGIN', 'SELECT * FROM shop.orders'], soon());
  await close(acting, await server.session('controller', soon(), server.adminPort), soon());
  assert.equal((await look(server)).access, 'closed');
});

test('close: with a commit that waits it gives up in time, and the primary writes on', async (t) => {
  await using server = await servers.source(1);
  const acting = await server.acting();
  const waiting = await server.waitingWrite(1);
  const from = performance.now();
  await assert.rejects(close(acting, await server.session('controller', soon(), server.adminPort), soon()), {
    errno: 1205,
  });
  t.diagnostic(`${(performance.now() - from).toFixed(0)} ms`);
  assert.ok(performance.now() - from < 4000);
  const seen = await look(server);
  assert.equal(seen.access, 'open');
  assert.equal(seen.source.waiting, 1);
  await waiting.stillWaits(0);
  await assert.rejects(disarm(acting, soon()), ProcedureRefusedError);
  using acker = await Acker.attach(server, { automatic: true });
  assert.equal(await (await server.write(2)).within(15_000), 'OK');
  assert.ok(acker.asked.length >= 2);
  await close(acting, await server.session('controller', soon(), server.adminPort), soon());
  await reopen(acting, soon());
  assert.equal(await (await server.write(3)).within(15_000), 'OK');
  assert.equal((await look(server)).source.active, true, 'and waits as before');
});

test('disarm refuses a primary that is open, and switches a drained one off', async () => {
  const server = await sharedSource(1);
  const acting = await server.acting();
  await assert.rejects(disarm(acting, soon()), ProcedureRefusedError);
  await close(acting, await server.session('controller', soon(), server.adminPort), soon());
  await disarm(acting, soon());
  assert.equal((await look(server)).source.enabled, false);
});

test('disarm: who logs in meanwhile is let in, though nobody is while MySQL switches it off', async (t) => {
  await using server = await servers.source(1);
  const acting = await server.acting();
  using acker = await Acker.attach(server, { automatic: true });
  assert.equal(await (await server.write(1)).within(15_000), 'OK');
  assert.ok(acker.asked.length > 0);
  await close(acting, await server.session('controller', soon(), server.adminPort), soon());
  const from = performance.now();
  let over = false;
  const disarming = disarm(acting, soon()).finally(() => (over = true));
  await until('its replicas are sent away', async () => (await look(server)).source.connected.length === 0);
  (await server.session('application')).destroy();
  t.diagnostic(`in after ${(performance.now() - from).toFixed(0)} ms`);
  assert.equal(over, false);
  await disarming;
  t.diagnostic(`${(performance.now() - from).toFixed(0)} ms`);
  assert.equal((await look(server)).source.enabled, false);
});

test('a former primary follows and applies before it is disarmed; it is not reopened then, and waits anew once it is opened', async () => {
  await using former = await servers.source(1);
  await using next = await servers.replica(1, former);
  assert.equal(await (await former.write(1)).within(15_000), 'OK');
  await next.caughtUp(former);
  const acting = await former.acting();
  await close(acting, await former.session('controller', soon(), former.adminPort), soon());
  const opening = await next.acting();
  await prepare(opening, 0, [0], soon());
  await open(opening, 0, soon());
  await follow(acting, 0, next.address, passwords.replication, 0.25, soon());
  for (let n = 2; n < 5; n++) assert.equal(await (await next.write(n)).within(15_000), 'OK');
  await former.caughtUp(next);
  assert.equal((await look(former)).source.enabled, true);
  await assert.rejects(reopen(acting, soon()), ProcedureRefusedError);
  assert.equal((await look(former)).access, 'closed');
  await prepare(acting, 1, [1, 2, 3], soon());
  await open(acting, 1, soon());
  assert.equal((await look(former)).source.active, true);
  await (await former.waitingWrite(5)).stillWaits();
});

// ── Accounts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

test('locked out: no connection of theirs is left, others stay, and unlocked they come back', async () => {
  const server = await sharedSource(0);
  const acting = await server.acting();
  using first = await Acker.attach(server, { ordinal: 1 });
  using second = await Acker.attach(server, { ordinal: 2 });
  assert.deepEqual((await look(server)).source.connected, [1, 2]);
  await lockOut(acting, [1, 3], soon());
  const seen = await look(server);
  assert.deepEqual(seen.source.connected, [2]);
  assert.deepEqual(seen.source.unlocked, [2]);
  await assert.rejects(Acker.attach(server, { ordinal: 1 }), { errno: 3118 });
  await unlockAccounts(acting, [1], soon());
  using back = await Acker.attach(server, { ordinal: 1 });
  assert.equal(first.asked.length + second.asked.length + back.asked.length, 0);
});

test('locked out in time, though somebody has connected and does not log in', async (t) => {
  const server = await sharedSource(0);
  const acting = await server.acting();
  const silent = connect(server.port, '127.0.0.1');
  silent.on('error', () => undefined);
  await until('it is there', async () => {
    const [row] = await server.ask(
      `SELECT COUNT(*) AS n FROM performance_schema.processlist WHERE USER = 'unauthenticated user'`,
    );
    return Number(row?.['n']) > 0;
  });
  const from = performance.now();
  await lockOut(acting, [1], soon(30_000));
  silent.destroy();
  t.diagnostic(`${(performance.now() - from).toFixed(0)} ms`);
  assert.ok(performance.now() - from < 5000);
});

// ── Events, binlogs, rows of the controller, settings ─────────────────────────────────────────────────────────────────

test('events that came by replication are enabled on a new primary alone, for those who made them', async () => {
  await using source = await servers.source(0);
  await using replica = await servers.replica(1, source);
  await source.ask(`CREATE DATABASE \`odd\`\`name\``);
  await source.ask(`CREATE USER 'o''neil'@'10.%' IDENTIFIED BY 'x'`);
  await source.ask(`CREATE DEFINER = 'o''neil'@'10.%' EVENT \`odd\`\`name\`.e ON SCHEDULE EVERY 1 DAY DO SET @x = 1`);
  await source.ask(`CREATE DEFINER = 'nobody'@'%' EVENT shop.orphan ON SCHEDULE EVERY 1 DAY DO SET @x = 1`);
  await (
    await source.session('application')
  ).query('CREATE EVENT shop.mine ON SCHEDULE EVERY 1 DAY DO SET @x = 1', [], soon());
  await source.ask(
    `CREATE EVENT shop.once ON SCHEDULE AT NOW() + INTERVAL 1 SECOND ON COMPLETION PRESERVE DO SET @x = 1`,
  );
  await replica.caughtUp(source);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const before = await replica.executed();
  const acting = await replica.open(0);
  await enableEvents(acting, soon());
  const events = await replica.ask(
    `SELECT EVENT_NAME AS e, DEFINER AS d, STATUS AS s, ORIGINATOR AS o FROM information_schema.EVENTS ORDER BY 1`,
  );
  assert.deepEqual(
    events.filter(({ e }) => e !== 'once').map(({ e, d, s, o }) => [e, d, s, Number(o)]),
    [
      ['e', `o'neil@10.%`, 'ENABLED', replica.serverId],
      ['mine', 'app@%', 'ENABLED', replica.serverId],
      ['orphan', 'nobody@%', 'ENABLED', replica.serverId],
    ],
  );
  assert.equal(await replica.executed(), before, 'here alone');
});

test('purge drops the oldest binlogs as long as all in them is held by everybody, and never the one in use', async () => {
  await using server = await servers.source(0);
  const acting = await server.acting();
  const sets: GtidSet[] = [];
  for (let n = 1; n <= 4; n++) {
    assert.equal(await (await server.write(n)).within(15_000), 'OK');
    sets.push(GtidSet.parse(await server.executed()));
    if (n < 4) await server.ask('FLUSH BINARY LOGS');
  }
  const count = async (): Promise<number> => (await server.ask('SHOW BINARY LOGS')).length;
  assert.equal(await count(), 4);
  assert.equal(await purge(acting, GtidSet.EMPTY, soon()), 0);
  assert.equal(await purge(acting, sets[1] ?? GtidSet.EMPTY, soon()), 2);
  assert.equal(await count(), 2);
  assert.ok((await look(server)).purged.equals(sets[1] ?? GtidSet.EMPTY));
  const all = GtidSet.parse(await server.executed());
  assert.equal(await purge(acting, all, soon()), 1);
  assert.equal(await count(), 1);
  assert.equal(await purge(acting, all, soon()), 0);
});

test('a barrier is logged, waits as any commit does, and releases those whose acknowledgement was lost', async () => {
  const server = await sharedSource(1);
  const writing = await server.session('controller');
  await settle(writing, soon());
  const barrier = outcome(writeBarrier(writing, soon(20_000)).then(() => []));
  await until('it waits', async () => (await look(server)).source.waiting === 1);
  await barrier.stillWaits();
  using acker = await Acker.attach(server, { automatic: true });
  assert.equal(await barrier.within(15_000), 'OK');
  const passed = Number(await server.value('SELECT SUM(passed) FROM baton.barrier'));
  await writeBarrier(writing, soon());
  assert.equal(acker.asked.length, 2);
  assert.equal(await server.value('SELECT SUM(passed) FROM baton.barrier'), `${passed + 1}`);
});

test('a barrier whose acknowledgement was lost is released by the next one, which does not wait for its row', async () => {
  const server = await sharedSource(1);
  using acker = await Acker.attach(server);
  const waiting = [];
  for (const count of [1, 2]) {
    const writing = await server.session('controller');
    await settle(writing, soon());
    waiting.push(outcome(writeBarrier(writing, soon(20_000)).then(() => [])));
    await acker.isAsked(count);
  }
  acker.acknowledge(await acker.isAsked(2));
  for (const barrier of waiting) assert.equal(await barrier.within(15_000), 'OK');
});

test('settings of the resource are set while it runs, put back when they are gone, and refused by name', async () => {
  await using server = await servers.born();
  const acting = await server.acting();
  await configure(acting, { max_connections: 77, sort_buffer_size: '1M', loose_no_such_thing: 1 }, [], soon());
  assert.equal(
    await server.value('SELECT CONCAT(@@global.max_connections, " ", @@global.sort_buffer_size)'),
    '77 1048576',
  );
  await configure(acting, {}, ['sort_buffer_size'], soon());
  assert.equal(await server.value('SELECT @@global.sort_buffer_size'), '262144');
  await assert.rejects(configure(acting, { no_such_thing: 1, max_connections: 78 }, [], soon()), /no_such_thing/);
  assert.equal(await server.value('SELECT @@global.max_connections'), '78', 'the others are set all the same');
});
