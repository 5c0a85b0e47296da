import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import type { MemberView, View } from './view.ts';
import {
  acker,
  act,
  acts,
  answering,
  CLUSTER,
  decideAll,
  decideLast,
  empty,
  EPOCH,
  LATER_MS,
  lasting,
  nextAckers,
  prepared,
  primary,
  remember,
  replica,
  rows,
  sealed,
  silent,
  uuid,
  view,
  withBarrier,
  gone,
  type ServerOver,
} from './view-fixture.ts';

const only1 = { record: { ackers: [acker(1)] } };

describe('a member enters S', () => {
  it('by the record first: nothing is done for it in the same decision', () => {
    const decision = decide(view([sealed(2)], only1));
    assert.deepEqual(nextAckers(decision), [1, 2]);
    assert.deepEqual(acts(decision), []);
    assert.equal(decision.record?.next.required, 1, 'one thing at a time');
  });

  it('one at a time', () => {
    assert.deepEqual(nextAckers(decide(view([sealed(1), sealed(2)], { record: { ackers: [] } }))), [1]);
  });

  it('while the primary is still closed, too', () => {
    assert.deepEqual(nextAckers(decide(view([prepared(0), sealed(2)], only1))), [1, 2]);
  });

  const unfit: [string, ServerOver][] = [
    ['has rows that the primary lacks', { executed: rows('0:1-100,2:1') }],
    ['needs what the primary has purged', { executed: rows('0:1-4') }],
    ['cannot apply', { replica: { applierError: '1062: Duplicate entry' } }],
    [
      'may acknowledge to another, which it follows',
      { sealed: false, replica: { receiver: 'on', sourceHost: 'host-1' } },
    ],
    [
      'can’t be turned to this primary before it has applied what it received from another',
      { executed: rows('0:1-90'), replica: { sourceHost: 'host-1', received: rows('0:1-100') } },
    ],
    ['is open', { access: 'open' }],
    ['waits for acknowledgements itself', { source: { enabled: true } }],
    ['is another cluster’s', { epochRow: { clusterId: 'another', epoch: 1, term: 1 } }],
    ['is not in a session with its lock', { locked: false }],
  ];
  for (const [what, over] of unfit) {
    it(`not if it ${what}`, () => {
      const received = over.executed === undefined ? {} : { received: over.executed };
      const one = sealed(2, '0:1-100', { ...over, replica: { ...received, ...over.replica } });
      assert.equal(decide(view([primary(0, { purged: rows('0:1-5') }), one], only1)).record, null);
    });
  }

  it('though it has yet to apply what it received from this primary', () => {
    const behind = sealed(2, '0:1-90', { replica: { received: rows('0:1-100') } });
    assert.deepEqual(nextAckers(decide(view([behind], only1))), [1, 2]);
  });

  it('not while something is under way on it', () => {
    assert.equal(decide(view([sealed(2, '0:1-100', {}, { busy: 'rebuild' })], only1)).record, null);
  });

  it('wedge-empty-in-S: not empty, if it has to be cloned first', () => {
    const purged = view([primary(0, { purged: rows('0:1-5') }), empty(2)], only1);
    assert.equal(decide(purged).record, null);
    const much = [primary(0, { executed: rows('0:1-9000') }), replica(1, '0:1-9000')];
    assert.equal(decide(view([...much, empty(2)], only1)).record, null);
    assert.deepEqual(nextAckers(decide(view([empty(2)], only1))), [1, 2], 'one that can fetch everything may');
  });

  it('though it is refused at the moment: it follows this primary and nobody else', () => {
    const knocking = replica(2, '0:1-100', { replica: { receiver: 'connecting', receiverError: '3118: locked' } });
    assert.deepEqual(nextAckers(decide(view([knocking], only1))), [1, 2]);
  });

  it('not while it knocks at this primary, and does not reach it: S would be changed back every second', () => {
    const knocking = (receiverError: string, receiver: 'connecting' | 'off' = 'connecting') =>
      decide(view([replica(2, '0:1-100', { replica: { receiver, receiverError } })], only1));
    for (const error of ['2003: no answer', '1040: Too many connections']) assert.equal(knocking(error).record, null);
    assert.deepEqual(nextAckers(knocking('3032: offline mode')), [1, 2]);
    assert.deepEqual(nextAckers(knocking('2003: no answer', 'off')), [1, 2], 'it does not try');
  });

  it('again after its machine restarted, and then it is that acker', () => {
    const rebooted = replica(1, '0:1-100', {}, { bootId: 'next' });
    const first = decide(view([rebooted, gone(2)], only1));
    assert.deepEqual(first.record?.next.ackers, [acker(1), acker(1, { bootId: 'next' })]);
    const off = sealed(1, '0:1-100', {}, { bootId: 'next' });
    const next = view([primary(0, { source: { connected: [], unlocked: [1] } }), off, gone(2)], {
      record: { ackers: first.record?.next.ackers ?? [] },
    });
    assert.ok(act(decide(next), 'follow', 1));
  });
});

