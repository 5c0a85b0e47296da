/** A member's data directory: what a process leaves behind when it dies, and what a power cut takes of that. */
import { Gtids } from './gtids.ts';
import type { Transaction } from './transaction.ts';

/** Transactions in a binlog file before the next is begun. */
const FILE_TRANSACTIONS = 80;

export interface ReplicaConfiguration {
  /** By which account; a clone brings its donor's along. */
  readonly user: string;
  host: string;
  port: number;
  sourceUuid: string;
}

export class Data {
  readonly serverUuid: string;
  readonly serverId: number;
  /** The binlog; positions count from the first transaction ever written, purged ones included. */
  binlog: Transaction[] = [];
  firstPosition = 0;
  /** Positions below are on the disk. */
  synced = 0;
  /** Positions below are committed in the engine. */
  committed = 0;
  files: { readonly name: string; readonly start: number }[] = [];
  readonly executed = new Gtids();
  readonly purged = new Gtids();
  /** By server_uuid, then number: which transaction is behind a GTID. */
  readonly #contents = new Map<string, Transaction[]>();
  /** The highest number that this incarnation gave away. */
  lastNumber = 0;
  epoch: { readonly clusterId: string; readonly epoch: number; readonly term: number } | null = null;
  replica: ReplicaConfiguration | null = null;
  /** Everything received since replication was last configured; what is below `applied` is committed. */
  relay: Transaction[] = [];
  relaySynced = 0;
  applied = 0;
  readonly received = new Gtids();
  /** Replication accounts that may log in. Local: never in a binlog. */
  readonly unlocked = new Set<number>();
  /** Its disk has no room left. */
  full = false;
  /** The applier stops with an error in front of the next transaction. */
  applierFault = false;
  /** And nothing mends that: what it received and has not applied is of no use to anybody. */
  brokenForGood = false;
  cloned: 'completed' | 'failed' | null = null;
  /** A clone dropped every schema and has not filled it yet. */
  hollow = false;
  #fileCount = 0;

  constructor(serverUuid: string, serverId: number) {
    this.serverUuid = serverUuid;
    this.serverId = serverId;
  }

  get end(): number {
    return this.firstPosition + this.binlog.length;
  }

  at(position: number): Transaction {
    const found = this.binlog[position - this.firstPosition];
    if (found === undefined) throw new Error(`no transaction at ${position}: ${this.firstPosition} to ${this.end}`);
    return found;
  }

  append(transaction: Transaction): number {
    if (this.end - (this.files.at(-1)?.start ?? 0) >= FILE_TRANSACTIONS) this.rotate();
    this.binlog.push(transaction);
    if (transaction.uuid === this.serverUuid) this.lastNumber = Math.max(this.lastNumber, transaction.number);
    return this.end - 1;
  }

  rotate(): void {
    this.files.push({ name: `binlog.${String(++this.#fileCount).padStart(6, '0')}`, start: this.end });
  }

  /** What a file says at its head: all before it. */
  before(file: string): Gtids | null {
    const found = this.files.find(({ name }) => name === file);
    if (found === undefined) return null;
    const before = this.purged.copy();
    for (let position = this.firstPosition; position < found.start; position++) before.add(this.at(position));
    return before;
  }

  purgeTo(file: string): void {
    const at = this.files.findIndex(({ name }) => name === file);
    if (at <= 0) return;
    const start = (this.files[at] as { start: number }).start;
    for (const gone of this.binlog.splice(0, start - this.firstPosition)) this.purged.add(gone);
    this.firstPosition = start;
    this.files.splice(0, at);
  }

  /** The engine's part of a commit. */
  commitNext(): Transaction {
    const transaction = this.at(this.committed++);
    this.executed.add(transaction);
    this.#note(transaction);
    if (transaction.content.kind === 'epoch') this.epoch = transaction.content;
    return transaction;
  }

  #note(transaction: Transaction): void {
    const known = this.#contents.get(transaction.uuid);
    if (known === undefined) {
      const numbered: Transaction[] = [];
      numbered[transaction.number] = transaction;
      this.#contents.set(transaction.uuid, numbered);
    } else {
      known[transaction.number] = transaction;
    }
  }

  /** Whether exactly this transaction is committed here, not another under its number. */
  holds(transaction: Transaction): boolean {
    return this.#contents.get(transaction.uuid)?.[transaction.number] === transaction;
  }

  *contents(): Iterable<Transaction> {
    for (const numbered of this.#contents.values()) for (const one of numbered) if (one !== undefined) yield one;
  }

  receive(transaction: Transaction): void {
    this.relay.push(transaction);
    this.received.add(transaction);
    transaction.receivedBy.add(this.serverUuid);
  }

  dropRelay(): void {
    this.relay = [];
    this.relaySynced = 0;
    this.applied = 0;
    this.received.clear();
  }

  /** A binlog is the truth: what is in it was prepared, and is committed when the server comes up again. */
  recover(): void {
    while (this.committed < this.end) this.commitNext();
    this.synced = this.end;
    while (this.applied < this.relay.length && this.executed.has(this.relay[this.applied] as Transaction))
      this.applied++;
    this.rotate();
  }

  /** relay_log_recovery=ON: what was not applied is thrown away, to be fetched again. */
  forgetUnapplied(): void {
    this.relay.length = this.applied;
    this.relaySynced = Math.min(this.relaySynced, this.applied);
    this.received.clear();
    for (const one of this.relay) this.received.add(one);
  }

  /** Whatever was not synced is gone. */
  loseUnsynced(keepRelay: number): void {
    this.binlog.length = this.synced - this.firstPosition;
    const kept = Math.max(this.relaySynced, Math.min(keepRelay, this.relay.length));
    this.relay.length = kept;
    this.applied = Math.min(this.applied, kept);
    this.received.clear();
    for (const one of this.relay) this.received.add(one);
  }

  /** CLONE: the donor's data under the recipient's own server_uuid; no binlog from before it. */
  fillFrom(donor: Data): void {
    this.binlog = [];
    this.files = [];
    this.executed.clear();
    this.executed.addAll(donor.executed);
    this.purged.clear();
    this.purged.addAll(donor.executed);
    this.#contents.clear();
    for (const [uuid, numbered] of donor.#contents) this.#contents.set(uuid, [...numbered]);
    this.firstPosition = this.synced = this.committed = 0;
    this.epoch = donor.epoch;
    this.lastNumber = this.executed.lastOf(this.serverUuid);
    this.unlocked.clear();
    for (const ordinal of donor.unlocked) this.unlocked.add(ordinal);
    // The replication metadata come along; the relay log does not.
    this.replica = donor.replica === null ? null : { ...donor.replica };
    this.dropRelay();
    this.rotate();
  }

  describe(): string {
    const { firstPosition, end, synced, committed, relay, applied } = this;
    return (
      `executed ${this.executed.toString()} purged ${this.purged.toString()} binlog ${firstPosition}-${end}, synced ${synced}, ` +
      `committed ${committed}; source ${this.replica?.host ?? 'none'}, relay ${relay.length}, applied ${applied}, ` +
      `received ${this.received.toString()}; unlocked ${[...this.unlocked].join(',')}`
    );
  }
}
