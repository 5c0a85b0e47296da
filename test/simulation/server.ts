/**
 * One life of one mysqld: what matters of it here, as it was measured on real servers (docs/mysql.md; traps of semi-synchronous
 * replication, of super_read_only and of starting). Everything comes up closed, and dies with the process; what stays is Data.
 */
import type { Data } from './data.ts';
import type { Gtids } from './gtids.ts';
import type { Connection, Network, Process } from './network.ts';
import type { Random } from './random.ts';
import { Applier, Receiver } from './replica.ts';
import { ServerSession } from './server-session.ts';
import type { Settings } from './settings.ts';
import { nameOf, type Content, type Transaction } from './transaction.ts';

/** How often a thread looks whether a full disk has room again. */
const ROOM_MS = 60_000;

export interface Failure {
  readonly errno: number;
  readonly message: string;
}

/** What the rest of the simulated world is to a server. */
export interface Surroundings {
  readonly network: Network;
  readonly random: Random;
  readonly nowMs: () => number;
  /** The process that listens at a member's address now, or null. */
  readonly serverAt: (host: string) => { readonly place: number; readonly server: Server | null };
  /** Called when a commit is answered with OK; what users build on. */
  readonly onCommitted: (server: Server, transaction: Transaction, answered: boolean) => void;
  /** A client reads through the primary endpoint; `since`: how many rows had been seen when it began. */
  readonly onRead: (server: Server, since: number) => void;
  readonly onPurged: (server: Server) => void;
  readonly trace: (text: string) => void;
  readonly netTimeoutMs: number;
  readonly version: string;
}

/** A replica's connection: what it lacks is sent as soon as it is synced. */
interface Dump {
  readonly session: ServerSession;
  readonly replicaUuid: string;
  readonly serverId: number;
  readonly have: Gtids;
  /** Positions below were sent or skipped. */
  cursor: number;
  readonly acknowledges: boolean;
  readonly deliver: (transactions: readonly Transaction[], end: number, wantsAck: boolean) => void;
}

export interface DumpRequest {
  readonly replicaUuid: string;
  readonly serverId: number;
  readonly have: Gtids;
  readonly acknowledges: boolean;
  readonly deliver: Dump['deliver'];
}

export class Server {
  readonly ordinal: number;
  readonly process: Process;
  readonly data: Data;
  readonly world: Surroundings;
  readonly receiver: Receiver;
  readonly applier: Applier;
  listening = false;
  /** Told to end; its waiting commits were answered with OK. */
  ending = false;
  superReadOnly: boolean;
  readOnly: boolean;
  offline: boolean;
  /** A brain has let somebody in since it started. */
  released = false;
  replicaEnabled: boolean;
  readonly settings: Settings;
  readonly source = { enabled: false, active: false, required: 1 };
  /** sync_relay_log=1: what is acknowledged survives a power cut. */
  syncsRelay: boolean;
  timeoutMs: number;
  readonly sessions = new Map<number, ServerSession>();
  readonly locks = new Map<string, ServerSession>();
  /** The controller is refused, too. */
  refusesAll = false;
  /** Client logins at the ordinary port are refused with 1040. */
  tooManyConnections = false;
  syncMs = 0.6;
  /** Between the last acknowledgement that a commit needs and its thread's going on. */
  commitMs = 0;
  /** Between the check of a replica's account and the login's being shown as that user's. */
  loginMs = 0.1;
  /** For the controller's statements: how often one fails, and how often its answer gets lost. */
  trouble: { readonly fails: number; readonly lost: number } | null = null;
  cloning: { readonly bytesTotal: number; bytesDone: number; readonly fail: () => void } | null = null;
  /** Under way, in sessions that nothing else is known of. */
  errantWrites = 0;
  /** Set by CLONE: ends the process, for its supervisor to start it again. */
  onExit: () => void = () => undefined;
  readonly #waiters = new Map<number, () => void>();
  readonly #acks = new Map<number, number>();
  readonly #dumps = new Set<Dump>();
  #syncing = false;
  #roomless = 0;
  #committing = false;
  #lastSession = 7;
  /** SET super_read_only = ON that waits for commits under way. */
  #closing: { readonly end: (closed: boolean) => void } | null = null;
  /** Writes that came while it waits. */
  #held: (() => void)[] = [];
  /** Where an account statement waits: it holds the lock of the ACL cache. */
  #aclHeld = false;
  #aclQueue: (() => void)[] = [];
  #lockQueue: { readonly name: string; readonly session: ServerSession; readonly got: (got: boolean) => void }[] = [];

