import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import type { Decision } from './decision.ts';
import type { MemberView, View } from './view.ts';
import {
  absent,
  acker,
  act,
  acts,
  answering,
  CLUSTER,
  decideAll,
  decideLast,
  empty,
  EPOCH,
  gone,
  held,
  LATER_MS,
  lasting,
  pid,
  prepared,
  primary,
  refusing,
  replica,
  rows,
  sealed,
  silent,
  uuid,
  view,
  type ServerOver,
} from './view-fixture.ts';

const only1 = { record: { ackers: [acker(1)] } };
/** A primary where nobody but member 1 may log in. */
const for1 = (over: ServerOver = {}): MemberView =>
  primary(0, { ...over, source: { unlocked: [1], connected: [1], ...over.source } });
const of = (one: MemberView[], ordinal: number, over = {}): string[] =>
  acts(decide(view(one, over))).filter((each) => each.endsWith(` ${ordinal}`) && !each.startsWith('purge'));

describe('a member of S follows', () => {
  it('by auto-position, when its receiver is not running or follows another', () => {
    assert.deepEqual(of([sealed(2)], 2), ['follow 2']);
    assert.deepEqual(of([answering(2)], 2), ['follow 2']);
    const elsewhere = replica(2, '0:1-100', { replica: { sourceHost: 'host-1' } });
    assert.deepEqual(of([elsewhere], 2), ['follow 2']);
  });

  it('reset-before-applied: is not turned to another source before it has applied what it received', () => {
    const behind = { received: rows('0:1-100'), sourceHost: 'host-1' };
    assert.deepEqual(of([sealed(2, '0:1-90', { replica: behind })], 2), []);
    assert.deepEqual(of([sealed(2, '0:1-90', { replica: { ...behind, applier: 'off' } })], 2), ['apply 2']);
    assert.deepEqual(
      of([sealed(2, '0:1-90', { replica: { received: rows('0:1-100') } })], 2),
      ['follow 2'],
      'the same source',
    );
  });

  it('and nobody else does', () => {
    assert.deepEqual(of([for1(), sealed(2, '0:1-100,2:1')], 2, only1).includes('follow 2'), false);
  });

  it('applies what it received from another first, if it is not in S, and is admitted then', () => {
    const off = { sourceHost: 'host-1', received: rows('0:1-100'), applier: 'off' as const };
    const one = decide(view([sealed(2, '0:1-90', { replica: off })], { record: { ackers: [acker(1)] } }));
    assert.ok(act(one, 'apply', 2));
    assert.equal(one.record, null);
  });

  it('is sealed first, if it is not in S and follows another', () => {
    const elsewhere = replica(2, '0:1-100', { replica: { sourceHost: 'host-1' } });
    assert.deepEqual(of([for1(), elsewhere], 2, only1), ['seal 2']);
  });
});

describe('a former primary', () => {
  it('remembered-acks, sigterm-says-ok: is killed, not asked, unless it is closed: commits may wait there', () => {
    for (const access of ['open', 'ajar'] as const) {
      const decision = decide(view([answering(2, '0:1-100', { access })]));
      assert.deepEqual(act(decision, 'kill', 2)?.process, pid(2));
    }
  });

  it('that is closed was drained: it follows at once, and is disarmed', () => {
    assert.deepEqual(of([answering(2, '0:1-100', { source: { enabled: true } })], 2), ['follow 2']);
    assert.deepEqual(of([replica(2, '0:1-100', { source: { enabled: true } })], 2), ['disarm 2']);
    const opening = primary(0, { epochRow: { clusterId: CLUSTER, epoch: EPOCH - 1, term: 1 } });
    const former = replica(2, '0:1-100', { source: { enabled: true } });
    assert.deepEqual(of([opening, former], 2), [], 'after the first row of the epoch, for which everybody waits');
  });

  it('that is closed and has a commit that waits in spite of it is killed', () => {
    assert.deepEqual(of([replica(2, '0:1-100', { source: { enabled: true, waiting: 1 } })], 2), ['kill 2']);
  });
});

