import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCluster } from './parse.ts';
import { ResourceError } from './problem.ts';
import { isStatic, whyOwned } from './variables.ts';

const withConfig = (config: Record<string, unknown>, map = 'config'): string =>
  JSON.stringify({ apiVersion: 'baton.dev/v1alpha1', kind: 'MySQLCluster', spec: { mysql: { [map]: config } } });

const configOf = (config: Record<string, unknown>): unknown =>
  parseCluster(withConfig(config)).cluster.spec.mysql.config;

function refusalOf(config: Record<string, unknown>, map?: string): string {
  try {
    parseCluster(withConfig(config, map));
  } catch (error) {
    assert(error instanceof ResourceError);
    assert.equal(error.code, 'REFUSED_VARIABLE');
    assert.equal(error.problems.length, 1);
    return error.message.replace(/^[^ ]+ /, '');
  }
  assert.fail(`accepted: ${JSON.stringify(config)}`);
}

describe('variables of MySQL that are the user’s', () => {
  test('names come out with underscores, values as they are', () => {
    assert.deepEqual(
      configOf({
        'skip-name-resolve': true,
        Max_Connections: 500,
        innodb_buffer_pool_size: '1G',
        'loose-x_y': 1.5,
        'validate_password.policy': 'LOW',
      }),
      {
        skip_name_resolve: true,
        max_connections: 500,
        innodb_buffer_pool_size: '1G',
        loose_x_y: 1.5,
        'validate_password.policy': 'LOW',
      },
    );
  });
  for (const name of [
    'max_connections',
    'tmpdir',
    'secure_file_priv',
    'lower_case_table_names',
    'replica_parallel_workers',
    'max_binlog_size',
    'binlog_row_image',
    'event_scheduler',
    'clone_max_concurrency',
    'performance_schema_max_table_instances',
    'plugin_load_add',
    'time_zone',
    'sql_mode',
  ]) {
    test(`${name} may be set`, () => assert.equal(whyOwned(name), undefined));
  }
  test('what a role brings with it can be changed while mysqld runs', () => {
    const map = 'replicaConfig';
    assert.equal(
      parseCluster(withConfig({ event_scheduler: 'OFF' }, map)).cluster.spec.mysql.replicaConfig['event_scheduler'],
      'OFF',
    );
    assert.match(
      refusalOf({ 'skip-name-resolve': true }, map),
      /^spec.mysql.replicaConfig.skip-name-resolve: mysqld reads this only when it starts, but roles change while it runs; move it to spec.mysql.config$/,
    );
    assert.match(refusalOf({ 'innodb-buffer-pool-instances': 2 }, 'primaryConfig'), /move it to spec.mysql.config/);
    assert.equal(isStatic('max_connections'), false);
  });
});

describe('variables that Baton sets itself', () => {
  for (const [name, why] of [
    ['gtid_mode', /GTID/],
    ['GTID-Mode', /GTID/],
    ['loose_gtid_mode', /GTID/],
    ['disable-gtid-mode', /GTID/],
    ['skip_log_bin', /binary log/],
    ['log-bin', /binary log/],
    ['skip_loose_log_bin', /binary log/],
    ['log_slave_updates', /binary log/],
    ['super-read-only', /keeps every other member closed/],
    ['server-id', /told apart/],
    ['rpl_semi_sync_master_timeout', /spec.durability/],
    ['rpl_semi_sync_source_enabled', /spec.durability/],
    ['sync_binlog', /on disk/],
    ['relay_log_recovery', /after a restart/],
    ['sync_relay_log', /powerLoss/],
    ['skip_slave_start', /starts closed/],
    ['skip_replica_start', /starts closed/],
    ['slave_net_timeout', /spec.detection/],
    ['replicate-ignore-db', /filtered replica lacks rows/],
    ['replicate_wild_do_table', /filtered replica lacks rows/],
    ['slave_skip_errors', /members differ/],
    ['init_file', /members differ/],
    ['port', /spec.endpoints/],
    ['skip_networking', /spec.endpoints/],
    ['datadir', /spec.storage/],
    ['skip_grant_tables', /log in/],
    ['group_replication_group_name', /plugins/],
    ['innodb_force_recovery', /gives up rows/],
  ] as const) {
    test(`${name} is refused with why`, () => {
      const line = refusalOf({ [name]: 1 });
      assert.match(line, why);
      assert.match(line, /^spec\.mysql\.config\.[\w-]+: Baton sets this itself: .*; remove it$/);
    });
  }
});

describe('what could not be a line of an option file', () => {
  test('a value of several lines, which would smuggle in another option', () => {
    for (const value of ['1\ngtid_mode=OFF', '1\r', '\0', 'a\u001bb'])
      assert.match(refusalOf({ sql_mode: value }), /one line of text/);
  });
  test('a name that is none', () => {
    for (const name of ['', '1x', '-x', 'a b', 'a=b', '[mysqld]', 'a.b.c', 'x'.repeat(200), 'a\nb']) {
      assert.match(refusalOf({ [name]: 1 }), /not the name of a MySQL variable/);
    }
  });
  test('a number that YAML cannot hold exactly', () => {
    const text = withConfig({ max_join_size: 0 }).replace(':0', ':18446744073709551615');
    assert.throws(() => parseCluster(text), { code: 'REFUSED_VARIABLE', hint: 'write it in quotes' });
    assert.deepEqual(configOf({ max_join_size: '18446744073709551615' }), { max_join_size: '18446744073709551615' });
  });
  test('two spellings of one variable', () => {
    assert.match(
      refusalOf({ 'max-connections': 1, max_connections: 2 }),
      /the same variable as "max-connections"; keep one of them/,
    );
    assert.match(refusalOf({ loose_x: 1, x: 2 }), /the same variable as "loose_x"/);
  });
});
