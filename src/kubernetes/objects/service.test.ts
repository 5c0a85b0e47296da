import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { UNOWNED } from './object.ts';
import { endpointService, headlessService } from './service.ts';

const cluster = defaultCluster('mysql');
const specOf = (object: { readonly [field: string]: unknown }) => object['spec'] as Record<string, unknown>;

test('every member has its name, mysql-0.mysql, also while it is not ready', () => {
  const service = headlessService(cluster, UNOWNED);
  assert.equal(service.metadata.name, 'mysql');
  assert.equal(specOf(service)['clusterIP'], 'None');
  assert.equal(specOf(service)['publishNotReadyAddresses'], true);
});

test('mysql-primary and mysql-read select no Pods: nobody but Baton says where they lead', () => {
  for (const role of ['primary', 'read'] as const) {
    const service = endpointService(cluster, role, UNOWNED);
    assert.equal(service.metadata.name, `mysql-${role}`);
    assert.equal('selector' in specOf(service), false);
  }
});
