/** Filling an empty member from a donor, and what stands in its way (docs/mysql.md). */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { observe } from '../../src/mysql/observe.ts';
import { clone } from '../../src/mysql/procedures/clone.ts';
import { Servers, outcome, passwords, soon, until, type Outcome, type Server } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

const source = await servers.source(1);
const replica = await servers.replica(1, source);
let rows = 0;

async function write(): Promise<number> {
  assert.equal(await (await source.write(++rows)).within(15_000), 'OK');
  await replica.caughtUp(source);
  return rows;
}

async function fill(recipient: Server, donor: Server): Promise<Outcome> {
  const acting = await recipient.acting();
  return outcome(clone(acting, donor.address, passwords.clone, soon(60_000)).then(() => []));
}

/** The stage that runs now. */
function stage(recipient: Server): Promise<string> {
  return recipient.value(`SELECT STAGE FROM performance_schema.clone_progress WHERE STATE = 'In Progress'`);
}

/** Slow enough to look at. */
async function slow(recipient: Server): Promise<void> {
  await recipient.ask('SET GLOBAL clone_autotune_concurrency = OFF');
  await recipient.ask('SET GLOBAL clone_max_concurrency = 1');
  await recipient.ask('SET GLOBAL clone_max_data_bandwidth = 20');
}

test('it is filled, restarts if there is somebody to start it, keeps its server_uuid, and follows', async () => {
  const n = await write();
  await using recipient = await servers.born(2);
  const uuid = await recipient.value('SELECT @@server_uuid');
  const filling = await fill(recipient, replica);
  assert.equal(await filling.within(15_000), 'OK');
  assert.equal(await recipient.exited(), 16, 'the exit code that asks for a start');
  await recipient.start();
  assert.equal(await recipient.value('SELECT @@server_uuid'), uuid);
  assert.equal(await recipient.has(n), true);
  assert.equal(await recipient.executed(), await replica.executed());
  assert.equal(await recipient.value('SELECT CONCAT(@@super_read_only, @@offline_mode)'), '10', 'closed');
  const seen = await observe(await recipient.session('controller'), 0, soon());
  assert.equal(seen.clone?.state, 'completed');
  assert.equal(seen.replica?.sourcePort, source.port, `the donor's source came along`);
  assert.equal(seen.replica?.receiver, 'off');
  assert.deepEqual(seen.source.unlocked, [], `and its accounts, locked as they were there`);
  await recipient.follow(source);
  const account = `SELECT USER FROM performance_schema.replication_connection_configuration WHERE CHANNEL_NAME = ''`;
  assert.equal(await recipient.value(account), 'baton_replica_2', `by its own account, not by its donor's`);
  await write();
  await recipient.caughtUp(source);
});

test('without a supervisor it ends with error 3707 and a clean exit, and is complete all the same', async () => {
  const n = await write();
  await using recipient = await servers.born(2, { supervised: false });
  const filling = await fill(recipient, replica);
  assert.equal(await filling.within(15_000), 'OK');
  assert.equal(await recipient.exited(), 0);
  await recipient.start();
  assert.equal(await recipient.has(n), true);
});

test('only an empty member is filled', async () => {
  const before = await replica.executed();
  const filling = await fill(replica, source);
  assert.match(await filling.within(5000), /not empty/);
  assert.equal(await replica.executed(), before);
  assert.equal(await replica.receiver(), 'ON', 'it follows as before');
});

test('it is observed all the while, with its progress in bytes, and its lock stays held', async () => {
  await using recipient = await servers.born(2);
  await slow(recipient);
  const acting = await recipient.acting();
  const looking = await recipient.session('controller', soon(), recipient.adminPort);
  const filling = outcome(clone(acting, replica.address, passwords.clone, soon(60_000)).then(() => []));
  const stages = new Set<string>();
  let most = 0;
  while (filling.settled === null) {
    stages.add(await stage(recipient).catch(() => ''));
    const seen = await observe(looking, acting.id, soon()).catch((error: unknown) => {
      // It is restarting.
      if (stages.has('RESTART') || /lost|closed|refused|shutdown/i.test(String(error))) return null;
      throw error;
    });
    if (seen?.clone?.state === 'running') most = Math.max(most, seen.clone.bytesDone);
    if (seen !== null) assert.equal(seen.locked, true);
  }
  assert.ok(most > 0);
  assert.ok(stages.has('FILE COPY'), [...stages].join());
});

