import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import { NO_MEMORY } from './decision.ts';
import {
  acker,
  act,
  acts,
  CLUSTER,
  decideAll,
  decideLast,
  EPOCH,
  gone,
  LATER_MS,
  lasting,
  pid,
  primary,
  replica,
  rows,
  silent,
  view,
  type ServerOver,
} from './view-fixture.ts';
import type { View } from './view.ts';

describe('a primary that serves', () => {
  it('is where the endpoint leads, and the cluster is healthy', () => {
    const decision = decide(view());
    assert.deepEqual(decision.primary, { members: [0], hold: false, reason: '' });
    assert.equal(decision.state, 'healthy');
    assert.equal(decision.memory.served, EPOCH);
    assert.deepEqual(decision.memory.heardAs, { epoch: EPOCH, process: pid(0) });
  });

  it('is looked at at least as often as its death must be noticed', () => {
    assert.ok(decide(view()).glanceMs <= 334);
  });

  it('and the others once a second, while all is as it should be and nothing is under way', () => {
    const again = (one: View): number => decideLast(lasting(one, 100)).againMs;
    assert.equal(again(view()), 1000);
    assert.ok(again(view([silent(2)])) <= 334);
    assert.ok(again(view([replica(2, '0:1-100', {}, { busy: 'configure' })])) <= 334);
    assert.ok(again(view([primary(0, { source: { waiting: 1 } })])) <= 334);
  });

  it('makes the cluster degraded while a member is missing, which is said', () => {
    const decision = decide(view([silent(2)]));
    assert.deepEqual([decision.state, decision.reason], ['degraded', 'member 2 not in sync']);
  });

  it('or while fewer acknowledge than asked for', () => {
    assert.equal(decide(view([], { wanted: { required: 2 } })).state, 'degraded');
  });
});

