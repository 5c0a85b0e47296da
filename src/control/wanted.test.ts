import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../spec/parse.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { wantedBy } from './wanted.ts';

const cluster = defaultCluster('any');

function withSpec(spec: Partial<MySQLCluster['spec']>): MySQLCluster {
  return { ...cluster, spec: { ...cluster.spec, ...spec } };
}

test('a receipt is on the disk before it is acknowledged, with powerLoss, in every role: a primary may have to follow at once', () => {
  for (const powerLoss of [true, false]) {
    const { settings } = wantedBy(withSpec({ durability: { ...cluster.spec.durability, powerLoss } }), '9.7.0');
    for (const role of [settings.primary, settings.replica])
      assert.equal(role.settings['sync_relay_log'], powerLoss ? 1 : 10_000);
  }
});

test('what the resource says for a role wins against what it says for all', () => {
  const mysql = {
    ...cluster.spec.mysql,
    config: { max_connections: 100, sort_buffer_size: '1M' },
    primaryConfig: { max_connections: 300 },
    replicaConfig: { sort_buffer_size: '2M' },
  };
  const { primary, replica } = wantedBy(withSpec({ mysql }), '9.7.0').settings;
  assert.deepEqual([primary.settings['max_connections'], primary.settings['sort_buffer_size']], [300, '1M']);
  assert.deepEqual([replica.settings['max_connections'], replica.settings['sort_buffer_size']], [100, '2M']);
  assert.notEqual(primary.key, replica.key);
});

test('more than two acknowledgements are asked for only of a MySQL that counts them right', () => {
  const seven = withSpec({ replicas: 7, durability: { ...cluster.spec.durability, mode: 'quorum' } });
  assert.deepEqual([wantedBy(seven, '9.7.0').required, wantedBy(seven, '8.4.6').required], [3, 2]);
});