test('from a primary it hangs in PAGE COPY as long as a commit waits there, and goes on when that is acknowledged', async () => {
  await replica.ask('STOP REPLICA IO_THREAD');
  const waiting = await source.waitingWrite(++rows);
  await using recipient = await servers.born(2);
  const filling = await fill(recipient, source);
  await until('it copies pages', async () => (await stage(recipient)) === 'PAGE COPY');
  await filling.stillWaits(1500);
  assert.equal(await stage(recipient), 'PAGE COPY');
  await replica.ask('START REPLICA IO_THREAD');
  assert.equal(await waiting.within(15_000), 'OK');
  assert.equal(await filling.within(15_000), 'OK');
});

test('a commit that begins to wait in the middle holds it up, too', async () => {
  await using recipient = await servers.born(2);
  await slow(recipient);
  const filling = await fill(recipient, source);
  await until('it copies files', async () => (await stage(recipient)) === 'FILE COPY');
  await replica.ask('STOP REPLICA IO_THREAD');
  const waiting = await source.waitingWrite(++rows);
  await until('it copies pages', async () => (await stage(recipient)) === 'PAGE COPY', 30_000);
  await filling.stillWaits(1500);
  await replica.ask('START REPLICA IO_THREAD');
  assert.equal(await waiting.within(15_000), 'OK');
  assert.equal(await filling.within(15_000), 'OK');
});

test('from a replica it runs through while commits wait at the primary; so it does from that primary, killed and restarted closed', async (t) => {
  await replica.ask('STOP REPLICA IO_THREAD');
  const waiting = await source.waitingWrite(++rows);
  const n = rows;
  for (const donor of [replica, source]) {
    if (donor === source) {
      await source.kill();
      await source.start();
    }
    await using recipient = await servers.born(2);
    const from = performance.now();
    const filling = await fill(recipient, donor);
    assert.equal(await filling.within(15_000), 'OK');
    t.diagnostic(`${(performance.now() - from).toFixed(0)} ms, an empty database`);
    await recipient.exited();
    await recipient.start();
    assert.equal(await recipient.has(n), donor === source);
  }
  assert.match(waiting.settled ?? '', /lost|closed/i);
});

test('while its donor applies definitions, a clone and the applier may wait for each other for ever: it is seen, and a kill ends it', async (t) => {
  await using leader = await servers.source(1);
  await using donor = await servers.replica(2, leader);
  const over = new AbortController();
  t.after(() => over.abort());
  const busy = async (statements: (k: number) => string[]): Promise<void> => {
    const session = await leader.session('tester');
    for (let k = 0; ; k++) {
      for (const sql of statements(k)) await session.query(sql, [], over.signal);
    }
  };
  for (const table of ['a', 'b', 'c']) {
    busy(() => [
      `CREATE TABLE shop.${table} (id INT PRIMARY KEY, what VARCHAR(20))`,
      `INSERT INTO shop.${table} VALUES (1, 'one'), (2, 'two')`,
      `ALTER TABLE shop.${table} ADD COLUMN more INT DEFAULT 3, ADD INDEX (what)`,
      `DROP TABLE shop.${table}`,
    ]).catch(() => undefined);
  }
  for (const writer of [1, 2, 3, 4, 5, 6]) {
    busy((k) => [`INSERT INTO shop.orders VALUES (${writer * 1e6 + k})`]).catch(() => undefined);
  }
  const copying = await donor.session('tester');
  const looking = await donor.session('controller');
  /** What it has executed, if it copies pages and has something left to apply. */
  const held = async (): Promise<string> => {
    const { replica: seen, executed } = await observe(looking, 0, soon());
    return seen?.donating === true && !executed.contains(seen.received) ? executed.toString() : '';
  };
  const copy = join(donor.dataDir, '..', 'copy');
  const triedUntil = performance.now() + 60_000;
  while (performance.now() < triedUntil) {
    await rm(copy, { recursive: true, force: true });
    const clone = outcome(copying.query(`CLONE LOCAL DATA DIRECTORY = '${copy}'`, [], over.signal));
    const begun = performance.now();
    for (let [same, since] = ['', 0]; clone.settled === null; await sleep(50)) {
      assert.ok(performance.now() - begun < 30_000, 'it hangs, and nobody sees that');
      const at = await held();
      if (at === '' || at !== same) [same, since] = [at, performance.now()];
      if (performance.now() - since < 5000) continue;
      t.diagnostic(`both stand still at ${at}`);
      over.abort();
      await donor.kill();
      await donor.start();
      await donor.follow(leader);
      await until('it goes on', async () => (await donor.executed()) !== at);
      return;
    }
  }
  t.skip('not met in 60 s of trying');
});
