import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import {
  acker,
  act,
  acts,
  answering,
  CLUSTER,
  EPOCH,
  gone,
  pid,
  primary,
  remember,
  replica,
  sealed,
  silent,
  uuid,
  view,
} from './view-fixture.ts';

describe('record-rolled-back: data that has seen more than the record', () => {
  for (const [what, row] of [
    ['a higher epoch', { epoch: EPOCH + 1, term: 1 }],
    ['a higher term in the same epoch', { epoch: EPOCH, term: 2 }],
  ] as const) {
    it(`${what}: lost, and nothing is touched, nobody is let in`, () => {
      for (const members of [
        [replica(1, '0:1-100', { epochRow: { clusterId: CLUSTER, ...row } })],
        [gone(0), sealed(1, '0:1-100', { epochRow: { clusterId: CLUSTER, ...row } })],
      ]) {
        const decision = decide(view(members));
        assert.equal(decision.state, 'lost');
        assert.deepEqual(
          [acts(decision), decision.record, decision.primary.members, decision.read.members],
          [[], null, [], []],
        );
      }
    });
  }

  it('a lower epoch is what every replica shows for a moment', () => {
    const behind = replica(1, '0:1-100', { epochRow: { clusterId: CLUSTER, epoch: EPOCH - 1, term: 9 } });
    assert.equal(decide(view([behind])).state, 'healthy');
  });

  it('another cluster’s epoch says nothing of this one', () => {
    const foreign = replica(2, '2:1', { epochRow: { clusterId: 'another', epoch: 99, term: 99 } });
    assert.notEqual(decide(view([foreign])).state, 'lost');
  });
});

describe('a record', () => {
  it('comes before every act: none is begun in the same decision', () => {
    const decision = decide(view([gone(0), sealed(1), sealed(2)]));
    assert.notEqual(decision.record, null);
    assert.deepEqual(decision.acts, []);
  });
});

describe('an act', () => {
  it('is never begun on a member where another is under way', () => {
    assert.deepEqual(acts(decide(view([gone(0), { ...replica(1), busy: 'configure' }]))), ['seal 2']);
  });

  it('goes to the session that showed what it rests on', () => {
    assert.equal(act(decide(view([gone(0), replica(1, '0:1-100', { session: 5 })])), 'seal', 1)?.session, 5);
  });
});

describe('a primary that was given up', () => {
  const next = { record: { epoch: 3, primary: { ordinal: 1, serverUuid: uuid(1) }, ackers: [acker(2)] } };
  const deposed = remember({ deposed: { ordinal: 0, process: pid(0) } });
  const others = [answering(1), sealed(2)];

  it('is killed wherever its process still runs, heard or not', () => {
    assert.ok(act(decide(view([silent(0), ...others], next), deposed), 'kill', 0));
    assert.ok(act(decide(view([primary(0), ...others], next), deposed), 'kill', 0));
  });

  it('is not, in its next life', () => {
    const again = silent(0, 0, { process: { kind: 'running', id: pid(0, 2), sinceMs: 0 } });
    const decision = decide(view([again, ...others], next), deposed);
    assert.deepEqual([act(decision, 'kill', 0), decision.memory.deposed], [undefined, null]);
  });

  it('is not, once it is closed: that is another life, or it was drained', () => {
    assert.equal(act(decide(view([answering(0), ...others], next), deposed), 'kill', 0), undefined);
  });

  it('is not, if it was chosen again', () => {
    assert.equal(act(decide(view([primary(0)]), deposed), 'kill', 0), undefined);
  });
});

describe('a brain without memory', () => {
  it('comes to the same record as one that saw it all', () => {
    const sees = view([gone(0), sealed(1), sealed(2)]);
    const { memory } = decide(view());
    assert.deepEqual(decide(sees).record, decide(sees, memory).record);
  });
});
