/** That each rule can still be switched off: what notices it is tried by `npm run simulate -- --mutations`. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { printTable, readTable } from './mutation-table.ts';
import { MUTATIONS, mutated, type Mutation } from './mutations.ts';
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

/** Of so many rules at least, random histories have to notice that they are off. */
const NOTICED = 68;

test('the table says of nearly all rules that random histories fail without them, and names those that are left', (t) => {
  const rows = readTable(readFileSync(new URL('mutations.md', import.meta.url), 'utf8'));
  const rules = new Map(MUTATIONS.map(({ name, rule }) => [name, rule]));
  for (const { name, rule, failed, tried } of rows) {
    assert.equal(rules.get(name), rule, 'npm run simulate -- --mutations --missing');
    assert.ok(failed > 0, `${name}: ${failed} of ${tried}`);
    rules.delete(name);
  }
  t.diagnostic(`not in the table yet: ${[...rules.keys()].join(', ') || 'none'}`);
  assert.ok(rows.length >= NOTICED);
});

test('what is written into the table is read from it again', () => {
  const [first, second] = MUTATIONS;
  assert.ok(first && second);
  const row = { failed: 3, tried: 100, says: 'invariant 2', scenarios: ['one', 'another'] };
  const rows = [
    { ...row, ...pick(second) },
    { ...row, ...pick(first), rule: '|S| - k + 1', scenarios: [] },
  ];
  assert.deepEqual(readTable(printTable(rows)), rows.toReversed());
});

function pick({ name, rule }: Mutation): Pick<Mutation, 'name' | 'rule'> {
  return { name, rule };
}
