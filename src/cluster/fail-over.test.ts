import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import {
  acker,
  act,
  acts,
  answering,
  CLUSTER,
  decideLast,
  empty,
  EPOCH,
  gone,
  lasting,
  nextAckers,
  pid,
  primary,
  remember,
  replica,
  rows,
  sealed,
  silent,
  unreachable,
  uuid,
  view,
  type ServerOver,
} from './view-fixture.ts';
import type { MemberView, View } from './view.ts';

const chosen = (one: View): number | null => decide(one).record?.next.primary?.ordinal ?? null;
const stopped = { applier: 'off', applierError: '1062: Duplicate entry' } as const;

describe('a failover seals first', () => {
  it('every replica that answers, at once', () => {
    const decision = decide(view([gone(0)]));
    assert.deepEqual(acts(decision), ['seal 1', 'seal 2']);
    assert.equal(decision.record, null);
  });

  it('and does not count a member on which something is under way: it may be starting its receiver', () => {
    const busy = sealed(2, '0:1-100', {}, { busy: 'follow' });
    assert.equal(chosen(view([gone(0), sealed(1), busy], { record: { ackers: [acker(2)] } })), null);
  });

  it('by SIGKILL, if a receiver does not stop, as one that waits for room on a full disk: it answers, and hangs', () => {
    const hanging = replica(2, '0:1-100', {}, { busy: 'seal' });
    const one = view([gone(0), sealed(1), hanging], { record: { ackers: [acker(1), acker(2)] } });
    assert.equal(act(decideLast(lasting(one, 5000)), 'kill', 2), undefined);
    assert.deepEqual(act(decideLast(lasting(one, 5001)), 'kill', 2)?.process, pid(2));
  });

  it('or if it waits for room that is there: MySQL looks once a minute, and it could not be chosen until then', () => {
    const waits = sealed(1, '0:1-100', { waitsForRoom: true }, { disk: 'disk full: MySQL waits for room', room: true });
    const one = view([gone(0), waits, silent(2)]);
    assert.equal(act(decideLast(lasting(one, 2999)), 'kill', 1), undefined);
    assert.deepEqual(act(decideLast(lasting(one, 3000)), 'kill', 1)?.process, pid(1));
  });

  it('and a primary that was given up for its disk, as soon as that has room: it is opened again', () => {
    const full = primary(0, { waitsForRoom: true }, { disk: 'disk full: MySQL waits for room', room: true });
    const applying = (ordinal: number) => replica(ordinal, '0:1-90', { replica: { received: rows('0:1-100') } });
    const one = view([full, applying(1), applying(2)]);
    const decision = decideLast(lasting(one, 3000));
    assert.deepEqual([decision.state, act(decision, 'kill', 0)?.process], ['failing-over', pid(0)]);
  });

  it('paused-brain-records: nor one that another session sealed', () => {
    const inherited = sealed(2, '0:1-100', { sealed: false });
    const decision = decide(view([gone(0), sealed(1), inherited], { record: { ackers: [acker(2)] } }));
    assert.equal(decision.record, null);
    assert.ok(act(decision, 'seal', 2));
  });

  it('nor one whose receiver runs again, whatever the session remembers', () => {
    const again = sealed(2, '0:1-100', { replica: { receiver: 'on' } });
    const decision = decide(view([gone(0), sealed(1), again], { record: { ackers: [acker(2)] } }));
    assert.equal(decision.record, null);
    assert.ok(act(decision, 'seal', 2));
  });

  it('nor one whose lock is not held, nor one that is open', () => {
    for (const over of [{ locked: false }, { access: 'open' }, { access: 'ajar' }] satisfies ServerOver[]) {
      const one = sealed(2, '0:1-100', over);
      assert.equal(chosen(view([gone(0), sealed(1), one], { record: { ackers: [acker(2)] } })), null);
    }
  });
});

