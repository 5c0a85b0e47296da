import assert from 'node:assert/strict';
import { setImmediate as tick } from 'node:timers/promises';
import { describe, it, type TestContext } from 'node:test';
import type { Decision, MemberAct } from '../cluster/decision.ts';
import type { ClusterRecord } from '../cluster/record.ts';
import type { Contact, HostView, MemberView, ProcessId, View, Wanted } from '../cluster/view.ts';
import {
  acker,
  answering,
  gone,
  pid,
  primary,
  record,
  replica,
  sealed,
  silent,
  wanted,
} from '../cluster/view-fixture.ts';
import { Loop } from './loop.ts';
import type { Clock, EndpointTarget, JournalEntry, MemberHosts, MemberLink, Ports, RecordStore } from './port.ts';
import { SupersededError } from './superseded.ts';

/** Time stands still until it is told to go on; all that is due by then happens in order. */
class VirtualClock implements Clock {
  now = 1000;
  #sleepers: { readonly atMs: number; readonly wake: () => void }[] = [];

  /** No two moments are the same. */
  nowMs(): number {
    this.now += 0.001;
    return this.now;
  }

  wallTime(): Date {
    return new Date(this.now);
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) return resolve();
      this.#sleepers.push({ atMs: this.now + ms, wake: resolve });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  deadline(ms: number): AbortSignal {
    const controller = new AbortController();
    this.#sleepers.push({ atMs: this.now + ms, wake: () => controller.abort() });
    return controller.signal;
  }

  uuid(): string {
    return 'a uuid';
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.now + ms;
    while (true) {
      await drained();
      const next = this.#sleepers.sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#sleepers.shift();
      this.now = Math.max(this.now, next.atMs);
      next.wake();
    }
    this.now = Math.max(this.now, untilMs);
    await drained();
  }
}

/** Whatever can happen without time going on has happened. */
async function drained(): Promise<void> {
  for (let round = 0; round < 5; round++) await tick();
}

type Swap =
  | 'answered'
  | 'written without an answer'
  | 'never written, without an answer'
  | 'written late, without an answer';

class Store implements RecordStore {
  version = 1;
  record: ClusterRecord | null;
  /** What becomes of the next swaps; 'answered' when there is nothing more. */
  next: Swap[] = [];
  late: (() => 'written' | 'conflict') | null = null;
  onRead: (() => void) | null = null;
  /** Before the next swap is compared: another brain's moment. */
  before: (() => void) | null = null;
  hold: Promise<void> | null = null;
  readonly written: ClusterRecord[] = [];

  constructor(first: ClusterRecord | null) {
    this.record = first;
  }

  read(): Promise<{ version: number; record: ClusterRecord } | null> {
    this.onRead?.();
    return Promise.resolve(this.record === null ? null : { version: this.version, record: this.record });
  }

  async swap(expected: number, next: ClusterRecord): Promise<'written' | 'conflict'> {
    this.before?.();
    this.before = null;
    const outcome = this.next.shift() ?? 'answered';
    const land = (): 'written' | 'conflict' => {
      if (this.version !== expected) return 'conflict';
      this.version++;
      this.record = next;
      this.written.push(next);
      return 'written';
    };
    if (outcome === 'answered' || outcome === 'written without an answer') {
      const landed = land();
      await this.hold;
      if (outcome === 'answered') return landed;
    }
    if (outcome === 'written late, without an answer') this.late = land;
    throw new Error('the store does not answer');
  }
}

interface Performing {
  readonly act: MemberAct;
  readonly done: () => void;
  readonly fail: (error: string) => void;
}