describe('an acker leaves S', () => {
  const gone2 = (source: ServerOver['source'] = {}) => view([primary(0, { source }), gone(2)]);

  it('one that the resource asks for no more, once the epoch is open: MySQL would hear the others a second late', () => {
    const two = { wanted: { replicas: 2 } };
    const opening = primary(0, { epochRow: { clusterId: CLUSTER, epoch: EPOCH - 1, term: 1 } });
    assert.deepEqual(acts(decide(view([opening], two))), ['write-epoch 0']);
    assert.deepEqual(act(decide(view([], two)), 'lock-out', 0)?.ordinals, [2]);
  });

  it('when it has been away for the detection time', () => {
    const [first, later] = decideAll(lasting(gone2(), 1000));
    assert.deepEqual(first && acts(first), []);
    assert.deepEqual(later && act(later, 'lock-out', 0)?.ordinals, [2]);
    assert.equal(later?.record, null);
  });

  const away = [gone2(), { ...gone2(), nowMs: LATER_MS + 1000 }] as const;
  const locked = (source: ServerOver['source']) => ({ ...gone2(source), nowMs: LATER_MS + 1100 });

  it('late-login-survives-the-cut: locked out first, and every connection of it seen gone', () => {
    const { memory } = decideLast(away);
    const connected = decide(locked({ unlocked: [1], connected: [1, 2] }), memory);
    assert.deepEqual([acts(connected), connected.record], [['lock-out 0'], null]);
    assert.deepEqual(acts(decide(locked({ unlocked: [1], connected: [1] }), memory)), ['barrier 0']);
  });

  it('barrier-missing: recorded only when a barrier has passed without it', () => {
    const { memory } = decideLast(away);
    const decision = withBarrier(locked({ unlocked: [1], connected: [1] }), memory);
    assert.deepEqual([nextAckers(decision), decision.record?.next.required], [[1], 1]);
  });

  it('re-armed-by-belief: not if commits turn out not to wait when the barrier has passed', () => {
    const { memory } = decideLast(away);
    const one = locked({ unlocked: [1], connected: [1] });
    const asked = act(decide(one, memory), 'barrier', 0);
    const barrier = { purpose: asked?.purpose ?? '', state: 'passed', sinceMs: 0 } as const;
    const off = { ...locked({ unlocked: [1], connected: [1], active: false }), barrier };
    assert.equal(decide(off, memory).record, null);
  });

  it('nothing is concluded while something is under way on the primary', () => {
    const { memory } = decideLast(away);
    const one = locked({ unlocked: [1], connected: [1] });
    const barrier = {
      purpose: act(decide(one, memory), 'barrier', 0)?.purpose ?? '',
      state: 'passed',
      sinceMs: 0,
    } as const;
    const [busy] = [{ ...primary(0, { source: { unlocked: [1], connected: [1] } }), busy: 'unlock' }];
    const decision = decide({ ...view([busy, gone(2)]), nowMs: one.nowMs, barrier }, memory);
    assert.deepEqual([decision.record, acts(decision)], [null, []]);
  });

  it('not on another barrier’s word, nor one that failed', () => {
    const { memory } = decideLast(away);
    const one = locked({ unlocked: [1], connected: [1] });
    const purpose = act(decide(one, memory), 'barrier', 0)?.purpose ?? '';
    for (const barrier of [
      { purpose: 'release', state: 'passed', sinceMs: 0 },
      { purpose, state: 'failed', sinceMs: 0 },
      { purpose, state: 'pending', sinceMs: LATER_MS + 1000 },
    ] as const) {
      assert.equal(decide({ ...one, barrier }, memory).record, null);
    }
  });

  it('when its disk is full: it stays attached, and acknowledges nothing', () => {
    const full = replica(2, '0:1-100', {}, { disk: 'disk full' });
    assert.deepEqual(act(decideLast(lasting(view([full]), 1000)), 'lock-out', 0)?.ordinals, [2]);
    const all = [primary(0, {}, { disk: 'disk full' }), replica(1, '0:1-100', {}, { disk: 'disk full' }), full];
    assert.equal(act(decideLast(lasting(view(all), 1000)), 'lock-out', 0), undefined, 'unless all have that one disk');
    assert.equal(decide(view([full], only1)).record, null, 'and does not come back before there is room');
  });

  it('never below k', () => {
    const one = view([primary(0), gone(1), gone(2)], only1);
    assert.deepEqual(
      acts(decideLast(lasting(one, 60_000))).filter((each) => each !== 'barrier 0'),
      ['lock-out 0'],
    );
    assert.deepEqual(act(decideLast(lasting(one, 60_000)), 'lock-out', 0)?.ordinals, [2], 'which is not in S');
    assert.equal(decideLast(lasting(one, 60_000)).record, null);
  });

  it('cloned-acker-still-counts: once other data is under its ordinal', () => {
    const decision = decide(view([primary(0, { source: { unlocked: [1], connected: [1] } }), empty(2)]));
    assert.deepEqual(nextAckers(decision), [1, 2, 2], 'the new one enters');
    const two = [acker(1), acker(2), acker(2, { serverUuid: uuid(2, 1) })];
    const anew = replica(2, '0:1-100', { serverUuid: uuid(2, 1) });
    assert.deepEqual(nextAckers(withBarrier(view([anew], { record: { ackers: two } }))), [1, 2]);
    assert.equal(withBarrier(view([anew], { record: { ackers: two } })).record?.next.ackers[1]?.serverUuid, uuid(2, 1));
  });

  it('as it was before its data was lost, and not as it was admitted since, though nobody can see it: that one goes on acknowledging', () => {
    const anew = acker(1, { serverUuid: uuid(1, 1) });
    const unseen = view([primary(0, { source: { unlocked: [1], connected: [1] } }), silent(1), gone(2)], {
      record: { ackers: [acker(1), anew] },
    });
    // Its data was seen to be other than before, until shortly: it alone has been out for the detection time.
    const since = { [`out 1 ${anew.serverUuid}`]: LATER_MS - 1000, [`out 1 ${uuid(1)}`]: LATER_MS - 500 };
    assert.deepEqual(withBarrier(unseen, remember({ since })).record?.next.ackers, [anew]);
  });

  it('broken-applier-acks: when it cannot apply, though it acknowledges on', () => {
    const broken = replica(2, '0:1-90', { replica: { applierError: '1062', received: rows('0:1-100') } });
    assert.deepEqual(act(decide(view([broken])), 'lock-out', 0)?.ordinals, [2]);
  });

  it('but not while too few others are attached: without it, writes would stand still', () => {
    const fewer = { wanted: { replicas: 2 }, record: { ackers: [acker(1), acker(2)] } };
    assert.deepEqual(act(decide(view([], fewer)), 'lock-out', 0)?.ordinals, [2]);
    for (const other of [gone(1), sealed(1)]) assert.equal(act(decide(view([other], fewer)), 'lock-out', 0), undefined);
    const broken = replica(2, '0:1-90', { replica: { applierError: '1062', received: rows('0:1-100') } });
    assert.equal(act(decide(view([gone(1), broken])), 'lock-out', 0), undefined);
    assert.deepEqual(act(decide(view([gone(1), sealed(2)], fewer)), 'lock-out', 0)?.ordinals, [2], 'it does not help');
  });

  it('when it has rows that the primary lacks, its machine restarted, or it is not there any more', () => {
    const errant = replica(2, '0:1-100,2:1');
    assert.deepEqual(act(decide(view([errant])), 'lock-out', 0)?.ordinals, [2]);
    const twins = [acker(1), acker(2), acker(2, { bootId: 'next' })];
    const rebooted = replica(2, '0:1-100', {}, { bootId: 'next' });
    assert.deepEqual(withBarrier(view([rebooted], { record: { ackers: twins } })).record?.next.ackers, [
      twins[0],
      twins[2],
    ]);
    const durable = {
      record: { ackers: [acker(1), acker(2, { bootId: 'former' })] },
      wanted: { limits: { powerLoss: true } },
    };
    assert.deepEqual(
      acts(decide(view([], durable))).filter((one) => !one.startsWith('purge')),
      [],
    );
    const unknown = view([], { record: { ackers: [acker(1), acker(2), acker(7)] } });
    assert.deepEqual(nextAckers(withBarrier({ ...unknown })), [1, 2]);
    const own = view([], { record: { ackers: [acker(0, { serverUuid: 'former data' }), acker(1), acker(2)] } });
    assert.equal(acts(decide(own)).includes('unlock 0'), false, 'of the primary itself');
    assert.deepEqual(nextAckers(withBarrier(own)), [1, 2]);
  });

  it('is locked out by this brain itself: what another one began, a login under way may have survived', () => {
    const inherited = primary(0, { source: { unlocked: [1], connected: [1] }, lockedOut: [] });
    const gone = view([inherited, silent(2)], { record: { ackers: [acker(1), acker(2)] }, wanted: { replicas: 2 } });
    const decision = decide(gone);
    assert.deepEqual(act(decision, 'lock-out', 0)?.ordinals, [2]);
    assert.equal(act(decision, 'barrier', 0), undefined);
  });

  it('but not if it is back, and knocks: the barrier that it is to leave by may need it', () => {
    const locked = (...unlocked: number[]): MemberView => primary(0, { source: { unlocked, connected: [] } });
    const back = (receiverError: string): MemberView =>
      replica(2, '0:1-100', { replica: { receiver: 'connecting', receiverError } });
    const at = (ms: number, ...members: MemberView[]): View => ({
      ...view([gone(1), ...members]),
      nowMs: LATER_MS + ms,
    });
    const away = [at(0, gone(2)), at(1000, gone(2)), at(1100, locked(1), gone(2))];
    assert.deepEqual(act(decideLast(away.slice(0, 2)), 'lock-out', 0)?.ordinals, [2]);
    const knocks = [at(1200, locked(1), back('3118: locked')), at(1300, locked(), back('3118: locked'))];
    assert.deepEqual(
      act(decideLast([...away, ...knocks.slice(0, 1)]), 'lock-out', 0)?.ordinals,
      [1],
      'the other is to leave',
    );
    assert.deepEqual(act(decideLast([...away, ...knocks]), 'unlock', 0)?.ordinals, [2]);
    const cutOff = [
      at(1200, locked(1), back('2003: cannot connect')),
      at(1300, locked(1), back('2003: cannot connect')),
    ];
    for (const decision of decideAll([...away, ...cutOff])) assert.equal(act(decision, 'unlock', 0), undefined);
  });

  it('never by what a closed primary shows', () => {
    const one = view([prepared(0, { executed: rows('0:1-10') }), empty(2)], {
      record: { ackers: [acker(1), acker(2), acker(2, { serverUuid: uuid(2, 1) })] },
    });
    const decision = decideLast(lasting(one, 5000));
    assert.deepEqual([decision.record, acts(decision).filter((each) => /lock|barrier/.test(each))], [null, []]);
  });

  it('without a barrier where no acknowledgement is required', () => {
    const open = primary(0, { source: { enabled: false, active: false } });
    const none = {
      record: { required: 0, mode: 'asynchronous', ackers: [acker(1), acker(2)] },
      wanted: { mode: 'asynchronous', required: 0 },
    } as const;
    assert.deepEqual(
      nextAckers(
        decide(
          view([open, empty(2), replica(1)], {
            ...none,
            record: { ...none.record, ackers: [acker(1), acker(2), acker(2, { serverUuid: uuid(2, 1) })] },
          }),
        ),
      ),
      [1, 2],
    );
  });

  it('not for being away while its account is still locked', () => {
    const one = view([primary(0, { source: { unlocked: [1], connected: [1] } }), gone(2)]);
    assert.deepEqual(act(decideLast(lasting(one, 5000)), 'unlock', 0)?.ordinals, [2]);
  });
});

