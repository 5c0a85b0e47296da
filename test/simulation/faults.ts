/** What goes wrong, and what people ask for, in one history: a plan drawn from the seed, and how each entry is carried out. */
import type { DurabilityMode } from '../../src/cluster/record.ts';
import { firstBrain, CLIENTS } from './network.ts';
import { Gtids } from './gtids.ts';
import { rowsIn, type Member } from './member.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

/**
 * Who a fault is for: a role when it happens (of the replicas any, or the first or second by ordinal, or the one that was
 * the primary before, or the first that was not), or an ordinal.
 */
type Target = 'primary' | 'replica' | 'first' | 'second' | 'former' | 'another' | number;

export type Fault =
  | { readonly kind: 'kill'; readonly target: Target }
  | { readonly kind: 'down'; readonly target: Target; readonly ms: number }
  | { readonly kind: 'freeze'; readonly target: Target; readonly ms: number }
  | { readonly kind: 'lose-disk'; readonly target: Target }
  | { readonly kind: 'power-loss'; readonly target: Target; readonly ms: number; readonly kept: number }
  | { readonly kind: 'cut'; readonly from: Target; readonly to: Target; readonly oneWay: boolean; readonly ms: number }
  | { readonly kind: 'isolate'; readonly target: Target; readonly clientsToo: boolean; readonly ms: number }
  /** What replicas send to the primary is held up, acknowledgements and all. */
  | { readonly kind: 'cut-acks'; readonly ms: number }
  | { readonly kind: 'cut-brain'; readonly target: Target; readonly oneWay: boolean; readonly ms: number }
  | {
      readonly kind: 'slow-link';
      readonly from: Target;
      readonly to: Target;
      readonly extraMs: number;
      readonly ms: number;
    }
  | { readonly kind: 'slow-disk'; readonly target: Target; readonly syncMs: number; readonly ms: number }
  | { readonly kind: 'full-disk'; readonly target: Target; readonly ms: number }
  | { readonly kind: 'slow-commits'; readonly target: Target; readonly commitMs: number; readonly ms: number }
  /** What a member answers to brains takes its time. */
  | { readonly kind: 'slow-answers'; readonly target: Target; readonly extraMs: number; readonly ms: number }
  | { readonly kind: 'slow-logins'; readonly target: Target; readonly loginMs: number; readonly ms: number }
  | { readonly kind: 'slow-applier'; readonly target: Target; readonly applyMs: number; readonly ms: number }
  /** Without an end: what stops it is in its data, until that is made anew. */
  | { readonly kind: 'broken-applier'; readonly target: Target; readonly ms: number | null }
  | { readonly kind: 'brain-dies'; readonly ms: number }
  | { readonly kind: 'brain-pauses'; readonly ms: number; readonly another: boolean }
  | { readonly kind: 'second-brain' }
  | { readonly kind: 'lost-swaps'; readonly count: number; readonly land: 'written' | 'late' | 'never' }
  | { readonly kind: 'record-away'; readonly ms: number }
  | { readonly kind: 'record-slow'; readonly byMs: number; readonly ms: number }
  | { readonly kind: 'errant'; readonly target: Target }
  | { readonly kind: 'account-statement' }
  | { readonly kind: 'too-many-connections'; readonly target: Target; readonly ms: number }
  | {
      readonly kind: 'statements-fail';
      readonly target: Target;
      readonly fails: number;
      readonly lost: number;
      readonly ms: number;
    }
  | { readonly kind: 'clone-fails' }
  | { readonly kind: 'reset'; readonly target: Target }
  /** Every replica's connection breaks at once. */
  | { readonly kind: 'reset-all' }
  | { readonly kind: 'relief' }
  | { readonly kind: 'semi-sync-off' }
  | { readonly kind: 'refuses'; readonly target: Target; readonly ms: number }
  | { readonly kind: 'record-rolled-back'; readonly ms: number }
  | { readonly kind: 'record-lost' }
  | { readonly kind: 'clock-jumps'; readonly target: Target; readonly byMs: number }
  | { readonly kind: 'blackout'; readonly ms: number; readonly kept: number }
  | { readonly kind: 'scale'; readonly replicas: number }
  | { readonly kind: 'mode'; readonly mode: DurabilityMode | null }
  | { readonly kind: 'switchover'; readonly to: Target | null }
  | { readonly kind: 'restart'; readonly ordinals: readonly number[] };

export interface Planned {
  readonly atMs: number;
  /** From then on, at the first thing of this kind that a brain notes down; undefined: at once. */
  readonly on?: string;
  readonly fault: Fault;
}

/** What a brain notes down: the kind of entry, and how its text begins. Faults strike just then. */
const MOMENTS = [
  'act seal',
  'act prepare',
  'act open',
  'act write-epoch',
  'act barrier',
  'act close',
  'act follow',
  'act turn',
  'act lock-out',
  'act unlock',
  'act set-required',
  'act clone',
  'act rebuild',
  'act disarm',
  'act restart',
  'act retire',
  'act apply',
  'act kill',
  'done seal',
  'done prepare',
  'done open',
  'done close',
  'done follow',
  'done write-epoch',
  'record failover',
  'record switchover',
  'record member',
  'record term',
  'state failing-over',
  'state lost',
  'state blocked',
] as const;

const WEIGHTS: Readonly<Record<Fault['kind'], number>> = {
  kill: 10,
  down: 6,
  freeze: 7,
  'lose-disk': 4,
  'power-loss': 3,
  cut: 6,
  isolate: 5,
  'cut-acks': 1,
  'cut-brain': 4,
  'slow-link': 2,
  'slow-disk': 2,
  'full-disk': 2,
  'slow-applier': 2,
  'slow-commits': 2,
  'slow-logins': 2,
  'slow-answers': 1,
  'broken-applier': 2,
  'brain-dies': 8,
  'brain-pauses': 4,
  'second-brain': 3,
  'lost-swaps': 4,
  'record-away': 2,
  'record-slow': 1,
  errant: 2,
  'account-statement': 2,
  'too-many-connections': 1,
  'statements-fail': 2,
  'clone-fails': 2,
  reset: 2,
  'reset-all': 1,
  relief: 5,
  'clock-jumps': 1,
  blackout: 1,
  'semi-sync-off': 1,
  refuses: 1,
  'record-rolled-back': 0.5,
  'record-lost': 0.5,
  scale: 3,
  mode: 1,
  switchover: 8,
  restart: 2,
};

