/** Histories of simulated clusters: a fixed corpus, and fresh ones whose seeds are printed. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { runHistory } from './history.ts';

const CORPUS = 15;
const FRESH = 15;

async function holds(seeds: readonly number[]): Promise<void> {
  for (const seed of seeds) {
    const { failure } = await runHistory({ seed });
    assert.equal(failure, null, `npm run simulate -- --seed ${seed} --verbose`);
  }
}

function from(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

test('no history of the corpus loses an acknowledged write, and each ends healthy', () => holds(from(1, CORPUS)));

test('nor do fresh ones', async (t) => {
  const first = Date.now() % 1_000_000_000;
  t.diagnostic(`seeds ${first} to ${first + FRESH - 1}`);
  await holds(from(first, FRESH));
});

test('one seed gives one history, to the byte', async () => {
  const timeline = async (): Promise<string> => {
    const lines: string[] = [];
    await runHistory({ seed: 7, onTrace: (line) => lines.push(line) });
    return lines.join('\n');
  };
  assert.equal(await timeline(), await timeline());
});