describe('who may log in at the primary', () => {
  it('acker-outside-S: nobody outside S', () => {
    const more = primary(0, { source: { unlocked: [1, 2, 3], connected: [1, 2] } });
    assert.deepEqual(act(decide(view([more])), 'lock-out', 0)?.ordinals, [3]);
    const still = primary(0, { source: { connected: [1, 2, 4] } });
    assert.deepEqual(act(decide(view([still])), 'lock-out', 0)?.ordinals, [4]);
  });

  it('everybody in S', () => {
    const less = primary(0, { source: { unlocked: [2], connected: [2] } });
    assert.deepEqual(act(decide(view([less])), 'unlock', 0)?.ordinals, [1]);
  });
});

const five = { replicas: 5, required: 2 };
const four = [1, 2, 3, 4].map((ordinal) => replica(ordinal));
const S4 = [1, 2, 3, 4].map((ordinal) => acker(ordinal));
const source4 = { unlocked: [1, 2, 3, 4], connected: [1, 2, 3, 4] };

describe('k is raised', () => {
  const open = (required: number, over: ServerOver['source'] = {}) =>
    primary(0, { source: { ...source4, required, ...over } });

  it('on the server first, then proven by a barrier, then recorded', () => {
    const first = decide(view([open(1), ...four], { record: { ackers: S4 }, wanted: five }));
    assert.equal(act(first, 'set-required', 0)?.required, 2);
    assert.equal(first.record, null);
    const decision = withBarrier(view([open(2), ...four], { record: { ackers: S4 }, wanted: five }));
    assert.equal(decision.record?.next.required, 2);
    assert.deepEqual(nextAckers(decision), [1, 2, 3, 4], 'two-things-in-one-record');
  });

  it('not while too few are in sync', () => {
    const behind = [2, 3, 4].map((ordinal) => replica(ordinal, '0:1-2'));
    const much = primary(0, { executed: rows('0:1-9000'), source: { ...source4, required: 1 } });
    const decision = decide(view([much, replica(1, '0:1-9000'), ...behind], { record: { ackers: S4 }, wanted: five }));
    assert.equal(act(decision, 'set-required', 0), undefined);
  });

  it('by members of S that are attached, can apply and are right, and nobody else', () => {
    const others = [
      replica(2, '0:1-100', { replica: { receiver: 'connecting' } }),
      replica(2, '0:1-100', { replica: { applierError: '1062' } }),
      replica(2, '0:1-100,2:1'),
      replica(2, '0:1-100', { serverUuid: 'of another disk' }),
      silent(2),
    ];
    for (const other of others) {
      const one = view([other], { wanted: { required: 2 } });
      assert.equal(act(decide(one), 'set-required', 0), undefined);
    }
    assert.equal(act(decide(view([], { wanted: { required: 2 } })), 'set-required', 0)?.required, 2);
  });

  it('in adaptive to as many as are in sync, in quorum to all that are asked for or not at all', () => {
    const off = primary(0, { source: { enabled: false, active: false } });
    const required = (mode: 'adaptive' | 'quorum'): number | undefined => {
      const over = { record: { required: 0, mode: 'adaptive' }, wanted: { mode, required: 2 } } as const;
      return act(decide(view([off, gone(2)], over)), 'set-required', 0)?.required;
    };
    assert.deepEqual([required('adaptive'), required('quorum')], [1, undefined]);
  });

  it('from none: semi-sync on, status ON, barrier, status ON again', () => {
    const none = { record: { required: 0, mode: 'adaptive' }, wanted: { mode: 'adaptive' } } as const;
    const off = primary(0, { source: { enabled: false, active: false } });
    assert.equal(act(decide(view([off], none)), 'set-required', 0)?.required, 1);
    assert.equal(withBarrier(view([primary(0)], none)).record?.next.required, 1);
    const passed = withBarrier(view([primary(0)], none)).memory;
    const barrier = { purpose: `raise to 1 in epoch ${EPOCH}`, state: 'passed', sinceMs: LATER_MS } as const;
    const inactive = { ...view([primary(0, { source: { active: false } })], none), barrier };
    assert.equal(decide(inactive, passed).record, null);
  });

  it('from none, anew, if what had been switched on has given up waiting since', () => {
    const none = { record: { required: 0, mode: 'adaptive' }, wanted: { mode: 'adaptive' } } as const;
    const inactive = decide(view([primary(0, { source: { active: false } })], none));
    assert.deepEqual([act(inactive, 'set-required', 0)?.required, act(inactive, 'barrier', 0)], [0, undefined]);
  });

  it('not while somebody outside S may be attached', () => {
    const none = {
      record: { required: 0, mode: 'adaptive', ackers: [acker(1)] },
      wanted: { mode: 'adaptive' },
    } as const;
    const decision = decide(view([primary(0), silent(2)], none));
    assert.equal(act(decision, 'barrier', 0), undefined);
  });

  it('what the server waits for besides is taken back', () => {
    const more = decide(view([primary(0, { source: { required: 2 } })]));
    assert.equal(act(more, 'set-required', 0)?.required, 1);
  });
});

