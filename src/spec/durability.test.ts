import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durabilityFor, type DurabilityMode } from './durability.ts';
import { defaultCluster, validateCluster } from './parse.ts';

const wanted = (replicas: number, mode?: DurabilityMode) =>
  durabilityFor(validateCluster({ ...defaultCluster('db'), spec: { replicas, durability: { mode } } }));

test('left out, durability is quorum from three members and adaptive below', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5].map((replicas) => wanted(replicas).mode),
    ['adaptive', 'adaptive', 'quorum', 'quorum', 'quorum'],
  );
});

test('a commit waits for half of the members, rounded down', () => {
  const required = (mode: DurabilityMode) => [2, 3, 4, 5, 6, 7, 15].map((replicas) => wanted(replicas, mode).required);
  assert.deepEqual(required('quorum'), [1, 1, 2, 2, 3, 3, 7]);
  assert.deepEqual(required('adaptive'), [1, 1, 2, 2, 3, 3, 7]);
  assert.deepEqual(wanted(1), { mode: 'adaptive', required: 0 });
});

test('asynchronous waits for nobody', () => {
  assert.deepEqual(wanted(5, 'asynchronous'), { mode: 'asynchronous', required: 0 });
});
