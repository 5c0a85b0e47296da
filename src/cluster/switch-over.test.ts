import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import { NO_MEMORY, type Decision, type Memory, type Switching } from './decision.ts';
import type { MemberView, View } from './view.ts';
import {
  acker,
  act,
  acts,
  answering,
  decideLast,
  EPOCH,
  gone,
  LATER_MS,
  lasting,
  nextAckers,
  pid,
  prepared,
  primary,
  remember,
  replica,
  rows,
  sealed,
  silent,
  uuid,
  view,
  type ServerOver,
  type ViewOver,
} from './view-fixture.ts';

const asked = { id: 1, to: 1 };
const ask = (members: readonly MemberView[] = [], over: ViewOver = {}): View =>
  view(members, { switchover: asked, ...over });
const during = (phase: Switching['phase'], over: Partial<Switching> = {}): Memory =>
  remember({ switchover: { id: 1, to: 1, epoch: EPOCH, phase, sinceMs: LATER_MS, reason: 'asked for', ...over } });
/** The old primary, closed as a switchover leaves it. */
const closed = (over: ServerOver = {}, host: Partial<MemberView> = {}): MemberView => prepared(0, over, host);

function refusal(one: View): string {
  const { memory } = decide(one);
  assert.equal(memory.switchover, null);
  assert.equal(memory.outcome?.done, false);
  return memory.outcome.reason;
}

