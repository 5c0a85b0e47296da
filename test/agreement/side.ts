/**
 * One of the two worlds in which a script runs: real servers, or simulated ones. What is done to them as the brain does it,
 * and what is seen of them, goes through the product's own code in both.
 */
import type { MemberAct, SourceAddress } from '../../src/cluster/decision.ts';
import type { Contact, ServerView } from '../../src/cluster/view.ts';
import type { Clock } from '../../src/control/port.ts';
import { ServerLink } from '../../src/control/server-link.ts';
import { GtidSet } from '../../src/gtid/gtid-set.ts';
import { LockHeldError } from '../../src/mysql/lock.ts';
import { ProcedureRefusedError } from '../../src/mysql/procedures/refused.ts';
import { SessionBrokenError, StatementError, type Session, type Target } from '../../src/mysql/session.ts';
import { passwords } from '../mysql/servers.ts';

export const HEARTBEAT_SECONDS = 0.25;
/** What takes longer waits for something that never comes. */
const PATIENCE_MS = 300_000;

/** `client`: an application. `admin`: may do everything, as root may. `brain`: another controller. */
export type Who = 'client' | 'admin' | 'brain';

type Bare<T> = T extends unknown ? Omit<T, 'ordinal' | 'why' | 'session'> : never;
/** An act of the brain's, without what it gets when it is done. */
export type Deed = Bare<MemberAct>;

export abstract class Side {
  abstract readonly name: string;
  protected abstract readonly clock: Clock;
  readonly #links = new Map<number, ServerLink>();
  readonly #replaced: ServerLink[] = [];
  readonly #names = new Map<string, string>();
  readonly #generations = new Map<number, number>();
  readonly #silent = new Set<number>();
  /** Statements that are left to the act under way. */
  readonly #left = new Map<number, number>();
  readonly #tracked = new Map<string, Promise<unknown>>();
  /** By name: what became of everything that was begun. */
  readonly outcomes = new Map<string, string>();

  // ── Members, from outside ─────────────────────────────────────────────────────────────────────────────────────────

  /** Starts its process, on data of its own, made when there is none. Resolves when it listens. */
  abstract start(ordinal: number): Promise<void>;
  /** SIGKILL. */
  abstract kill(ordinal: number): Promise<void>;
  /** SIGTERM; resolves when it has ended. */
  abstract stop(ordinal: number): Promise<void>;
  abstract freeze(ordinal: number): void;
  abstract thaw(ordinal: number): void;
  abstract loseData(ordinal: number): Promise<void>;
  /** Nothing passes between the two; what is under way is held up. */
  abstract cut(one: number, other: number): void;
  /** What the replica says does not arrive: its acknowledgements, for one. */
  abstract cutAnswers(replica: number, source: number): void;
  abstract mend(one: number, other: number): void;

  // ── Members, from inside ──────────────────────────────────────────────────────────────────────────────────────────

  abstract session(ordinal: number, who: Who): Promise<Session>;
  /** A client's statement that writes this row. */
  abstract insert(row: number): readonly [sql: string, ...values: number[]];
  /** Somebody writes on a member that is read-only. */
  abstract writeErrant(ordinal: number): Promise<void>;
  /** The applier will stop in front of the transaction that writes this row; and not any more. */
  abstract obstruct(ordinal: number, row: number): Promise<void>;
  abstract unobstruct(ordinal: number, row: number): Promise<void>;
  abstract stopApplier(ordinal: number): Promise<void>;
  /** A clone into it has come to where it waits for a commit at its donor. */
  abstract cloneHeldUp(ordinal: number): Promise<void>;
  /** Begins another binlog file. */
  abstract rotate(ordinal: number): Promise<void>;
  /** How a replica reaches its source. */
  abstract route(source: number, replica: number): SourceAddress;

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Lets time go by until it is settled. */
  abstract until<T>(promise: Promise<T>): Promise<T>;

  protected abstract adminAddress(ordinal: number): { readonly host: string; readonly port: number } | null;
  protected abstract open(target: Target, signal: AbortSignal): Promise<Session>;