/** Some calm, then a burst: what breaks protocols is a second fault while the first is being mended. */
export function planFaults(random: Random, members: number, untilMs: number): Planned[] {
  const planned: Planned[] = [];
  let atMs = random.between(6000, 12_000);
  while (atMs < untilMs) {
    const burst = random.chance(0.65) ? plot(random, members) : chaos(random, members);
    for (const one of burst) planned.push({ ...one, atMs: atMs + one.atMs });
    atMs += Math.max(...burst.map((one) => one.atMs), 0);
    atMs += random.between(500, random.chance(0.6) ? 6000 : 25_000);
  }
  // What is begun last is what the cluster has to get over by itself.
  for (const one of plot(random, members)) planned.push({ ...one, atMs: untilMs - 4000 + one.atMs });
  return planned.filter((one) => one.atMs < untilMs).sort((x, y) => x.atMs - y.atMs);
}

/** Anything, in any order. */
function chaos(random: Random, members: number): Planned[] {
  const burst: Planned[] = [];
  let atMs = 0;
  for (let i = random.int(4); i >= 0; i--) {
    burst.push({
      atMs,
      ...(burst.length > 0 && random.chance(0.4) ? { on: random.pick(MOMENTS) } : {}),
      fault: draw(random, members),
    });
    atMs += random.chance(0.5) ? random.between(0, 400) : random.between(0, 4000);
  }
  return burst;
}