describe('k is lowered', () => {
  it('by the record first, then on the server', () => {
    const over = { record: { ackers: [acker(1), acker(2)], required: 2 } };
    const open = primary(0, { source: { required: 2 } });
    const decision = decide(view([open], over));
    assert.deepEqual([decision.record?.next.required, acts(decision)], [1, []]);
    assert.equal(act(decide(view([open])), 'set-required', 0)?.required, 1);
  });

  it('two-things-in-one-record: scaling in, members leave one by one, then k', () => {
    const open = primary(0, { source: { ...source4, required: 2 } });
    const one = view([open, ...four], { record: { ackers: S4, required: 2 } });
    const decision = decide(one);
    assert.deepEqual(act(decision, 'lock-out', 0)?.ordinals, [4], 'the highest first');
    const locked = primary(0, { source: { unlocked: [1, 2, 3], connected: [1, 2, 3], required: 2 } });
    const left = withBarrier(view([locked, ...four], { record: { ackers: S4, required: 2 } }));
    assert.deepEqual([nextAckers(left), left.record?.next.required], [[1, 2, 3], 2]);
    const enough = decide(view([open, gone(2), replica(4)], { record: { ackers: [acker(1), acker(4)], required: 2 } }));
    assert.deepEqual([nextAckers(enough), enough.record?.next.required], [[1, 4], 1], 'S cannot shrink further: k');
  });

  it('at once where nobody leaves', () => {
    const over = { record: { ackers: S4, required: 2 }, wanted: { replicas: 5, required: 1 } };
    const open = primary(0, { source: { ...source4, required: 2 } });
    assert.equal(decide(view([open, ...four], over)).record?.next.required, 1);
  });

  it('never in quorum for members that are out', () => {
    assert.equal(decideLast(lasting(view([gone(1), gone(2)]), 60_000)).record, null);
  });

  const adaptive = { record: { mode: 'adaptive' }, wanted: { mode: 'adaptive' } } as const;

  it('in adaptive, to what is in sync: at once if the others are known to be down, else after the detection time', () => {
    assert.equal(decide(view([gone(1), gone(2)], adaptive)).record?.next.required, 0);
    const quiet = view([silent(1), silent(2)], adaptive);
    assert.deepEqual(
      decideAll(lasting(quiet, 999)).map(({ record }) => record),
      [null, null],
    );
    assert.equal(decideLast(lasting(quiet, 1000)).record?.next.required, 0);
  });

  it('in adaptive, not for a member that is to leave', () => {
    const fewer = view([gone(1)], { ...adaptive, wanted: { ...adaptive.wanted, replicas: 2 } });
    assert.equal(decide(fewer).record?.next.required, 0);
  });

  it('in adaptive, not for an errant acker, which is not in sync', () => {
    const errant = [1, 2].map((ordinal) => replica(ordinal, `0:1-100,${ordinal}:1`));
    assert.equal(decideLast(lasting(view(errant, adaptive), 1000)).record?.next.required, 0);
  });
});

