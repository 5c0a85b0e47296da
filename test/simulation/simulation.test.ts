/** Histories of simulated clusters: a fixed corpus, and fresh ones whose seeds are printed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { runHistory } from './history.ts';

const CORPUS = 120;
/** Fresh ones: as many as go into this time, on a machine that has other things to do as well. */
const FRESH_MS = 5000;
const MOST_FRESH = 400;

async function holds(seed: number): Promise<void> {
  const { failure } = await runHistory({ seed });
  assert.equal(failure, null, `npm run simulate -- --seed ${seed} --verbose`);
}

test('no history of the corpus loses an acknowledged write, and each ends healthy', async () => {
  for (let seed = 1; seed <= CORPUS; seed++) await holds(seed);
});

test('nor do fresh ones', async (t) => {
  const first = Date.now() % 1_000_000_000;
  const until = performance.now() + FRESH_MS;
  let seed = first;
  try {
    while (performance.now() < until && seed < first + MOST_FRESH) await holds(seed++);
  } finally {
    t.diagnostic(`seeds ${first} to ${seed - 1}`);
  }
});

test('one seed gives one history, to the byte', async () => {
  const timeline = async (seed: number): Promise<string> => {
    const lines: string[] = [];
    await runHistory({ seed, onTrace: (line) => lines.push(line) });
    return lines.join('\n');
  };
  for (const seed of [7, 8]) {
    const once = await timeline(seed);
    await runHistory({ seed: 1 });
    assert.equal(await timeline(seed), once);
  }
});
