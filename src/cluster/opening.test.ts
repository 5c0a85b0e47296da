import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import {
  acker,
  act,
  acts,
  answering,
  CLUSTER,
  empty,
  EPOCH,
  prepared,
  primary,
  replica,
  rows,
  sealed,
  silent,
  uuid,
  view,
  type ServerOver,
} from './view-fixture.ts';
import type { MemberView } from './view.ts';

const before = { clusterId: CLUSTER, epoch: EPOCH - 1, term: 1 };
const floor = rows('0:1-100').toString();

describe('opening prepares first', () => {
  it('acker-outside-S-by-promotion: the accounts of S and no other, and as many acknowledgements as recorded', () => {
    const one = view([answering(0, '0:1-100', { epochRow: before }), silent(1)], { record: { ackers: [acker(2)] } });
    const prepare = act(decide(one), 'prepare', 0);
    assert.deepEqual([prepare?.required, prepare?.unlocked], [1, [2]]);
  });

  it('restart-between-acks-and-open: whatever is not as recorded is prepared again, and not opened', () => {
    const not: ServerOver[] = [
      { source: { enabled: false } },
      { source: { active: false } },
      { source: { required: 2 } },
      { source: { unlocked: [1] } },
      { source: { unlocked: [1, 2, 3] } },
      { replica: { receiver: 'off' } },
      { access: 'ajar' },
      { offline: true },
    ];
    for (const over of not) {
      const decision = decide(view([prepared(0, { epochRow: before, ...over })], { record: { floor } }));
      assert.deepEqual(
        acts(decision).filter((one) => one.endsWith(' 0')),
        ['prepare 0'],
        JSON.stringify(over),
      );
    }
  });

  it('anew, if a commit that somebody wrote there keeps it from being closed again', () => {
    const over = { offline: true, source: { waiting: 1 } };
    const failure = { act: 'prepare', error: 'Lock wait timeout exceeded', atMs: 0 };
    const did = (host: Partial<MemberView>): string[] =>
      acts(decide(view([prepared(0, over, host)]))).filter((one) => one.endsWith(' 0'));
    assert.deepEqual([did({ failure }), did({})], [['kill 0'], ['prepare 0']]);
  });

  it('only when it has applied all that it received', () => {
    const behind = sealed(0, '0:1-80', { replica: { received: rows('0:1-100'), applier: 'off' } });
    assert.deepEqual(
      acts(decide(view([behind]))).filter((one) => one.endsWith(' 0')),
      ['apply 0'],
    );
  });

  it('in the session that showed it', () => {
    const decision = decide(view([prepared(0, { epochRow: before, session: 77 })], { record: { floor } }));
    assert.equal(act(decision, 'open', 0)?.session, 77);
  });

  it('meanwhile the ackers turn to it, and are not started', () => {
    const decision = decide(
      view([answering(1, '0:1-100', { epochRow: before }), sealed(0), sealed(2)], {
        record: { primary: { ordinal: 1, serverUuid: uuid(1) }, ackers: [acker(0), acker(2)] },
      }),
    );
    assert.deepEqual(acts(decision), ['prepare 1', 'turn 0', 'turn 2']);
  });

  it('reset-before-applied: none that has not applied what it received is turned', () => {
    const behind = sealed(2, '0:1-80', { replica: { received: rows('0:1-100') } });
    const decision = decide(
      view([answering(1, '0:1-100', { epochRow: before }), sealed(0), behind], {
        record: { primary: { ordinal: 1, serverUuid: uuid(1) }, ackers: [acker(0), acker(2)] },
      }),
    );
    assert.equal(act(decision, 'turn', 2), undefined);
  });
});

describe('a prepared primary opens', () => {
  it('wedge-empty-acker: at once, if it shows nothing above the floor, whoever is there', () => {
    const one = view([prepared(0, { epochRow: before }), silent(1), silent(2)], { record: { floor } });
    assert.ok(act(decide(one), 'open', 0));
  });

  it('reopened-too-soon, read-goes-back: above the floor, only when k of S have all that it shows', () => {
    const waits = decide(view([prepared(0), replica(1, '0:1-99'), silent(2)]));
    assert.equal(act(waits, 'open', 0), undefined);
    assert.equal(waits.state, 'blocked');
    assert.ok(act(decide(view([prepared(0), replica(1), silent(2)])), 'open', 0));
  });

  it('after a restart of everybody’s machine, too: the ackers are admitted anew, and counted', () => {
    const next = { bootId: 'next' };
    const all = view([prepared(0, {}, next), sealed(1, '0:1-100', {}, next), sealed(2, '0:1-100', {}, next)]);
    const admitted = decide(all).record?.next;
    assert.deepEqual(admitted?.ackers, [acker(1), acker(2), acker(1, next)]);
    assert.ok(admitted);
    const decision = decide({ ...all, record: { ...admitted, ackers: [...admitted.ackers, acker(2, next)] } });
    assert.ok(act(decision, 'open', 0), acts(decision).join());
  });

  it('counting for that only members of S', () => {
    const outside = replica(1, '0:1-100', { serverUuid: uuid(1, 1) });
    assert.equal(act(decide(view([prepared(0), outside, silent(2)])), 'open', 0), undefined);
  });

  it('at once with no acknowledgement recorded', () => {
    const none = prepared(0, { source: { enabled: false, active: false } });
    const over = {
      record: { required: 0, mode: 'asynchronous' },
      wanted: { mode: 'asynchronous', required: 0 },
    } as const;
    assert.ok(act(decide(view([none, silent(1), silent(2)], over)), 'open', 0));
  });

  it('in no endpoint, while reads go on at the ackers', () => {
    const decision = decide(view([prepared(0), replica(1, '0:1-99'), replica(2, '0:1-99')]));
    assert.deepEqual([decision.primary.members, decision.read.members], [[], [1, 2]]);
  });

  it('and nothing is concluded about S from a closed one: a member that is out stays in S', () => {
    assert.equal(decide(view([prepared(0), silent(1), silent(2)], { record: { required: 1 } })).record, null);
  });
});