describe('the mode', () => {
  it('is recorded at once if it promises less', () => {
    const next = decide(view([], { wanted: { mode: 'adaptive' } })).record?.next;
    assert.deepEqual([next?.mode, next?.required], ['adaptive', 1]);
  });

  it('to asynchronous: k first, then the mode', () => {
    const over = { wanted: { mode: 'asynchronous', required: 0 } } as const;
    const first = decide(view([], over)).record?.next;
    assert.deepEqual([first?.mode, first?.required], ['quorum', 0]);
    const off = primary(0, { source: { enabled: false, active: false } });
    assert.equal(decide(view([off], { ...over, record: { required: 0 } })).record?.next.mode, 'asynchronous');
  });

  it('to quorum: only when as many acknowledge as it takes', () => {
    const from = { record: { mode: 'adaptive', required: 0 } } as const;
    assert.equal(decide(view([primary(0, { source: { enabled: false, active: false } })], from)).record, null);
    assert.equal(decide(view([], { record: { mode: 'adaptive' } })).record?.next.mode, 'quorum');
  });

  it('mode-as-a-way-out: never changes while the primary does not answer', () => {
    const over = { wanted: { mode: 'asynchronous', required: 0 } } as const;
    for (const one of [gone(0), silent(0, LATER_MS), answering(0, '0:1', { locked: false })]) {
      assert.equal(decide(view([one, silent(1), sealed(2)], over)).record, null);
    }
  });
});
