/** Two short runs on real servers: one that is always tried, and one that never was. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChaos } from './chaos.ts';

const MINUTES = 0.3;

for (const [what, seed] of [
  ['a seed that is always tried', 7],
  ['a fresh seed', Math.floor(Math.random() * 1e9)],
] as const) {
  test(`whatever happens for a while, nothing acknowledged is lost, and nothing goes back: ${what}`, async (t) => {
    t.diagnostic(`again: node scripts/chaos.ts --minutes ${MINUTES} --members 3 --seed ${seed}`);
    const { signal } = new AbortController();
    const outcome = await runChaos({ seed, minutes: MINUTES, members: 3, signal, tell: () => {} });
    const { violations, timeline, table, happened, acknowledged } = outcome;
    assert.deepEqual(violations, [], timeline.slice(-300).join('\n'));
    assert.ok(happened > 0 && acknowledged > 100);
    t.diagnostic(`${acknowledged} writes\n${table}`);
  });
}