describe('a failover counts |S| − k + 1 ackers', () => {
  it('known-down-skips-counting: with one of two ackers unreachable it waits, though the primary is known dead', () => {
    const decision = decide(view([gone(0), silent(1), sealed(2)]));
    assert.equal(decision.state, 'lost');
    assert.equal(decision.record, null);
    assert.match(decision.reason, /2 of member 1, member 2 must answer; 1 do/);
  });

  it('with S the only acker left, that one is enough, and nobody else', () => {
    assert.equal(chosen(view([gone(0), sealed(1), silent(2)], { record: { ackers: [acker(1)] } })), 1);
    assert.equal(chosen(view([gone(0), silent(1), sealed(2)], { record: { ackers: [acker(1)] } })), null);
  });

  it('two of three suffice if two acknowledge', () => {
    const four = [gone(0), sealed(1), sealed(2, '0:1-90'), silent(3)];
    const over = {
      record: { ackers: [acker(1), acker(2), acker(3)], required: 2 },
      wanted: { replicas: 4, required: 2 },
    };
    assert.equal(chosen(view(four, over)), 1);
    assert.equal(chosen(view([gone(0), sealed(1), silent(2), silent(3)], over)), null);
  });

  it('page-cache-acker: one whose machine restarted is another acker, unless its acks are durable', () => {
    const rebooted = sealed(1, '0:1-100', {}, { bootId: 'next boot' });
    const one = { record: { ackers: [acker(1)] } };
    assert.equal(decide(view([gone(0), rebooted, sealed(2)], one)).state, 'lost');
    assert.equal(chosen(view([gone(0), rebooted, sealed(2)], { ...one, wanted: { limits: { powerLoss: true } } })), 1);
  });

  it('cloned-acker-still-counts: other data under an acker’s ordinal is nobody', () => {
    const anew = sealed(1, '0:1-100', { serverUuid: uuid(1, 1) });
    assert.equal(decide(view([gone(0), anew, sealed(2)], { record: { ackers: [acker(1)] } })).state, 'lost');
  });

  it('wedge-account-statement: while that cannot be, a primary that hangs is restarted; it may be all that is left', () => {
    const givenUp = remember({ givenUp: { epoch: EPOCH, sinceMs: 0, reason: 'silent' } });
    const decision = decide(view([silent(0), empty(1), sealed(2)]), givenUp);
    assert.equal(decision.state, 'lost');
    assert.deepEqual(act(decision, 'kill', 0)?.process, pid(0));
    const floorless = view([silent(0), sealed(1, '0:1-5'), sealed(2, '0:1-5')]);
    assert.ok(act(decide(floorless, givenUp), 'kill', 0));
    assert.equal(act(decide(view([silent(0), replica(1), sealed(2)]), givenUp), 'kill', 0), undefined, 'not before');
  });

  it('with S smaller than k nothing was acknowledged: whoever has the floor will do', () => {
    assert.equal(chosen(view([gone(0), sealed(1), sealed(2)], { record: { ackers: [] } })), 1);
  });
});

describe('the floor', () => {
  it('stale-acker-promoted: an acker below the former floor is not chosen, whatever the count says', () => {
    const one = { record: { ackers: [acker(2)], floor: rows('0:1-50').toString() } };
    const decision = decide(view([gone(0), silent(1), sealed(2, '0:1-20')], one));
    assert.deepEqual([decision.state, decision.record], ['lost', null]);
  });

  it('stays what it was if the ackers lack it: nothing was acknowledged in this epoch', () => {
    const one = { record: { ackers: [acker(2)], floor: rows('0:1-50').toString() } };
    const decision = decide(view([gone(0), sealed(1, '0:1-60'), sealed(2, '0:1-20')], one));
    assert.equal(decision.record?.next.primary?.ordinal, 1);
    assert.equal(decision.record?.next.floor, rows('0:1-50').toString());
  });

  it('is the union of what the ackers received, applied or not', () => {
    const received = sealed(1, '0:1-80', { replica: { received: rows('0:81-100') } });
    const decision = decide(view([gone(0), received, sealed(2, '0:1-90')]));
    assert.equal(decision.record, null, 'it is to apply them first');
    assert.match(decision.reason, /member 1 applies what it received/);
    const applied = decide(view([gone(0), sealed(1, '0:1-100'), sealed(2, '0:1-90')]));
    assert.equal(applied.record?.next.floor, rows('0:1-100').toString());
  });

  it('wedge-floor-too-high: leaves out what the candidate has besides', () => {
    const one = { record: { ackers: [acker(2)] } };
    const full = sealed(2, '0:1-90', {}, { disk: 'no space left' });
    const decision = decide(view([gone(0), sealed(1, '0:1-100,1:1'), full], one));
    assert.equal(decision.record?.next.primary?.ordinal, 1);
    assert.equal(decision.record?.next.floor, rows('0:1-90').toString());
  });
});