/** What tends to hurt: somebody lacks the newest rows, somebody else is struck, and it comes to the worst in between. */
function plot(random: Random, members: number): Planned[] {
  const [a, b] = random.pick<readonly [Target, Target]>([
    ['first', 'second'],
    ['second', 'first'],
  ]);
  const ms = (): number => random.between(500, 9000);
  const planned: Planned[] = [];
  let atMs = 0;
  const then = (fault: Fault, on?: string): void => {
    planned.push({ atMs, ...(on === undefined ? {} : { on }), fault });
    atMs += random.between(0, 300);
  };
  const moment = (): string | undefined => (random.chance(0.7) ? random.pick(MOMENTS) : undefined);
  const lag = (target: Target): Fault =>
    random.pick<Fault>([
      { kind: 'cut', from: 'primary', to: target, oneWay: random.chance(0.5), ms: ms() },
      { kind: 'slow-link', from: 'primary', to: target, extraMs: random.between(50, 600), ms: ms() },
      { kind: 'slow-applier', target, applyMs: random.between(200, 3000), ms: ms() },
      { kind: 'freeze', target, ms: ms() },
    ]);
  const hit = (target: Target): Fault =>
    random.pick<Fault>([
      { kind: 'kill', target },
      { kind: 'down', target, ms: ms() },
      { kind: 'power-loss', target, ms: random.between(50, 2000), kept: random.pick([0, 0, random.unit()]) },
      { kind: 'lose-disk', target },
      { kind: 'freeze', target, ms: ms() },
      { kind: 'isolate', target, clientsToo: random.chance(0.3), ms: ms() },
      { kind: 'cut-brain', target, oneWay: random.chance(0.3), ms: ms() },
      { kind: 'full-disk', target, ms: ms() },
    ]);
  const turn = (): Fault =>
    random.pick<Fault>([
      { kind: 'relief' },
      { kind: 'relief' },
      { kind: 'brain-dies', ms: random.between(10, 2000) },
      { kind: 'brain-pauses', ms: ms(), another: random.chance(0.6) },
      { kind: 'second-brain' },
      { kind: 'lost-swaps', count: 1, land: random.pick(['written', 'late', 'never']) },
      { kind: 'record-slow', byMs: random.between(50, 800), ms: ms() },
      { kind: 'mode', mode: random.pick(['asynchronous', 'adaptive', null] as const) },
      { kind: 'scale', replicas: random.pick([2, 3, 4, 5]) },
      { kind: 'restart', ordinals: Array.from({ length: members }, (_, i) => i) },
      { kind: 'slow-commits', target: 'primary', commitMs: random.between(20, 800), ms: ms() },
      { kind: 'slow-logins', target: 'primary', loginMs: random.between(20, 500), ms: ms() },
      hit(random.pick<Target>([a, b, 'primary'])),
    ]);
  switch (
    random.weighted({
      strike: 5,
      switchover: 3,
      membership: 2,
      leaver: 2,
      deposed: 2,
      reopened: 1,
      slept: 0.7,
      rivals: 2,
      forgetful: 0.5,
      crash: 2,
      refusal: 0.7,
      account: 1.5,
      'called-off': 1,
      outage: 0.7,
      requests: 1,
      roomless: 1,
      'page-cache': 0.7,
      'in-vain': members === 2 ? 2 : 0.1,
      unfit: members === 2 ? 2 : 0.2,
    })
  ) {
    case 'strike':
      then(lag(a));
      if (random.chance(0.5)) then({ kind: 'slow-applier', target: b, applyMs: random.between(200, 4000), ms: ms() });
      if (random.chance(0.2)) then({ kind: 'broken-applier', target: b, ms: ms() });
      atMs += random.between(100, 2500);
      if (random.chance(0.6)) then(hit(b));
      then(hit('primary'));
      if (random.chance(0.4)) then(hit(b));
      break;
    case 'switchover':
      if (random.chance(0.5)) {
        // The target lags, and a commit waits for the acknowledgement of another.
        const slowMs = random.chance(0.5) ? ms() : random.between(6000, 14_000);
        then({ kind: 'slow-link', from: 'primary', to: a, extraMs: random.between(50, 2500), ms: slowMs });
        then(
          random.chance(0.7)
            ? { kind: 'slow-link', from: b, to: 'primary', extraMs: random.between(50, 2500), ms: slowMs }
            : { kind: 'cut', from: b, to: 'primary', oneWay: true, ms: random.between(300, 3000) },
        );
      } else if (random.chance(0.7)) then(lag(a));
      atMs += random.between(0, 1500);
      then({ kind: 'switchover', to: random.pick<Target | null>([a, a, b, null]) });
      if (random.chance(0.25))
        then({ kind: 'lost-swaps', count: 1, land: 'late' }, random.pick(['act close', 'done close', 'act seal']));
      if (random.chance(0.4))
        then({ kind: 'relief' }, random.pick(['act close', 'done close', 'act seal', 'record switchover']));
      break;
    case 'membership':
      then(random.chance(0.5) ? { kind: 'down', target: a, ms: random.between(1500, 8000) } : lag(a));
      if (random.chance(0.4))
        then({ kind: 'slow-commits', target: 'primary', commitMs: random.between(20, 3500), ms: ms() });
      if (random.chance(0.4)) {
        then({ kind: 'cut', from: b, to: 'primary', oneWay: false, ms: ms() });
        then({ kind: 'cut-brain', target: b, oneWay: false, ms: ms() });
      }
      if (random.chance(0.3))
        then(turn(), random.pick(['act lock-out', 'act barrier', 'record member', 'act unlock', 'act set-required']));
      break;
    case 'leaver': {
      const [last, rest] = random.chance(0.7) ? (['second', 'first'] as const) : ([b, a] as const);
      // Somebody is to go, or is taken for gone, just as its receiver logs in; and a brain dies over locking it out.
      then({ kind: 'cut-brain', target: last, oneWay: false, ms: random.between(2000, 9000) });
      then({
        kind: 'slow-logins',
        target: 'primary',
        loginMs: random.between(200, 950),
        ms: random.between(3000, 9000),
      });
      if (random.chance(0.7))
        then(
          random.chance(0.7)
            ? { kind: 'brain-dies', ms: random.between(5, 300) }
            : { kind: 'brain-pauses', ms: random.between(500, 5000), another: true },
          'act lock-out',
        );
      then(
        { kind: 'cut', from: 'primary', to: rest, oneWay: random.chance(0.3), ms: random.between(2000, 9000) },
        random.chance(0.8) ? 'record member' : 'done barrier',
      );
      atMs += random.between(200, 1500);
      then({ kind: 'reset', target: last });
      then({ kind: 'scale', replicas: Math.max(1, members - 1) });
      atMs += random.between(2000, 6000);
      then({ kind: 'scale', replicas: members });
      break;
    }
    case 'deposed':
      then(
        random.chance(0.5)
          ? { kind: 'freeze', target: 'primary', ms: random.between(3000, 9000) }
          : { kind: 'isolate', target: 'primary', clientsToo: random.chance(0.3), ms: random.between(3000, 9000) },
      );
      if (random.chance(0.5))
        then({ kind: 'kill', target: a }, random.pick(['record failover', 'act prepare', 'done seal']));
      if (random.chance(0.3))
        then({ kind: 'cut-brain', target: a, oneWay: false, ms: ms() }, random.pick(['record failover', 'done seal']));
      // To its clients and replicas it comes back sooner than to the brain.
      if (random.chance(0.4))
        then({ kind: 'cut-brain', target: 'primary', oneWay: false, ms: random.between(6000, 12_000) });
      if (random.chance(0.5)) then({ kind: 'record-slow', byMs: random.between(200, 1500), ms: ms() });
      if (random.chance(0.3)) {
        // It is back just when another is recorded, and nobody goes on from there for a while.
        then({ kind: 'brain-dies', ms: random.between(200, 2500) }, 'record failover');
        then({ kind: 'relief' }, 'record failover');
      }
      then(
        { kind: 'relief' },
        random.pick([
          'state failing-over',
          'record failover',
          'done seal',
          'act prepare',
          'act open',
          'act write-epoch',
          'done open',
        ]),
      );
      break;
    case 'reopened':
      // A commit waits, the primary is killed, comes back and shows it, and is lost for good.
      then({ kind: 'cut', from: 'primary', to: a, oneWay: false, ms: random.between(3000, 9000) });
      then({ kind: 'cut', from: 'primary', to: b, oneWay: false, ms: random.between(3000, 9000) });
      atMs += random.between(100, 900);
      then({ kind: 'kill', target: 'primary' });
      atMs += random.between(1500, 4000);
      then({ kind: 'lose-disk', target: 'primary' });
      break;
    case 'slept':
      // The brain stands still in the middle of something, and goes on with what it saw before.
      if (random.chance(0.5))
        then({ kind: 'slow-answers', target: a, extraMs: random.between(50, 150), ms: random.between(3000, 9000) });
      then(
        random.pick<Fault>([
          { kind: 'switchover', to: null },
          { kind: 'switchover', to: a },
          { kind: 'kill', target: 'primary' },
          { kind: 'cut', from: 'primary', to: a, oneWay: false, ms: ms() },
        ]),
      );
      then(
        { kind: 'brain-pauses', ms: random.between(2500, 9000), another: false },
        random.pick(['record switchover', 'record failover', 'record member', 'act turn', 'act prepare', 'done seal']),
      );
      atMs += random.between(300, 2500);
      then(random.chance(0.6) ? { kind: 'lose-disk', target: 'primary' } : hit('primary'));
      if (random.chance(0.5)) then({ kind: 'cut', from: 'primary', to: a, oneWay: false, ms: ms() });
      break;
    case 'rivals':
      // A brain pauses in the middle of something, another goes on from there, and the first wakes up.
      then(
        random.pick<Fault>([
          { kind: 'kill', target: 'primary' },
          { kind: 'switchover', to: null },
          { kind: 'down', target: a, ms: ms() },
          { kind: 'freeze', target: 'primary', ms: random.between(2000, 6000) },
        ]),
      );
      then({ kind: 'brain-pauses', ms: random.between(1500, 9000), another: true }, random.pick(MOMENTS));
      atMs += random.between(300, 2500);
      then(
        random.pick<Fault>([
          { kind: 'switchover', to: null },
          hit('primary'),
          { kind: 'switchover', to: random.int(members) },
        ]),
      );
      atMs += random.between(300, 2500);
      if (random.chance(0.5)) then({ kind: 'switchover', to: null });
      break;
    case 'crash':
      // Only one replica has the newest, not applied yet, and it goes down together with the primary.
      then({ kind: 'cut', from: 'primary', to: a, oneWay: random.chance(0.5), ms: random.between(3000, 9000) });
      then({ kind: 'slow-applier', target: b, applyMs: random.between(300, 4000), ms: ms() });
      if (random.chance(0.3)) then({ kind: 'broken-applier', target: b, ms: ms() });
      if (random.chance(0.2)) then({ kind: 'errant', target: b });
      atMs += random.between(300, 2500);
      then(
        random.chance(0.7)
          ? { kind: 'down', target: 'primary', ms: random.between(3000, 9000) }
          : { kind: 'lose-disk', target: 'primary' },
      );
      then(
        random.pick<Fault>([
          { kind: 'power-loss', target: b, ms: random.between(50, 1000), kept: 0 },
          { kind: 'kill', target: b },
          { kind: 'lose-disk', target: b },
          { kind: 'down', target: b, ms: random.between(500, 4000) },
        ]),
      );
      if (random.chance(0.4)) then({ kind: 'mode', mode: 'asynchronous' }, 'state lost');
      break;
    case 'refusal':
      then({ kind: 'down', target: b, ms: random.between(4000, 12_000) });
      atMs += random.between(1500, 3500);
      then({ kind: 'refuses', target: 'primary', ms: random.between(2000, 8000) });
      then({ kind: 'reset', target: a });
      break;
    case 'account':
      // A statement waits for the acknowledgement of somebody who can't come back; or is waited for no longer.
      if (random.chance(0.5)) then({ kind: 'down', target: b, ms: random.between(4000, 12_000) });
      atMs += random.between(0, 3000);
      if (random.chance(0.6)) {
        // By the time that its acknowledgement would come, its connection is gone.
        then({ kind: 'cut-acks', ms: random.between(500, 3000) });
        then({ kind: 'account-statement' });
        atMs += random.between(50, 600);
        then(random.chance(0.7) ? { kind: 'reset-all' } : { kind: 'reset', target: a });
        if (random.chance(members === 2 ? 0.7 : 0.3)) then({ kind: 'lose-disk', target: random.pick<Target>([a, b]) });
        if (random.chance(members === 2 ? 0.6 : 0.3)) {
          // For long enough that what a brain asks of the primary is given up.
          const downMs = random.chance(0.5) ? random.between(2000, 9000) : random.between(11_000, 15_000);
          then({ kind: 'down', target: a, ms: downMs });
        }
        if (random.chance(0.2)) then({ kind: 'brain-dies', ms: random.between(100, 3000) });
        // It takes a while to get over that.
        atMs += random.between(0, 25_000);
        break;
      }
      then(random.chance(0.6) ? { kind: 'account-statement' } : { kind: 'semi-sync-off' });
      then({ kind: 'cut', from: 'primary', to: a, oneWay: random.chance(0.5), ms: random.between(300, 4000) });
      if (random.chance(0.5))
        then({ kind: 'cut', from: 'primary', to: b, oneWay: random.chance(0.5), ms: random.between(300, 4000) });
      break;
    case 'called-off':
      // Silent for just so long that it is given up, the primary is back before another is recorded; a seal ends later still.
      if (random.chance(0.4)) then({ kind: 'account-statement' });
      if (random.chance(0.6)) then({ kind: 'cut', from: 'primary', to: b, oneWay: random.chance(0.5), ms: ms() });
      then(
        random.pick<Fault>([
          { kind: 'freeze', target: 'primary', ms: random.between(1000, 4000) },
          { kind: 'isolate', target: 'primary', clientsToo: false, ms: random.between(1000, 4000) },
          { kind: 'statements-fail', target: 'primary', fails: 0, lost: 1, ms: random.between(1000, 4000) },
        ]),
      );
      if (random.chance(0.5)) then({ kind: 'account-statement' }, random.pick(['act seal', 'state failing-over']));
      if (random.chance(0.3)) then({ kind: 'brain-dies', ms: random.between(10, 500) }, 'act seal');
      then({ kind: 'relief' }, random.pick(['state failing-over', 'act seal', 'done seal']));
      atMs += random.between(1000, 3000);
      if (random.chance(0.4)) then(hit('primary'));
      break;
    case 'outage':
      // All at once; they come back one by one, and perhaps not with what they had.
      for (const target of random.chance(0.5) ? (['primary', a, b] as const) : ([a, b, 'primary'] as const)) {
        then({ kind: 'down', target, ms: random.between(200, 9000) });
        if (random.chance(0.5)) atMs += random.between(200, 2000);
      }
      if (random.chance(0.5)) then({ kind: 'brain-dies', ms: random.between(100, 5000) });
      if (random.chance(0.4)) then({ kind: 'lose-disk', target: random.pick<Target>(['primary', a, b]) });
      break;
    case 'requests': {
      // People ask for one thing while another is under way.
      const ask = (): Fault =>
        random.pick<Fault>([
          { kind: 'restart', ordinals: Array.from({ length: members }, (_, i) => i) },
          { kind: 'switchover', to: random.pick<Target | null>([a, b, null]) },
          { kind: 'scale', replicas: random.pick([1, 2, 3, 4, 5]) },
          { kind: 'mode', mode: random.pick(['quorum', 'adaptive', 'asynchronous', null] as const) },
        ]);
      then(ask());
      atMs += random.between(0, 1500);
      then(
        ask(),
        random.chance(0.5) ? random.pick(['act restart', 'act close', 'act retire', 'record member']) : undefined,
      );
      if (random.chance(0.5)) then(hit(random.pick<Target>(['primary', a])), moment());
      atMs += random.between(500, 4000);
      then({ kind: 'scale', replicas: members });
      break;
    }
    case 'roomless': {
      // A disk is full, or the one that all of them share; it comes to the worst meanwhile, or just when there is room again.
      const fullMs = random.chance(0.5) ? ms() : random.between(9000, 25_000);
      const full = random.chance(0.3) ? (['primary', a, b] as const) : [random.pick<Target>(['primary', a, b])];
      for (const target of full) then({ kind: 'full-disk', target, ms: fullMs });
      if (random.chance(0.2)) then({ kind: 'account-statement' });
      if (random.chance(0.25)) {
        // A brain dies while it seals one whose receiver waits for room.
        atMs += random.between(300, 900);
        then({ kind: 'brain-dies', ms: random.between(10, 1000) }, 'act seal');
        then({ kind: 'lose-disk', target: 'primary' });
        atMs += random.between(10_000, 40_000);
        break;
      }
      atMs += random.chance(0.5) ? random.between(100, 4000) : Math.max(0, fullMs - random.between(0, 1500));
      if (random.chance(0.5)) then(hit(random.pick<Target>(['primary', a, b])), moment());
      if (random.chance(0.3)) then({ kind: 'switchover', to: random.pick<Target | null>([a, b, null]) });
      // It takes a while until it is noticed that there is room.
      if (random.chance(0.5)) atMs += random.between(5000, 25_000);
      break;
    }
    case 'page-cache': {
      // One that was the primary for a while follows again, and before anybody tells it what that takes, it alone
      // acknowledges, and its machine loses its power.
      then({ kind: 'switchover', to: a });
      atMs += random.between(1500, 4000);
      const moves = random.pick(['act open', 'act write-epoch', 'done follow']);
      const lastMs = random.between(3000, 9000);
      if (random.chance(0.5)) then({ kind: 'cut-brain', target: 'former', oneWay: false, ms: lastMs }, moves);
      else then({ kind: 'brain-dies', ms: lastMs }, moves);
      then({ kind: 'cut', from: 'primary', to: 'another', oneWay: false, ms: lastMs }, 'act write-epoch');
      then(
        { kind: 'slow-applier', target: 'former', applyMs: random.between(2000, 6000), ms: lastMs },
        'act write-epoch',
      );
      then({ kind: 'switchover', to: null });
      atMs += random.between(800, 2500);
      then({ kind: 'power-loss', target: 'former', ms: random.between(50, 2000), kept: 0 });
      then({ kind: 'lose-disk', target: 'primary' });
      break;
    }
    case 'in-vain':
      // Fewer are to be waited for than an account statement does that waits already: nobody can tell the primary.
      then({ kind: 'cut-acks', ms: random.between(500, 2000) });
      then({ kind: 'account-statement' });
      atMs += random.between(50, 400);
      then({ kind: 'reset-all' });
      then({ kind: 'lose-disk', target: a });
      then({ kind: 'down', target: a, ms: random.between(9000, 15_000) });
      atMs += random.between(25_000, 35_000);
      break;
    case 'unfit':
      // An acker that applies nothing is all there is, and the primary's newest row, which nobody else has.
      then({ kind: 'broken-applier', target: a, ms: random.chance(0.6) ? null : random.between(9000, 25_000) });
      atMs += random.between(500, 2500);
      then({ kind: 'cut', from: 'primary', to: a, oneWay: false, ms: random.between(1500, 4000) });
      atMs += random.between(200, 900);
      then(
        random.chance(0.5)
          ? { kind: 'kill', target: 'primary' }
          : { kind: 'down', target: 'primary', ms: random.between(500, 3000) },
      );
      atMs += random.chance(0.6) ? random.between(25_000, 30_000) : random.between(500, 3000);
      break;
    case 'forgetful':
      // The record is lost while somebody who led is away.
      then({ kind: 'down', target: 'primary', ms: random.between(1000, 4000) });
      atMs += random.between(1000, 5000);
      then({ kind: 'down', target: 'primary', ms: random.between(2000, 9000) });
      then({ kind: 'record-lost' });
      break;
  }
  for (let i = random.int(3); i > 0; i--) then(turn(), moment());
  return planned;
}

