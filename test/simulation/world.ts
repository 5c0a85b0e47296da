/** The simulated world of one history: machines, members, the record's store, brains, clients, and who watches over them. */
import type { Decision } from '../../src/cluster/decision.ts';
import { newClusterRecord, type ClusterRecord, type DurabilityMode } from '../../src/cluster/record.ts';
import type { View, Wanted } from '../../src/cluster/view.ts';
import { wantedBy } from '../../src/control/wanted.ts';
import { defaultCluster } from '../../src/spec/parse.ts';
import { Brain } from './brain.ts';
import { Checks } from './checks.ts';
import { Client } from './client.ts';
import { Member } from './member.ts';
import { Network, firstBrain, type Place } from './network.ts';
import { Addresses, RecordShelf } from './platform.ts';
import { Random } from './random.ts';
import type { Server, Surroundings } from './server.ts';
import type { Transaction } from './transaction.ts';
import { VirtualTime } from './virtual-time.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly members: number;
  /** Null: what is the default for as many members. */
  readonly mode: DurabilityMode | null;
  readonly powerLoss: boolean;
  /** Of MySQL. */
  readonly version: string;
  /**
   * one-machine: the brain runs where the members run, and knows of every process. machines: each member on its own; of one
   * that can't be reached, the platform says what it knew last.
   */
  readonly platform: 'one-machine' | 'machines';
  readonly clients: number;
  readonly thinkMs: number;
  /** Clients that write straight at their members, whoever is the primary: one for each, or none. */
  readonly straight: boolean;
  /** Called with each line of the timeline; null: none is kept. */
  readonly onTrace: ((line: string) => void) | null;
}

const STRAIGHT_THINK_MS = 700;
const NET_TIMEOUT_MS = 1000;

export class World implements Surroundings {
  readonly seed: number;
  readonly platform: WorldOptions['platform'];
  readonly powerLoss: boolean;
  readonly netTimeoutMs = NET_TIMEOUT_MS;
  readonly version: string;
  readonly time = new VirtualTime();
  readonly random: Random;
  readonly clientRandom: Random;
  readonly network: Network;
  readonly members: Member[] = [];
  readonly brains: Brain[] = [];
  readonly clients: Client[] = [];
  readonly shelf: RecordShelf;
  readonly addresses = new Addresses();
  readonly checks: Checks;
  readonly hostListeners = new Set<() => void>();
  wanted: Wanted;
  nextRow = 1;
  /** The newest decision of any brain. */
  decision: Decision | null = null;
  failure: string | null = null;
  /** Called with whatever a brain notes down. */
  onNoted: (kind: string, text: string) => void = () => undefined;
  /** When a fault last began or ended. */
  disturbedMs = 0;
  /** Faults that go on. */
  lasting = 0;
  /** Who was the primary before the present one. */
  former: number | null = null;
  #leads: number | null = null;
  readonly #onTrace: WorldOptions['onTrace'];
  #brainCount = 0;
  #mode: DurabilityMode | null;
  #uuids: Random;
  #lastState = '';

