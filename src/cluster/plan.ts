/** One decision in the making. Lives for one call of decide() and never leaves it. */
import type { Act, ClusterState, Decision, EndpointWish, MemberReport, Memory } from './decision.ts';
import type { ClusterRecord, Incarnation } from './record.ts';
import type { MemberView, ServerView, View } from './view.ts';

/** A member that answers, with what it answered. */
export interface Answering {
  readonly member: MemberView;
  readonly server: ServerView;
}

type Unaddressed = Act extends infer A ? (A extends Act ? Omit<A, 'ordinal' | 'why' | 'session'> : never) : never;

/** Looking again this soon while something outside is awaited. */
const SOON_MS = 15;
/** Looking at the primary so many times within the detection time; at all members at least once a second. */
const LOOKS_PER_DETECTION = 3;
const TICK_MS = 1000;

/** Acts that are statements, and so end with the server's process. */
const STATEMENTS: ReadonlySet<string> = new Set<Act['kind']>([
  'seal',
  'apply',
  'turn',
  'follow',
  'set-required',
  'unlock',
  'lock-out',
  'close',
  'reopen',
  'open',
  'prepare',
  'disarm',
  'purge',
  'configure',
  'clone',
]);

export class Plan {
  readonly view: View;
  readonly before: Memory;
  memory: Memory;
  state: ClusterState = 'healthy';
  reason = '';
  primary: EndpointWish = { members: [], hold: false, reason: '' };
  read: EndpointWish = { members: [], hold: false, reason: '' };
  #record: Decision['record'] = null;
  readonly #answering: readonly Answering[];
  readonly #acts: Act[] = [];
  readonly #reports = new Map<number, MemberReport>();
  readonly #since: Record<string, number> = {};
  readonly #glanceMs: number;
  #againMs: number;
  #dueMs: number | null = null;

  constructor(view: View, before: Memory) {
    this.view = view;
    this.before = before;
    this.memory = before;
    this.#answering = view.members.flatMap((member) => {
      const server = heard(member);
      return server === null ? [] : [{ member, server }];
    });
    this.#glanceMs = Math.min(TICK_MS, view.wanted.limits.detectionMs / LOOKS_PER_DETECTION);
    this.#againMs = this.#glanceMs;
  }

  get record(): ClusterRecord {
    return this.view.record;
  }

  member(ordinal: number): MemberView | undefined {
    return this.view.members.find((member) => member.ordinal === ordinal);
  }

  /** Members that answer in a session that holds their lock. */
  answering(): readonly Answering[] {
    return this.#answering;
  }

  wanted(ordinal: number): boolean {
    return ordinal < this.view.wanted.replicas;
  }

  /** Adds an act, unless something is under way on that member or was planned already. Says whether it was added. */
  act(on: MemberView, act: Unaddressed, why: string): boolean {
    const write = act.kind === 'barrier' || act.kind === 'write-epoch';
    // SIGKILL goes past a statement that hangs.
    const busy = on.busy !== null && !(act.kind === 'kill' && STATEMENTS.has(on.busy));
    if (!write && (busy || this.#acts.some((other) => other.ordinal === on.ordinal && !isWrite(other)))) {
      this.soon();
      return false;
    }
    const session = on.contact.kind === 'answers' ? on.contact.server.session : 0;
    this.#acts.push({ ...act, ordinal: on.ordinal, why, session } as Act);
    return true;
  }

  /** Whether nothing is under way on a member, nor planned: what was seen of it still holds. */
  settled(member: MemberView): boolean {
    return member.busy === null && !this.#acts.some((act) => act.ordinal === member.ordinal && !isWrite(act));
  }

  /** One record change a decision: the first stays. */
  write(next: ClusterRecord, why: string): boolean {
    if (this.#record !== null) return false;
    this.#record = { next, why };
    return true;
  }

  get writes(): boolean {
    return this.#record !== null;
  }

  report(member: MemberView, state: string, reason = ''): void {
    if (this.#reports.has(member.ordinal)) return;
    const role = this.record.primary?.ordinal === member.ordinal ? 'primary' : 'replica';
    this.#reports.set(member.ordinal, { ordinal: member.ordinal, role, state, reason });
  }

  /** For how long the thing that `key` names has been so, in ms: 0 the first time, and again after any break. */
  lasting(key: string): number {
    const since = this.before.since[key] ?? this.view.nowMs;
    this.#since[key] = since;
    return this.view.nowMs - since;
  }

  soon(ms = SOON_MS): void {
    this.#againMs = Math.min(this.#againMs, ms);
  }

  /** Something is over in so many milliseconds, and nobody should wait for longer. */
  due(ms: number): void {
    this.#dueMs = Math.min(this.#dueMs ?? ms, ms);
  }

  /** All is as it should be, and nothing is under way or awaited. */
  #atRest(): boolean {
    const idle = this.view.members.every(({ busy }) => busy === null) && this.memory.switchover === null;
    const quiet = this.#acts.length === 0 && this.#record === null && this.view.barrier === null;
    return this.state === 'healthy' && idle && quiet && this.#againMs === this.#glanceMs && this.#dueMs === null;
  }

  decision(): Decision {
    for (const member of this.view.members) this.report(member, member.busy ?? 'waiting');
    return {
      state: this.state,
      reason: this.reason,
      record: this.#record,
      // What follows from a record waits until it is written.
      acts: this.#record === null ? this.#acts : [],
      primary: this.primary,
      read: this.read,
      members: [...this.#reports.values()].sort((a, b) => a.ordinal - b.ordinal),
      memory: { ...this.memory, since: this.#since },
      againMs: this.#atRest() ? TICK_MS : this.#againMs,
      glanceMs: this.#glanceMs,
      dueMs: this.#dueMs,
    };
  }
}

function isWrite(act: Act): boolean {
  return act.kind === 'barrier' || act.kind === 'write-epoch';
}

/** What a member answered in a session that holds its lock; null if it did not. */
export function heard(member: MemberView | undefined): ServerView | null {
  return member?.contact.kind === 'answers' && member.contact.server.locked ? member.contact.server : null;
}

export function incarnationOf(answering: Answering): Incarnation {
  return { ordinal: answering.member.ordinal, serverUuid: answering.server.serverUuid };
}
