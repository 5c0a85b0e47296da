import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import type { Memory } from './decision.ts';
import { Plan } from './plan.ts';
import { judgePrimary, type Verdict } from './primary.ts';
import type { MemberView, View } from './view.ts';
import {
  acker,
  act,
  acts,
  ALL,
  answering,
  CLUSTER,
  decideLast,
  empty,
  EPOCH,
  following,
  gone,
  LATER_MS,
  lasting,
  pid,
  primary,
  record,
  refusing,
  remember,
  replica,
  rows,
  sealed,
  silent,
  unreachable,
  view,
  type ServerOver,
} from './view-fixture.ts';

function judge(one: View, memory: Memory = remember({})): Verdict {
  const recorded = record().primary;
  assert.ok(recorded);
  return judgePrimary(new Plan(one, memory), recorded);
}

function kind(members: readonly MemberView[], over: Parameters<typeof view>[1] = {}, memory?: Memory): string {
  return judge(view(members, over), memory).kind;
}

const deaf = (ordinal: number): MemberView =>
  replica(ordinal, '0:1-100', { replica: { receiver: 'connecting', receiverError: '2003: cannot connect' } });
const heard = remember({ heardAs: { epoch: EPOCH, process: pid(0) } });

describe('a primary that answers', () => {
  it('is serving once its epoch’s first row is there', () => {
    assert.equal(kind([]), 'serving');
    const before = { clusterId: CLUSTER, epoch: EPOCH - 1, term: 1 };
    assert.equal(kind([primary(0, { epochRow: before })]), 'opening');
    assert.equal(kind([primary(0, { epochRow: null })]), 'opening');
  });

  it('is closed unless both variables say that it is open: a SET that is pending is not believed', () => {
    assert.equal(kind([primary(0, { access: 'ajar' })]), 'closed');
    assert.equal(kind([primary(0, { access: 'closed' })]), 'closed');
  });

  it('is not believed in a session without the lock', () => {
    assert.equal(kind([primary(0, { locked: false })]), 'doubtful');
  });

  it('is forgiven if it answers before another was chosen', () => {
    const givenUp = remember({ givenUp: { epoch: EPOCH, sinceMs: 0, reason: 'silent' } });
    assert.equal(decide(view(), givenUp).memory.givenUp, null);
  });
});

describe('a primary is gone at once', () => {
  it('when its process is known to be gone', () => assert.equal(kind([gone(0)]), 'gone'));

  it('when another process has taken the place of the one that was heard in this epoch', () => {
    const again = silent(0, LATER_MS, { process: { kind: 'running', id: pid(0, 2), sinceMs: 0 } });
    assert.equal(kind([again], {}, heard), 'gone');
    assert.equal(kind([again]), 'doubtful', 'a brain that has not heard it cannot tell');
  });

  it('empty-disk-comes-back-as-primary: when there is other data under its ordinal', () => {
    assert.equal(kind([empty(0)]), 'gone');
  });

  it('when it hangs up and its machine says that nobody listens, if its replicas cannot hear it either', () => {
    const hungUp = unreachable(0, { closedPort: true, sinceMs: LATER_MS });
    assert.equal(kind([hungUp, deaf(1), deaf(2)], {}, heard), 'gone');
    assert.equal(kind([hungUp, deaf(1), deaf(2)]), 'doubtful', 'one that we never heard may just be starting');
    assert.equal(kind([hungUp, replica(1), deaf(2)], {}, heard), 'doubtful', 'one that still hears it');
  });
});

describe('unknown is not down: a primary is not given up', () => {
  it('before the detection time is over', () => {
    assert.equal(kind([silent(0, LATER_MS - 999), deaf(1), deaf(2)]), 'doubtful');
    assert.equal(kind([silent(0, LATER_MS - 1000), deaf(1), deaf(2)]), 'gone');
  });

  it('by a brain that never heard it, while its process is young: recovery takes its time', () => {
    const young = silent(0, 0, { process: { kind: 'running', id: pid(0), sinceMs: LATER_MS - 9999 } });
    assert.equal(kind([young, deaf(1), deaf(2)]), 'doubtful');
    assert.equal(kind([young, deaf(1), deaf(2)], {}, heard), 'gone');
  });

  it('too-many-is-not-down: when it refuses, however long', () => {
    assert.equal(kind([refusing(0), deaf(1), silent(2)]), 'doubtful');
  });

  it('when no replica answers that could say more', () => {
    assert.equal(kind([silent(0), silent(1), silent(2)]), 'doubtful');
  });

  it('while a replica still hears it', () => assert.equal(kind([silent(0), replica(1), deaf(2)]), 'doubtful'));

  it('on the word of a replica whose receiver is not trying, or follows another', () => {
    assert.equal(kind([silent(0), sealed(1), silent(2)]), 'doubtful');
    const off = replica(1, '0:1-100', { replica: { receiver: 'off' } });
    const elsewhere = replica(1, '0:1-100', { replica: { receiver: 'connecting', sourceHost: 'host-2' } });
    assert.equal(kind([silent(0), off, silent(2)]), 'doubtful');
    assert.equal(kind([silent(0), elsewhere, silent(2)]), 'doubtful');
  });

  it('on the word of a replica that it refuses: a refusal is an answer', () => {
    for (const receiverError of ['3118: Account is locked', '1040: Too many connections']) {
      const refused = replica(1, '0:1-100', { replica: { receiver: 'connecting', receiverError } });
      assert.equal(kind([silent(0), refused, silent(2)]), 'doubtful', receiverError);
    }
  });

  it('on the word of a replica on which something is under way', () => {
    const busy = replica(1, '0:1-100', { replica: { receiver: 'connecting' } }, { busy: 'follow' });
    assert.equal(kind([silent(0), busy, silent(2)]), 'doubtful');
  });
});

