import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearest } from './nearest.ts';

const NAMES = ['replicas', 'durability', 'mysql', 'storage', 'lag'];

test('a slip of the finger finds the name that was meant', () => {
  for (const word of ['replcas', 'repilcas', 'Replicas', 'replica', 'replicass'])
    assert.equal(nearest(word, NAMES), 'replicas');
  assert.equal(nearest('sql', NAMES), undefined);
  assert.equal(nearest('storge', NAMES), 'storage');
});

test('a word like none of them finds none', () => {
  for (const word of ['', 'x', 'frobnicate', 'log5', 'a'.repeat(10_000)]) assert.equal(nearest(word, NAMES), undefined);
});
