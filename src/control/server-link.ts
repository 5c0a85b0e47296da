/**
 * A real member's way in by SQL: one session that holds the member's lock and acts, one that looks. Both are of one life
 * of the server; if either breaks, both are made again, the lock retaken and the record read again.
 */
import type { MemberAct } from '../cluster/decision.ts';
import type { Contact, ServerView } from '../cluster/view.ts';
import { GtidSet } from '../gtid/gtid-set.ts';
import { LockHeldError, settle, takeLock } from '../mysql/lock.ts';
import { CONTROLLER_USER, MAX_MEMBERS } from '../mysql/names.ts';
import { observe, type ServerObservation } from '../mysql/observe.ts';
import { lockOut, unlockAccounts } from '../mysql/procedures/accounts.ts';
import { clone } from '../mysql/procedures/clone.ts';
import { configure } from '../mysql/procedures/configure.ts';
import { countEventsOff, enableEvents } from '../mysql/procedures/events.ts';
import { follow, turn, type Source } from '../mysql/procedures/follow.ts';
import { close, disarm, open, reopen } from '../mysql/procedures/open.ts';
import { prepare } from '../mysql/procedures/prepare.ts';
import { purge } from '../mysql/procedures/purge.ts';
import { setRequired } from '../mysql/procedures/required.ts';
import { apply, seal } from '../mysql/procedures/seal.ts';
import { writeBarrier, writeEpoch } from '../mysql/procedures/write.ts';
import { Session, isRefusal, type Target } from '../mysql/session.ts';
import type { Clock, MemberLink } from './port.ts';
import { SupersededError } from './superseded.ts';

export interface ServerLinkOptions {
  readonly ordinal: number;
  /** Where the administrative address is now; null while the member has none. */
  readonly address: () => { readonly host: string; readonly port: number } | null;
  readonly passwords: { readonly controller: string; readonly replication: string; readonly clone: string };
  readonly heartbeatSeconds: number;
  /** Left out: no TLS. */
  readonly tls?: {
    /** PEM of the authorities that sign members' certificates, as of now. The same object while it is the same. */
    readonly trusted: () => { readonly ca: string };
    /** The file where every member has them. */
    readonly file: string;
  };
  readonly clock: Clock;
  /** Called whenever the lock was taken; rejects with SupersededError if the record names another brain's term. */
  readonly confirm: () => Promise<void>;
  /** Opens a session. Default: over the network; the simulator has servers of its own. */
  readonly open?: (target: Target, signal: AbortSignal) => Promise<Session>;
}

/** An answer that is this late is not waited for: both sessions are made anew. */
const GIVE_UP_MS = 5000;

interface Sessions {
  readonly number: number;
  readonly acting: Session;
  readonly looking: Session;
  sealed: boolean;
  readonly lockedOut: Set<number>;
  /** No event lies disabled on this primary. */
  eventsOn: boolean;
  configured: string | null;
}

type Answer = { readonly ok: true; readonly server: ServerView } | { readonly ok: false; readonly error: unknown };

export class ServerLink implements MemberLink {
  readonly #options: ServerLinkOptions;
  readonly #listeners: (() => void)[] = [];
  #sessions: Sessions | null = null;
  #count = 0;
  readonly #asides = new Set<Session>();
  /** The variables that were set last. */
  #set: readonly string[] = [];
  #pending: { readonly answer: Promise<Answer>; readonly sinceMs: number } | null = null;
  #failingSinceMs: number | null = null;
  /** What it says until it is asked again with success: a try takes seconds. */
  #held: Extract<Contact, { kind: 'refused' }> | null = null;
  #closed = false;

  constructor(options: ServerLinkOptions) {
    this.#options = options;
  }