describe('a primary that restarted', () => {
  const two = { record: { ackers: [acker(1), acker(2), acker(3)], required: 2 }, wanted: { replicas: 4, required: 2 } };

  it('gives way if too few ackers are there to open it, and enough others to choose one and to acknowledge to it', () => {
    const five = { record: { ackers: [acker(1), acker(2)], required: 2 }, wanted: { replicas: 5, required: 2 } };
    const decision = decide(view([answering(0), sealed(1), silent(2), sealed(3), sealed(4)], five));
    assert.equal(decision.record?.next.primary?.ordinal, 1);
  });

  it('does not give way to one that would be no better off', () => {
    const three = { ...two, record: { ackers: [acker(1), acker(2)], required: 2 } };
    const young = answering(0, '0:1-100', { epochRow: before });
    assert.ok(
      act(decide(view([young, sealed(1), silent(2)], three)), 'prepare', 0),
      'one that was never open is opened',
    );
    assert.equal(decide(view([answering(0), sealed(1), silent(2)], three)).record, null);
  });

  it('stays closed while others are to be filled from it, and too few could acknowledge', () => {
    const donor = prepared(0, { epochRow: before, source: { unlocked: [1] }, purged: rows('0:1-5') });
    const decision = decide(view([donor, silent(1), empty(2)], { record: { ackers: [acker(1)], floor } }));
    assert.equal(act(decision, 'open', 0), undefined);
    assert.equal(decision.state, 'blocked');
  });

  it('is opened in place if enough are there', () => {
    assert.ok(act(decide(view([answering(0), sealed(1), sealed(2), silent(3)], two)), 'prepare', 0));
  });

  it('does not give way to members that can’t write to their disks', () => {
    const full = (ordinal: number): MemberView => sealed(ordinal, '0:1-100', {}, { disk: 'no space left' });
    const none = { record: { ackers: [] } };
    assert.equal(decide(view([answering(0), sealed(1), sealed(2)], none)).record?.next.epoch, EPOCH + 1);
    assert.equal(act(decide(view([answering(0), full(1), full(2)], none)), 'prepare', 0)?.kind, 'prepare');
  });

  it('is not given up for members without its floor', () => {
    const decision = decide(view([answering(0), empty(1), empty(2)], { record: { ackers: [] } }));
    assert.notEqual(decision.record?.next.epoch, EPOCH + 1);
  });

  it('wedge-own-row: a closed one with all fills an empty member, which then lets it open', () => {
    const old = prepared(0, { source: { unlocked: [1] }, purged: rows('0:1-5') });
    const decision = decide(view([old, silent(1), empty(2)], { record: { ackers: [acker(1)] } }));
    assert.equal(act(decision, 'clone', 2)?.donor.ordinal, 0);
  });
});

describe('the epoch’s first row', () => {
  it('is written when it is open, and nobody outside S is connected; before it no endpoint leads there', () => {
    const decision = decide(view([primary(0, { epochRow: before })]));
    assert.ok(act(decision, 'write-epoch', 0));
    assert.deepEqual(decision.primary.members, []);
    const outsider = primary(0, { epochRow: before, source: { connected: [1, 2, 3] } });
    assert.equal(act(decide(view([outsider])), 'write-epoch', 0), undefined);
  });

  it('is never written, and no endpoint led there, where commits do not wait as recorded: that one is killed', () => {
    for (const epochRow of [before, { clusterId: CLUSTER, epoch: EPOCH, term: 1 }]) {
      for (const source of [{ enabled: false, active: false }, { active: false }]) {
        const decision = decide(view([primary(0, { epochRow, source })]));
        assert.deepEqual(acts(decision), ['kill 0']);
        assert.deepEqual(decision.primary.members, []);
      }
    }
  });

  it('is written once: not while one is under way', () => {
    const barrier = { purpose: `epoch ${EPOCH}`, state: 'pending', sinceMs: 0 } as const;
    assert.equal(act(decide(view([primary(0, { epochRow: before })], { barrier })), 'write-epoch', 0), undefined);
  });
});