describe('a primary is given up', () => {
  it('when the brain cannot reach it and every replica that answers says the same', () => {
    assert.equal(kind([silent(0), deaf(1), silent(2)]), 'gone');
    assert.equal(kind([unreachable(0), deaf(1), deaf(2)]), 'gone');
  });

  it('when receivers still read but heartbeats are missing', () => {
    const still = (heardSecondsAgo: number): MemberView[] =>
      [1, 2].map((ordinal) => replica(ordinal, '0:1-100', { replica: { heardSecondsAgo } }));
    assert.equal(kind([silent(0), ...still(0.8)]), 'gone');
    assert.equal(kind([silent(0), ...still(0.5)]), 'doubtful');
  });

  it('when it can acknowledge nothing any more, though one acker that is connected still hears it', () => {
    const two = { record: { required: 2 }, wanted: { required: 2 } };
    assert.equal(kind([silent(0), replica(1), deaf(2)], two), 'gone');
  });

  it('when nothing is left of what so many ackers had that it can have nothing acknowledged', () => {
    assert.equal(kind([silent(0), empty(1), empty(2)]), 'gone');
    assert.equal(kind([silent(0), empty(1), silent(2)]), 'doubtful');
    assert.equal(kind([silent(0), empty(1), replica(2)]), 'doubtful', 'the other one still hears it, and is enough');
    const one = { record: { ackers: [acker(1)] } };
    assert.equal(kind([silent(0), empty(1), silent(2)], one), 'gone');
  });

  it('when one that still seems to hear it only waits for room on its disk: it hears nothing', () => {
    const waits = replica(2, '0:1-100', { waitsForRoom: true });
    assert.equal(kind([silent(0), deaf(1), waits]), 'gone');
    assert.equal(kind([silent(0), silent(1), waits]), 'doubtful', 'nor can it say that it does not');
  });

  it('when it hung as it was told to wait for fewer, and no replica is there to say more', () => {
    const failure = { act: 'set-required', error: 'closed', atMs: 0 };
    const none = { record: { required: 0, mode: 'adaptive' }, wanted: { mode: 'adaptive' } } as const;
    assert.equal(kind([silent(0, 0, { failure }), empty(1), gone(2)], none), 'gone');
    assert.equal(kind([silent(0), empty(1), gone(2)], none), 'doubtful');
    assert.equal(kind([silent(0, 0, { failure }), replica(1), gone(2)], none), 'doubtful');
  });

  it('when too few servers of S are left to acknowledge, of which S may name one twice', () => {
    const s = [acker(1), acker(2), acker(3), acker(1, { bootId: 'next boot' })];
    const over = { record: { ackers: s, required: 2 }, wanted: { replicas: 4, required: 2 } };
    assert.equal(kind([silent(0), deaf(1), deaf(2), replica(3)], over), 'gone');
    assert.equal(kind([silent(0), deaf(1), replica(2), replica(3)], over), 'doubtful');
  });

  it('when ackers that were sealed for a failover that came to nothing can not get back to it, though one still hears it', () => {
    const sizes = { replicas: 5, required: 2 };
    const five = { record: { required: 2, ackers: [1, 2, 3, 4].map((ordinal) => acker(ordinal)) }, wanted: sizes };
    const first = decide(view([silent(0), sealed(1), deaf(2), replica(3), deaf(4)], five));
    assert.equal(first.state, 'degraded');
    assert.deepEqual(
      first.acts.map(({ kind, ordinal }) => [kind, ordinal]),
      [['follow', 1]],
    );
    assert.equal(kind([silent(0), deaf(1), deaf(2), replica(3), deaf(4)], five), 'gone');
  });

  it('and stays so while its replicas are being sealed, who cannot say it again', () => {
    const first = decide(view([silent(0), deaf(1), deaf(2)]));
    const decision = decide(view([silent(0), sealed(1), sealed(2)]), first.memory);
    assert.equal(decision.record?.next.epoch, EPOCH + 1);
  });
});

