import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import { newClusterRecord } from './record.ts';
import {
  absent,
  acker,
  acts,
  answering,
  CLUSTER,
  decideAll,
  empty,
  nextAckers,
  primary,
  replica,
  rows,
  sealed,
  silent,
  uuid,
  view,
} from './view-fixture.ts';

const unused = { ...newClusterRecord('never-opened', 'quorum'), term: 4 };

describe('a new cluster', () => {
  it('starts every member that the resource asks for', () => {
    const decision = decide(view([absent(0), absent(1), absent(2)], { record: unused }));
    assert.deepEqual(acts(decision), ['start 0', 'start 1', 'start 2']);
    assert.equal(decision.record, null);
  });

  it('begins only when every member was seen', () => {
    const decision = decide(view([empty(0), empty(1), silent(2)], { record: unused }));
    assert.equal(decision.record, null);
    assert.equal(decision.state, 'creating');
  });

  it('is member 0 in epoch 1, with all others as ackers', () => {
    const decision = decide(view([empty(0), empty(1), empty(2)], { record: unused }));
    assert.deepEqual(decision.record?.next, {
      ...unused,
      epoch: 1,
      primary: { ordinal: 0, serverUuid: uuid(0, 1) },
      ackers: [acker(1, { serverUuid: uuid(1, 1) }), acker(2, { serverUuid: uuid(2, 1) })],
      required: 1,
    });
  });

  it('is not begun over data, though nothing says whose it is', () => {
    for (const over of [{ epochRow: null }, { executed: rows('') }]) {
      const decision = decide(view([empty(0), empty(1), answering(2, '2:1-5', over)], { record: unused }));
      assert.deepEqual([decision.state, decision.record?.next.epoch === 1], ['lost', false]);
    }
  });

  it('never records more acknowledgements than there are ackers', () => {
    const one = { ...view([], { record: unused, wanted: { replicas: 1 } }), members: [empty(0)] };
    assert.equal(decide(one).record?.next.required, 0);
  });
});