describe('a member with rows of its own', () => {
  const errant = sealed(2, '0:1-90,2:1-3');

  it('is rebuilt, what is errant and all that it had told', () => {
    const act2 = act(decide(view([for1(), errant], only1)), 'rebuild', 2);
    assert.deepEqual(
      [act2?.discard, act2?.rows, act2?.errant],
      [uuid(2), rows('0:1-90,2:1-3').toString(), rows('2:1-3').toString()],
    );
  });

  it('is not one because of what only the primary’s number says: it may wait there still (healthy-acker-called-errant)', () => {
    const ahead = replica(2, '0:1-105');
    assert.deepEqual(of([ahead], 2), []);
    assert.equal(decide(view([ahead])).record, null);
  });

  it('cloned-acker-still-counts: is never rebuilt while it may acknowledge, under whatever boot id', () => {
    assert.deepEqual(of([errant], 2).includes('rebuild 2'), false);
    const rebooted = sealed(2, '0:1-90,2:1-3', {}, { bootId: 'next' });
    assert.deepEqual(of([rebooted], 2).includes('rebuild 2'), false);
  });

  it('is not rebuilt before the primary has applied everything', () => {
    const behind = sealed(0, '0:1-90', { replica: { received: rows('0:1-100') } });
    assert.deepEqual(of([behind, silent(1), errant], 2, only1), []);
  });

  it('wedge-errant-while-closed, wedge-three-ways: is rebuilt while the primary is closed, too', () => {
    assert.deepEqual(of([prepared(0, { source: { unlocked: [1] } }), silent(1), errant], 2, only1), ['rebuild 2']);
  });

  it('is not read from', () => {
    assert.deepEqual(decide(view([replica(2, '0:1-100,2:1')])).read.members, [1]);
  });
});

