/** That each rule can still be switched off: what notices it is tried by `npm run simulate -- --mutations`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { MUTATIONS, mutated } from './mutations.ts';
import { SCENARIOS } from './scenarios.ts';

const root = new URL('../../', import.meta.url);

test('every mutation finds the text that it changes, once', () => {
  for (const mutation of MUTATIONS) {
    for (const file of new Set(mutation.edits.map((edit) => edit.file))) {
      mutated(mutation, file, readFileSync(new URL(file, root), 'utf8'));
    }
  }
});

test('every scenario’s rule is a mutation, and no two share a name', () => {
  const names = MUTATIONS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { mutation } of SCENARIOS) assert.ok(mutation === null || names.includes(mutation), mutation ?? '');
});
