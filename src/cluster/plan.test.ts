import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_MEMORY } from './decision.ts';
import { Plan } from './plan.ts';
import { primary, record, remember, replica, silent, view } from './view-fixture.ts';

const planOf = (...of: Parameters<typeof view>): Plan => new Plan(view(...of), NO_MEMORY);

describe('a plan', () => {
  it('has one act a member; a write of the controller’s own goes beside any', () => {
    const plan = planOf();
    assert.equal(plan.act(primary(0), { kind: 'barrier', purpose: 'x' }, ''), true);
    assert.equal(plan.settled(primary(0)), true, 'a write changes nothing that was seen');
    assert.equal(plan.act(primary(0), { kind: 'close' }, ''), true);
    assert.equal(plan.settled(primary(0)), false);
    assert.equal(plan.act(primary(0), { kind: 'reopen' }, ''), false);
    assert.equal(plan.act(primary(0), { kind: 'write-epoch', clusterId: '', epoch: 1, term: 1 }, ''), true);
    assert.equal(plan.act(replica(1), { kind: 'seal' }, ''), true);
    assert.deepEqual(
      plan.decision().acts.map(({ kind }) => kind),
      ['barrier', 'close', 'write-epoch', 'seal'],
    );
  });

  it('has none for a member where one is under way, but for a SIGKILL that ends a statement', () => {
    const kill = { kind: 'kill', process: { pid: 1, startTime: '1' } } as const;
    for (const [busy, may] of [
      ['unlock', true],
      ['rebuild', false],
      ['settling', false],
    ] as const) {
      const plan = planOf();
      assert.equal(plan.act({ ...silent(0), busy }, { kind: 'close' }, ''), false);
      assert.equal(plan.act({ ...silent(0), busy }, kill, ''), may, busy);
      assert.equal(plan.settled({ ...silent(0), busy }), false);
    }
  });

  it('has one record: the first stays', () => {
    const plan = planOf();
    assert.equal(plan.write(record({ required: 2 }), 'first'), true);
    assert.equal(plan.write(record({ required: 0 }), 'second'), false);
    assert.deepEqual([plan.decision().record?.why, plan.writes], ['first', true]);
  });

  it('knows for how long something has been so, without a break', () => {
    const { nowMs } = view();
    const since = remember({ since: { 'this went on': nowMs - 500, 'this had stopped': nowMs - 500 } });
    const plan = new Plan(view(), since);
    assert.deepEqual([plan.lasting('this went on'), plan.lasting('this is new')], [500, 0]);
    assert.deepEqual(plan.decision().memory.since, { 'this went on': nowMs - 500, 'this is new': nowMs });
  });

  it('says something of every member, the first thing said', () => {
    const plan = planOf();
    plan.report(replica(1), 'following');
    plan.report(replica(1), 'lagging');
    assert.deepEqual(
      plan.decision().members.map(({ role, state }) => [role, state]),
      [
        ['primary', 'waiting'],
        ['replica', 'following'],
        ['replica', 'waiting'],
      ],
    );
  });
});