function draw(random: Random, members: number): Fault {
  const target = (): Target => (random.chance(0.45) ? 'primary' : random.chance(0.4) ? 'replica' : random.int(members));
  const ms = random.chance(0.6) ? random.between(100, 4000) : random.between(1000, 25_000);
  const kind = random.weighted(WEIGHTS);
  switch (kind) {
    case 'kill':
    case 'lose-disk':
    case 'errant':
    case 'reset':
      return { kind, target: target() };
    case 'broken-applier':
      return { kind, target: target(), ms: random.chance(0.3) ? null : ms };
    case 'down':
    case 'freeze':
    case 'full-disk':
    case 'too-many-connections':
    case 'refuses':
      return { kind, target: target(), ms };
    case 'power-loss':
      return { kind, target: target(), ms, kept: random.unit() };
    case 'cut':
      return { kind, from: target(), to: target(), oneWay: random.chance(0.5), ms };
    case 'isolate':
      return { kind, target: target(), clientsToo: random.chance(0.5), ms };
    case 'cut-brain':
      return { kind, target: target(), oneWay: random.chance(0.5), ms };
    case 'slow-link':
      return { kind, from: target(), to: target(), extraMs: random.between(5, 400), ms };
    case 'slow-disk':
      return { kind, target: target(), syncMs: random.between(5, 300), ms };
    case 'slow-commits':
      return { kind, target: target(), commitMs: random.between(1, 500), ms };
    case 'slow-answers':
      return { kind, target: target(), extraMs: random.between(20, 300), ms };
    case 'slow-logins':
      return { kind, target: target(), loginMs: random.between(5, 300), ms };
    case 'slow-applier':
      return { kind, target: target(), applyMs: random.between(20, 500), ms };
    case 'cut-acks':
      return { kind, ms: random.between(100, 3000) };
    case 'brain-dies':
      return { kind, ms: random.between(10, 2500) };
    case 'brain-pauses':
      return { kind, ms, another: random.chance(0.5) };
    case 'second-brain':
    case 'account-statement':
    case 'reset-all':
    case 'clone-fails':
    case 'relief':
    case 'semi-sync-off':
    case 'record-lost':
      return { kind };
    case 'record-rolled-back':
      return { kind, ms: random.between(1000, 8000) };
    case 'statements-fail':
      return { kind, target: target(), fails: random.pick([0, 0.1, 0.5]), lost: random.pick([0, 0.1, 0.5]), ms };
    case 'clock-jumps':
      return { kind, target: target(), byMs: random.pick([-3_600_000, -500, 3000, 3_600_000]) };
    case 'blackout':
      return { kind, ms: random.between(200, 3000), kept: random.unit() };
    case 'scale':
      return { kind, replicas: random.pick([1, 2, 3, 3, 4, 5]) };
    case 'mode':
      return { kind, mode: random.pick([null, null, 'quorum', 'adaptive', 'asynchronous'] as const) };
    case 'lost-swaps':
      return { kind, count: 1 + random.int(2), land: random.pick(['written', 'late', 'never']) };
    case 'record-away':
      return { kind, ms: random.between(100, 3000) };
    case 'record-slow':
      return { kind, byMs: random.between(10, 500), ms };
    case 'switchover':
      return { kind, to: random.chance(0.4) ? null : random.int(members) };
    case 'restart':
      return {
        kind,
        ordinals: random.chance(0.5) ? [random.int(members)] : Array.from({ length: members }, (_, i) => i),
      };
    default:
      return kind satisfies never;
  }
}

