import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import type { MySQLCluster } from '../../spec/resource.ts';
import type { VariableValue } from '../../spec/variables.ts';
import { IN_POD, configMap, initialConfig, memberConfig, staticSettings } from './config-map.ts';
import { UNOWNED } from './object.ts';

function withConfig(config: Record<string, VariableValue>): MySQLCluster {
  const cluster = defaultCluster('mysql');
  return { ...cluster, spec: { ...cluster.spec, mysql: { ...cluster.spec.mysql, config } } };
}

const valueOf = (text: string, name: string): string | undefined => new RegExp(`^${name} = (.*)$`, 'm').exec(text)?.[1];

test('my.cnf is the same for all members: what is their own is said when mysqld is started', () => {
  const text = memberConfig(defaultCluster('mysql'), IN_POD);
  for (const own of ['server_id', 'report_host', 'admin_address']) assert.equal(valueOf(text, own), undefined, own);
  assert.equal(valueOf(text, 'super_read_only'), 'ON');
  assert.equal(valueOf(text, 'datadir'), '/var/lib/mysql/data');
});

test("a user's settings win over defaults, and never over what the protocol rests on", () => {
  const text = memberConfig(withConfig({ secure_file_priv: '/tmp', max_connections: 9 }), IN_POD);
  assert.equal(valueOf(text, 'secure_file_priv'), '/tmp');
  assert.equal(valueOf(text, 'max_connections'), '9');
  assert.equal(valueOf(text, 'relay_log_recovery'), 'OFF');
});

test('what counts only when data is made, is made with', () => {
  const text = initialConfig(withConfig({ lower_case_table_names: 1, max_connections: 9 }));
  assert.equal(valueOf(text, 'lower_case_table_names'), '1');
  assert.equal(valueOf(text, 'max_connections'), undefined);
});

test('a setting that mysqld takes while it runs is no reason for a restart', () => {
  assert.deepEqual(staticSettings(withConfig({ max_connections: 9, back_log: 70 })), { back_log: 70 });
});

test('the script that runs in members comes with it', () => {
  const { data } = configMap(defaultCluster('mysql'), UNOWNED) as unknown as { data: Record<string, string> };
  assert.match(data['member.sh'] ?? '', /^#!\/usr\/bin\/env bash\n/);
});