describe('a row that too few of S have to have been acknowledged', () => {
  const four = [acker(1), acker(2), acker(3), acker(4)];
  const two = { record: { ackers: four, required: 2 }, wanted: { replicas: 5, required: 2 } };
  const floorOf = (...members: MemberView[]): string | undefined =>
    decide(view([gone(0), ...members], two)).record?.next.floor;

  it('is no part of the floor', () => {
    const all = [sealed(1, '0:1-100'), sealed(2, '0:1-90'), sealed(3, '0:1-90'), sealed(4, '0:1-80')];
    assert.equal(floorOf(...all), rows('0:1-90').toString());
  });

  it('is, as soon as ackers that were not seen may have it', () => {
    assert.equal(
      floorOf(sealed(1, '0:1-100'), sealed(2, '0:1-90'), sealed(3, '0:1-90'), silent(4)),
      rows('0:1-100').toString(),
    );
  });

  it('nor is it said to be lost while one who may lack it, too, is being sealed', () => {
    const two = { record: { required: 2 }, wanted: { required: 2 } };
    const full = sealed(1, '0:1-105', {}, { disk: 'no space left' });
    assert.equal(decide(view([gone(0), full, replica(2)], two)).state, 'failing-over');
    assert.equal(decide(view([gone(0), full, sealed(2)], two)).record?.next.primary?.ordinal, 2);
  });

  it('is, if it was in the former floor', () => {
    const former = { ...two, record: { ...two.record, floor: rows('0:1-95').toString() } };
    const all = [sealed(1, '0:1-100'), sealed(2, '0:1-90'), sealed(3, '0:1-90'), sealed(4, '0:1-80')];
    assert.equal(decide(view([gone(0), ...all], former)).record?.next.floor, rows('0:1-95').toString());
  });
});

describe('the candidate', () => {
  it('is the one with most, then the lowest ordinal', () => {
    assert.equal(chosen(view([gone(0), sealed(1, '0:1-99'), sealed(2)])), 2);
    assert.equal(chosen(view([gone(0), sealed(1), sealed(2)])), 1);
  });

  it('is rather one whom the others can follow than one that was cloned and has no binlog from before', () => {
    const cloned = sealed(1, '0:1-100', { purged: rows('0:1-100') });
    const behind = sealed(3, '0:1-80');
    const over = { record: { ackers: [acker(1), acker(2)] }, wanted: { replicas: 4 } };
    assert.equal(chosen(view([gone(0), cloned, sealed(2), behind], over)), 2);
  });

  it('broken-applier-acks: is not one that cannot apply, whose rows count all the same', () => {
    const broken = sealed(1, '0:1-80', { replica: { ...stopped, received: rows('0:1-100') } });
    assert.equal(chosen(view([gone(0), broken, sealed(2)])), 2);
    const alone = decide(view([gone(0), broken, sealed(2, '0:1-90')]));
    assert.deepEqual([alone.state, alone.record], ['lost', null], 'nobody else has 91 to 100');
  });

  it('is the next one if the first makes no progress', () => {
    const hangs = sealed(1, '0:1-80', { replica: { received: rows('0:1-100') } });
    const waits = view([gone(0), hangs, sealed(2, '0:1-90', { replica: { received: rows('0:1-100') } })]);
    assert.match(decide(waits).reason, /member 2 applies/, 'the one that has applied more');
    const stuck = decideLast(lasting(waits, 11_000));
    assert.equal(stuck.record, null);
    const one = view([gone(0), hangs, sealed(2)]);
    assert.equal(chosen(one), 2);
  });

  it('is not one that cannot write to its disk', () => {
    const full = sealed(1, '0:1-100', {}, { disk: 'no space left' });
    assert.equal(chosen(view([gone(0), full, sealed(2)])), 2);
  });

  it('is one that leaves only if nobody who stays has it all: then it leaves by a switchover', () => {
    const two = { wanted: { replicas: 2 } };
    assert.equal(chosen(view([gone(0), sealed(1), sealed(2)], two)), 1);
    assert.equal(chosen(view([gone(0), sealed(1, '0:1-90'), sealed(2)], two)), 2);
  });

  it('is never another cluster’s data', () => {
    const foreign = sealed(2, '2:1-500', { epochRow: { clusterId: 'another', epoch: 1, term: 1 } });
    const first = { record: { epoch: 1, floor: '', ackers: [acker(1)] } };
    const members = [gone(0), sealed(1, '0:1'), foreign].map((one) => before(one));
    assert.equal(chosen(view(members, first)), 1);
    const asynchronous = { record: { ...first.record, required: 0, mode: 'asynchronous' as const } };
    assert.equal(chosen(view(members, asynchronous)), 1);
    assert.equal(act(decide(view(members, asynchronous)), 'seal', 2), undefined, 'it is left alone');
  });
});