describe('a member that needs more than binlogs', () => {
  const purged = { purged: rows('0:1-50') };

  it('is rebuilt if what it needs is purged', () => {
    assert.deepEqual(of([for1(purged), sealed(2, '0:1-10')], 2, only1), ['rebuild 2']);
  });

  it('is cloned if it is empty, from a replica if one is fresh', () => {
    const decision = decide(view([for1(purged), empty(2)], only1));
    assert.equal(act(decision, 'clone', 2)?.donor.ordinal, 1);
    const far = replica(1, '0:1-100', { replica: { receiver: 'connecting' } });
    assert.equal(act(decide(view([for1(purged), far, empty(2)], only1)), 'clone', 2)?.donor.ordinal, 0);
  });

  const unfit: [string, MemberView][] = [
    ['has rows that the primary lacks', replica(1, '0:1-9000,1:1')],
    ['cannot apply', replica(1, '0:1-9000', { replica: { applierError: '1062' } })],
    ['is not attached', replica(1, '0:1-9000', { replica: { receiver: 'connecting' } })],
    ['is far behind', replica(1, '0:1-100')],
    ['has something under way', replica(1, '0:1-9000', {}, { busy: 'configure' })],
  ];
  for (const [what, one] of unfit) {
    it(`is not cloned from a replica that ${what}`, () => {
      const much = for1({ ...purged, executed: rows('0:1-9000') });
      assert.equal(act(decide(view([much, one, empty(2)], only1)), 'clone', 2)?.donor.ordinal, 0);
    });
  }

  it('is not cloned from a member that leaves, nor from itself', () => {
    const leaves = replica(3, '0:1-100');
    const over = { record: { ackers: [acker(3)] } };
    assert.equal(act(decide(view([for1(purged), silent(1), empty(2), leaves], over)), 'clone', 2)?.donor.ordinal, 0);
    const attached = replica(2, '', { epochRow: null, serverUuid: uuid(2, 1) });
    assert.equal(act(decide(view([for1(purged), silent(1), attached], only1)), 'clone', 2)?.donor.ordinal, 0);
  });

  it('number-used-twice: is never cloned over data', () => {
    assert.equal(act(decide(view([for1(purged), sealed(2, '0:1')], only1)), 'clone', 2), undefined);
  });

  it('in S follows if it can, and is not cloned while it may acknowledge', () => {
    const S = { record: { ackers: [acker(1), acker(2, { serverUuid: uuid(2, 1) })] } };
    assert.deepEqual(of([primary(0, purged), empty(2)], 2, S), []);
    const much = primary(0, { executed: rows('0:1-9000') });
    assert.deepEqual(of([much, replica(1, '0:1-9000'), empty(2)], 2, S), ['follow 2'], 'a long way, but the only one');
  });

  it('wedge-clone-from-blocked: a primary where the same commits wait and that alone could fill it is killed', () => {
    const blocked = for1({ ...purged, source: { waiting: 1 } });
    const one = view([blocked, gone(1), empty(2)], only1);
    assert.equal(act(decide(one), 'clone', 2), undefined);
    assert.deepEqual(act(decideLast(lasting(one, 3000)), 'kill', 0)?.process, pid(0));
    const closed = prepared(0, { ...purged, source: { unlocked: [1], waiting: 1 } });
    assert.equal(act(decide(view([closed, gone(1), empty(2)], only1)), 'clone', 2)?.donor.ordinal, 0);
  });

  it('wedge-clone-from-blocked: and one that began to wait in the middle of the clone, which makes no progress, too', () => {
    const cloning = empty(
      2,
      { clone: { state: 'running', bytesDone: 5, bytesTotal: 10, error: '' } },
      { busy: 'clone' },
    );
    const at = (ms: number, waiting: number): View => ({
      ...view([for1({ ...purged, source: { waiting } }), gone(1), cloning], only1),
      nowMs: LATER_MS + ms,
    });
    assert.ok(act(decideLast([at(0, 1), at(2500, 1), at(5000, 1)]), 'kill', 0));
    assert.equal(act(decideLast([at(0, 0), at(2500, 0), at(5000, 0)]), 'kill', 0), undefined);
  });

  it('a clone is given up when it makes no progress for a minute, and not before, however long it takes', () => {
    const at = (ms: number, bytesDone: number): View => ({
      ...view(
        [
          for1(purged),
          gone(1),
          empty(2, { clone: { state: 'running', bytesDone, bytesTotal: 1000, error: '' } }, { busy: 'clone' }),
        ],
        only1,
      ),
      nowMs: LATER_MS + ms,
    });
    assert.ok(act(decideLast([at(0, 5), at(30_000, 5), at(61_000, 5)]), 'kill', 2));
    assert.equal(act(decideLast([at(0, 5), at(30_000, 6), at(61_000, 7)]), 'kill', 2), undefined);
  });

  it('a donor whose applier and whose clone wait for each other is killed, and not one that they hold up for a moment', () => {
    const held = (received: string): View =>
      view([replica(1, received, { replica: { donating: true, received: rows('0:1-100') } })]);
    assert.equal(act(decideLast(lasting(held('0:1-90'), 29_999)), 'kill', 1), undefined);
    assert.deepEqual(act(decideLast(lasting(held('0:1-90'), 30_000)), 'kill', 1)?.process, pid(1));
    const goesOn = [held('0:1-90'), { ...held('0:1-91'), nowMs: LATER_MS + 30_000 }];
    assert.equal(act(decideLast(goesOn), 'kill', 1), undefined);
    assert.equal(act(decideLast(lasting(held('0:1-100'), 30_000)), 'kill', 1), undefined, 'nothing to apply');
  });

  it('a primary where commits wait and go on is left alone', () => {
    const views = [0, 1000, 2000, 3000, 4000].map((ms) => ({
      ...view(
        [for1({ ...purged, executed: rows(`0:1-${1000 + ms}`), source: { waiting: 1 } }), gone(1), empty(2)],
        only1,
      ),
      nowMs: LATER_MS + ms,
    }));
    assert.equal(act(decideLast(views), 'kill', 0), undefined);
  });
});