describe('a switchover is refused, with the reason,', () => {
  const not: [string, MemberView, RegExp][] = [
    ['does not answer', silent(1), /does not answer/],
    ['is not attached to this primary', sealed(1), /not attached/],
    ['lags too far', replica(1, '0:1-100', { lagSeconds: 11 }), /11\.0 s behind/],
    ['has rows that the primary lacks', replica(1, '0:1-100,1:1'), /lacks/],
    ['cannot apply', replica(1, '0:1-100', { replica: { applierError: '1062' } }), /can't apply/],
    ['does not apply', replica(1, '0:1-100', { replica: { applier: 'off' } }), /does not apply/],
  ];
  for (const [what, target, reason] of not) {
    it(`if the target ${what}`, () => assert.match(refusal(ask([target])), reason));
  }

  it('if the target has something under way that does not end', () => {
    const one = ask([replica(1, '0:1-100', {}, { busy: 'configure' })]);
    const { outcome } = decideLast(lasting(one, 3000)).memory;
    assert.equal(outcome?.done, false);
    assert.match(outcome.reason, /busy/);
  });

  it('if the lag of the target stays unknown', () => {
    const one = ask([replica(1, '0:1-100', { lagSeconds: null })]);
    const { outcome } = decideLast(lasting(one, 3000)).memory;
    assert.equal(outcome?.done, false);
    assert.match(outcome.reason, /unknown lag/);
  });

  it('if the target is the primary, does not exist, or is not in S', () => {
    assert.match(refusal(ask([], { switchover: { id: 1, to: 0 } })), /primary already/);
    assert.match(refusal(ask([], { switchover: { id: 1, to: 7 } })), /no member 7/);
    assert.match(
      refusal(ask([replica(1, '0:1-100', { serverUuid: uuid(1, 1) })], { record: { ackers: [acker(2)] } })),
      /not admitted/,
    );
  });

  it('if nobody is able, when the choice is left to the brain', () => {
    assert.match(refusal(ask([silent(1), sealed(2)], { switchover: { id: 1, to: null } })), /no replica is attached/);
  });

  it('and is not tried again by itself', () => {
    const first = decide(ask([silent(1)]));
    assert.equal(decide(ask(), first.memory).memory.switchover, null);
  });
});

describe('a switchover', () => {
  it('waits a moment for what is under way on its target', () => {
    const busy = ask([replica(1, '0:1-100', {}, { busy: 'configure' })]);
    const first = decide(busy);
    assert.deepEqual([first.memory.switchover, first.memory.outcome], [null, null]);
    const next = decide({ ...ask(), nowMs: LATER_MS + 100 }, first.memory);
    assert.equal(next.memory.switchover?.to, 1);
  });

  it('waits a moment for what is under way on an acker, which has to turn to the new primary', () => {
    const first = decide(ask([replica(2, '0:1-100', {}, { busy: 'disarm' })]));
    assert.deepEqual([first.memory.switchover, first.memory.outcome], [null, null]);
    assert.equal(decide({ ...ask(), nowMs: LATER_MS + 100 }, first.memory).memory.switchover?.to, 1);
  });

  it('does not wait for an acker whose act does not end', () => {
    const one = ask([replica(2, '0:1-100', {}, { busy: 'disarm' })]);
    assert.equal(decideLast(lasting(one, 3000)).memory.switchover?.to, 1);
  });

  it('does not begin where S with the old primary in place of the target would be smaller than k', () => {
    const short = { record: { ackers: [acker(1)], required: 2 }, wanted: { required: 2 } };
    const { memory } = decide(
      ask([primary(0, { source: { required: 2, unlocked: [1], connected: [1] } }), silent(2)], short),
    );
    assert.deepEqual([memory.switchover, memory.outcome?.done], [null, false]);
  });

  it('chooses the one with the least lag if nobody is named', () => {
    const decision = decide(ask([replica(1, '0:1-100', { lagSeconds: 3 })], { switchover: { id: 1, to: null } }));
    assert.equal(decision.memory.switchover?.to, 2);
  });

  it('waits for long transactions, while everybody else goes on, for the grace', () => {
    const long = primary(0, { oldestTransactionSeconds: 60 });
    const first = decide(ask([long]));
    assert.deepEqual([first.memory.switchover?.phase, first.primary.hold], ['waiting', false]);
    const next = decide({ ...ask([long]), nowMs: LATER_MS + 500 }, first.memory);
    assert.ok(next.againMs > 100, 'who asks MySQL more often than every 0.1 s never hears that it is over');
    const over = decide({ ...ask([primary(0)]), nowMs: LATER_MS + 1000 }, first.memory);
    assert.equal(over.memory.switchover?.phase, 'draining', 'and no longer than it takes');
    const later = decide({ ...ask([long]), nowMs: LATER_MS + 5000 }, first.memory);
    assert.deepEqual([later.memory.switchover?.phase, later.primary.hold], ['draining', true]);
  });

  it('so until the target has nearly caught up, however small the lag that is allowed', () => {
    const behind = (lagSeconds: number): View => ask([replica(1, '0:1-90', { lagSeconds })]);
    const first = decide(behind(0.6));
    assert.deepEqual([first.memory.switchover?.phase, first.primary.hold], ['waiting', false]);
    assert.equal(first.reason, 'member 1 is 0.6 s behind');
    assert.equal(decide({ ...behind(0.5), nowMs: LATER_MS + 100 }, first.memory).memory.switchover?.phase, 'draining');
    assert.equal(decide(behind(10.1), first.memory).memory.switchover?.phase, 'waiting', 'it may still catch up');
    const over = decide({ ...behind(10.1), nowMs: LATER_MS + 5000 }, first.memory);
    assert.match(over.memory.outcome?.reason ?? '', /^member 1 is 10.1 s behind; the limit is 10 s/);
    const later = decide({ ...behind(0.6), nowMs: LATER_MS + 5000 }, first.memory);
    assert.equal(later.memory.switchover?.phase, 'draining', 'it is tried all the same after the grace');
  });

  it('holds new writes at the endpoint, lets what is open drain, and then closes', () => {
    const first = decide(ask([], { openConnections: 3 }));
    assert.deepEqual([first.primary, acts(first)], [{ members: [0], hold: true, reason: 'connections drain' }, []]);
    assert.deepEqual(acts(decide(ask([], { openConnections: 3 }), first.memory)), []);
    assert.deepEqual(acts(decide(ask([], { openConnections: 0 }), first.memory)), ['close 0']);
    const late = { ...ask([], { openConnections: 3 }), nowMs: LATER_MS + 150 };
    assert.deepEqual(acts(decide(late, first.memory)), ['close 0'], 'not for ever');
  });

  it('believes that it is closed only when the act is over, and both variables read so', () => {
    const phase = (one: MemberView): string | undefined =>
      decide(ask([one]), during('closing')).memory.switchover?.phase;
    assert.equal(phase(closed({ access: 'ajar' })), 'closing');
    assert.equal(phase(closed({}, { busy: 'close' })), 'closing');
    assert.equal(phase(closed({}, { busy: 'settling' })), 'closing');
    assert.equal(phase(closed()), 'moving');
  });

  it('then seals the target, once that has received everything', () => {
    assert.deepEqual(acts(decide(ask([closed(), replica(1, '0:1-99')]), during('moving'))), []);
    assert.deepEqual(acts(decide(ask([closed()]), during('moving'))), ['seal 1']);
  });

  it('records when the target has applied all, sealed: S with the old primary in its place, k as it was', () => {
    const decision = decide(ask([closed(), sealed(1)]), during('moving'));
    const next = decision.record?.next;
    assert.deepEqual([next?.epoch, next?.primary, next?.required], [EPOCH + 1, { ordinal: 1, serverUuid: uuid(1) }, 1]);
    assert.deepEqual(nextAckers(decision), [0, 2]);
    assert.equal(next?.floor, rows('0:1-100').toString(), 'all that the old primary executed');
    assert.deepEqual([decision.memory.switchover, decision.memory.outcome?.done], [null, true]);
  });

  it('does not record before: not while a commit waits, not what is received and not applied', () => {
    for (const [old, target] of [
      [closed({ source: { waiting: 1 } }), sealed(1)],
      [closed({ access: 'ajar' }), sealed(1)],
      [closed(), sealed(1, '0:1-99', { replica: { received: rows('0:1-100') } })],
      [closed(), replica(1)],
    ] as const) {
      assert.equal(decide(ask([old, target]), during('moving')).record, null);
    }
  });
});

describe('a switchover is undone before the record', () => {
  const undone = (one: View, memory: Memory): Decision => {
    const decision = decide(one, memory);
    assert.equal(decision.record, null);
    return decision;
  };

  it('when the target is lost', () => {
    const decision = undone(ask([closed(), silent(1)]), during('closing'));
    assert.deepEqual(acts(decision), ['reopen 0']);
    assert.equal(decision.memory.switchover?.phase, 'undoing');
  });

  it('when the primary could not be closed, or not in time', () => {
    const failure = { act: 'close', error: 'lock wait timeout', atMs: LATER_MS + 1 };
    const failed = undone(ask([primary(0, {}, { failure })]), during('closing'));
    assert.match(failed.memory.outcome?.reason ?? '', /lock wait timeout; writes go on at member 0/);
    assert.equal(failed.memory.switchover, null, 'it is open: it is over at once');
    const late = { ...ask([closed({ access: 'ajar' })]), nowMs: LATER_MS + 2001 };
    assert.deepEqual(acts(undone(late, during('closing'))), ['reopen 0']);
  });

  it('when the target does not catch up in time', () => {
    const late = { ...ask([closed(), replica(1, '0:1-99')]), nowMs: LATER_MS + 2001 };
    assert.deepEqual(acts(undone(late, during('moving'))), ['reopen 0']);
  });

  it('when the target turns out unfit while it waits', () => {
    const unfit = replica(1, '0:1-100', { lagSeconds: null });
    const decision = undone(ask([primary(0), unfit]), during('waiting'));
    assert.match(decision.memory.outcome?.reason ?? '', /of unknown lag/);
  });

  it('and over when the old primary writes again, which is told with the reason', () => {
    const decision = undone(ask(), during('undoing', { reason: 'too slow' }));
    assert.deepEqual([decision.memory.switchover, decision.memory.outcome?.done], [null, false]);
    assert.match(decision.memory.outcome?.reason ?? '', /too slow; writes go on at member 0/);
    assert.deepEqual(decision.primary, { members: [0], hold: false, reason: '' });
  });

  it('or, if it cannot be reopened soon, opened like one that restarted, and never called healthy meanwhile', () => {
    const late = { ...ask([closed(), replica(1), replica(2)]), nowMs: LATER_MS + 2001 };
    const decision = undone(late, during('undoing'));
    assert.equal(decision.memory.switchover, null);
    assert.ok(act(decision, 'open', 0), 'the acknowledgements are there');
    assert.notEqual(decision.state, 'healthy');
  });

  it('its replica is not left sealed', () => {
    const decision = undone(ask([primary(0), sealed(1)]), during('undoing'));
    assert.ok(act(decision, 'follow', 1));
  });
});

describe('a switchover ends with its epoch', () => {
  it('late-open: after the record there is no undoing, whatever is remembered', () => {
    const next = { epoch: EPOCH + 1, primary: { ordinal: 1, serverUuid: uuid(1) }, ackers: [acker(0), acker(2)] };
    for (const phase of ['closing', 'moving', 'undoing'] as const) {
      const decision = decide(ask([answering(0), answering(1), sealed(2)], { record: next }), during(phase));
      assert.equal(act(decision, 'reopen', 1), undefined);
      assert.equal(act(decision, 'reopen', 0), undefined);
      assert.deepEqual([decision.memory.switchover, decision.memory.outcome?.done], [null, true]);
      assert.ok(act(decision, 'prepare', 1));
    }
  });

  it('when the old primary dies in it: a failover, and the reason is told', () => {
    const decision = decide(ask([gone(0), sealed(1), sealed(2)]), during('closing'));
    assert.deepEqual([decision.memory.switchover, decision.memory.outcome?.done], [null, false]);
    assert.match(decision.memory.outcome?.reason ?? '', /a failover instead/);
    assert.equal(decision.record?.next.epoch, EPOCH + 1);
  });

  it('another brain, which remembers nothing of it, opens the old primary again', () => {
    assert.ok(act(decide(view([closed(), replica(1), replica(2)]), NO_MEMORY), 'open', 0));
  });
});

describe('a switchover that the brain needs itself', () => {
  const leaving = {
    wanted: { replicas: 2 },
    record: { primary: { ordinal: 2, serverUuid: uuid(2) }, ackers: [acker(0), acker(1)] },
  };
  const of2 = (ordinal: number, lagSeconds = 0): MemberView =>
    replica(ordinal, '0:1-100', { lagSeconds, replica: { sourceHost: 'host-2', sourceUuid: uuid(2) } });

  it('is one because the primary is to leave', () => {
    const decision = decide(view([primary(2), of2(0), of2(1)], leaving));
    assert.deepEqual([decision.memory.switchover?.to, decision.memory.switchover?.phase], [0, 'draining']);
  });

  it('is tried again, ever more rarely', () => {
    const lagging = view([primary(2), of2(0, 100), of2(1, 100)], leaving);
    let { memory } = decide(lagging);
    assert.equal(memory.outcome?.failures, 1);
    const at = (ms: number, one: View): Decision => decide({ ...one, nowMs: LATER_MS + ms }, memory);
    assert.equal(at(1999, view([primary(2), of2(0), of2(1)], leaving)).memory.switchover, null);
    ({ memory } = at(2000, lagging));
    assert.equal(memory.outcome?.failures, 2);
    assert.equal(at(5999, view([primary(2), of2(0), of2(1)], leaving)).memory.switchover, null);
    assert.notEqual(at(6000, view([primary(2), of2(0), of2(1)], leaving)).memory.switchover, null);
  });

  it('is one because the primary is to restart, when nobody else is left to', () => {
    const restarts = [{ ordinal: 0, process: pid(0) }];
    assert.equal(decide(view([], { restarts })).memory.switchover?.id, -2);
    const both = [...restarts, { ordinal: 1, process: pid(1) }];
    assert.equal(decide(view([], { restarts: both })).memory.switchover, null);
  });
});
