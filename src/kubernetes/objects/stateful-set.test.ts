import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { UNOWNED, selectorOf } from './object.ts';
import { statefulSet } from './stateful-set.ts';

const cluster = defaultCluster('mysql');
type Spec = Record<string, unknown> & {
  template: { metadata: { labels: Record<string, string> } };
  volumeClaimTemplates: { spec: Record<string, unknown> }[];
};
const specOf = (spec = cluster.spec, members = spec.replicas): Spec =>
  statefulSet({ ...cluster, spec }, members, UNOWNED)['spec'] as Spec;

test('Kubernetes starts members all at once and restarts none by itself', () => {
  assert.equal(specOf()['podManagementPolicy'], 'Parallel');
  assert.deepEqual(specOf()['updateStrategy'], { type: 'OnDelete' });
});

test('the Pods are those that are told, not those that are wanted: members come and go one by one', () => {
  assert.equal(specOf(cluster.spec, 4)['replicas'], 4);
});

test('its Pods are those that its selector finds', () => {
  assert.deepEqual(specOf()['selector'], { matchLabels: selectorOf(cluster) });
  for (const [label, value] of Object.entries(selectorOf(cluster)))
    assert.equal(specOf().template.metadata.labels[label], value);
});

test('volumes stay unless the resource says otherwise', () => {
  assert.deepEqual(specOf()['persistentVolumeClaimRetentionPolicy'], { whenDeleted: 'Retain', whenScaled: 'Retain' });
  const { storage } = cluster.spec;
  const gone = specOf({ ...cluster.spec, storage: { ...storage, whenDeleted: 'Delete' } });
  assert.deepEqual(gone['persistentVolumeClaimRetentionPolicy'], { whenDeleted: 'Delete', whenScaled: 'Retain' });
});

test("a class that is left out is the cluster's default one", () => {
  assert.equal('storageClassName' in (specOf().volumeClaimTemplates[0]?.spec ?? {}), false);
  const storage = { ...cluster.spec.storage, className: 'local-storage' };
  assert.equal(specOf({ ...cluster.spec, storage }).volumeClaimTemplates[0]?.spec['storageClassName'], 'local-storage');
});