describe('rebuild-spends-the-promise: old data kept beside', () => {
  const aside = { aside: { serverUuid: uuid(2), rows: rows('0:1-95,2:1').toString() } };
  const S = { record: { ackers: [acker(1), acker(2, { serverUuid: uuid(2, 1) })] } };
  const anew = (executed: string, over: ServerOver = {}): MemberView =>
    replica(2, executed, { serverUuid: uuid(2, 1), ...over }, aside);

  it('is dropped when the new data has applied all of the history that the old had', () => {
    assert.deepEqual(of([anew('0:1-95')], 2, S), ['drop-aside 2']);
  });

  it('is kept before that', () => {
    assert.deepEqual(of([anew('0:1-94')], 2, S), []);
    assert.deepEqual(
      of([anew('0:1-94', { replica: { received: rows('0:1-95') } })], 2, S),
      [],
      'received is not applied',
    );
  });

  it('and its member is filled only from a donor that has all of it', () => {
    const recipient = empty(2, {}, aside);
    const behind = replica(1, '0:1-90');
    const purged = for1({ purged: rows('0:1-5') });
    assert.equal(act(decide(view([purged, behind, recipient], only1)), 'clone', 2)?.donor.ordinal, 0);
    assert.equal(act(decide(view([purged, recipient], only1)), 'clone', 2)?.donor.ordinal, 1);
  });
});

describe('a member whose applier stopped', () => {
  const broken = replica(2, '0:1-90', {
    replica: { applierError: '1062: Duplicate entry', applier: 'off', received: rows('0:1-100') },
  });

  it('is tried again now and then, and rebuilt if that does not help', () => {
    const one = view([for1(), broken], only1);
    const [tried, again] = decideAll([one, { ...one, nowMs: LATER_MS + 100 }]);
    assert.ok(tried && act(tried, 'apply', 2));
    assert.equal(again && act(again, 'apply', 2), undefined, 'not at every look');
    const [first, second] = lasting(one, 16_000);
    assert.ok(first && second);
    const decision = decideLast([first, second]);
    assert.ok(act(decision, 'rebuild', 2));
  });

  it('keeps what it has while its disk is full: there is no room for both', () => {
    const full = { ...broken, disk: 'disk full: no room left for /data' };
    assert.equal(act(decideLast(lasting(view([for1(), full], only1), 16_000)), 'rebuild', 2), undefined);
  });

  it('goes on following while it is in S, which may not be able to do without it', () => {
    const off = { applierError: '1062: Duplicate entry', applier: 'off', received: rows('0:1-100') } as const;
    const stopped = replica(1, '0:1-90', { replica: { ...off, receiver: 'off' } });
    const [tried, followed] = decideAll(lasting(view([stopped]), 100));
    const on1 = (decision?: Decision): string[] => (decision ? acts(decision) : []).filter((one) => one.endsWith('1'));
    assert.deepEqual([on1(tried), on1(followed)], [['apply 1'], ['follow 1']]);
    const following = decideLast(lasting(view([replica(1, '0:1-90', { replica: off })]), 100));
    assert.equal(act(following, 'apply', 1), undefined, 'its applier is not started at every look');
  });

  it('stays broken while nothing more is applied, though its error is cleared by trying', () => {
    const trying = replica(2, '0:1-90', { replica: { received: rows('0:1-100') } });
    assert.equal(decideLast([view([for1(), broken], only1), view([for1(), trying], only1)]).record, null);
    const past = replica(2, '0:1-91', { replica: { received: rows('0:1-100') } });
    assert.notEqual(decideLast([view([for1(), broken], only1), view([for1(), past], only1)]).record, null);
  });
});