/** The member as it was in epoch 1. */
function before(one: MemberView): MemberView {
  if (one.contact.kind !== 'answers' || one.contact.server.epochRow?.clusterId !== CLUSTER) return one;
  const epochRow = { clusterId: CLUSTER, epoch: 1, term: 1 };
  return { ...one, contact: { ...one.contact, server: { ...one.contact.server, epochRow } } };
}

describe('the record of a failover', () => {
  it('names the next epoch, and leaves k and the mode as they were', () => {
    const next = decide(view([gone(0), sealed(1), sealed(2)])).record?.next;
    assert.deepEqual([next?.epoch, next?.required, next?.mode], [EPOCH + 1, 1, 'quorum']);
    const asked = view([gone(0), sealed(1), sealed(2)], { wanted: { mode: 'asynchronous', required: 0 } });
    assert.deepEqual([decide(asked).record?.next.mode, decide(asked).record?.next.required], ['quorum', 1]);
  });

  it('S is who was seen and can follow at once', () => {
    assert.deepEqual(nextAckers(decide(view([gone(0), sealed(1), sealed(2)]))), [2]);
    const errant = sealed(2, '0:1-90,2:1');
    assert.deepEqual(nextAckers(decide(view([gone(0), sealed(1), errant], { record: { ackers: [acker(1)] } }))), []);
    const broken = sealed(2, '0:1-90', { replica: stopped });
    assert.deepEqual(nextAckers(decide(view([gone(0), sealed(1), broken]))), []);
    const purged = view([gone(0), sealed(1, '0:1-100', { purged: rows('0:1-95') }), sealed(2, '0:1-90')]);
    assert.deepEqual(nextAckers(decide(purged)), []);
  });

  it('wedge-empty-in-S: S has no empty member that must be cloned first', () => {
    const purged = { purged: rows('0:1-100') };
    const cloned = [sealed(1, '0:1-100', purged), sealed(2, '0:1-100', purged)];
    assert.deepEqual(nextAckers(decide(view([empty(0), ...cloned]))), [2]);
    const much = [sealed(1, '0:1-9000'), sealed(2, '0:1-9000')];
    assert.deepEqual(
      nextAckers(decide(view([empty(0), ...much]))),
      [2],
      'nor one that is cloned since that is quicker',
    );
  });

  it('S has no member that leaves', () => {
    assert.deepEqual(nextAckers(decide(view([gone(0), sealed(1), sealed(2)], { wanted: { replicas: 2 } }))), []);
  });

  it('leaves alone a primary that answers closed: it was restarted, and is judged like any other member', () => {
    const two = { record: { required: 2 }, wanted: { required: 2 } };
    const decision = decide(view([answering(0), sealed(1, '0:1-100'), silent(2)], two));
    assert.equal(decision.memory.deposed, null);
  });

  it('other data under the primary’s ordinal is a member like any other', () => {
    const anew = sealed(0, '0:1-50', { serverUuid: uuid(0, 1) });
    assert.deepEqual(nextAckers(decide(view([anew, sealed(1), sealed(2)]))), [0, 2]);
  });

  it('remembers the process of a primary that may still run, to kill it wherever it does', () => {
    const givenUp = { epoch: EPOCH, sinceMs: 0, reason: 'silent' };
    const decision = decide(view([silent(0), sealed(1), sealed(2)]), remember({ givenUp }));
    assert.deepEqual(decision.memory.deposed, { ordinal: 0, process: pid(0) });
    const next = view([silent(0), answering(1), sealed(2)], {
      record: { epoch: 3, primary: { ordinal: 1, serverUuid: uuid(1) }, ackers: [acker(2)] },
    });
    assert.deepEqual(act(decide(next, decision.memory), 'kill', 0)?.process, pid(0));
  });
});

