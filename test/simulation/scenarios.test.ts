/** Every history of the book of counterexamples, forced. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { scenarioTable } from './scenario-table.ts';
import { SCENARIOS } from './scenarios.ts';

for (const { name, history, play } of SCENARIOS) test(`${name}: ${history}`, play);

test('the page that tells of them is up to date: npm run simulate -- --scenarios', () => {
  assert.equal(readFileSync(new URL('counterexamples.md', import.meta.url), 'utf8'), scenarioTable());
});