describe('record-missing: a record that is lost', () => {
  it('is not guessed while a member of the resource was not seen, which may know a higher epoch', () => {
    const decision = decide(view([sealed(0), sealed(1), silent(2)], { record: unused }));
    assert.equal(decision.state, 'lost');
    assert.equal(decision.record, null);
    assert.deepEqual(acts(decision), []);
  });

  it('is not guessed from data of two clusters', () => {
    const other = replica(2, '2:1-7', { epochRow: { clusterId: 'another', epoch: 9, term: 9 } });
    const decision = decide(view([sealed(0), sealed(1), other], { record: unused }));
    assert.equal(decision.state, 'lost');
    assert.deepEqual([decision.record, acts(decision)], [null, []]);
  });

  it('is made again around the primary that is still open in the highest epoch', () => {
    const decision = decide(view([primary(0), replica(1), replica(2)], { record: unused }));
    const next = decision.record?.next;
    assert.deepEqual([next?.clusterId, next?.epoch, next?.primary?.ordinal], [CLUSTER, 2, 0]);
    assert.deepEqual([nextAckers(decision), next?.required], [[1, 2], 1]);
    assert.equal(next?.term, 4, 'above every term that a member has seen, and never lower than before');
  });

  it('is under a term above every one that a member has seen', () => {
    const wise = replica(1, '0:1-100', { epochRow: { clusterId: CLUSTER, epoch: 2, term: 30 } });
    assert.equal(decide(view([wise], { record: unused })).record?.next.term, 31);
  });

  it('is not made around a primary that is open in an older epoch than another member has seen', () => {
    const ahead = replica(1, '0:1-100', { epochRow: { clusterId: CLUSTER, epoch: 3, term: 1 } });
    const decision = decide(view([primary(0), ahead, replica(2)], { record: unused }));
    assert.deepEqual([decision.state, decision.record], ['lost', null]);
  });

  it('counts as an acker whoever is connected to the primary, locked out or not', () => {
    const open = primary(0, { source: { unlocked: [1], connected: [1, 2] } });
    assert.deepEqual(nextAckers(decide(view([open], { record: unused }))), [1, 2]);
    const one = primary(0, { source: { unlocked: [1], connected: [1] } });
    assert.deepEqual(nextAckers(decide(view([one], { record: unused }))), [1], 'and nobody else');
  });

  it('locks out at the primary whoever may acknowledge there and is not seen, before it is made', () => {
    const open = primary(0, { source: { unlocked: [1, 2, 5], connected: [1, 2] } });
    const decision = decide(view([open], { record: unused }));
    assert.equal(decision.record, null);
    assert.deepEqual(acts(decision), ['lock-out 0']);
  });

  it('never allows a failover that the resource does not: no acknowledgement is not "asynchronous"', () => {
    const open = primary(0, { source: { enabled: false, active: false } });
    const next = decide(view([open], { record: unused })).record?.next;
    assert.deepEqual([next?.required, next?.mode], [0, 'adaptive']);
    const inactive = primary(0, { source: { active: false } });
    assert.equal(
      decide(view([inactive], { record: unused })).record?.next.required,
      0,
      'never stronger than the truth',
    );
    const asked = { record: unused, wanted: { mode: 'asynchronous', required: 0 } } as const;
    assert.equal(decide(view([open], asked)).record?.next.mode, 'asynchronous');
  });

  it('waits for every member to be sealed, and has them apply what they received, if none is open', () => {
    const view1 = view([answering(0), replica(1), replica(2)], { record: unused });
    assert.deepEqual(acts(decide(view1)), ['seal 1', 'seal 2']);
    const stopped = sealed(1, '0:1-90', { replica: { received: rows('0:1-100'), applier: 'off' } });
    const ahead = view([answering(0, '0:1-90'), stopped, sealed(2, '0:1-80')], { record: unused });
    assert.deepEqual(acts(decide(ahead)), ['apply 1']);
  });

  it('counts what is received and not applied, and waits for nobody but the member that has everything', () => {
    const behind = sealed(1, '0:1-90', { replica: { received: rows('0:1-100') } });
    const decision = decide(view([answering(0), behind, sealed(2, '0:1-80')], { record: unused }));
    assert.deepEqual([decision.record?.next.primary?.ordinal, nextAckers(decision)], [0, [1, 2]]);
    const alone = decide(view([answering(0, '0:1-90'), behind, sealed(2, '0:1-80')], { record: unused }));
    assert.equal(alone.record, null, 'only that it received is known of row 100, and it has to be applied first');
    assert.match(alone.reason, /member 1 has everything/);
  });

  it('tries a broken applier again, a few seconds apart, and makes an acker of nobody who has one', () => {
    const received = { received: rows('0:1-100'), applier: 'off', applierError: '1062: Duplicate entry' } as const;
    const broken = sealed(1, '0:1-90', { replica: received });
    const needed = view([answering(0, '0:1-90'), broken, sealed(2, '0:1-80')], { record: unused });
    const decisions = decideAll([0, 10, 2000, 3000].map((ms) => ({ ...needed, nowMs: needed.nowMs + ms })));
    assert.deepEqual(decisions.map(acts), [['apply 1'], [], [], ['apply 1']]);
    const spared = decide(view([answering(0), broken, sealed(2)], { record: unused }));
    assert.deepEqual([spared.record?.next.primary?.ordinal, nextAckers(spared)], [0, [2]]);
  });

  it('makes the member that has everything the primary of the next epoch', () => {
    const decision = decide(view([answering(0, '0:1-90'), sealed(1), sealed(2, '0:1-80')], { record: unused }));
    const next = decision.record?.next;
    assert.deepEqual([next?.epoch, next?.primary?.ordinal, nextAckers(decision)], [3, 1, [0, 2]]);
    assert.equal(next?.floor, rows('0:1-100').toString());
  });

  it('is made around a member that is to leave if nobody else has everything', () => {
    const leaver = sealed(2, '0:1-101');
    const decision = decide(view([answering(0), sealed(1), leaver], { record: unused, wanted: { replicas: 2 } }));
    assert.deepEqual([decision.record?.next.primary?.ordinal, nextAckers(decision)], [2, [0, 1]]);
    const equal = decide(view([answering(0), sealed(1), sealed(2)], { record: unused, wanted: { replicas: 2 } }));
    assert.equal(equal.record?.next.primary?.ordinal, 0);
  });

  it('does not choose between members of which each has something of its own', () => {
    const decision = decide(view([answering(0, '0:1-90'), sealed(1, '0:1-80,1:1'), sealed(2)], { record: unused }));
    assert.deepEqual([decision.state, decision.record], ['lost', null]);
  });

  it('waits for a member that is neither open nor closed: commits may still go on there', () => {
    const closing = answering(0, '0:1-100', { access: 'ajar' });
    const decision = decide(view([closing, sealed(1), sealed(2)], { record: unused }));
    assert.equal(decision.record, null);
  });
});
