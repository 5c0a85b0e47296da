/** How a server starts: quickly, as configured, and closed, whatever it was before (docs/mysql.md). */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { configFile } from '../../src/mysql/config-file.ts';
import { observe } from '../../src/mysql/observe.ts';
import { Servers, soon, type Server } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

async function assertClosed(server: Server): Promise<void> {
  const seen = await observe(await server.session('controller'), 0, soon());
  assert.equal(seen.access, 'closed');
  assert.equal(seen.source.enabled, false);
  assert.equal(seen.replica?.receiver ?? 'off', 'off');
  assert.equal(seen.replica?.applier ?? 'off', 'off');
  assert.equal(
    await server.value('SELECT CONCAT_WS(" ", @@rpl_semi_sync_replica_enabled, @@event_scheduler, @@offline_mode)'),
    '0 OFF 0',
  );
  await assert.rejects((await server.session('tester')).query('CREATE DATABASE mine', [], soon()), { errno: 1290 });
}

test('a member is born closed, from the template, in about a second', async (t) => {
  const from = performance.now();
  await using server = await servers.born();
  t.diagnostic(`${(performance.now() - from).toFixed(0)} ms`);
  assert.equal(await server.executed(), '');
  await assertClosed(server);
});

test('a primary and a replica that were killed come up closed, and replicate nothing', async () => {
  await using source = await servers.source(0);
  await using replica = await servers.replica(1, source);
  await replica.caughtUp(source);
  for (const server of [source, replica]) {
    await server.kill();
    await server.start();
    await assertClosed(server);
  }
});

test('what was persisted by hand does not open a member at its next start', async () => {
  await using server = await servers.source(0);
  await server.ask('SET PERSIST super_read_only = OFF');
  await server.ask('SET PERSIST_ONLY skip_replica_start = OFF');
  await server.ask('SET PERSIST rpl_semi_sync_replica_enabled = ON');
  await server.ask('SET PERSIST rpl_semi_sync_source_timeout = 1');
  await server.kill();
  await server.start();
  await assertClosed(server);
  assert.equal(await server.value('SELECT @@skip_replica_start'), '1');
  assert.equal(await server.value('SELECT @@rpl_semi_sync_source_timeout'), '4294967295');
});

test('this MySQL knows every variable of the configuration, and has each as it was given', async () => {
  await using server = await servers.born(3, { powerLoss: true });
  const config = configFile({
    ordinal: 3,
    serverId: server.serverId,
    bindAddress: '127.0.0.1',
    port: server.port,
    adminPort: server.adminPort,
    dataDir: `${server.dataDir}/`,
    socket: server.socket,
    tmpDir: null,
    powerLoss: true,
    replicaNetTimeoutSeconds: 1,
    settings: [{ innodb_redo_log_capacity: '8M', innodb_buffer_pool_size: '32M', max_connections: 50 }],
  });
  const unlike: string[] = [];
  // Of a variable that is there twice the last one counts.
  const lines = config.matchAll(/^(?:loose_)?(\w+) = (.*)$/gm);
  for (const [name, given] of new Map([...lines].map(([, name = '', given = '']) => [name, given]))) {
    // Not variables, or not shown as they were given.
    if (/^(plugin_load_add|clone|mysqlx|log_bin|relay_log|pid_file)$/.test(name)) continue;
    const [row] = await server.ask(
      'SELECT variable_value AS found FROM performance_schema.global_variables WHERE variable_name = ?',
      [name],
    );
    const found = String(row?.['found']);
    const wanted = given.replace(/^(\d+)M$/, (_, mebibytes: string) => String(Number(mebibytes) * 2 ** 20));
    if (found !== wanted) unlike.push(`${name}: given ${given}, found ${found}`);
  }
  assert.deepEqual(unlike, []);
});

test('the error log has no errors of the configuration', async () => {
  await using server = await servers.born();
  const errors = (await server.log()).split('\n').filter((line) => line.includes('[ERROR]'));
  // The template has no dump of a buffer pool; this is how mysqld says so.
  assert.deepEqual(
    errors.filter((line) => !line.includes('ib_buffer_pool')),
    [],
  );
});
