/** A source that dies while it sends a transaction: its replicas hold the beginning, and nobody has the end. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { settle } from '../../src/mysql/lock.ts';
import { observe } from '../../src/mysql/observe.ts';
import { follow } from '../../src/mysql/procedures/follow.ts';
import { open } from '../../src/mysql/procedures/open.ts';
import { prepare } from '../../src/mysql/procedures/prepare.ts';
import { setRequired } from '../../src/mysql/procedures/required.ts';
import { seal } from '../../src/mysql/procedures/seal.ts';
import { Servers, outcome, passwords, soon, until, type Server } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

/** Rows of 1 MB each, in one transaction. */
const ROWS = 80;
/** So that it is quickly written. */
const ROOMY = { settings: { innodb_redo_log_capacity: '256M', innodb_buffer_pool_size: '256M' } };

/** Replicas that follow the source until it is killed in the middle of sending; resolves with them sealed. */
async function interrupted(source: Server, replicas: readonly Server[]): Promise<void> {
  await source.ask('CREATE TABLE shop.large (n INT AUTO_INCREMENT PRIMARY KEY, text LONGBLOB)');
  await setRequired(await source.acting(), 1, soon());
  for (const replica of replicas) await replica.caughtUp(source);
  const client = await source.session('application');
  await client.query('BEGIN', [], soon());
  for (let n = 0; n < ROWS; n++) {
    await client.query("INSERT INTO shop.large (text) VALUES (REPEAT('x', 1000000))", [], soon());
  }
  const commit = outcome(client.query('COMMIT', [], soon(60_000)));
  const begun = `SELECT COUNT(*) FROM performance_schema.replication_applier_status_by_worker WHERE APPLYING_TRANSACTION <> ''`;
  for (const replica of replicas) await until('it begins to apply', async () => (await replica.value(begun)) !== '0');
  await source.kill();
  assert.notEqual(await commit.within(15_000), 'OK');
  for (const replica of replicas) await seal(await replica.session('controller', soon(), replica.adminPort), soon());
}

test('MySQL: an applier in the middle of a transaction whose source is dead does not stop, but for 60 s or a KILL', async () => {
  await using source = await servers.source(0, ROOMY);
  await using replica = await servers.replica(1, source, ROOMY);
  await interrupted(source, [replica]);
  const stop = outcome(replica.ask('STOP REPLICA', [], soon(90_000)));
  await stop.stillWaits(3000);
  assert.match(await replica.log(), /stopped in the middle of assigning a group of events/);
});

test('a failover goes on at once when the primary died in the middle of sending: nothing of that transaction is left', async () => {
  await using source = await servers.source(0, ROOMY);
  await using chosen = await servers.replica(1, source, ROOMY);
  await using other = await servers.replica(2, source, ROOMY);
  await interrupted(source, [chosen, other]);
  const before = await chosen.executed();

  const acting = await chosen.acting();
  const from = performance.now();
  await prepare(acting, 1, [2], soon());
  await open(acting, 1, soon());
  await follow(await other.acting(), 2, chosen.address, passwords.replication, 0.25, soon());
  assert.ok(performance.now() - from < 5000);
  assert.equal(await (await chosen.write(1)).within(15_000), 'OK');

  await other.caughtUp(chosen);
  assert.equal(await other.has(1), true);
  for (const server of [chosen, other]) {
    assert.equal(await server.value('SELECT COUNT(*) FROM shop.large'), '0');
    assert.ok((await server.executed()).includes(before));
  }
});

test('an applier that was killed for it is no broken one', async () => {
  await using source = await servers.source(0, ROOMY);
  await using replica = await servers.replica(1, source, ROOMY);
  await interrupted(source, [replica]);
  // To another place, where nobody is: it is turned, and can't connect.
  await follow(await replica.acting(), 1, { host: '127.0.0.1', port: 1 }, passwords.replication, 0.25, soon());
  await replica.ask('STOP REPLICA SQL_THREAD');
  const looking = await replica.session('controller', soon(), replica.adminPort);
  await settle(looking, soon());
  assert.equal((await observe(looking, 0, soon())).replica?.applierError, '');
});
