import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { endpointSlice } from './endpoint-slice.ts';
import { UNOWNED } from './object.ts';

const cluster = defaultCluster('mysql');
const member = (ordinal: number, ip: string) => ({ ordinal, ip, podUid: `uid-${ordinal}`, node: `node${ordinal}` });
type Endpoints = { addresses: string[] }[];

test('a Service leads to exactly the members that are named, in one object', () => {
  const slice = endpointSlice(cluster, 'read', [member(2, '10.0.0.2'), member(1, '10.0.0.1')], 'IPv4', UNOWNED);
  assert.deepEqual(
    (slice['endpoints'] as Endpoints).flatMap(({ addresses }) => addresses),
    ['10.0.0.1', '10.0.0.2'],
  );
  assert.equal(slice.metadata.labels?.['kubernetes.io/service-name'], 'mysql-read');
});

test("the EndpointSlice controller takes it for somebody else's", () => {
  const slice = endpointSlice(cluster, 'primary', [], 'IPv4', UNOWNED);
  assert.notEqual(slice.metadata.labels?.['endpointslice.kubernetes.io/managed-by'], 'endpointslice-controller.k8s.io');
  assert.deepEqual(slice['endpoints'], []);
});

test('addresses of another family have a slice of their own', () => {
  const targets = [member(0, '10.0.0.1'), member(1, 'fd00::1')];
  const four = endpointSlice(cluster, 'primary', targets, 'IPv4', UNOWNED);
  const six = endpointSlice(cluster, 'primary', targets, 'IPv6', UNOWNED);
  assert.deepEqual(
    (four['endpoints'] as Endpoints).map(({ addresses }) => addresses),
    [['10.0.0.1']],
  );
  assert.deepEqual(
    (six['endpoints'] as Endpoints).map(({ addresses }) => addresses),
    [['fd00::1']],
  );
  assert.notEqual(four.metadata.name, six.metadata.name);
});