describe('commits that wait', () => {
  const waiting = (over: ServerOver['source'] = {}) => primary(0, { source: { waiting: 2, ...over } });
  const knocking = (ordinal: number) => replica(ordinal, '0:1-100', { replica: { receiver: 'connecting' } });

  it('for no ack that may come are blocked, which is said after half a second', () => {
    const one = view([waiting(), gone(1), gone(2)]);
    assert.equal(decideLast(lasting(one, 499)).state, 'degraded');
    const decision = decideLast(lasting(one, 500));
    assert.equal(decision.state, 'blocked');
    assert.match(decision.reason, /2 commits wait for 1 acknowledgements of member 1, member 2; 0 attached/);
  });

  it('lost-ack-hangs: for an ack that was lost are released by a small write of the controller’s own', () => {
    const [first, later] = decideAll(lasting(view([waiting()]), 300));
    assert.equal(first && act(first, 'barrier', 0), undefined);
    assert.equal(later && act(later, 'barrier', 0)?.purpose, 'release');
  });

  it('though it is a write of the controller’s own that waits, however young', () => {
    const barrier = { purpose: 'S without 2', state: 'pending', sinceMs: LATER_MS + 200 } as const;
    assert.ok(act(decideLast(lasting(view([waiting()], { barrier }), 300)), 'barrier', 0));
    const release = { ...barrier, purpose: 'release' };
    const again = act(decideLast(lasting(view([waiting()], { barrier: release }), 300)), 'barrier', 0);
    assert.equal(again, undefined, 'not at every look');
  });

  it('so, and soon, for the epoch’s row: MySQL hears who just attached up to a second late', () => {
    const opening = primary(0, { epochRow: { clusterId: CLUSTER, epoch: EPOCH - 1, term: 1 }, source: { waiting: 1 } });
    const barrier = { purpose: `the row of epoch ${EPOCH}`, state: 'pending', sinceMs: LATER_MS } as const;
    const at = (ms: number): unknown => act(decideLast(lasting(view([opening], { barrier }), ms)), 'barrier', 0);
    assert.equal(at(59), undefined);
    assert.ok(at(60));
  });

  it('ever more rarely, for each such write waits in a session of its own', () => {
    const begun: number[] = [];
    let one = view([waiting()]);
    let memory = NO_MEMORY;
    for (let ms = 0; ms < 60_000; ms += 100) {
      const decision = decide({ ...one, nowMs: LATER_MS + ms }, memory);
      ({ memory } = decision);
      const release = act(decision, 'barrier', 0);
      if (release === undefined) continue;
      begun.push(ms);
      one = { ...one, barrier: { purpose: release.purpose, state: 'pending', sinceMs: LATER_MS + ms } };
    }
    assert.equal(begun[0], 300);
    assert.ok(begun.length >= 5 && begun.length <= 8, begun.join(', '));
  });

  it('are not, for an acker that is attached and whose disk is full: it acknowledges nothing', () => {
    const full = replica(1, '0:1-100', {}, { disk: 'disk full' });
    const one = view([waiting(), full, gone(2)]);
    const decision = decideLast(lasting(one, 500));
    assert.equal(act(decision, 'barrier', 0), undefined);
    assert.equal(decision.state, 'blocked');
    // Its acknowledgement would be all that an account statement waits for, which lets nobody else in.
    const at = (ms: number): View => ({ ...view([waiting(), full, knocking(2)]), nowMs: LATER_MS + ms });
    assert.ok(act(decideLast([at(0), at(2000), at(4000)]), 'kill', 0));
  });

  it('and go on are left alone', () => {
    const views = [0, 200, 400, 600, 800].map((ms): View => ({
      ...view([primary(0, { executed: rows(`0:1-${1000 + ms}`), source: { waiting: 2 } })]),
      nowMs: LATER_MS + ms,
    }));
    for (const decision of decideAll(views))
      assert.deepEqual(
        acts(decision).filter((one) => !one.startsWith('purge')),
        [],
      );
  });

  it('wedge-account-statement: while enough ackers knock in vain, are ended by SIGKILL', () => {
    const one = view([waiting(), knocking(1), gone(2)]);
    assert.equal(act(decideLast(lasting(one, 1999)), 'kill', 0), undefined);
    const at = (ms: number): View => ({ ...one, nowMs: LATER_MS + ms });
    assert.deepEqual(act(decideLast([at(0), at(2000), at(4000)]), 'kill', 0)?.process, pid(0));
  });

  it('also where one that is attached does not suffice', () => {
    const two = { record: { required: 2 }, wanted: { required: 2 } };
    const one = view([waiting({ required: 2 }), knocking(2)], two);
    const at = (ms: number): View => ({ ...one, nowMs: LATER_MS + ms });
    assert.ok(act(decideLast([at(0), at(2000), at(4000)]), 'kill', 0));
    // Lowered in the record, and not yet there.
    const later = (ms: number): View => ({ ...view([waiting({ required: 2 }), knocking(2)]), nowMs: LATER_MS + ms });
    assert.ok(act(decideLast([later(0), later(2000), later(4000)]), 'kill', 0));
  });

  it('while it can’t be told that fewer are enough, for that waits behind them, are ended after the detection time', () => {
    const hung = { ...waiting(), busy: 'set-required' };
    const none = { record: { required: 0, mode: 'adaptive' }, wanted: { mode: 'adaptive' } } as const;
    const at = (ms: number): View => ({ ...view([hung, gone(1), gone(2)], none), nowMs: LATER_MS + ms });
    assert.ok(act(decideLast([at(0), at(500), at(1000)]), 'kill', 0));
    assert.equal(act(decideLast([at(0), at(500), at(999)]), 'kill', 0), undefined);
    const raised = (ms: number): View => ({ ...view([hung, gone(1), gone(2)]), nowMs: LATER_MS + ms });
    assert.equal(act(decideLast([raised(0), raised(500), raised(5000)]), 'kill', 0), undefined);
  });

  it('also if it is another statement of the controller’s that hangs there, and keeps it from being told', () => {
    const one = view([{ ...waiting({ required: 2 }), busy: 'lock-out' }, gone(1), silent(2)]);
    assert.ok(act(decideLast(lasting(one, 1000)), 'kill', 0));
    assert.equal(act(decideLast(lasting(one, 999)), 'kill', 0), undefined);
    const asked = { record: { required: 2 }, wanted: { required: 2 } };
    const same = view([{ ...waiting({ required: 2 }), busy: 'lock-out' }, gone(1), silent(2)], asked);
    assert.equal(act(decideLast(lasting(same, 5000)), 'kill', 0), undefined, 'there is nothing to be told');
  });

  it('and past a statement of the controller’s own that hangs behind them', () => {
    for (const busy of ['lock-out', 'unlock', 'configure']) {
      const hung = { ...waiting(), busy };
      const at = (ms: number): View => ({ ...view([hung, knocking(1), gone(2)]), nowMs: LATER_MS + ms });
      assert.ok(act(decideLast([at(0), at(2000), at(4000)]), 'kill', 0), busy);
    }
  });

  it('are not, for ackers that are down: they may attach as soon as they are back', () => {
    const at = (ms: number): View => ({ ...view([waiting(), gone(1), gone(2)]), nowMs: LATER_MS + ms });
    assert.equal(act(decideLast([at(0), at(1000), at(60_000)]), 'kill', 0), undefined);
  });
});

describe('a primary that does not wait as recorded', () => {
  it('is in no endpoint and killed at once, whatever else there is to do', () => {
    for (const source of [{ enabled: false, active: false }, { active: false }]) {
      const decision = decide(view([primary(0, { source }), gone(2)]));
      assert.deepEqual([acts(decision), decision.primary.members], [['kill 0'], []]);
      assert.equal(decision.record, null);
    }
  });

  it('may not wait with none recorded', () => {
    const none = {
      record: { required: 0, mode: 'asynchronous' },
      wanted: { mode: 'asynchronous', required: 0 },
    } as const;
    const off = primary(0, { source: { enabled: false, active: false } });
    assert.deepEqual(decide(view([off], none)).primary.members, [0]);
  });
});