export class Injector {
  readonly #world: World;
  readonly #random: Random;
  /** What ends the faults that last; all are called when the faults are over. */
  readonly #ends = new Set<() => void>();
  /** Those of them during which writes go on all the same, if anybody can take over. */
  readonly #bearable = new Set<() => void>();
  #awaited: { readonly on: string; readonly fault: Fault }[] = [];
  /** While the record is not the newest, who leads must be seen: nothing else goes wrong. */
  #exclusive = false;

  constructor(world: World, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  /** To be injected when its time has come, and its moment. */
  plan({ atMs, on, fault }: Planned): void {
    this.#world.time.after(atMs, () => {
      if (on === undefined) this.inject(fault);
      else this.#awaited.push({ on, fault });
    });
  }

  /** A brain noted something down. */
  onNoted(kind: string, text: string): void {
    if (this.#awaited.length === 0) return;
    const noted = `${kind} ${text}`;
    const due = this.#awaited.filter(({ on }) => noted.startsWith(on));
    if (due.length === 0) return;
    this.#awaited = this.#awaited.filter((one) => !due.includes(one));
    for (const { fault } of due) {
      const ms = this.#random.chance(0.5) ? 0 : this.#random.between(0, 4);
      this.#world.time.after(ms, () => this.inject(fault));
    }
  }

  /** All that lasts ends now. */
  endAll(): void {
    this.#awaited = [];
    for (const end of this.#ends) end();
    this.#ends.clear();
    this.#bearable.clear();
    this.#world.lasting = 0;
    const { faults } = this.#world.shelf;
    faults.lost = 0;
    faults.awayUntilMs = 0;
    faults.slowMs = 0;
  }

  #lasting(ms: number, end: () => void, bearable = false): void {
    const count = (): number => (this.#world.lasting = this.#ends.size - this.#bearable.size);
    const once = (): void => {
      if (!this.#ends.delete(once)) return;
      this.#bearable.delete(once);
      count();
      this.#world.disturbedMs = this.#world.time.nowMs;
      end();
    };
    this.#ends.add(once);
    if (bearable) this.#bearable.add(once);
    count();
    this.#world.time.after(ms, once);
  }

  #member(target: Target): Member {
    const { members, primary } = this.#world;
    if (typeof target === 'number') return this.#world.member(target);
    if (target === 'primary' && primary !== null) return primary;
    const replicas = members.filter((member) => member !== primary);
    if (replicas.length === 0) return this.#world.member(0);
    const chosen = (): Member | undefined => {
      if (target === 'first') return replicas[0];
      if (target === 'second') return replicas[1];
      if (target === 'former') return replicas.find(({ ordinal }) => ordinal === this.#world.former);
      if (target === 'another') return replicas.find(({ ordinal }) => ordinal !== this.#world.former);
      return undefined;
    };
    return chosen() ?? this.#random.pick(replicas);
  }

  inject(fault: Fault): void {
    const { network, trace } = this.#world;
    if (this.#exclusive) return;
    trace(`FAULT ${JSON.stringify(fault)}`);
    this.#world.disturbedMs = this.#world.time.nowMs;
    switch (fault.kind) {
      case 'kill':
        return this.#member(fault.target).kill();
      case 'down': {
        const member = this.#member(fault.target);
        member.heldDown++;
        member.kill();
        return this.#lasting(fault.ms, () => {
          member.heldDown--;
          member.launch();
        });
      }
      case 'freeze': {
        const { server } = this.#member(fault.target);
        if (server === null || server.process.frozen) return;
        server.process.freeze();
        return this.#lasting(fault.ms, () => server.process.thaw());
      }
      case 'lose-disk': {
        const member = this.#member(fault.target);
        if (this.#mayLose(member)) return member.loseDisk();
        return trace('not carried out: it would go beyond what is promised');
      }
      case 'power-loss':
        return this.#powerLoss(this.#member(fault.target), fault.ms, fault.kept);
      case 'cut': {
        const [from, to] = [this.#member(fault.from).ordinal, this.#member(fault.to).ordinal];
        if (from === to) return;
        return this.#cut([[from, to], ...(fault.oneWay ? [] : [[to, from] as const])], fault.ms);
      }
      case 'isolate': {
        const { ordinal } = this.#member(fault.target);
        const others = this.#world.members.map((member) => member.ordinal).filter((other) => other !== ordinal);
        const places = [...others, ...this.#brainPlaces(), ...(fault.clientsToo ? [CLIENTS] : [])];
        return this.#cut(
          places.flatMap((place) => [[ordinal, place] as const, [place, ordinal] as const]),
          fault.ms,
        );
      }
      case 'cut-brain': {
        const { ordinal } = this.#member(fault.target);
        const pairs = this.#brainPlaces().flatMap((place) => [
          [place, ordinal] as const,
          ...(fault.oneWay ? [] : [[ordinal, place] as const]),
        ]);
        return this.#cut(pairs, fault.ms);
      }
      case 'slow-link': {
        const [from, to] = [this.#member(fault.from).ordinal, this.#member(fault.to).ordinal];
        network.slow(from, to, fault.extraMs);
        return this.#lasting(fault.ms, () => network.slow(from, to, 0));
      }
      case 'slow-disk': {
        const { server } = this.#member(fault.target);
        if (server === null) return;
        server.syncMs = fault.syncMs;
        return this.#lasting(fault.ms, () => (server.syncMs = 0.6));
      }
      case 'full-disk': {
        const { data } = this.#member(fault.target);
        if (data === null) return;
        const become = (full: boolean): void => {
          data.full = full;
          for (const tell of this.#world.hostListeners) tell();
        };
        become(true);
        return this.#lasting(fault.ms, () => become(false), true);
      }
      case 'slow-commits': {
        const { server } = this.#member(fault.target);
        if (server === null) return;
        server.commitMs = fault.commitMs;
        return this.#lasting(fault.ms, () => (server.commitMs = 0));
      }
      case 'slow-answers': {
        const { ordinal } = this.#member(fault.target);
        const slow = (extraMs: number): void => {
          for (const place of this.#brainPlaces()) network.slow(ordinal, place, extraMs);
        };
        slow(fault.extraMs);
        return this.#lasting(fault.ms, () => slow(0));
      }
      case 'slow-logins': {
        const { server } = this.#member(fault.target);
        if (server === null) return;
        server.loginMs = fault.loginMs;
        return this.#lasting(fault.ms, () => (server.loginMs = 0.1));
      }
      case 'slow-applier': {
        const { server } = this.#member(fault.target);
        if (server === null) return;
        server.applier.applyMs = fault.applyMs;
        return this.#lasting(fault.ms, () => (server.applier.applyMs = 0.3));
      }
      case 'broken-applier': {
        const member = this.#member(fault.target);
        const { data } = member;
        if (data === null) return;
        if (fault.ms === null && !this.#mayLose(member))
          return trace('not carried out: it would go beyond what is promised');
        data.applierFault = true;
        data.brokenForGood ||= fault.ms === null;
        if (fault.ms === null) return;
        return this.#lasting(fault.ms, () => (data.applierFault = false));
      }
      case 'brain-dies':
        for (const brain of this.#world.livingBrains) brain.die();
        return void this.#world.time.after(fault.ms, () => this.#oneBrain());
      case 'brain-pauses': {
        const brain = this.#world.livingBrains[0];
        if (brain === undefined || brain.process.frozen) return;
        brain.process.freeze();
        if (fault.another) this.#world.startBrain();
        return this.#lasting(fault.ms, () => brain.process.thaw());
      }
      case 'second-brain':
        return void this.#world.startBrain();
      case 'lost-swaps':
        this.#world.shelf.faults.lost = fault.count;
        this.#world.shelf.faults.land = fault.land;
        return;
      case 'record-away':
        this.#world.shelf.faults.awayUntilMs = this.#world.time.nowMs + fault.ms;
        return;
      case 'record-slow':
        this.#world.shelf.faults.slowMs = fault.byMs;
        return this.#lasting(fault.ms, () => (this.#world.shelf.faults.slowMs = 0));
      case 'errant': {
        const { server } = this.#member(fault.target);
        // Without a record nobody can say what is errant, but people.
        const { record } = this.#world.shelf;
        const leader = this.#world.primary?.server;
        const leads = leader?.listening === true && leader.data.serverUuid === record?.primary?.serverUuid;
        if (server === null || !server.listening || !leads) return;
        return server.writeErrant();
      }
      case 'account-statement': {
        const [client] = this.#world.clients;
        return void client?.writeAccount();
      }
      case 'too-many-connections': {
        const { server } = this.#member(fault.target);
        if (server === null) return;
        server.tooManyConnections = true;
        return this.#lasting(fault.ms, () => (server.tooManyConnections = false));
      }
      case 'statements-fail': {
        const { server } = this.#member(fault.target);
        if (server === null) return;
        server.trouble = { fails: fault.fails, lost: fault.lost };
        return this.#lasting(fault.ms, () => (server.trouble = null));
      }
      case 'relief': {
        // What lasts ends sooner than planned: just now.
        const [end] = this.#ends;
        return end?.();
      }
      case 'cut-acks': {
        const primary = this.#member('primary').ordinal;
        const others = this.#world.members.map(({ ordinal }) => ordinal).filter((ordinal) => ordinal !== primary);
        return this.#cut(
          others.map((ordinal) => [ordinal, primary] as const),
          fault.ms,
        );
      }
      case 'reset-all':
        for (const session of this.#member('primary').server?.sessions.values() ?? [])
          if (session.user.startsWith('baton_replica_')) session.kill();
        return;
      case 'reset': {
        const { ordinal } = this.#member(fault.target);
        const source = this.#member('primary').server;
        for (const session of source?.sessions.values() ?? [])
          if (session.user === `baton_replica_${ordinal}`) session.kill();
        return;
      }
      case 'clone-fails':
        for (const { server } of this.#world.members) server?.cloning?.fail();
        return;
      case 'semi-sync-off': {
        const { server } = this.#member('primary');
        if (server !== null) server.timeoutMs = 1;
        return;
      }
      case 'refuses': {
        const { server } = this.#member(fault.target);
        if (server === null) return;
        server.refusesAll = true;
        // Whoever administers it sees to it that the controller has to log in anew.
        for (const session of server.sessions.values()) if (session.isController) session.kill();
        return this.#lasting(fault.ms, () => (server.refusesAll = false));
      }
      case 'record-rolled-back':
        return this.#rollBack(fault.ms);
      case 'record-lost':
        return this.#loseRecord();
      case 'clock-jumps':
        this.#member(fault.target).server?.receiver.jumpClock(fault.byMs);
        for (const brain of this.#world.livingBrains) brain.clock.jumpWall(fault.byMs);
        return;
      case 'blackout':
        return this.#blackout(fault.ms, fault.kept);
      case 'scale':
        return this.#world.ask({ replicas: fault.replicas });
      case 'mode':
        return this.#world.ask({ mode: fault.mode });
      case 'switchover': {
        const brain = this.#world.livingBrains.find(({ process }) => !process.frozen);
        if (brain === undefined) return;
        const to = fault.to === null ? null : this.#member(fault.to).ordinal;
        void brain.loop.switchover(to, brain.clock.deadline(5000));
        return;
      }
      case 'restart': {
        const brain = this.#world.livingBrains.find(({ process }) => !process.frozen);
        return brain?.loop.restart(fault.ordinals);
      }
      default:
        return fault satisfies never;
    }
  }

  #oneBrain(): void {
    if (this.#world.livingBrains.length === 0) this.#world.startBrain();
  }

  /** Every brain of this history has one of these places. */
  #brainPlaces(): number[] {
    return Array.from({ length: 8 }, (_, i) => firstBrain + i);
  }

  #cut(pairs: readonly (readonly [number, number])[], ms: number): void {
    const { network } = this.#world;
    const fresh = pairs.filter(([from, to]) => !network.linkIsCut(from, to));
    for (const [from, to] of fresh) network.cut(from, to);
    this.#lasting(ms, () => {
      for (const [from, to] of fresh) network.heal(from, to);
    });
  }

  /** Whether every member of the resource is there to be seen, and none besides. */
  get #calm(): boolean {
    const { members, wanted, shelf } = this.#world;
    const seen = members.filter(({ server }) => server?.listening === true && !server.process.frozen);
    return this.#ends.size === 0 && shelf.record?.primary != null && seen.length === wanted.replicas;
  }

  /** An old copy of the record for a while; then the newest again, and brains that start with it. */
  #rollBack(ms: number): void {
    const { shelf, primary } = this.#world;
    // Before its first row nobody can know that there was a newer epoch.
    const begun = primary?.data?.epoch?.epoch === shelf.record?.epoch;
    const bringBack = this.#calm && begun ? shelf.rollBack() : null;
    if (bringBack === null) return this.#world.trace('not carried out: not everybody is there');
    this.#exclusive = true;
    this.#restartBrains();
    this.#lasting(ms, () => {
      bringBack();
      this.#exclusive = false;
      this.#restartBrains();
    });
  }

  #loseRecord(): void {
    const { members, wanted, shelf } = this.#world;
    // Who is not of the resource can't be waited for.
    if (
      shelf.record?.primary == null ||
      members.some(({ ordinal, data }) => data !== null && ordinal >= wanted.replicas)
    ) {
      return this.#world.trace('not carried out: somebody who is to leave has data');
    }
    // A former primary that is open, or will be when it thaws, is for people to close.
    const stray = members.some(
      (member) =>
        member !== this.#world.primary && (member.server?.readOnly === false || member.server?.process.frozen === true),
    );
    // So is one that can't apply what it alone has, or lets nobody see what it has.
    const unable = members.some(({ data, server }) => data?.applierFault === true || server?.holdsAcl === true);
    const begun = this.#world.primary?.data?.epoch?.epoch === shelf.record.epoch;
    if (stray || unable || !begun) return this.#world.trace('not carried out: it is not clear who leads');
    const rows = members.map(({ data }) => (data === null ? new Gtids() : rowsIn(data)));
    // Else it is for people to say which is right.
    if (!rows.some((all) => rows.every((some) => all.contains(some))))
      return this.#world.trace('not carried out: nobody has all that there is');
    this.#world.shelf.lose();
    this.#restartBrains();
  }

  #restartBrains(): void {
    for (const brain of this.#world.livingBrains) brain.die();
    this.#world.startBrain();
  }

  /** The power of all machines at once. Every disk survives, and with it the primary's binlog. */
  #blackout(ms: number, kept: number): void {
    const { members, checks } = this.#world;
    if (!checks.whole) return this.#world.trace('not carried out: somebody has not caught up yet');
    for (const brain of this.#world.livingBrains) brain.die();
    for (const member of members) this.#powerOff(member, ms, kept);
    this.#world.time.after(ms, () => this.#oneBrain());
  }

  #powerLoss(member: Member, ms: number, kept: number): void {
    const { powerLoss } = this.#world;
    // Without protection what it received counts as lost until it has caught up.
    if (!powerLoss && !this.#mayLose(member)) {
      this.#world.trace('not carried out: it would go beyond what is promised');
      return;
    }
    this.#powerOff(member, ms, kept);
  }

  #powerOff(member: Member, ms: number, kept: number): void {
    const { network } = this.#world;
    if (!member.machine.up) return;
    network.powerOff(member.ordinal);
    member.losePower((length) => Math.floor(length * kept));
    member.bootId = this.#world.newUuid();
    this.#lasting(ms, () => {
      network.powerOn(member.ordinal);
      member.launch();
    });
  }

  /**
   * The promise of `quorum`: at most k members are lost at once, each until it has caught up. Of `adaptive`: the primary or
   * |S| - k + 1 recorded ackers survive.
   */
  #mayLose(member: Member): boolean {
    return this.#world.checks.survives(member.ordinal);
  }
}
