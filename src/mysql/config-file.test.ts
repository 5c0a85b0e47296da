import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configFile, type MemberConfig, type Setting } from './config-file.ts';

const member: MemberConfig = {
  ordinal: 2,
  serverId: 42,
  bindAddress: '127.0.0.1',
  port: 20_001,
  adminPort: 20_002,
  dataDir: '/data/2',
  socket: '/run/2/s',
  tmpDir: null,
  powerLoss: false,
  replicaNetTimeoutSeconds: 3,
  settings: [],
};

/** As mysqld reads it: dashes are underscores, and the last one wins. */
function read(...settings: Record<string, Setting>[]): Record<string, string> {
  const lines = configFile({ ...member, settings }).matchAll(/^([\w.-]+) = (.*)$/gm);
  return Object.fromEntries([...lines].map(([, name = '', value = '']) => [name.replaceAll('-', '_'), value]));
}

test('a member starts closed: nobody writes, nothing replicates, nothing is acknowledged, no event runs', () => {
  const config = read();
  for (const [name, value] of [
    ['super_read_only', 'ON'],
    ['skip_replica_start', 'ON'],
    ['rpl_semi_sync_source_enabled', 'OFF'],
    ['rpl_semi_sync_replica_enabled', 'OFF'],
    ['event_scheduler', 'OFF'],
    ['persisted_globals_load', 'OFF'],
  ] as const) {
    assert.equal(config[name], value, name);
  }
});

test('what the protocol rests on wins against the resource, however it is spelled', () => {
  const config = read({ 'super-read-only': false, 'sync-binlog': 0, relay_log_recovery: true, server_id: 7 });
  assert.equal(config['super_read_only'], 'ON');
  assert.equal(config['sync_binlog'], '1');
  assert.equal(config['relay_log_recovery'], 'OFF');
  assert.equal(config['server_id'], '42');
});

test('the resource wins against the defaults, and a later part of it against an earlier one', () => {
  assert.equal(read()['max_connections'], '500');
  assert.equal(read({ max_connections: 100 }, { 'max-connections': 200 })['max_connections'], '200');
});

test('a default that only some versions know gives way to what the resource says, with or without loose_', () => {
  for (const name of ['innodb_redo_log_capacity', 'loose_innodb_redo_log_capacity']) {
    const text = configFile({ ...member, settings: [{ [name]: '1G' }] });
    const values = [...text.matchAll(/^(?:loose_)?innodb_redo_log_capacity = (.*)$/gm)].map(([, value]) => value);
    assert.equal(values.at(-1), '1G');
  }
});

test('plugins of the resource are loaded beside those that the cluster needs', () => {
  const text = configFile({ ...member, settings: [{ plugin_load_add: 'auth_socket.so' }] });
  const loaded = [...text.matchAll(/^plugin_load_add = (.*)$/gm)].flatMap(([, value = '']) => value.split(';'));
  assert.deepEqual(
    new Set(loaded),
    new Set(['auth_socket.so', 'semisync_source.so', 'semisync_replica.so', 'mysql_clone.so']),
  );
});

test('power loss protection makes receipts durable one by one', () => {
  assert.equal(read()['sync_relay_log'], '10000');
  assert.match(configFile({ ...member, powerLoss: true }), /^sync_relay_log = 1$/m);
});

test('a value cannot bring a line of its own', () => {
  for (const settings of [{ init_connect: 'x\nsuper_read_only=OFF' }, { 'x\ny': 1 }, { 'a b': 1 }]) {
    assert.throws(() => configFile({ ...member, settings: [settings] }), /not a MySQL setting/);
  }
});

test('a directory for temporary files is named only where there is one', () => {
  assert.doesNotMatch(configFile(member), /^tmpdir/m);
  assert.match(configFile({ ...member, tmpDir: '/fast' }), /^tmpdir = \/fast$/m);
});
