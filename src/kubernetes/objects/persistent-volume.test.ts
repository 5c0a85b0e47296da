import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { localVolume, onLocalStorage, parseLocalVolume } from './persistent-volume.ts';

test('a local volume is a node and a directory of it', () => {
  assert.deepEqual(parseLocalVolume('node1:/data/mysql'), { node: 'node1', path: '/data/mysql' });
  assert.deepEqual(parseLocalVolume('n.example.com:/d'), { node: 'n.example.com', path: '/d' });
  for (const wrong of ['', 'node1', 'node1:data', ':/data', '/data', 'Node 1:/data']) {
    assert.equal(parseLocalVolume(wrong), null, wrong);
  }
});

test('claims ask for the class that the volumes are of', () => {
  assert.equal(onLocalStorage(defaultCluster('mysql')).spec.storage.className, 'local-storage');
});

test('what is in a directory of a node is never deleted by Kubernetes', () => {
  const { spec } = localVolume(defaultCluster('mysql'), 0, { node: 'node1', path: '/d' }) as unknown as {
    spec: Record<string, unknown>;
  };
  assert.equal(spec['persistentVolumeReclaimPolicy'], 'Retain');
});