describe('settings', () => {
  it('are applied by role, once a session', () => {
    const settings = {
      primary: { key: 'p', settings: { max_connections: 100 } },
      replica: { key: 'r', settings: { max_connections: 50 } },
    };
    const decision = decide(view([], { wanted: { settings } }));
    assert.equal(act(decision, 'configure', 0)?.role.key, 'p');
    assert.equal(act(decision, 'configure', 1)?.role.key, 'r');
    const done = [
      primary(0, { configured: 'p' }),
      replica(1, '0:1-100', { configured: 'r' }),
      replica(2, '0:1-100', { configured: 'r' }),
    ];
    assert.deepEqual(
      acts(decide(view(done, { wanted: { settings } }))).filter((one) => one.startsWith('configure')),
      [],
    );
  });

  it('none asked for, none applied', () => {
    const fresh = [primary(0, { configured: null }), replica(1, '0:1-100', { configured: null })];
    assert.deepEqual(
      acts(decide(view(fresh))).filter((one) => one.startsWith('configure')),
      [],
    );
  });
});

describe('events that came by replication', () => {
  it('run where the primary is, and are tried now and then', () => {
    const one = view([primary(0, { eventsOff: 2 })]);
    const [first, again] = decideAll([one, { ...one, nowMs: LATER_MS + 100 }]);
    assert.ok(first && act(first, 'enable-events', 0));
    assert.equal(again && act(again, 'enable-events', 0), undefined);
    const before = { clusterId: CLUSTER, epoch: EPOCH - 1, term: 1 };
    assert.equal(act(decide(view([primary(0, { eventsOff: 2, epochRow: before })])), 'enable-events', 0), undefined);
    assert.equal(act(decide(view([replica(1, '0:1-100', { eventsOff: 2 })])), 'enable-events', 1), undefined);
  });
});

describe('binlogs are purged', () => {
  const purges = (...of: Parameters<typeof view>): string[] =>
    acts(decide(view(...of))).filter((one) => one.startsWith('purge'));

  it('of what every member has applied, when all is well', () => {
    const decision = decide(view([replica(1, '0:1-60', { replica: { received: rows('0:1-100') } })]));
    assert.deepEqual(
      decision.acts.map((one) => one.kind === 'purge' && one.keep),
      Array(3).fill(rows('0:1-60').toString()),
    );
  });

  it('never while a member is away, or one of S is not among them', () => {
    assert.deepEqual(purges([silent(2)]), []);
    assert.deepEqual(purges([silent(3)], { record: { ackers: [acker(1), acker(2), acker(3)] } }), []);
    assert.deepEqual(purges([], { wanted: { replicas: 2 } }), []);
  });

  it('once a minute', () => {
    const [, again] = decideAll([view(), { ...view(), nowMs: LATER_MS + 100 }]);
    assert.deepEqual(again && acts(again), []);
  });
});

describe('the primary’s old data, which it was rebuilt beside,', () => {
  it('is dropped when every member has all', () => {
    const aside = { aside: { serverUuid: 'x', rows: '' } };
    const later = { ...view([primary(0, {}, aside)]), nowMs: LATER_MS + 100 };
    assert.ok(act(decideLast([view(), later]), 'drop-aside', 0));
    assert.equal(
      act(decideLast([view(), { ...later, members: [primary(0, {}, aside), replica(1), silent(2)] }]), 'drop-aside', 0),
      undefined,
    );
  });
});

describe('a first row that is not yet acknowledged', () => {
  it('keeps the cluster from being called healthy', () => {
    const before = { clusterId: CLUSTER, epoch: EPOCH - 1, term: 1 };
    assert.equal(decide(view([primary(0, { epochRow: before })])).state, 'failing-over');
  });
});

describe('a primary whose disk was full, and that nobody takes over from', () => {
  const waits = (room: boolean, over: Parameters<typeof view>[1]): View =>
    view([primary(0, { waitsForRoom: true }, { disk: 'disk full: MySQL waits for room', room })], over);
  const adaptive = { record: { required: 0, mode: 'adaptive' }, wanted: { mode: 'adaptive' } } as const;
  const asynchronous = { record: { required: 0, mode: 'asynchronous' }, wanted: { mode: 'asynchronous' } } as const;
  const kills = (one: View, ms: number): boolean => acts(decideLast(lasting(one, ms))).includes('kill 0');

  it('is started anew when there is room: its commits would wait for up to a minute', () => {
    assert.equal(kills(waits(true, adaptive), 3000), true);
    assert.equal(kills(waits(true, adaptive), 2999), false, 'the platform looks again first');
    assert.equal(kills(waits(false, adaptive), 60_000), false, 'nobody knows of room');
  });

  it('asynchronous, unless a replica would take over meanwhile that lacks something', () => {
    const alone = { ...asynchronous, wanted: { ...asynchronous.wanted, replicas: 1 } };
    assert.equal(kills(waits(true, asynchronous), 3000), true);
    assert.equal(
      kills(view([primary(0, { waitsForRoom: true }), replica(1, '0:1-99'), replica(2, '0:1-99')], asynchronous), 3000),
      false,
    );
    assert.equal(kills(view([primary(0, { waitsForRoom: true })], alone), 3000), true);
  });
});