  // ── The brain ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #link(ordinal: number): ServerLink {
    const known = this.#links.get(ordinal);
    if (known !== undefined) return known;
    const link = new ServerLink({
      ordinal,
      address: () => this.adminAddress(ordinal),
      passwords,
      heartbeatSeconds: HEARTBEAT_SECONDS,
      clock: this.clock,
      confirm: () => Promise.resolve(),
      open: async (target, signal) => this.#limited(ordinal, await this.open(target, signal)),
    });
    this.#links.set(ordinal, link);
    return link;
  }

  /** What a brain remembers of a member that was silent depends on how long it was; so it is forgotten. */
  async forget(ordinal: number): Promise<void> {
    await this.#links.get(ordinal)?.close();
    this.#links.delete(ordinal);
    this.#silent.delete(ordinal);
  }

  /** Another brain looks after it from now on; the former one's sessions stay as they are. */
  replaceBrain(ordinal: number): void {
    const link = this.#links.get(ordinal);
    if (link !== undefined) this.#replaced.push(link);
    this.#links.delete(ordinal);
  }

  /** Done in the session that shows how it is now; what becomes of it is among the outcomes. */
  async act(name: string, ordinal: number, deed: Deed): Promise<void> {
    const link = this.#link(ordinal);
    const contact = await this.#contact(ordinal);
    if (contact.kind !== 'answers') {
      this.outcomes.set(name, `not begun: ${contact.kind}`);
      return;
    }
    // The compiler can't see that every kind is whole again.
    const act = { ...deed, ordinal, why: '', session: contact.server.session } as MemberAct;
    this.track(name, link.perform(act, this.clock.deadline(PATIENCE_MS)));
  }

  /** The brain dies after so many statements of the act; those were carried out. */
  async actCutOff(name: string, ordinal: number, deed: Deed, statements: number): Promise<void> {
    this.#left.set(ordinal, statements);
    await this.act(name, ordinal, deed);
    await this.until(this.#tracked.get(name) ?? Promise.resolve());
    this.#left.delete(ordinal);
    await this.forget(ordinal);
  }

  /** As it is, but for what is left to an act that is cut off. */
  #limited(ordinal: number, session: Session): Session {
    const query: Session['query'] = (sql, values, signal) => {
      const left = this.#left.get(ordinal);
      if (left === undefined || sql.includes('JSON_OBJECT') || sql.startsWith('SELECT /*+')) {
        return session.query(sql, values, signal);
      }
      this.#left.set(ordinal, left - 1);
      if (left > 0) return session.query(sql, values, signal);
      session.destroy();
      return Promise.reject(new SessionBrokenError('cut off'));
    };
    const run = async (statements: readonly string[], signal: AbortSignal): Promise<void> => {
      for (const statement of statements) await query(statement, [], signal);
    };
    const limited = {
      get id(): number {
        return session.id;
      },
      query,
      run,
      onBroken: (listener: (error: Error) => void) => session.onBroken(listener),
      destroy: () => session.destroy(),
    };
    // Structurally what a session is.
    return limited as unknown as Session;
  }

  track(name: string, done: Promise<unknown>): void {
    this.outcomes.set(name, 'waits');
    const end = (words: string): unknown => this.outcomes.set(name, words);
    const ended = done.then(
      () => end('OK'),
      (error: unknown) => end(wordsOf(error)),
    );
    this.#tracked.set(name, ended);
  }

  /** A session's statement, tracked; the session is returned to be killed, or to go away. */
  async run(
    name: string,
    ordinal: number,
    who: Who,
    sql: string,
    values: readonly number[],
    before: readonly string[],
  ): Promise<Session> {
    const session = await this.until(this.session(ordinal, who));
    for (const first of before) await this.until(session.query(first, [], this.clock.deadline(PATIENCE_MS)));
    this.track(name, session.query(sql, values, this.clock.deadline(PATIENCE_MS)));
    return session;
  }

  /** As the administrator, to the end. */
  async ask(ordinal: number, ...statements: string[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const session = await this.until(this.session(ordinal, 'admin'));
    let rows: readonly Readonly<Record<string, unknown>>[] = [];
    for (const sql of statements) rows = await this.until(session.query(sql, [], this.clock.deadline(PATIENCE_MS)));
    session.destroy();
    return rows;
  }

  // ── What is seen ──────────────────────────────────────────────────────────────────────────────────────────────────

  async look(ordinals: readonly number[]): Promise<Picture> {
    const members: Record<number, MemberPicture | string> = {};
    for (const ordinal of ordinals) members[ordinal] = this.#picture(ordinal, await this.#contact(ordinal));
    return { members, outcomes: Object.fromEntries([...this.outcomes].sort(([a], [b]) => a.localeCompare(b))) };
  }

  /** What a silent member answers in the end is how it was when it was asked. */
  async #contact(ordinal: number): Promise<Contact> {
    const link = this.#link(ordinal);
    if (this.#silent.delete(ordinal)) await this.until(link.observe(LOOK_MS));
    const contact = await this.until(link.observe(LOOK_MS));
    if (contact.kind === 'silent') this.#silent.add(ordinal);
    return contact;
  }

  /** All that all of them have executed. */
  async held(ordinals: readonly number[]): Promise<string> {
    let all: GtidSet | null = null;
    for (const ordinal of ordinals) {
      const contact = await this.#contact(ordinal);
      if (contact.kind !== 'answers') throw new Error(`member ${ordinal} does not answer`);
      all = all === null ? contact.server.executed : all.intersect(contact.server.executed);
    }
    return String(all ?? GtidSet.EMPTY);
  }

  #picture(ordinal: number, contact: Contact): MemberPicture | string {
    if (contact.kind !== 'answers') return contact.kind;
    const { server } = contact;
    this.#learn(ordinal, server.serverUuid);
    const { access, locked, sealed, lockedOut, source, configured, eventsOff } = server;
    return {
      data: this.#named(server.serverUuid),
      access,
      locked,
      sealed,
      lockedOut: [...lockedOut].sort((a, b) => a - b),
      executed: this.#rows(server.executed),
      purged: this.#rows(server.purged),
      source,
      replica: this.#replica(server),
      epochRow: server.epochRow,
      clone: server.clone === null ? null : { state: server.clone.state, failed: server.clone.error !== '' },
      lag: some(server.lagSeconds),
      configured,
      oldestTransaction: some(server.oldestTransactionSeconds),
      eventsOff,
    };
  }

  #replica({ replica }: ServerView): ReplicaPicture | null {
    if (replica === null) return null;
    return {
      source: this.memberAt(replica.sourceHost, replica.sourcePort),
      sourceData: this.#named(replica.sourceUuid),
      receiver: replica.receiver,
      receiverError: classOf(replica.receiverError),
      heard: replica.heardSecondsAgo === null ? null : replica.heardSecondsAgo < LATELY_SECONDS ? 'lately' : 'long ago',
      received: this.#rows(replica.received),
      applier: replica.applier,
      applierError: classOf(replica.applierError),
      acking: replica.acking,
    };
  }

  protected abstract memberAt(host: string, port: number): string;

  /** The first data of member 1 is `1a`, the next `1b`. */
  #learn(ordinal: number, uuid: string): void {
    if (this.#names.has(uuid)) return;
    const generation = this.#generations.get(ordinal) ?? 0;
    this.#generations.set(ordinal, generation + 1);
    this.#names.set(uuid, `${ordinal}${String.fromCodePoint(97 + generation)}`);
  }

  #named(uuid: string): string {
    return this.#names.get(uuid) ?? uuid;
  }

  #rows(set: GtidSet): string {
    return set
      .toString()
      .split(',')
      .map((part) => part.replace(/^[^:]+/, (uuid) => this.#named(uuid)))
      .sort()
      .join(', ');
  }

  protected async closeLinks(): Promise<void> {
    for (const link of [...this.#replaced, ...this.#links.values()]) await link.close();
  }
}

type ReplicaPicture = Readonly<
  Record<'source' | 'sourceData' | 'receiver' | 'receiverError' | 'received' | 'applier' | 'applierError', string> & {
    heard: string | null;
    acking: boolean;
  }
>;

/** A ServerView, with names for what each side has numbers of its own. */
export interface MemberPicture extends Pick<
  ServerView,
  'access' | 'locked' | 'sealed' | 'lockedOut' | 'source' | 'epochRow' | 'configured' | 'eventsOff'
> {
  readonly data: string;
  readonly executed: string;
  readonly purged: string;
  readonly replica: ReplicaPicture | null;
  readonly clone: { readonly state: string; readonly failed: boolean } | null;
  readonly lag: unknown;
  readonly oldestTransaction: unknown;
}

export interface Picture {
  /** Of one that does not answer: how. */
  readonly members: Readonly<Record<number, MemberPicture | string>>;
  readonly outcomes: Readonly<Record<string, string>>;
}

const LOOK_MS = 1000;
/** Three heartbeats. */
const LATELY_SECONDS = 0.75;

function some(seconds: number | null): unknown {
  return seconds === null || seconds === 0 ? seconds : 'some';
}

/** Errors of a client that reached nobody are numbered from 2000 to 2999: the brain does not tell them apart, either. */
function classOf(error: string): string {
  const number = Number.parseInt(error, 10);
  return error === '' ? '' : number >= 2000 && number < 3000 ? 'reached nobody' : `${number}`;
}

function wordsOf(error: unknown): string {
  if (error instanceof ProcedureRefusedError) return 'refused';
  if (error instanceof LockHeldError) return 'the lock is held';
  if (error instanceof StatementError) return `error ${error.errno}`;
  return error instanceof Error && 'code' in error && error.code === 'SESSION_BROKEN'
    ? 'connection lost'
    : String(error);
}