/** A cluster of fakes: members are what the fixture's builders say, acts wait until the test ends them. */
class Stage {
  readonly clock = new VirtualClock();
  readonly store: Store;
  readonly views: { readonly view: View; readonly decision: Decision }[] = [];
  readonly performing: Performing[] = [];
  readonly killed: [number, ProcessId][] = [];
  readonly begun: string[] = [];
  readonly pointed: [EndpointTarget, EndpointTarget][] = [];
  readonly journal: JournalEntry[] = [];
  /** Members that answer only when they are taken out of here, with what was true when they were asked. */
  readonly slow = new Set<number>();
  /** What happens while a member is looked at. */
  onLook: ((ordinal: number) => void) | null = null;
  wanted: Wanted = wanted();
  observed = 0;
  readonly loop: Loop;
  readonly #members = new Map<number, MemberView>();
  readonly #asked = new Map<number, Contact>();
  readonly #changed: (() => void)[] = [];
  readonly #stop = new AbortController();
  ended: Promise<Error | null> = Promise.resolve(null);

  constructor(first: ClusterRecord | null = record()) {
    this.store = new Store(first);
    this.show(primary(0), replica(1), replica(2));
    const ports: Ports = {
      clock: this.clock,
      records: this.store,
      hosts: this.#hosts(),
      link: (ordinal) => this.#link(ordinal),
      endpoints: {
        point: (writes, reads) => this.pointed.push([writes, reads]),
        openConnections: () => 0,
      },
      journal: { write: (entry) => this.journal.push(entry) },
    };
    this.loop = new Loop({
      ...ports,
      wanted: () => this.wanted,
      onDecision: (decision, view) => this.views.push({ decision, view }),
    });
  }

  #hosts(): MemberHosts {
    const underWay = (): Promise<void> => new Promise(() => undefined);
    return {
      list: () => [...this.#members.values()],
      start: underWay,
      kill: (ordinal, process) => {
        this.begun.push(`kill ${ordinal}`);
        this.killed.push([ordinal, process]);
        this.show(gone(ordinal));
        return Promise.resolve();
      },
      restart: underWay,
      retire: underWay,
      rebuild: underWay,
      dropAside: underWay,
      onChange: (listener) => {
        this.#changed.push(listener);
        return () => undefined;
      },
    };
  }