describe('a replica whose disk was full', () => {
  const waits = (disk: string | null, room: boolean): View =>
    view([primary(), replica(1), replica(2, '0:1-100', { waitsForRoom: true }, { disk, room })]);
  const kills = (one: View, ms: number): boolean => acts(decideLast(lasting(one, ms))).includes('kill 2');

  it('is started anew when there is room: its threads would wait for up to a minute', () => {
    assert.equal(kills(waits('disk full: MySQL waits for room', true), 3000), true);
    assert.equal(kills(waits('disk full: MySQL waits for room', true), 2999), false, 'the platform looks again first');
    assert.equal(kills(waits('disk full: no room left for /data', false), 60_000), false);
    assert.equal(kills(waits('disk full: MySQL waits for room', false), 60_000), false, 'nobody knows of room');
  });

  it('is not read from, nor in sync, as long as it waits: it lacks what no lag tells of', () => {
    const { state, read } = decide(waits('disk full: MySQL waits for room', true));
    assert.deepEqual([state, read.members], ['degraded', [1]]);
  });

  it('goes on if nothing of it waits', () => {
    assert.equal(kills(view([primary(), replica(2, '0:1-90')]), 60_000), false);
  });
});

describe('a replica whose data directory is gone', () => {
  const bare = replica(2, '0:1-100', {}, { disk: 'directory gone: /data is no data directory any more' });

  it('is killed, though it acknowledges and applies: what it says is on no disk', () => {
    const last = (members: MemberView[], ms: number): string[] =>
      acts(decideLast(lasting(view(members), ms))).filter((one) => one.startsWith('kill'));
    assert.deepEqual(last([bare], 1000), ['kill 2']);
    assert.deepEqual(last([bare], 999), [], 'not for a moment’s sake');
    const full = replica(2, '0:1-100', {}, { disk: 'disk full: no room left for /data' });
    assert.deepEqual(last([full], 5000), []);
  });

  it('goes on if that of the primary is gone, too: then it is all that is left', () => {
    const { disk } = bare;
    const members = [primary(0, {}, { disk }), replica(1, '0:1-100', {}, { disk }), bare];
    assert.deepEqual(
      decideAll(lasting(view(members), 5000)).flatMap((one) => acts(one).filter((act) => act.startsWith('kill'))),
      [],
    );
  });
});

describe('a member that answers nobody', () => {
  it('is started anew after a while, if no write needs it: it may be a former primary that lets nobody in', () => {
    const killed = (one: MemberView, over = only1): unknown => act(decide(view([for1(), one], over)), 'kill', 2);
    assert.ok(killed(silent(2, LATER_MS - 20_000)));
    assert.equal(killed(silent(2, LATER_MS - 19_999)), undefined);
    const young = { process: { kind: 'running' as const, id: pid(2), sinceMs: LATER_MS - 5000 } };
    assert.equal(killed(silent(2, 0, young)), undefined, 'recovery takes its time');
    assert.equal(act(decide(view([silent(2, 0)])), 'kill', 2), undefined, 'not one of S: it may acknowledge');
  });
});

describe('a replica whose lock another controller’s statement holds that does not end', () => {
  const kills = (one: View): boolean => acts(decide(one)).includes('kill 2');
  const [long, short] = [held(2, LATER_MS - 5000), held(2, LATER_MS - 4999)];

  it('is started anew after a while: nobody could seal it, or see what it has', () => {
    assert.deepEqual(
      [long, short].map((one) => kills(view([one]))),
      [true, false],
    );
    assert.deepEqual(
      [long, short].map((one) => kills(view([gone(0), one]))),
      [true, false],
    );
    assert.equal(kills(view([silent(0, LATER_MS), long])), true, 'nor could it say whether it hears the primary');
  });

  it('but not one that refuses for another reason, nor the primary, whose commits may wait for others', () => {
    assert.equal(kills(view([refusing(2)])), false);
    assert.deepEqual(acts(decide(view([held(0, 0)]))), []);
  });
});