describe('with no acknowledgement required', () => {
  const none = { required: 0, mode: 'asynchronous' } as const;
  const givenUp = remember({
    givenUp: { epoch: EPOCH, sinceMs: 0, reason: 'silent' },
    heardAs: { epoch: EPOCH, process: pid(0) },
  });

  it('isolated-async-primary: seals stop nothing, so one that may live is killed first, and nobody chosen', () => {
    const decision = decide(view([silent(0), sealed(1), sealed(2)], { record: none }), givenUp);
    assert.deepEqual(act(decision, 'kill', 0)?.process, pid(0));
    assert.equal(decision.record, null);
  });

  it('one that is known to be gone is replaced', () => {
    assert.equal(chosen(view([gone(0), sealed(1), sealed(2)], { record: none })), 1);
  });

  it('mode-as-a-way-out: not in another mode, where the primary alone is sure to have every write', () => {
    const decision = decide(
      view([gone(0), sealed(1), sealed(2)], {
        record: { required: 0, mode: 'adaptive' },
        wanted: { mode: 'asynchronous' },
      }),
    );
    assert.deepEqual([decision.state, decision.record], ['lost', null]);
  });

  it('wedge-account-statement: one that hangs where nobody else may take over is restarted, and that life alone', () => {
    const adaptive = { record: { required: 0, mode: 'adaptive' }, wanted: { mode: 'adaptive' } } as const;
    const hangs = view([silent(0), sealed(1), sealed(2)], adaptive);
    assert.deepEqual(act(decide(hangs, givenUp), 'kill', 0)?.process, pid(0));
    const next = silent(0, 0, { process: { kind: 'running', id: pid(0, 2), sinceMs: 0 } });
    assert.equal(act(decide(view([next, sealed(1), sealed(2)], adaptive), givenUp), 'kill', 0), undefined);
    const away = { ...unreachable(0), process: hangs.members[0]?.process ?? next.process };
    assert.equal(
      act(decide(view([away, sealed(1), sealed(2)], adaptive), givenUp), 'kill', 0),
      undefined,
      'not heard of: not hanging',
    );
  });

  it('a member that followed is chosen rather than one that was deposed and has rows of its own', () => {
    const deposed = answering(2, '0:1-90,2:1-500');
    const one = view([gone(0), sealed(1), deposed], { record: { ...none, ackers: [acker(1)] } });
    assert.equal(chosen(one), 1);
  });
});

describe('a failover that waits', () => {
  it('touches no open member, and starts no applier that has nothing to apply', () => {
    const off = sealed(1, '0:1-100', { replica: { applier: 'off' } });
    assert.deepEqual(acts(decide(view([gone(0), off, answering(2, '0:1-100', { access: 'open' })]))), []);
  });

  it('names whom it waits for', () => {
    assert.match(decide(view([gone(0), silent(1), sealed(2)])).reason, /or 1 of member 1, is back/);
  });

  it('cuts no reads, but sends none to strangers', () => {
    const foreign = sealed(2, '2:1-5', { epochRow: { clusterId: 'another', epoch: 1, term: 1 } });
    assert.deepEqual(decide(view([gone(0), replica(1), foreign])).read.members, [1]);
    assert.deepEqual(decide(view([gone(0), replica(1), empty(2)])).read.members, [1]);
    assert.deepEqual(decide(view([gone(0), replica(1), primary(2)])).read.members, [1]);
  });

  it('switches off what holds up an applier, and starts one that is stopped', () => {
    const drained = sealed(1, '0:1-80', { source: { enabled: true } });
    assert.ok(act(decide(view([gone(0), drained, silent(2)])), 'disarm', 1));
    const off = sealed(1, '0:1-80', { replica: { applier: 'off', received: rows('0:1-100') } });
    assert.ok(act(decide(view([gone(0), off, sealed(2, '0:1-80')])), 'apply', 1));
  });

  it('is undone by a primary that answers again before the record', () => {
    const givenUp = remember({ givenUp: { epoch: EPOCH, sinceMs: 0, reason: 'silent' } });
    const decision = decide(view([primary(0), sealed(1), sealed(2)]), givenUp);
    assert.deepEqual(acts(decision), ['follow 1', 'follow 2']);
    assert.equal(decision.record, null);
  });
});
