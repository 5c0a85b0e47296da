import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RESTART_ANNOTATION, SWITCHOVER_ANNOTATION, moot, restartAsked, switchoverAsked } from './requests.ts';

const asked = { id: 'a', epoch: 4, to: null, untilMs: 1000 };
const now = { epoch: 4, primary: 0, nowMs: 500 };

test('a request is read as it was written; anything else is none', () => {
  assert.deepEqual(switchoverAsked({ [SWITCHOVER_ANNOTATION]: JSON.stringify(asked) }), asked);
  assert.equal(switchoverAsked(undefined), null);
  for (const text of ['', 'yes', '{}', '[]', JSON.stringify({ ...asked, to: -1 })]) {
    assert.equal(switchoverAsked({ [SWITCHOVER_ANNOTATION]: text }), null);
  }
  assert.deepEqual(restartAsked({ [RESTART_ANNOTATION]: '{"mysql-1":"u1"}' }), { 'mysql-1': 'u1' });
  assert.deepEqual(restartAsked({ [RESTART_ANNOTATION]: 'all' }), {});
});

test('a switchover is carried out in the epoch that it was asked for in, and in no other', () => {
  assert.equal(moot(asked, now), null);
  assert.equal(moot(asked, { ...now, epoch: 5, primary: 2 })?.done, true);
  assert.equal(moot({ ...asked, to: 2 }, { ...now, epoch: 5, primary: 2 })?.done, true);
  assert.equal(moot({ ...asked, to: 1 }, { ...now, epoch: 5, primary: 2 })?.done, false);
});

test('a switchover that nobody waits for any more is not carried out', () => {
  assert.equal(moot(asked, { ...now, nowMs: 1001 })?.done, false);
});