describe('another cluster’s data', () => {
  it('is left alone', () => {
    const foreign = replica(2, '2:1-7', { epochRow: { clusterId: 'another', epoch: 9, term: 1 } });
    const decision = decide(view([for1(), foreign], only1));
    assert.deepEqual([acts(decision), decision.record, decision.read.members], [[], null, [1]]);
    assert.equal(decision.members.find(({ ordinal }) => ordinal === 2)?.state, 'foreign');
  });
});

describe('a member that the resource no longer asks for', () => {
  const two = { wanted: { replicas: 2 }, ...only1 };

  it('stays while it may acknowledge', () => {
    assert.deepEqual(of([], 2, { wanted: { replicas: 2 } }), []);
    assert.deepEqual(of([primary(0, { source: { unlocked: [1], connected: [1, 2] } })], 2, two), []);
  });

  it('is not told to follow if its data is another than S names: it would acknowledge, and not be one of S', () => {
    const other = answering(2, '', { serverUuid: 'of another disk', epochRow: null });
    assert.deepEqual(of([other], 2, { wanted: { replicas: 2 } }), []);
    assert.deepEqual(of([answering(2)], 2, { wanted: { replicas: 2 } }), ['follow 2']);
  });

  it('is then stopped orderly; what it holds is disposable only if nothing of it is missing here', () => {
    const how = (one: MemberView): unknown => {
      const retire = act(decide(view([for1(), one], two)), 'retire', 2);
      return retire === undefined ? null : [retire.orderly, retire.disposable];
    };
    assert.deepEqual(how(sealed(2)), [true, true]);
    assert.deepEqual(how(sealed(2, '0:1-100,2:1')), [true, false]);
    assert.deepEqual(
      how(sealed(2, '0:1-100', {}, { aside: { serverUuid: 'x', rows: '' } })),
      [true, false],
      'old data',
    );
    assert.deepEqual(how(sealed(2, '2:1', { epochRow: { clusterId: 'another', epoch: 1, term: 1 } })), [true, false]);
  });

  it('is not stopped while a clone is under way that may read from it', () => {
    const cloning = empty(1, {}, { busy: 'clone' });
    assert.equal(act(decide(view([for1(), cloning, sealed(2)], two)), 'retire', 2), undefined);
  });

  it('sigterm-says-ok: that does not answer is not asked to stop: commits may wait there', () => {
    const retire = act(decide(view([for1(), silent(2)], two)), 'retire', 2);
    assert.deepEqual([retire?.orderly, retire?.disposable], [false, false]);
  });

  it('is killed, not retired, if it is open', () => {
    assert.deepEqual(of([for1(), answering(2, '0:1', { access: 'open' })], 2, two), ['kill 2']);
  });

  it('is started while all were down, if S or the primary needs it', () => {
    const all = [absent(0), absent(1), absent(2)];
    assert.deepEqual(acts(decide(view(all, { wanted: { replicas: 2 } }))), ['start 0', 'start 1', 'start 2']);
    assert.deepEqual(acts(decide(view(all, two))), ['start 0', 'start 1']);
  });
});

describe('reads', () => {
  it('go to replicas that are attached and within the lag limit', () => {
    assert.deepEqual(decide(view()).read.members, [1, 2]);
    assert.deepEqual(decide(view([replica(1, '0:1-100', { lagSeconds: 11 })])).read.members, [2]);
    assert.deepEqual(decide(view([replica(1, '0:1-100', { lagSeconds: null })])).read.members, [2]);
    const off = replica(1, '0:1-100', { replica: { receiver: 'connecting' } });
    assert.deepEqual(decide(view([off])).read.members, [2]);
  });

  it('go to the primary as the resource says', () => {
    const alone = [silent(1), silent(2)];
    assert.deepEqual(decide(view(alone)).read.members, [0]);
    assert.deepEqual(decide(view(alone, { wanted: { readIncludesPrimary: 'never' } })).read.members, []);
    assert.deepEqual(decide(view([], { wanted: { readIncludesPrimary: 'always' } })).read.members, [1, 2, 0]);
  });
});