  constructor(ordinal: number, process: Process, data: Data, world: Surroundings, settings: Settings) {
    this.ordinal = ordinal;
    this.process = process;
    this.data = data;
    this.world = world;
    this.settings = settings;
    this.superReadOnly = this.readOnly = this.isOn('super_read_only');
    this.replicaEnabled = this.isOn('rpl_semi_sync_replica_enabled');
    this.source.enabled = this.source.active = this.isOn('rpl_semi_sync_source_enabled');
    this.offline = this.isOn('offline_mode');
    this.syncsRelay = settings.get('sync_relay_log') === '1';
    this.timeoutMs = Number(settings.get('rpl_semi_sync_source_timeout') ?? 10_000);
    this.receiver = new Receiver(this);
    this.applier = new Applier(this);
  }

  isOn(setting: string): boolean {
    return this.settings.get(setting) === 'ON';
  }

  after(ms: number, run: () => void): void {
    this.process.after(ms, run);
  }

  // ── Connections ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** A client's SYN has arrived. `reply` is told, on the client's side, of the session or the refusal. */
  accept(connection: Connection, user: string, admin: boolean, reply: (result: ServerSession | Failure) => void): void {
    const session = new ServerSession(this, ++this.#lastSession, connection);
    this.sessions.set(session.id, session);
    connection.onClientGone = () => session.clientGone();
    this.after(this.world.random.between(0.1, 0.4), () =>
      this.withAcl(() => {
        if (!this.sessions.has(session.id)) return;
        const refusal = this.#refusal(user, admin);
        if (refusal !== null) {
          connection.toClient(() => reply(refusal));
          session.end();
          return;
        }
        const loginMs = user.startsWith('baton_replica_') ? this.loginMs : 0.1;
        this.after(loginMs * this.world.random.between(0.3, 1), () => {
          if (!this.sessions.has(session.id)) return;
          session.user = user;
          connection.toClient(() => reply(session));
        });
      }),
    );
  }

  #refusal(user: string, admin: boolean): Failure | null {
    if (this.ending) return { errno: 1053, message: 'Server shutdown in progress' };
    if (this.refusesAll) return { errno: 1040, message: 'Too many connections' };
    if (!admin && this.tooManyConnections) return { errno: 1040, message: 'Too many connections' };
    if (!admin && this.offline) return { errno: 3032, message: 'The server is currently in offline mode' };
    const ordinal = /^baton_replica_(\d+)$/.exec(user)?.[1];
    if (ordinal !== undefined && !this.data.unlocked.has(Number(ordinal))) {
      return { errno: 3118, message: `Access denied for user '${user}'. Account is locked.` };
    }
    return null;
  }

  setOffline(on: boolean): void {
    this.offline = on;
    if (!on) return;
    for (const session of this.sessions.values()) if (session.user !== '' && !session.isController) session.kill();
  }