  async observe(deadlineMs: number): Promise<Contact> {
    const { clock } = this.#options;
    this.#pending ??= { answer: this.#ask(), sinceMs: clock.nowMs() };
    const { answer, sinceMs } = this.#pending;
    const controller = new AbortController();
    const late = clock.sleep(deadlineMs, controller.signal).then(() => null);
    const first = await Promise.race([answer, late]);
    controller.abort();
    if (first === null) {
      if (this.#held !== null) return this.#held;
      this.#failingSinceMs ??= sinceMs;
      return { kind: 'silent', sinceMs: this.#failingSinceMs };
    }
    this.#pending = null;
    if (first.ok) {
      this.#failingSinceMs = null;
      this.#held = null;
      return { kind: 'answers', server: first.server };
    }
    return this.#failed(first.error, sinceMs);
  }

  #failed(error: unknown, sinceMs: number): Contact {
    if (error instanceof SupersededError) throw error;
    const said = error instanceof Error ? error.message : String(error);
    const heldSinceMs = error instanceof LockHeldError ? (this.#held?.heldSinceMs ?? sinceMs) : null;
    this.#held = heldSinceMs === null ? null : { kind: 'refused', error: said, heldSinceMs };
    if (isRefusal(error) || this.#held !== null) {
      this.#failingSinceMs = null;
      return this.#held ?? { kind: 'refused', error: said, heldSinceMs: null };
    }
    this.#failingSinceMs ??= sinceMs;
    const silent = said === 'no answer in time';
    return silent
      ? { kind: 'silent', sinceMs: this.#failingSinceMs }
      : { kind: 'unreachable', error: said, closedPort: said.includes('ECONNREFUSED'), sinceMs: this.#failingSinceMs };
  }

  async #ask(): Promise<Answer> {
    const signal = this.#options.clock.deadline(GIVE_UP_MS);
    try {
      const sessions = this.#sessions ?? (await this.#connect(signal));
      // As it was when the question was asked: what is sealed meanwhile, the answer does not show.
      const { number, sealed, configured } = sessions;
      const lockedOut = [...sessions.lockedOut];
      const seen = await observe(sessions.looking, sessions.acting.id, signal);
      if (this.#sessions !== sessions) throw new Error('the session broke meanwhile');
      const eventsOff = this.#mayHaveEventsOff(sessions, seen) ? await this.#eventsOff(sessions, signal) : 0;
      return {
        ok: true,
        server: {
          ...seen,
          eventsOff,
          session: number,
          sealed: sealed && sessions.sealed,
          lockedOut: lockedOut.filter((ordinal) => sessions.lockedOut.has(ordinal)),
          configured,
        },
      };
    } catch (error) {
      // A statement that failed on a sound connection says nothing of the lock; connect again all the same.
      this.#drop();
      return { ok: false, error };
    }
  }

  /** Asked of an open primary until all of them run, and not while commits wait: the answer might wait with them. */
  #mayHaveEventsOff(sessions: Sessions, { access, source }: ServerObservation): boolean {
    if (access !== 'open') sessions.eventsOn = false;
    return access === 'open' && !sessions.eventsOn && source.waiting === 0;
  }

  async #eventsOff(sessions: Sessions, signal: AbortSignal): Promise<number> {
    const count = await countEventsOff(sessions.looking, signal);
    sessions.eventsOn = count === 0;
    return count ?? 0;
  }

  async #connect(signal: AbortSignal): Promise<Sessions> {
    const address = this.#options.address();
    if (address === null || this.#closed) throw new Error('it has no address');
    const target = this.#target(address);
    const acting = await this.#open(target, signal);
    try {
      await takeLock(acting, signal);
      await this.#options.confirm();
      const looking = await this.#open(target, signal);
      await settle(looking, signal);
      const sessions: Sessions = {
        number: ++this.#count,
        acting,
        looking,
        sealed: false,
        lockedOut: new Set(),
        configured: null,
        eventsOn: false,
      };
      this.#sessions = sessions;
      for (const session of [acting, looking]) {
        session.onBroken(() => {
          if (this.#sessions === sessions) this.#drop();
        });
      }
      return sessions;
    } catch (error) {
      acting.destroy();
      throw error;
    }
  }

  #target(address: { readonly host: string; readonly port: number }): Target {
    const { passwords, tls } = this.#options;
    const login = { ...address, user: CONTROLLER_USER, password: passwords.controller };
    return tls === undefined ? login : { ...login, tls: tls.trusted() };
  }

  #secured(source: Source): Source {
    const { tls } = this.#options;
    return tls === undefined ? source : { ...source, ca: tls.file };
  }

  #open(target: Target, signal: AbortSignal): Promise<Session> {
    return this.#options.open === undefined ? Session.open(target, signal) : this.#options.open(target, signal);
  }

