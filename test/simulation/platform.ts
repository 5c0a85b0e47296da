/** What one brain is given: the ports of src/control/port.ts over the simulated world, with time for every step. */
import type { HostView, ProcessId } from '../../src/cluster/view.ts';
import type { ClusterRecord } from '../../src/cluster/record.ts';
import type {
  Clock,
  EndpointTarget,
  Endpoints,
  MemberHosts,
  RecordStore,
  VersionedRecord,
} from '../../src/control/port.ts';
import { PlainSignal } from './abort.ts';
import type { Process } from './network.ts';
import type { Random } from './random.ts';
import type { VirtualTime } from './virtual-time.ts';
import type { World } from './world.ts';

/** Most deadlines pass unnoticed: nobody waits for them any more. So those of about the same moment are one event. */
export function deadline(time: VirtualTime, process: Process, ms: number): AbortSignal {
  const signal = new PlainSignal();
  time.about(ms, () => {
    if (signal.isAwaited) process.do(() => signal.end(time));
    else signal.aborted = true;
  });
  return signal as unknown as AbortSignal;
}

/** A brain's clock stops while the brain is frozen, as far as what it waits for is concerned. */
export class SimulatedClock implements Clock {
  readonly #time: VirtualTime;
  readonly #process: Process;
  readonly #random: Random;
  #wallShiftMs = 0;

  constructor(time: VirtualTime, process: Process, random: Random) {
    this.#time = time;
    this.#process = process;
    this.#random = random;
  }

  nowMs(): number {
    return this.#time.nowMs;
  }

  wallTime(): Date {
    return new Date(Date.UTC(2026, 0, 1) + this.#time.nowMs + this.#wallShiftMs);
  }

  jumpWall(ms: number): void {
    this.#wallShiftMs += ms;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.run = null;
        signal?.removeEventListener('abort', end);
        this.#time.promised();
        resolve();
      };
      const timer = this.#process.after(ms, end);
      if (signal?.aborted === true) end();
      else signal?.addEventListener('abort', end, { once: true });
    });
  }

  deadline(ms: number): AbortSignal {
    return deadline(this.#time, this.#process, ms);
  }

  uuid(): string {
    return this.#random.uuid();
  }
}

export interface RecordFaults {
  /** How many of the next swaps get no answer; `land`: written, late, or not at all. */
  lost: number;
  land: 'written' | 'late' | 'never';
  /** Swaps that land late are kept here until somebody lets them land; null: they land after some time. */
  held: (() => void)[] | null;
  /** Until then, the store does not answer. */
  awayUntilMs: number;
  slowMs: number;
}

/** The one store that all brains share. */
export class RecordShelf {
  version = 0;
  record: ClusterRecord | null = null;
  readonly faults: RecordFaults = {
    lost: 0,
    land: 'written',
    held: null,
    awayUntilMs: 0,
    slowMs: 0,
  };
  /** Records on their way here, which may be the newest any moment. */
  readonly coming = new Set<ClusterRecord>();
  /** Somebody lost it, or brought an old copy back. */
  tampered = false;
  /** Every record that was the newest once, by its version. */
  readonly #history: { readonly version: number; readonly record: ClusterRecord }[] = [];
  readonly #onWritten: (record: ClusterRecord) => void;

  constructor(onWritten: (record: ClusterRecord) => void) {
    this.#onWritten = onWritten;
  }

  /** An old copy of the store is brought back. Returns what brings the newest back; null if there is no older epoch. */
  rollBack(): (() => void) | null {
    const { version, record } = this;
    const old = this.#history.findLast((entry) => entry.record.epoch < (record?.epoch ?? 0) && entry.record.epoch > 0);
    if (old === undefined) return null;
    this.tampered = true;
    this.version = old.version;
    this.record = old.record;
    return () => {
      this.version = version + 1000;
      this.record = record;
      this.tampered = false;
    };
  }

  /** The store is emptied. */
  lose(): void {
    this.tampered = true;
    this.version = 0;
    this.record = null;
  }