  // ── Locks ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs at once, or when the account statement that waits is over. */
  withAcl(run: () => void): void {
    if (this.#aclHeld) this.#aclQueue.push(run);
    else run();
  }

  #freeAcl(): void {
    this.#aclHeld = false;
    for (const run of this.#aclQueue.splice(0)) run();
  }

  getLock(name: string, session: ServerSession, timeoutMs: number, got: (got: boolean) => void): void {
    const holder = this.locks.get(name);
    if (holder === undefined || holder === session) {
      this.locks.set(name, session);
      got(true);
      return;
    }
    if (timeoutMs === 0) return got(false);
    const wait = { name, session, got };
    this.#lockQueue.push(wait);
    const giveUp = (): void => {
      const at = this.#lockQueue.indexOf(wait);
      if (at < 0) return;
      this.#lockQueue.splice(at, 1);
      got(false);
    };
    session.interrupt = giveUp;
    this.after(timeoutMs, giveUp);
  }

  freeLocks(session: ServerSession): void {
    for (const [name, holder] of this.locks) {
      if (holder !== session) continue;
      this.locks.delete(name);
      const at = this.#lockQueue.findIndex((wait) => wait.name === name);
      const [next] = at < 0 ? [] : this.#lockQueue.splice(at, 1);
      if (next === undefined) continue;
      this.locks.set(name, next.session);
      next.got(true);
    }
  }

  // ── Commits ───────────────────────────────────────────────────────────────────────────────────────────────────────

  get holdsAcl(): boolean {
    return this.#aclHeld;
  }

  /** Whether a commit waits for an acknowledgement now. */
  get waiting(): number {
    return this.source.enabled && this.data.committed < this.data.synced ? 1 : 0;
  }

  get waitsToClose(): boolean {
    return this.#closing !== null;
  }

  /** A statement that writes; `done` is told null when it is committed. */
  write(session: ServerSession, content: Content, done: (failure: Failure | null) => void): void {
    if (this.#closing !== null) {
      this.#held.push(() =>
        session.killed ? done({ errno: 1317, message: 'interrupted' }) : this.write(session, content, done),
      );
      return;
    }
    if (this.superReadOnly || this.readOnly) {
      done({ errno: 1290, message: 'The MySQL server is running with the --super-read-only option' });
      return;
    }
    if (content.kind === 'account') {
      if (this.#aclHeld) return void this.#aclQueue.push(() => this.write(session, content, done));
      this.#aclHeld = true;
    }
    const transaction = this.#written(content);
    session.committingSinceMs = this.world.nowMs();
    this.#append(transaction, () => {
      session.committingSinceMs = null;
      if (content.kind === 'account') this.#freeAcl();
      this.world.onCommitted(this, transaction, session.connection.serverOpen && !session.killed);
      done(null);
    });
  }

  /** The applier's way into the binlog. `committed` is called when the last one is. */
  apply(transactions: readonly Transaction[], committed: () => void): void {
    for (const [i, transaction] of transactions.entries()) {
      this.#append(transaction, i === transactions.length - 1 ? committed : () => undefined);
    }
    if (transactions.length === 0) committed();
  }

  /** Somebody with too many privileges writes on a member that is read-only. */
  writeErrant(): void {
    const transaction = this.#written({ kind: 'account' });
    this.errantWrites++;
    this.#append(transaction, () => {
      this.errantWrites--;
      this.world.trace(`member ${this.ordinal} has an errant ${nameOf(transaction)}`);
    });
  }

  #written(content: Content): Transaction {
    return {
      uuid: this.data.serverUuid,
      number: this.data.lastNumber + 1,
      writtenAtMs: this.world.nowMs(),
      content,
      receivedBy: new Set([this.data.serverUuid]),
    };
  }

  #append(transaction: Transaction, committed: () => void): void {
    this.#waiters.set(this.data.append(transaction), committed);
    this.#sync();
  }

  /** How many threads found no room on the disk, and wait for it. */
  get waitsForRoom(): number {
    return this.#roomless;
  }

  /** A thread writes: at once, or when it has looked again and there is room. */
  whenRoom(run: () => void): void {
    if (!this.data.full) return run();
    this.#roomless++;
    const look = (): void =>
      this.after(ROOM_MS, () => {
        if (this.data.full) return look();
        this.#roomless--;
        run();
      });
    look();
  }

  /** One group after the other. */
  #sync(): void {
    if (this.#syncing) return;
    this.#syncing = true;
    this.whenRoom(() => this.#syncGroup());
  }

  #syncGroup(): void {
    const end = this.data.end;
    this.after(this.syncMs * this.world.random.between(0.7, 1.3), () => {
      this.data.synced = end;
      this.#syncing = false;
      for (const dump of this.#dumps) this.#push(dump);
      this.#release();
      this.#watchTimeout();
      if (this.data.end > end) this.#sync();
    });
  }

  /** Commits, in order, what enough replicas acknowledged; all of it if nobody is asked. */
  #release(): void {
    const { data, source } = this;
    const limit = source.active ? Math.min(data.synced, this.#acknowledged()) : data.synced;
    if (this.commitMs === 0) return this.#commit(limit);
    if (this.#committing || data.committed >= limit) return;
    this.#committing = true;
    this.after(this.commitMs, () => {
      this.#committing = false;
      this.#commit(limit);
      this.#release();
    });
  }

  #commit(limit: number): void {
    const { data } = this;
    while (data.committed < limit) {
      const position = data.committed;
      data.commitNext();
      const waiter = this.#waiters.get(position);
      this.#waiters.delete(position);
      waiter?.();
    }
    if (this.#closing !== null && data.committed === data.end) this.#closing.end(true);
  }

  #acknowledged(): number {
    const positions = [...this.#acks.values()].sort((a, b) => b - a);
    // Bug 109829: older versions take another acknowledgement than the smallest of three and more.
    const counted = this.world.version.startsWith('8') ? Math.min(this.source.required, 2) : this.source.required;
    return positions.length < this.source.required ? 0 : (positions[counted - 1] ?? 0);
  }

  acknowledge(serverId: number, end: number): void {
    if (!this.source.enabled) return;
    if (end > (this.#acks.get(serverId) ?? 0)) this.#acks.set(serverId, end);
    this.#release();
  }

  /** OFF answers every waiting commit with OK, though nobody acknowledged it. */
  setSourceEnabled(on: boolean): void {
    if (this.source.enabled === on) return;
    this.source.enabled = on;
    this.source.active = on;
    this.#acks.clear();
    this.#release();
  }

  /** The timeout ran out: commits wait no more, and only OFF and ON again change that. */
  loseSemiSync(): void {
    if (!this.source.active) return;
    this.source.active = false;
    this.world.trace(`member ${this.ordinal} waits for no acknowledgement any more`);
    this.#release();
  }

  #watchTimeout(): void {
    if (this.timeoutMs > 1_000_000 || !this.source.active) return;
    const { committed } = this.data;
    this.after(this.timeoutMs, () => {
      if (this.data.committed === committed && this.waiting > 0) this.loseSemiSync();
    });
  }

  /** MySQL has no 0. */
  setRequired(count: number): void {
    this.source.required = Math.max(1, count);
    this.#release();
  }

  // ── Read-only ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Holds only when `done` is told null; until then it reads 1 already, with read_only at 0. */
  close(session: ServerSession, timeoutMs: number, done: (failure: Failure | null) => void): void {
    if (this.superReadOnly && this.readOnly) return done(null);
    if (this.#closing !== null) return done({ errno: 1205, message: 'Lock wait timeout exceeded' });
    const wasReadOnly = this.readOnly;
    this.superReadOnly = true;
    const attempt = {
      end: (closed: boolean): void => {
        if (this.#closing !== attempt) return;
        this.#closing = null;
        if (closed) this.readOnly = true;
        else this.superReadOnly = wasReadOnly && this.superReadOnly;
        done(closed ? null : { errno: 1205, message: 'Lock wait timeout exceeded; try restarting transaction' });
        for (const run of this.#held.splice(0)) run();
      },
    };
    this.#closing = attempt;
    if (this.data.committed === this.data.end) return attempt.end(true);
    this.after(timeoutMs, () => attempt.end(false));
    session.interrupt = () => attempt.end(false);
  }

  // ── Replicas ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** A replica asks for all that it lacks, and for whatever comes. */
  dump(session: ServerSession, request: DumpRequest): Failure | null {
    if (!request.have.contains(this.data.purged)) {
      return { errno: 1236, message: 'the source has purged binary logs containing GTIDs that the replica requires' };
    }
    if (request.have.lastOf(this.data.serverUuid) > this.data.lastNumber) {
      return { errno: 1236, message: 'replica has more GTIDs than the source has, using the source SERVER_UUID' };
    }
    for (const other of this.#dumps) if (other.replicaUuid === request.replicaUuid) other.session.kill();
    const dump: Dump = { ...request, session, have: request.have.copy(), cursor: this.data.firstPosition };
    this.#dumps.add(dump);
    session.onEnd = () => {
      this.#dumps.delete(dump);
      if (!this.isOn('rpl_semi_sync_source_wait_no_replica') && this.#dumps.size < this.source.required)
        this.loseSemiSync();
    };
    this.after(0.1, () => this.#push(dump));
    return null;
  }

  #push(dump: Dump): void {
    const { data } = this;
    if (!this.#dumps.has(dump)) return;
    dump.cursor = Math.max(dump.cursor, data.firstPosition);
    const transactions: Transaction[] = [];
    for (; dump.cursor < data.synced; dump.cursor++) {
      const next = data.at(dump.cursor);
      if (!dump.have.has(next)) transactions.push(next);
    }
    if (transactions.length === 0) return;
    const end = dump.cursor;
    const wantsAck = this.source.enabled && dump.acknowledges;
    dump.session.connection.toClient(() => dump.deliver(transactions, end, wantsAck));
  }

  // ── Ends ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** SIGTERM, SHUTDOWN: whoever waits is told OK first. */
  terminate(gone: () => void): void {
    this.ending = true;
    this.after(this.world.random.between(200, 600), () => {
      this.setSourceEnabled(false);
      this.after(this.world.random.between(100, 500), gone);
    });
  }

  describe(): string {
    const access = this.superReadOnly ? (this.readOnly ? 'closed' : 'closing') : this.readOnly ? 'read-only' : 'open';
    return (
      `${access}, source ${JSON.stringify(this.source)}, acks ${JSON.stringify([...this.#acks])}, receiver ${this.receiver.state} ` +
      `${this.receiver.error} acking ${this.receiver.acking}, applier ${this.applier.on ? 'on' : 'off'} ${this.applier.error}, ` +
      `dumps ${JSON.stringify([...this.#dumps].map(({ session, cursor, acknowledges }) => [session.user, cursor, acknowledges]))}, ` +
      `sessions ${[...this.sessions.values()].map(({ id, user }) => `${id} ${user}`).join(', ')}`
    );
  }
}
