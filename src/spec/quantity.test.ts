import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantityBytes } from './quantity.ts';

test('a size is read as Kubernetes reads it', () => {
  assert.equal(quantityBytes('10Gi'), 10_737_418_240);
  assert.equal(quantityBytes('1.5G'), 1_500_000_000);
  assert.equal(quantityBytes('500'), 500);
  assert.equal(quantityBytes('2k'), 2000);
});

test('what is no size is none', () => {
  for (const text of ['', 'Gi', '10GB', '-1Gi', '1 Gi', '1gi', 'Infinity', '1.Gi'])
    assert.equal(quantityBytes(text), undefined);
});