  swap(expected: number, record: ClusterRecord): 'written' | 'conflict' {
    if (this.version !== expected) return 'conflict';
    this.version++;
    this.record = record;
    this.#history.push({ version: this.version, record });
    this.#onWritten(record);
    return 'written';
  }
}

const LANDS_LATE_MS = 1500;
const NO_ANSWER_MS = 1000;

export class SimulatedRecords implements RecordStore {
  readonly #shelf: RecordShelf;
  readonly #world: World;
  readonly #process: Process;

  constructor(shelf: RecordShelf, world: World, process: Process) {
    this.#shelf = shelf;
    this.#world = world;
    this.#process = process;
  }

  read(): Promise<VersionedRecord | null> {
    return this.#ask(() => {
      const { version, record } = this.#shelf;
      return record === null ? null : { version, record };
    });
  }

  swap(expectedVersion: number, record: ClusterRecord): Promise<'written' | 'conflict'> {
    const { time, random, trace } = this.#world;
    const { faults, coming } = this.#shelf;
    coming.add(record);
    if (faults.lost > 0) {
      faults.lost--;
      const { land } = faults;
      const sentMs = time.nowMs;
      const arrive = (): void => {
        coming.delete(record);
        const outcome = this.#shelf.swap(expectedVersion, record);
        trace(
          `a swap of the record whose answer was lost landed ${Math.round(time.nowMs - sentMs)} ms later: ${outcome}`,
        );
      };
      if (land === 'late' && faults.held !== null) faults.held.push(arrive);
      else if (land === 'never') coming.delete(record);
      else time.after(land === 'late' ? random.between(1, LANDS_LATE_MS) : 1, arrive);
      return this.#reject(random.between(5, NO_ANSWER_MS));
    }
    return this.#ask(
      () => {
        coming.delete(record);
        return this.#shelf.swap(expectedVersion, record);
      },
      () => coming.delete(record),
    );
  }

  /** The request goes, is carried out, and its answer comes back: a brain may die at each point. */
  #ask<T>(carryOut: () => T, onAway?: () => void): Promise<T> {
    const { time, random } = this.#world;
    const { faults } = this.#shelf;
    if (time.nowMs < faults.awayUntilMs) {
      onAway?.();
      return this.#reject(random.between(50, NO_ANSWER_MS));
    }
    return new Promise((resolve) => {
      time.after(random.between(0.2, 1.5) + faults.slowMs * random.unit(), () => {
        const result = carryOut();
        this.#process.after(random.between(0.2, 1), () => {
          time.promised();
          resolve(result);
        });
      });
    });
  }

  #reject<T>(ms: number): Promise<T> {
    return new Promise((_, reject) => {
      this.#process.after(ms, () => {
        this.#world.time.promised();
        reject(new Error('the record store does not answer'));
      });
    });
  }
}

/** The members, as one brain's platform sees and reaches them. */
export class SimulatedHosts implements MemberHosts {
  readonly #world: World;
  readonly #process: Process;
  /** What was last known of a member whose machine can't be reached. */
  readonly #known = new Map<number, HostView>();

  constructor(world: World, process: Process) {
    this.#world = world;
    this.#process = process;
  }

