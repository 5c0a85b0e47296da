import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_MEMORY } from './decision.ts';
import { Plan } from './plan.ts';
import { restartOne } from './restart.ts';
import { acker, acts, decideLast, pid, primary, replica, silent, uuid, view } from './view-fixture.ts';

const all = [0, 1, 2].map((ordinal) => ({ ordinal, process: pid(ordinal) }));

function restarts(...of: Parameters<typeof view>): string[] {
  const one = view(...of);
  // The first look in a minute purges binlogs.
  return acts(decideLast([one, { ...one, nowMs: one.nowMs + 100 }])).filter((each) => each.startsWith('restart'));
}

describe('members that are to restart', () => {
  it('do so one by one, replicas first', () => {
    assert.deepEqual(restarts([], { restarts: all }), ['restart 1']);
    assert.deepEqual(restarts([], { restarts: all.filter(({ ordinal }) => ordinal !== 1) }), ['restart 2']);
  });

  it('wait for a cluster that is healthy', () => {
    assert.deepEqual(restarts([silent(2)], { restarts: all }), []);
    assert.deepEqual(restarts([replica(2, '0:1-100', { lagSeconds: 11 })], { restarts: all }), []);
  });

  it('are the processes that were meant: one that was replaced meanwhile is done', () => {
    assert.deepEqual(restarts([], { restarts: [{ ordinal: 1, process: pid(1, 2) }] }), []);
  });

  it('never are the primary, which is switched over first', () => {
    assert.deepEqual(restarts([], { restarts: [{ ordinal: 0, process: pid(0) }] }), []);
  });

  it('are the primary only where there is nobody else', () => {
    const alone = {
      restarts: [{ ordinal: 0, process: pid(0) }],
      wanted: { replicas: 1, required: 0, mode: 'asynchronous' },
      record: { ackers: [], required: 0, mode: 'asynchronous' },
    } as const;
    const one = primary(0, { source: { enabled: false, active: false, unlocked: [], connected: [] } });
    const single = { ...view([one], alone), members: [one] };
    assert.deepEqual(
      acts(decideLast([single, { ...single, nowMs: single.nowMs + 100 }])).filter((each) => each.startsWith('restart')),
      ['restart 0'],
    );
  });

  it('are not the primary while it waits for one that is about to take over: SIGTERM would say OK without that one', () => {
    const one = primary(2);
    const leaving = {
      restarts: [{ ordinal: 2, process: pid(2) }],
      wanted: { replicas: 1, required: 0, mode: 'adaptive' },
      record: { primary: { ordinal: 2, serverUuid: uuid(2) }, ackers: [acker(0)], required: 1, mode: 'adaptive' },
    } as const;
    const plan = new Plan(view([one], leaving), NO_MEMORY);
    const [answering] = plan.answering().filter(({ member }) => member.ordinal === 2);
    assert.ok(answering);
    restartOne(plan, answering);
    assert.deepEqual(acts(plan.decision()), []);
  });

  it('do not if writes would wait for it', () => {
    const two = { restarts: all, record: { ackers: [acker(1), acker(2)], required: 2 }, wanted: { required: 2 } };
    assert.deepEqual(restarts([primary(0, { source: { required: 2 } })], two), []);
  });
});
