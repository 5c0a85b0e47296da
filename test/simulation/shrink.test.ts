import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Fault, Planned } from './faults.ts';
import type { HistoryOptions, Outcome } from './history.ts';
import { shrink } from './shrink.ts';

const KILL: Fault = { kind: 'kill', target: 'primary' };
const LOSE: Fault = { kind: 'lose-disk', target: 'replica' };

function others(count: number): Fault[] {
  return Array.from({ length: count }, () => ({ kind: 'relief' }));
}

function planned(...faults: Fault[]): Planned[] {
  return faults.map((fault, i) => ({ atMs: 1000 * i, fault }));
}

/** Fails where a replica's disk is lost some time after the primary was killed. */
function toy(onRun: () => void): (options: HistoryOptions) => Promise<Outcome> {
  return ({ seed, faults = [], stormMs = 240_000 }) => {
    onRun();
    const kill = faults.findIndex(({ fault }) => fault === KILL);
    const fails = kill >= 0 && faults.slice(kill).some(({ fault }) => fault === LOSE);
    const failure = fails ? `at ${stormMs} s: member ${faults.length} lost a row` : null;
    const rest = { setup: '', acknowledged: 0, virtualMs: stormMs, events: 0, epochs: 0, settledMs: null };
    return Promise.resolve({ seed, failure, faults, stormMs, ...rest });
  };
}

test('what is left of a failing history are the faults that it needs', async () => {
  let runs = 0;
  const run = toy(() => runs++);
  const many = planned(...others(37), KILL, ...others(20), LOSE, ...others(1), LOSE);
  const sizes: number[] = [];
  const whole = await run({ seed: 1, faults: many });
  const least = await shrink(whole, { tries: 400, run, onLess: (faults) => sizes.push(faults.length) });
  assert.deepEqual(
    least.faults.map(({ fault }) => fault),
    [KILL, LOSE],
  );
  assert.ok(least.stormMs < 100_000, 'and it ends soon after them');
  assert.equal(sizes.at(-1), 2);
  assert.ok(runs < 100, `${runs} histories`);
});

test('no more histories are tried than it is told', async () => {
  let runs = 0;
  const run = toy(() => runs++);
  const whole = await run({ seed: 1, faults: planned(KILL, ...others(50), LOSE) });
  runs = 0;
  await shrink(whole, { tries: 7, run });
  assert.equal(runs, 7);
});

test('a seed that fails without a rule is shrunk to a few faults, and printed as a timeline', async () => {
  const script = fileURLToPath(new URL('../../scripts/simulate.ts', import.meta.url));
  for (let seed = 1; seed <= 20; seed++) {
    const args = [script, '--mutation', 'one-fewer-sealed', '--seed', String(seed), '--shrink'];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    if (stdout.includes('does not fail')) continue;
    const counts = [...stdout.matchAll(/^(\d+) faults$/gm)].map(([, count]) => Number(count));
    const [whole = 0, least = 0] = [counts[0], counts.at(-1)];
    assert.ok(least < whole / 5, `${least} of ${whole} faults are left`);
    assert.equal(stdout.match(/ {2}FAULT \{/g)?.length, least);
    assert.match(stdout, /^ +[\d.]+ {2}FAILURE: /m);
    return;
  }
  assert.fail('no seed fails');
});