  list(): readonly HostView[] {
    const views: HostView[] = [];
    for (const member of this.#world.members) {
      const { platform, network } = this.#world;
      const away = platform === 'machines' && network.isCut(member.ordinal, this.#process.place);
      const known = this.#known.get(member.ordinal);
      if (away && known !== undefined) {
        views.push(known);
        continue;
      }
      if (!member.wanted && member.data === null) continue;
      const view = member.view();
      this.#known.set(member.ordinal, view);
      views.push(view);
    }
    return views;
  }

  #act(ordinal: number, ms: number, work: (done: () => void) => void): Promise<void> {
    const { network, time } = this.#world;
    return new Promise((resolve, reject) => {
      let over = false;
      const end = (settle: () => void): void => {
        if (over) return;
        over = true;
        time.promised();
        settle();
      };
      this.#process.after(30_000, () =>
        end(() => reject(new Error(`the machine of member ${ordinal} does not answer`))),
      );
      network.send(this.#process.place, ordinal, { lastMs: 0 }, ms, () => {
        try {
          work(() =>
            network.send(ordinal, this.#process.place, { lastMs: 0 }, 0, () => this.#process.do(() => end(resolve))),
          );
        } catch (error) {
          const refused = error instanceof Error ? error : new Error(String(error));
          network.send(ordinal, this.#process.place, { lastMs: 0 }, 0, () =>
            this.#process.do(() => end(() => reject(refused))),
          );
        }
      });
    });
  }

  start(ordinal: number): Promise<void> {
    return this.#act(ordinal, 2, (done) => {
      this.#world.member(ordinal).start();
      done();
    });
  }

  kill(ordinal: number, process: ProcessId): Promise<void> {
    return this.#act(ordinal, 1, (done) => {
      const member = this.#world.member(ordinal);
      if (member.running?.pid === process.pid) member.kill();
      done();
    });
  }

  restart(ordinal: number, process: ProcessId): Promise<void> {
    return this.#act(ordinal, 1, (done) => {
      const member = this.#world.member(ordinal);
      if (member.running?.pid === process.pid) member.terminate(done);
      else done();
    });
  }

  retire(ordinal: number, { orderly }: { readonly orderly: boolean }): Promise<void> {
    return this.#act(ordinal, 1, (done) => {
      const member = this.#world.member(ordinal);
      member.wanted = false;
      if (orderly) return member.terminate(done);
      member.kill();
      done();
    });
  }

  rebuild(ordinal: number, discard: string): Promise<void> {
    // From now on it may be gone at any moment, whatever else goes wrong.
    this.#world.checks.onLost(ordinal);
    return this.#act(ordinal, 2, (done) => {
      const member = this.#world.member(ordinal);
      if (member.data?.serverUuid !== discard)
        throw new Error(`the data is ${member.data?.serverUuid ?? 'gone'}, not ${discard}`);
      this.#world.trace(`member ${ordinal}: its data ${discard.slice(0, 8)} is set aside`);
      member.setAside();
      done();
    });
  }

  dropAside(ordinal: number): Promise<void> {
    return this.#act(ordinal, 5, (done) => {
      this.#world.member(ordinal).dropAside();
      done();
    });
  }

  onChange(listener: () => void): () => void {
    const tell = (): void => {
      this.#process.do(() => {
        this.#world.time.promised();
        listener();
      });
    };
    this.#world.hostListeners.add(tell);
    return () => this.#world.hostListeners.delete(tell);
  }
}

/** The two addresses that clients know. They outlive brains; a target of a lower epoch than one seen before is ignored. */
export class Addresses {
  primary: EndpointTarget = { epoch: 0, members: [], reason: 'nothing yet', hold: false };
  read: EndpointTarget = { epoch: 0, members: [], reason: 'nothing yet', hold: false };
  onPointed: () => void = () => undefined;
  open = 0;

  /** On one machine, an endpoint is a part of the daemon. */
  close(): void {
    const nowhere = { members: [], reason: 'the daemon is gone', hold: false };
    this.primary = { ...this.primary, ...nowhere };
    this.read = { ...this.read, ...nowhere };
    this.onPointed();
  }

  point(primary: EndpointTarget, read: EndpointTarget): void {
    if (primary.epoch < this.primary.epoch) return;
    this.primary = primary;
    this.read = read;
    this.onPointed();
  }
}

export class SimulatedEndpoints implements Endpoints {
  readonly #addresses: Addresses;
  readonly #world: World;
  readonly #process: Process;

  constructor(addresses: Addresses, world: World, process: Process) {
    this.#addresses = addresses;
    this.#world = world;
    this.#process = process;
  }

  point(primary: EndpointTarget, read: EndpointTarget): void {
    const { time, random } = this.#world;
    const run = (): void => this.#addresses.point(primary, read);
    // On one machine it is done by the brain itself, else by somebody who was told.
    if (this.#world.platform === 'one-machine') this.#process.after(0.1, run);
    else time.after(random.between(0.1, 1), run);
  }

  openConnections(): number {
    return this.#addresses.open;
  }
}