  constructor(options: WorldOptions) {
    const { seed } = options;
    this.seed = seed;
    this.platform = options.platform;
    this.powerLoss = options.powerLoss;
    this.version = options.version;
    this.#onTrace = options.onTrace;
    this.#mode = options.mode;
    this.random = new Random(seed, 'world');
    this.clientRandom = new Random(seed, 'clients');
    this.#uuids = new Random(seed, 'uuids');
    this.network = new Network(this.time, new Random(seed, 'network'));
    this.wanted = wantedFor(options.members, options.mode, options.powerLoss, options.version);
    this.shelf = new RecordShelf((record) => {
      const leads = record.primary?.ordinal ?? null;
      if (leads !== this.#leads) [this.former, this.#leads] = [this.#leads, leads];
      this.checks.onRecord(record);
    });
    this.checks = new Checks(this);
    this.addresses.onPointed = () => {
      for (const client of this.clients) client.cutUnless(this.addresses.primary.members);
    };
    for (let i = 0; i < options.clients; i++) {
      this.clients.push(new Client({ world: this, straight: null, thinkMs: options.thinkMs }));
    }
    for (let straight = 0; options.straight && straight < options.members; straight++) {
      this.clients.push(new Client({ world: this, straight, thinkMs: STRAIGHT_THINK_MS }));
    }
  }

  get nowMs(): () => number {
    return () => this.time.nowMs;
  }

  /** Whether anybody reads the timeline. */
  get traced(): boolean {
    return this.#onTrace !== null;
  }

  readonly trace = (text: string): void => {
    this.#onTrace?.(`${(this.time.nowMs / 1000).toFixed(3).padStart(9)}  ${text}`);
  };

  /** The first failure of a history counts; it ends there. */
  fail(why: string): void {
    if (this.failure !== null) return;
    this.failure = `at ${(this.time.nowMs / 1000).toFixed(3)} s: ${why}`;
    this.trace(`FAILURE: ${why}`);
    this.time.stop();
  }

  // ── Members ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The platform's slot for an ordinal; made when it is first asked for. */
  member(ordinal: number): Member {
    let member = this.members.find((one) => one.ordinal === ordinal);
    if (member !== undefined) return member;
    member = new Member({
      ordinal,
      machine: this.network.machine(ordinal),
      time: this.time,
      world: this,
      newUuid: () => this.#uuids.uuid(),
      changed: () => {
        for (const tell of this.hostListeners) tell();
      },
      powerLoss: this.powerLoss,
      netTimeoutMs: NET_TIMEOUT_MS,
      onLost: () => this.checks.onLost(ordinal),
      onDiscarded: (of) => this.checks.onDiscarded(of),
      onDropped: (of, dropped) => this.checks.onDropped(of, dropped),
      onData: (changed) =>
        this.trace(`member ${ordinal}'s data is now ${changed.data?.serverUuid.slice(0, 8) ?? 'gone'}`),
    });
    this.members.push(member);
    this.members.sort((a, b) => a.ordinal - b.ordinal);
    return member;
  }

  newUuid(): string {
    return this.#uuids.uuid();
  }

  serverAt(host: string): { readonly place: Place; readonly server: Server | null } {
    const member = this.member(Number(host.slice('member-'.length)));
    return { place: member.ordinal, server: member.server };
  }

  get primary(): Member | null {
    const { record } = this.shelf;
    return record?.primary == null ? null : this.member(record.primary.ordinal);
  }

  /** Somebody changes the resource. */
  ask(change: { readonly replicas?: number; readonly mode?: DurabilityMode | null }): void {
    if (change.mode !== undefined) this.#mode = change.mode;
    this.wanted = wantedFor(change.replicas ?? this.wanted.replicas, this.#mode, this.powerLoss, this.version);
    for (const brain of this.livingBrains) brain.process.do(() => brain.loop.poke());
  }

  // ── Brains ────────────────────────────────────────────────────────────────────────────────────────────────────────

  startBrain(): Brain {
    if (this.shelf.record === null) this.shelf.swap(0, newClusterRecord(this.#uuids.uuid(), this.wanted.mode));
    const number = ++this.#brainCount;
    const place = firstBrain + (number % 8);
    const brain = new Brain(this, `brain ${number}`, place, () => this.wanted);
    this.brains.push(brain);
    this.trace(`${brain.name} starts`);
    return brain;
  }

  get livingBrains(): Brain[] {
    return this.brains.filter(({ alive }) => alive);
  }

  onBrainGone(): void {
    if (this.platform === 'one-machine' && this.livingBrains.length === 0) this.addresses.close();
  }

  onDecision(brain: Brain, decision: Decision, view: View): void {
    this.decision = decision;
    const said = `${decision.state}: ${decision.reason}`;
    if (said !== this.#lastState) this.#lastState = said;
    this.checks.onDecision(brain, decision, view);
  }

  /** Every member as it is, for a person who reads a failure. */
  *picture(): Iterable<string> {
    yield `record: ${JSON.stringify(this.shelf.record)}`;
    yield `decided: ${JSON.stringify(this.decision, (key, value: unknown) => (key === 'memory' ? undefined : value))}`;
    for (const member of this.members) {
      const { server, data } = member;
      yield `member ${member.ordinal}: ${member.running === null ? 'down' : 'runs'}, data ${data?.serverUuid ?? 'none'}`;
      if (data !== null) yield `  ${data.describe()}`;
      if (server !== null) yield `  ${server.describe()}`;
    }
  }

  // ── What clients see ──────────────────────────────────────────────────────────────────────────────────────────────

  onCommitted(server: Server, transaction: Transaction, answered: boolean): void {
    this.checks.onCommitted(server, transaction, answered);
  }

  onPurged(server: Server): void {
    this.checks.onPurged(server);
  }

  onRead(server: Server, since: number): void {
    this.checks.onRead(server, since);
  }

  onAcknowledged(row: number): void {
    this.checks.onAcknowledged(row);
  }
}

const SIMULATED = defaultCluster('simulated');

/** What the resource says, through the product's own defaults. */
function wantedFor(replicas: number, mode: DurabilityMode | null, powerLoss: boolean, version: string): Wanted {
  const { metadata, spec, ...rest } = SIMULATED;
  const durability = { ...spec.durability, powerLoss, mode: mode ?? undefined };
  return wantedBy({ ...rest, metadata, spec: { ...spec, replicas, durability } }, version);
}

export type { ClusterRecord };