  #drop(): void {
    const sessions = this.#sessions;
    this.#sessions = null;
    if (sessions === null) return;
    this.#failingSinceMs ??= this.#options.clock.nowMs();
    sessions.acting.destroy();
    sessions.looking.destroy();
    // A write that may wait for ever is over with the life that it was begun in.
    for (const session of this.#asides) session.destroy();
    for (const listener of this.#listeners) listener();
  }

  async perform(act: MemberAct, signal: AbortSignal): Promise<void> {
    const sessions = this.#sessions;
    if (sessions === null || act.session !== sessions.number) {
      throw new Error('the session that showed this is gone');
    }
    const { acting } = sessions;
    const { passwords, heartbeatSeconds, ordinal } = this.#options;
    switch (act.kind) {
      case 'seal':
        await seal(acting, signal);
        sessions.sealed = true;
        return;
      case 'apply':
        return apply(acting, signal);
      case 'turn':
        return turn(acting, ordinal, this.#secured(act.source), passwords.replication, heartbeatSeconds, signal);
      case 'follow':
        sessions.sealed = false;
        return follow(acting, ordinal, this.#secured(act.source), passwords.replication, heartbeatSeconds, signal);
      case 'prepare':
        sessions.lockedOut.clear();
        await prepare(acting, act.required, act.unlocked, signal);
        for (let other = 0; other < MAX_MEMBERS; other++) {
          if (!act.unlocked.includes(other)) sessions.lockedOut.add(other);
        }
        return;
      case 'open':
        return open(acting, act.required, signal);
      case 'enable-events':
        return enableEvents(acting, signal);
      case 'set-required':
        return setRequired(acting, act.required, signal);
      case 'unlock':
        for (const other of act.ordinals) sessions.lockedOut.delete(other);
        return unlockAccounts(acting, act.ordinals, signal);
      case 'lock-out':
        await lockOut(acting, act.ordinals, signal);
        for (const other of act.ordinals) sessions.lockedOut.add(other);
        return;
      case 'close':
        return this.#aside(sessions, signal, (killer) => close(acting, killer, signal));
      case 'reopen':
        return reopen(acting, signal);
      case 'disarm':
        return disarm(acting, signal);
      case 'clone':
        return clone(acting, this.#secured(act.donor), passwords.clone, signal);
      case 'purge':
        await purge(acting, GtidSet.parse(act.keep), signal);
        return;
      case 'configure':
        // Tried once: what MySQL refuses, it will refuse again.
        sessions.configured = act.role.key;
        return this.#configure(acting, act.role.settings, signal);
      case 'write-epoch':
        return this.#aside(sessions, signal, (writing) => writeEpoch(writing, act, signal));
      case 'barrier':
        return this.#aside(sessions, signal, (writing) => writeBarrier(writing, signal));
      default:
        act satisfies never;
    }
  }

  /** In a session of its own, of the same life: the acting one is seen alive after the new one was made. */
  async #aside(sessions: Sessions, signal: AbortSignal, work: (session: Session) => Promise<void>): Promise<void> {
    const address = this.#options.address();
    if (address === null) throw new Error('it has no address');
    const session = await this.#open(this.#target(address), signal);
    try {
      this.#asides.add(session);
      await settle(session, signal);
      await sessions.looking.query('SELECT 1', [], signal);
      await work(session);
    } finally {
      this.#asides.delete(session);
      session.destroy();
    }
  }

  async #configure(
    acting: Session,
    settings: Readonly<Record<string, string | number | boolean>>,
    signal: AbortSignal,
  ): Promise<void> {
    const former = this.#set;
    this.#set = Object.keys(settings);
    await configure(acting, settings, former, signal);
  }

  onBroken(listener: () => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#drop();
  }
}
