import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { UNOWNED, selectorOf } from './object.ts';
import { podDisruptionBudget } from './pod-disruption-budget.ts';

test('drains take members one by one, and a single one too', () => {
  const { spec } = podDisruptionBudget(defaultCluster('mysql'), UNOWNED) as unknown as {
    spec: Record<string, unknown>;
  };
  assert.equal(spec['maxUnavailable'], 1);
  assert.deepEqual(spec['selector'], { matchLabels: selectorOf(defaultCluster('mysql')) });
});
