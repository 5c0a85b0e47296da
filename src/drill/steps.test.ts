import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { JournalEntry } from '../control/port.ts';
import { Steps } from './steps.ts';

const fault = Date.parse('2026-11-24T07:36:35.700Z');

/** The steps of a journal, whose lines are `seconds kind text`. */
function stepsOf(journal: string): { told: string[]; over: boolean } {
  const steps = new Steps(fault);
  const told: string[] = [];
  for (const line of journal.trim().split('\n')) {
    const [, second = '', kind = '', text = ''] = /^ *(\S+) (\S+) +(.*)$/.exec(line) ?? [];
    const entry: JournalEntry = { at: `2026-11-24T07:36:${second}Z`, epoch: 1, term: 1, kind, text };
    for (const { step, atMs, ms, text } of steps.take(entry)) told.push(`${atMs} +${ms} ${step}: ${text}`);
  }
  return { told, over: steps.over };
}

test('a failover is told in its steps, each since the fault and since the step before', () => {
  const { told, over } = stepsOf(`
    34.600 done   open member 0
    34.731 done   write-epoch member 0
    34.779 state  healthy: member 0 is the primary, every replica is in sync
    35.749 state  failing-over: the primary, member 0, is not running: sealing, 0 of 2
    35.749 act    seal member 1: so that the former primary can acknowledge nothing more
    35.753 done   seal member 2
    35.773 done   seal member 1
    35.777 state  failing-over: the primary, member 0, is not running: member 1 applies what it received
    35.786 record failover: the primary, member 0, is not running; member 1 has every write that was acknowledged [epoch 2, primary 1, S {2}, k 1, quorum]
    35.787 state  failing-over: member 1 is being opened
    35.810 done   prepare member 1
    35.829 done   open member 1
    35.831 state  failing-over: member 1 is open, and its first write waits to be acknowledged
    35.861 done   write-epoch member 1
    35.872 state  degraded: member 0 not in sync
    36.000 state  failing-over: another one, later
  `);
  assert.deepEqual(told, [
    '49 +49 detect: the primary, member 0, is not running',
    '73 +24 seal: member 2, member 1',
    '86 +13 apply: member 1 applies what it received',
    '86 +0 choose: member 1, epoch 2',
    '129 +43 promote: member 1 is open',
    '172 +43 endpoint: its first write is acknowledged; the endpoint leads there',
  ]);
  assert.ok(over);
});

test('a switchover is told from the drain on; there is nothing to detect', () => {
  const { told, over } = stepsOf(`
    42.942 request a switchover
    42.958 state  switching: connections drain
    42.986 done   close member 1
    42.988 state  switching: member 0 catches up
    42.993 done   seal member 0
    43.001 record switchover: member 0 has all that member 1 executed [epoch 3, primary 0, S {1,2}, k 1, quorum]
    43.002 state  failing-over: member 0 is being opened
    43.164 done   open member 0
    43.334 done   write-epoch member 0
    43.360 state  degraded: member 1 not in sync
  `);
  assert.deepEqual(
    told.map((line) => line.replace(/:.*/, '').replace(/.* /, '')),
    ['drain', 'close', 'seal', 'apply', 'choose', 'promote', 'endpoint'],
  );
  assert.ok(over);
});

test('a primary that is back before another was chosen has no seal and no choice', () => {
  const { told, over } = stepsOf(`
    35.749 state  failing-over: the primary, member 0, is not running
    36.829 done   open member 0
    36.861 done   write-epoch member 0
    36.872 state  degraded: member 1 not in sync
  `);
  assert.deepEqual(
    told.map((line) => line.replace(/:.*/, '').replace(/.* /, '')),
    ['detect', 'promote', 'endpoint'],
  );
  assert.ok(over);
});

test('what the journal told before the fault is no step of it', () => {
  const { told, over } = stepsOf(`
    30.000 state  failing-over: an earlier one
    30.100 done   open member 0
  `);
  assert.deepEqual(told, []);
  assert.ok(!over);
});