describe('a primary that cannot write to its disk', () => {
  const full = primary(0, {}, { disk: 'no space left' });

  it('is a dead one after the detection time, if enough ackers can write', () => {
    assert.equal(decideLast(lasting(view([full]), 1000)).state, 'failing-over');
    assert.notEqual(decideLast(lasting(view([full]), 999)).state, 'failing-over');
  });

  it('also if it does not answer, as when what it is asked waits behind a commit that waits for room: replicas hear it', () => {
    const hangs = silent(0, 0, { disk: 'no space left' });
    assert.equal(decideLast(lasting(view([hangs]), 1000)).state, 'failing-over');
    assert.notEqual(decideLast(lasting(view([hangs]), 999)).state, 'failing-over');
  });

  it('stays if the others cannot write either, or too few of them', () => {
    const alsoFull = [1, 2].map((ordinal) => replica(ordinal, '0:1-100', {}, { disk: 'no space left' }));
    assert.notEqual(decideLast(lasting(view([full, ...alsoFull]), 5000)).state, 'failing-over');
    assert.notEqual(decideLast(lasting(view([full, silent(2)]), 5000)).state, 'failing-over');
  });

  it('stays if nobody who can write could take over, as one that can’t apply what it received', () => {
    const unable = (executed: string): MemberView =>
      replica(1, executed, { replica: { applierError: '1146: no such table', received: rows(ALL) } });
    const state = (...others: MemberView[]): string => decideLast(lasting(view([full, ...others]), 1000)).state;
    assert.notEqual(state(unable('0:1-90'), replica(2, '0:1-95')), 'failing-over', 'another one lacks rows');
    assert.equal(state(unable('0:1-90'), replica(2)), 'failing-over', 'another one has all, too');
    assert.equal(state(unable(ALL), replica(2, '0:1-95')), 'failing-over', 'it is past what it could not apply');
  });

  it('stays with no acknowledgement required: it alone has everything', () => {
    const none = view([full], { record: { required: 0, mode: 'adaptive' }, wanted: { mode: 'adaptive' } });
    assert.notEqual(decideLast(lasting(none, 5000)).state, 'failing-over');
  });
});

describe('while the primary is in doubt', () => {
  it('nobody is cut off: the endpoint goes on leading there, if it did', () => {
    const served = remember({ served: EPOCH });
    assert.deepEqual(decide(view([silent(0, LATER_MS)]), served).primary.members, [0]);
    assert.deepEqual(decide(view([silent(0, LATER_MS)])).primary.members, []);
  });

  it('reads stop at an acker that has not heard it for longer than the lag limit, while others go on writing to it', () => {
    const cutOff = replica(2, '0:1-100', {
      lagSeconds: null,
      replica: { receiver: 'connecting', heardSecondsAgo: 11 },
    });
    assert.deepEqual(decide(view([silent(0), replica(1), cutOff])).read.members, [1]);
  });

  it('reads go on at the ackers', () => {
    const stranger = replica(2, '0:1-100', { serverUuid: '99999999-0000-0000-0000-000000000000' });
    assert.deepEqual(decide(view([silent(0, LATER_MS), replica(1), stranger])).read.members, [1]);
  });

  it('an acker that an earlier brain sealed listens again, to say whether it hears it', () => {
    const stopped = replica(1, '0:1-100', { replica: { receiver: 'off' } });
    const decision = decide(view([silent(0), stopped, silent(2)]));
    assert.deepEqual(
      decision.acts.map(({ kind, ordinal }) => [kind, ordinal]),
      [['follow', 1]],
    );
    const heard = decide(view([silent(0), stopped, replica(2)]));
    assert.deepEqual(
      heard.acts.map(({ kind, ordinal }) => [kind, ordinal]),
      [['follow', 1]],
      'also if another one hears it: commits may wait for this one',
    );
    const outside = view([silent(0), stopped, silent(2)], { record: { ackers: [acker(2)] } });
    assert.deepEqual(decide(outside).acts, [], 'but nobody else, who could acknowledge outside S');
  });

  it('one that waits for room that is there is ended: it is to say whether it hears it, and commits may wait for it', () => {
    const disk = 'disk full: MySQL waits for room';
    const waits = replica(1, ALL, { waitsForRoom: true }, { disk, room: true });
    const kills = (one: View, ms: number): unknown => act(decideLast(lasting(one, ms)), 'kill', 1);
    assert.ok(kills(view([silent(0), waits, silent(2)]), 3000));
    assert.equal(kills(view([silent(0), waits, silent(2)]), 2999), undefined);
    const full = replica(1, ALL, { waitsForRoom: true }, { disk, room: false });
    assert.equal(kills(view([silent(0), full, silent(2)]), 3000), undefined);
  });

  it('so does one that nobody told yet whom to follow, once it has applied what it received', () => {
    const does = (over: ServerOver): string[] =>
      acts(decide(view([silent(0), answering(1, '0:1-90', over), silent(2)])));
    const elsewhere = { ...following(2, '0:1-90'), receiver: 'off' as const };
    assert.deepEqual(does({ replica: null }), ['follow 1']);
    assert.deepEqual(does({ replica: elsewhere }), ['follow 1']);
    assert.deepEqual(does({ replica: { ...elsewhere, received: rows(ALL) } }), []);
    assert.deepEqual(does({ replica: { ...elsewhere, received: rows(ALL), applier: 'off' } }), ['apply 1']);
    assert.deepEqual(does({ replica: null, access: 'open' }), []);
  });

  it('nothing is recorded', () => {
    assert.equal(decide(view([refusing(0), answering(1), answering(2)])).record, null);
  });
});