  #link(ordinal: number): MemberLink {
    return {
      observe: async (deadlineMs) => {
        this.observed++;
        const now = this.#members.get(ordinal)?.contact ?? { kind: 'unseen' };
        const asked = this.#asked.get(ordinal) ?? now;
        this.onLook?.(ordinal);
        if (this.slow.has(ordinal)) {
          this.#asked.set(ordinal, asked);
          await this.clock.sleep(deadlineMs);
          if (this.slow.has(ordinal)) return { kind: 'silent', sinceMs: this.clock.now - deadlineMs };
        }
        this.#asked.delete(ordinal);
        return asked;
      },
      perform: (act) => {
        if (act.kind === 'purge') return Promise.resolve();
        this.begun.push(`${act.kind} ${act.ordinal}`);
        return new Promise((resolve, reject) => {
          this.performing.push({ act, done: resolve, fail: (error) => reject(new Error(error)) });
        });
      },
      onBroken: () => undefined,
      close: () => Promise.resolve(),
    };
  }

  show(...members: MemberView[]): void {
    for (const member of members) this.#members.set(member.ordinal, member);
  }

  forget(ordinal: number): void {
    this.#members.delete(ordinal);
  }

  change(): void {
    for (const listener of this.#changed) listener();
  }

  async start(t: TestContext): Promise<this> {
    this.ended = this.loop.run(this.#stop.signal).then(
      () => null,
      (error: unknown) => error as Error,
    );
    t.after(() => this.#stop.abort());
    await this.clock.advance(0);
    return this;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.ended;
  }

  /** Lets so many ms pass, and returns the newest view. */
  async later(ms: number): Promise<View> {
    await this.clock.advance(ms);
    return this.view;
  }

  get view(): View {
    const last = this.views.at(-1);
    assert.ok(last, 'nothing was decided yet');
    return last.view;
  }

  member(ordinal: number): MemberView {
    const found = this.view.members.find((one) => one.ordinal === ordinal);
    assert.ok(found);
    return found;
  }

  /** The act under way, newest first. */
  act(kind: MemberAct['kind'], ordinal: number): Performing {
    const found = this.performing.findLast(({ act }) => act.kind === kind && act.ordinal === ordinal);
    assert.ok(found, `no ${kind} on member ${ordinal} among: ${this.begun.join(', ')}`);
    return found;
  }

  count(act: string): number {
    return this.begun.filter((one) => one === act).length;
  }
}

const stage = (t: TestContext, first?: ClusterRecord | null): Promise<Stage> => new Stage(first).start(t);

describe('a brain takes a term', () => {
  it('before it looks at anything', async (t) => {
    const one = new Stage();
    let seen = -1;
    one.store.before = () => (seen = one.observed);
    await one.start(t);
    assert.equal(seen, 0);
    assert.equal(one.store.record?.term, 2);
    assert.equal(one.view.record.term, 2);
  });

  it('the next one, if another brain was quicker', async (t) => {
    const one = new Stage();
    one.store.before = () => {
      one.store.version++;
      one.store.record = record({ term: 2 });
    };
    await one.start(t);
    assert.equal(one.store.record?.term, 3);
  });

  it('and does nothing without one, however long the store does not answer', async (t) => {
    const one = new Stage();
    one.store.next = Array<Swap>(10).fill('never written, without an answer');
    await one.start(t);
    await one.clock.advance(1000);
    assert.deepEqual([one.observed, one.views.length], [0, 0]);
    assert.ok(one.journal.some(({ kind, text }) => kind === 'failed' && text.includes('does not answer')));
    await one.clock.advance(2000);
    assert.ok(one.views.length > 0);
  });

  it('nor without a record', async (t) => {
    const one = await stage(t, null);
    await one.clock.advance(1000);
    assert.equal(one.observed, 0);
  });

  it('a higher one than that of a swap of its own that was written without an answer', async (t) => {
    const one = new Stage();
    one.store.next = ['written without an answer'];
    await one.start(t);
    await one.clock.advance(200);
    assert.equal(one.view.record.term, 3);
  });
});

describe('a record is written', () => {
  const failover = async (t: TestContext, next: Swap[] = []): Promise<Stage> => {
    const one = await stage(t);
    one.show(gone(0), sealed(1), sealed(2));
    one.store.next = next;
    one.change();
    await drained();
    return one;
  };

  it('before the acts that follow from it, which follow at once', async (t) => {
    const one = await failover(t);
    assert.equal(one.store.record?.epoch, 3);
    assert.deepEqual(one.view.record, one.store.record);
    assert.ok(one.begun.includes('prepare 1'), one.begun.join(', '));
    const at = one.views.findIndex(({ decision }) => decision.record !== null);
    assert.equal(one.views[at]?.view.nowMs, one.views[at + 1]?.view.nowMs, 'what was seen is not seen again first');
    assert.equal(one.journal.findLast(({ kind }) => kind === 'record')?.text.includes('epoch 3, primary 1'), true);
  });

  it('before it is looked again, where that took so long that what was seen is long past', async (t) => {
    const one = await stage(t);
    one.show(gone(0), sealed(1), sealed(2));
    one.store.before = () => (one.clock.now += 9000);
    one.change();
    await drained();
    const at = one.views.findIndex(({ decision }) => decision.record !== null);
    const [wrote, next] = [one.views[at]?.view.nowMs ?? 0, one.views[at + 1]?.view.nowMs ?? 0];
    assert.ok(next - wrote >= 9000, `${wrote}, then ${next}`);
  });

  it('late-swap: one without an answer is read again under a new term, so that it lands no more', async (t) => {
    const one = await failover(t, ['written late, without an answer']);
    await one.clock.advance(0);
    const early = one.store.written.find(({ epoch }) => epoch === 3);
    assert.deepEqual(
      [one.store.late?.(), one.store.written.map(({ term, epoch }) => [term, epoch])],
      [
        'conflict',
        [
          [2, 2],
          [3, 2],
          [3, 3],
        ],
      ],
    );
    assert.equal(early?.term, 3);
  });

  it('and nothing is done for it before that is known', async (t) => {
    const one = await stage(t);
    one.show(gone(0), sealed(1), sealed(2));
    one.store.next = ['written without an answer', 'never written, without an answer'];
    one.change();
    await drained();
    assert.equal(one.begun.length, 0);
    await one.clock.advance(200);
    assert.deepEqual([one.store.record?.epoch, one.view.record.term], [3, 3]);
    assert.ok(one.begun.includes('prepare 1'));
  });

  it('never over another brain’s: it stops', async (t) => {
    const one = await stage(t);
    one.store.version++;
    one.store.record = record({ term: 9 });
    one.show(gone(0), sealed(1), sealed(2));
    one.change();
    await drained();
    const error = await one.ended;
    assert.ok(error instanceof SupersededError);
    assert.match(error.message, /term 9, ours is 2/);
    assert.deepEqual(one.begun, []);
  });

  it('never over another brain’s whose term it finds after a swap without an answer', async (t) => {
    const one = await stage(t);
    one.show(gone(0), sealed(1), sealed(2));
    one.store.next = ['never written, without an answer'];
    one.store.before = () => {
      one.store.version++;
      one.store.record = record({ term: 9 });
    };
    one.change();
    await drained();
    assert.ok((await one.ended) instanceof SupersededError);
  });
});

describe('whoever takes a lock asks whether the term still holds', () => {
  it('and is told no under another brain’s', async (t) => {
    const one = await stage(t);
    await one.loop.confirm();
    one.store.record = record({ term: 3 });
    await assert.rejects(one.loop.confirm(), SupersededError);
  });

  it('and is not told so while the term that it reads is being written by this very brain', async (t) => {
    const one = await stage(t);
    one.show(gone(0), sealed(1), sealed(2));
    one.store.next = ['never written, without an answer'];
    let answer: () => void = () => undefined;
    one.store.hold = new Promise((resolve) => (answer = resolve));
    one.change();
    await drained();
    assert.equal(one.store.record?.term, 3, 'written, and the answer is on its way');
    await assert.rejects(one.loop.confirm(), (error) => !(error instanceof SupersededError));
    one.store.hold = null;
    answer();
    await drained();
    await one.loop.confirm();
  });
});

/** Replica 2 is locked out and away: S without it waits for a barrier. */
async function withBarrier(t: TestContext): Promise<Stage> {
  const one = new Stage(record({ ackers: [acker(1), acker(2, { serverUuid: 'of an earlier disk' })] }));
  one.show(primary(0, { source: { unlocked: [1], connected: [1] } }), replica(1), replica(2, '0:1-100,2:1'));
  await one.start(t);
  one.act('barrier', 0);
  return one;
}
const S = (one: Stage): number[] | undefined => one.store.record?.ackers.map(({ ordinal }) => ordinal);

describe('a barrier', () => {
  it('is begun once, and waited for', async (t) => {
    const one = await withBarrier(t);
    await one.clock.advance(3000);
    assert.equal(one.count('barrier 0'), 1);
    assert.equal(one.view.barrier?.state, 'pending');
    assert.deepEqual(S(one), [1, 2]);
  });

  it('counts when it has passed, for one decision', async (t) => {
    const one = await withBarrier(t);
    one.act('barrier', 0).done();
    await drained();
    assert.deepEqual(S(one), [1]);
    assert.equal(one.views.filter(({ view }) => view.barrier?.state === 'passed').length, 1);
    assert.equal(one.view.barrier, null);
  });

  it('that proved nothing is shown once all the same', async (t) => {
    const one = await stage(t);
    one.show(primary(0, { source: { waiting: 1 } }));
    await one.clock.advance(1500);
    one.act('barrier', 0).done();
    one.show(primary(0));
    await one.clock.advance(1000);
    assert.equal(one.views.filter(({ view }) => view.barrier?.state === 'passed').length, 1);
    assert.equal(one.view.barrier, null);
  });

  it('that failed is begun again, after a pause', async (t) => {
    const one = await withBarrier(t);
    one.act('barrier', 0).fail('lock wait timeout');
    await drained();
    assert.equal(one.count('barrier 0'), 1);
    await one.clock.advance(200);
    assert.equal(one.count('barrier 0'), 2);
    assert.deepEqual(S(one), [1, 2]);
  });

  it('counts only for what was seen of the primary after it passed', async (t) => {
    const one = await withBarrier(t);
    one.onLook = (ordinal) => {
      if (ordinal !== 0) return;
      one.onLook = null;
      one.act('barrier', 0).done();
    };
    const views = one.views.length;
    one.change();
    await drained();
    assert.equal(one.views[views]?.view.barrier?.state, 'pending', 'in the very look in which it passed');
    assert.deepEqual(S(one), [1], 'in the next');
  });

  it('nor for an answer of the primary’s to a question from before', async (t) => {
    const one = await withBarrier(t);
    one.slow.add(0);
    await one.clock.advance(600);
    assert.equal(one.member(0).contact.kind, 'silent');
    one.act('barrier', 0).done();
    await drained();
    const views = one.views.length;
    one.slow.delete(0);
    await one.clock.advance(60);
    const late = one.views.slice(views).find(({ view }) => view.members[0]?.contact.kind === 'answers');
    assert.equal(late?.view.barrier?.state, 'pending', 'it was asked before');
    await one.clock.advance(500);
    assert.deepEqual(S(one), [1]);
  });

  it('is void once anything is changed on the primary', async (t) => {
    const one = await withBarrier(t);
    const old = one.act('barrier', 0);
    one.show(primary(0, { source: { unlocked: [], connected: [] } }));
    await one.clock.advance(400);
    one.act('unlock', 0).done();
    old.done();
    one.show(primary(0, { source: { unlocked: [1], connected: [1] } }));
    await one.clock.advance(400);
    assert.deepEqual(S(one), [1, 2], 'that one proves nothing any more');
    assert.equal(one.count('barrier 0'), 2);
    one.act('barrier', 0).done();
    await drained();
    assert.deepEqual(S(one), [1]);
  });
});

describe('the epoch’s first row', () => {
  it('is begun once, whatever else is done on the primary meanwhile', async (t) => {
    const one = new Stage();
    const epochRow = { clusterId: record().clusterId, epoch: 1, term: 1 };
    one.show(primary(0, { epochRow, source: { unlocked: [1] } }));
    await one.start(t);
    await one.clock.advance(100);
    one.act('unlock', 0).done();
    await one.clock.advance(100);
    assert.equal(one.count('write-epoch 0'), 1);
  });
});

describe('an act', () => {
  const sealing = async (t: TestContext): Promise<Stage> => {
    const one = await stage(t);
    one.show(gone(0));
    one.change();
    await drained();
    assert.deepEqual(one.begun, ['seal 1', 'seal 2']);
    return one;
  };

  it('is begun once, and keeps its member from anything else', async (t) => {
    const one = await sealing(t);
    await one.clock.advance(900);
    assert.deepEqual(one.begun, ['seal 1', 'seal 2']);
    assert.equal(one.member(1).busy, 'seal');
  });

  it('what it did is only believed when it was looked at afterwards', async (t) => {
    const one = await sealing(t);
    one.onLook = (ordinal) => {
      // Ends while the others are still being looked at.
      if (ordinal === 2) return;
      one.onLook = null;
    };
    one.show(sealed(1));
    one.act('seal', 1).done();
    await drained();
    assert.equal(one.member(1).busy, null);
    assert.equal(one.member(2).busy, 'seal');
    assert.equal(one.store.record?.epoch, 2, 'member 2 is still being sealed');
    one.show(sealed(2));
    one.act('seal', 2).done();
    await drained();
    assert.equal(one.store.record?.epoch, 3);
  });

  it('leaves its member settling as long as only an answer from before its end is there', async (t) => {
    const one = await sealing(t);
    await one.clock.advance(1100);
    one.slow.add(1);
    one.change();
    await drained();
    one.show(sealed(1), sealed(2));
    one.act('seal', 2).done();
    one.act('seal', 1).done();
    await one.clock.advance(300);
    one.slow.delete(1);
    await one.clock.advance(20);
    const late = one.views.findLast(({ view }) => view.members[1]?.busy === 'settling');
    assert.ok(late, 'asked before the seal was over');
    assert.equal(late.decision.record, null);
    await one.clock.advance(100);
    assert.equal(one.store.record?.epoch, 3);
  });

  it('leaves nothing of a member that the platform does not know any more: it may be asked for again at any time', async (t) => {
    const one = await sealing(t);
    one.forget(1);
    one.act('seal', 1).done();
    await one.clock.advance(100);
    assert.deepEqual([one.member(1).contact.kind, one.member(1).busy], ['unseen', 'start']);
  });

  it('that fails is not begun again at once, and its member shows why', async (t) => {
    const one = await sealing(t);
    one.act('seal', 1).fail('no answer in time');
    await drained();
    assert.equal(one.count('seal 1'), 1);
    assert.equal(one.member(1).failure?.error, 'no answer in time');
    await one.clock.advance(150);
    assert.equal(one.count('seal 1'), 2);
    assert.ok(one.journal.some(({ kind, text }) => kind === 'failed' && text === 'seal member 1: no answer in time'));
  });

  it('goes past a statement that hangs if it is a SIGKILL', async (t) => {
    const one = await asynchronous(t);
    one.show(silent(0, one.clock.now), deaf(1), deaf(2));
    await one.clock.advance(2500);
    assert.deepEqual(one.killed[0], [0, pid(0)]);
  });

  it('that failed leaves nothing unsettled on a member that has not answered since', async (t) => {
    const one = await asynchronous(t, 10_000);
    one.show(silent(0, one.clock.now), deaf(1), deaf(2));
    await one.clock.advance(2500);
    assert.equal(one.member(0).busy, 'unlock');
    one.act('unlock', 0).fail('no answer in time');
    await one.clock.advance(2500);
    assert.equal(one.member(0).busy, null);
  });
});

const deaf = (ordinal: number): MemberView => replica(ordinal, '0:1-100', { replica: { receiver: 'connecting' } });

/** k = 0, and an `unlock` under way on the primary. */
async function asynchronous(t: TestContext, detectionMs = 1000): Promise<Stage> {
  const one = new Stage(record({ required: 0, mode: 'asynchronous' }));
  one.wanted = wanted({ mode: 'asynchronous', required: 0, limits: { detectionMs } });
  one.show(primary(0, { source: { enabled: false, active: false, unlocked: [1], connected: [1] } }));
  await one.start(t);
  one.act('unlock', 0);
  return one;
}

describe('a look', () => {
  it('takes what is known of processes after the servers were asked: who ended meanwhile is known to have', async (t) => {
    const one = await stage(t);
    one.onLook = (ordinal) => {
      if (ordinal === 0) one.show(gone(0));
    };
    one.change();
    await drained();
    assert.equal(one.view.members[0]?.process.kind, 'gone');
  });

  it('asks the primary after its replicas: its history is read after their rows', async (t) => {
    const one = await stage(t);
    const order: number[] = [];
    one.onLook = (ordinal) => void order.push(ordinal);
    one.change();
    await drained();
    assert.deepEqual(order.slice(-3), [1, 2, 0]);
  });

  it('waits for one that did not answer the last time hardly at all', async (t) => {
    const one = await stage(t);
    one.slow.add(2);
    await one.clock.advance(2000);
    const from = one.views.length;
    await one.clock.advance(1000);
    assert.ok(one.views.length - from >= 3);
  });

  it('counts for nothing if who answered has ended by its end', async (t) => {
    const one = await stage(t);
    one.onLook = (ordinal) => {
      if (ordinal === 0) one.show(gone(1));
    };
    one.change();
    await one.clock.advance(0);
    assert.deepEqual([one.member(1).process.kind, one.member(1).contact.kind], ['gone', 'unreachable']);
  });

  it('counts for nothing if the process stood still meanwhile: it looks again', async (t) => {
    const one = await stage(t);
    const decided = one.views.length;
    one.onLook = (ordinal) => {
      if (ordinal !== 0) return;
      // It slept through this, and what it is about to see was so before.
      one.onLook = null;
      one.clock.now += 9000;
      one.show(answering(0, '', { serverUuid: 'another' }));
    };
    one.change();
    await one.clock.advance(0);
    const said = one.views.slice(decided).map(({ view }) => view.members[0]?.contact);
    assert.ok(said.length > 0);
    for (const contact of said) assert.equal(contact?.kind === 'answers' && contact.server.serverUuid, 'another');
  });

  it('asks one again that answers a question from long ago, perhaps from before the process stood still', async (t) => {
    const one = await stage(t);
    one.slow.add(2);
    while (one.member(2).contact.kind !== 'silent') await one.clock.advance(1);
    // Between two looks.
    one.show(answering(2, '', { serverUuid: 'another' }));
    one.clock.now += 9000;
    one.slow.delete(2);
    const decided = one.views.length;
    await one.clock.advance(1000);
    const said = one.views.slice(decided).map(({ view }) => view.members[2]?.contact);
    assert.ok(said.length > 0);
    for (const contact of said) assert.equal(contact?.kind === 'answers' && contact.server.serverUuid, 'another');
  });

  it('counts all the same where it always takes that long', async (t) => {
    const one = await stage(t);
    let looks = 0;
    one.onLook = () => {
      if (looks++ < 30) one.clock.now += 1000;
    };
    const [decided, since] = [one.views.length, one.clock.now];
    one.change();
    await one.clock.advance(0);
    const first = one.views[decided]?.view.nowMs ?? Infinity;
    assert.ok(first - since < 20_000, `it decided after ${first - since} ms`);
  });

  it('shows a member that the resource asks for before the platform knows it', async (t) => {
    const one = new Stage();
    one.wanted = wanted({ replicas: 4 });
    await one.start(t);
    assert.equal(one.view.members[3]?.process.kind, 'absent' satisfies HostView['process']['kind']);
  });
});

describe('the endpoints', () => {
  it('are pointed when something changed, and not again for the same', async (t) => {
    const one = await stage(t);
    await one.clock.advance(3000);
    assert.equal(one.pointed.length, 1);
    assert.deepEqual(one.pointed[0]?.[0].members, [0]);
    one.show(gone(0), silent(1), silent(2));
    one.change();
    await drained();
    assert.deepEqual(one.pointed.at(-1)?.[0].members, []);
  });
});

describe('a switchover that was asked for', () => {
  const never = new AbortController().signal;

  it('resolves with how it ended, and is over', async (t) => {
    const one = await stage(t);
    one.show(silent(1));
    const asked = one.loop.switchover(1, never);
    await one.clock.advance(300);
    assert.deepEqual((await asked).done, false);
    assert.match((await asked).reason, /member 1 does not answer/);
    one.show(replica(1));
    await one.clock.advance(3000);
    assert.equal(one.view.switchover, null);
    assert.equal(one.count('close 0'), 0, 'it is not tried again');
  });

  it('resolves when it is done', async (t) => {
    const one = await stage(t);
    const asked = one.loop.switchover(1, never);
    await one.clock.advance(50);
    one.show(primary(0, { access: 'closed' }));
    one.act('close', 0).done();
    await one.clock.advance(20);
    one.show(sealed(1));
    one.act('seal', 1).done();
    await one.clock.advance(50);
    assert.deepEqual(await asked.then(({ done }) => done), true);
    assert.deepEqual([one.store.record?.epoch, one.store.record?.primary?.ordinal], [3, 1]);
  });

  it('gives way to a later one', async (t) => {
    const one = await stage(t);
    one.show(primary(0, { oldestTransactionSeconds: 60 }));
    const first = one.loop.switchover(1, never);
    await one.clock.advance(50);
    void one.loop.switchover(2, never);
    await one.clock.advance(50);
    assert.match((await first).reason, /another switchover/);
  });

  it('is taken back by who asked, and told why it had not begun', async (t) => {
    const one = await stage(t);
    one.show(primary(0, { source: { waiting: 1 } }), silent(1), silent(2));
    await one.clock.advance(3000);
    const patience = new AbortController();
    const asked = one.loop.switchover(1, patience.signal);
    await one.clock.advance(50);
    patience.abort();
    await one.clock.advance(10);
    assert.match((await asked).reason, /not begun: 1 commits wait/);
    await one.clock.advance(500);
    assert.equal(one.view.switchover, null);
  });
});

describe('a restart that was asked for', () => {
  it('is of the processes that run now, and is over when they are gone', async (t) => {
    const one = await stage(t);
    one.show(gone(2));
    one.loop.restart([1, 2]);
    assert.deepEqual(one.loop.restarting(), [1]);
    one.show(replica(1, '0:1-100', {}, { process: { kind: 'running', id: pid(1, 2), sinceMs: 0 } }));
    assert.deepEqual(one.loop.restarting(), []);
  });
});

describe('the loop', () => {
  it('looks at least once a second, and at once when something happens', async (t) => {
    const one = await stage(t);
    const looks = one.views.length;
    await one.clock.advance(1000);
    assert.ok(one.views.length > looks);
    const before = one.views.length;
    one.change();
    await drained();
    assert.equal(one.views.length, before + 1);
  });

  it('looks at the primary alone in between, while the cluster is at rest', async (t) => {
    const one = await stage(t);
    await one.clock.advance(3000);
    const seen = [0, 0, 0];
    one.onLook = (ordinal) => void (seen[ordinal] = (seen[ordinal] ?? 0) + 1);
    const before = one.views.length;
    await one.clock.advance(3000);
    const decided = one.views.length - before;
    assert.ok(decided <= 4, `${decided} decisions in 3 s`);
    assert.deepEqual([seen[1], seen[2]], [decided, decided]);
    assert.ok((seen[0] ?? 0) >= 8, `${seen[0]} looks at the primary in 3 s`);
  });

  it('and at all of them as soon as the primary is silent, or shows something else', async (t) => {
    const one = await stage(t);
    const seen: number[] = [];
    /** It has just looked at all. */
    const rests = async (): Promise<void> => {
      await one.clock.advance(3000);
      const before = one.views.length;
      while (one.views.length === before) await one.clock.advance(10);
      seen.length = 0;
    };
    await rests();
    one.onLook = (ordinal) => void seen.push(ordinal);
    one.show(primary(0, { waitsForRoom: true }));
    await one.clock.advance(334);
    assert.deepEqual(seen.slice(0, 4), [0, 1, 2, 0]);
    one.show(primary(0));
    await rests();
    one.show(silent(0, one.clock.now));
    await one.clock.advance(334);
    assert.deepEqual(seen.slice(0, 4), [0, 1, 2, 0]);
    assert.equal(one.views.at(-1)?.decision.state, 'degraded');
  });

  it('looks less and less often while the same lasts, and again at once', async (t) => {
    const one = await stage(t);
    const looks = async (ms: number): Promise<number> => {
      const before = one.views.length;
      await one.clock.advance(ms);
      return one.views.length - before;
    };
    one.show(gone(0), silent(1), silent(2));
    one.change();
    const first = await looks(300);
    await looks(2700);
    const later = await looks(300);
    assert.ok(first >= 8, `${first} in the first 0.3 s`);
    assert.ok(later <= 2, `${later} in 0.3 s, after 3 s`);
    one.show(primary(0), replica(1), replica(2));
    one.change();
    assert.ok((await looks(0)) >= 1);
  });

  it('looks just when a primary that is silent has been so for the detection time', async (t) => {
    const one = await stage(t);
    const since = one.clock.now;
    const deaf = { replica: { heardSecondsAgo: 9 } };
    one.show(silent(0, since), replica(1, undefined, deaf), replica(2, undefined, deaf));
    one.change();
    await one.clock.advance(990);
    assert.equal(one.views.at(-1)?.decision.state, 'degraded');
    await one.clock.advance(15);
    assert.equal(one.views.at(-1)?.decision.state, 'failing-over');
  });

  it('ends when it is told to, and lets go of every member', async (t) => {
    const one = await stage(t);
    await one.stop();
    assert.equal(await one.ended, null);
  });
});
