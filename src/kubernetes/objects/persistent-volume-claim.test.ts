import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { claimSize } from './persistent-volume-claim.ts';

test('of a claim only its size is ours', () => {
  const claim = claimSize(defaultCluster('mysql'), 1);
  assert.equal(claim.metadata.name, 'data-mysql-1');
  assert.deepEqual(claim['spec'], { resources: { requests: { storage: '10Gi' } } });
});
