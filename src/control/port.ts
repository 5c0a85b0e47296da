/**
 * What the loop needs from outside. A platform (one machine, Kubernetes, the simulator) implements these and decides
 * nothing about replication.
 */
import type { ClusterRecord } from '../cluster/record.ts';
import type { MemberAct } from '../cluster/decision.ts';
import type { Contact, HostView, ProcessId } from '../cluster/view.ts';

/** The only source of time, waiting and randomness in the inner rings. */
export interface Clock {
  /** Milliseconds since some fixed moment; never goes back. */
  nowMs(): number;
  /** The date and time, for people; may jump. */
  wallTime(): Date;
  /** Resolves after `ms`, or at once when the signal aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Aborts after `ms`. */
  deadline(ms: number): AbortSignal;
  /** A random UUID. */
  uuid(): string;
}

export interface VersionedRecord {
  readonly version: number;
  readonly record: ClusterRecord;
}

export interface RecordStore {
  /**
   * Null if there is none. Never older than the last swap that was written, by whichever brain: one that was replaced
   * finds out by reading. Rejects with RecordUnreadableError if it can't be made sense of.
   */
  read(): Promise<VersionedRecord | null>;
  /** Durable once it resolves 'written'. Rejects when it isn't known whether it was written. */
  swap(expectedVersion: number, record: ClusterRecord): Promise<'written' | 'conflict'>;
}

/** The members' processes and directories. */
export interface MemberHosts {
  /** Every member that the platform knows, by ordinal. Synchronous: the platform keeps itself informed. */
  list(): readonly HostView[];
  /** Makes sure that a member exists and runs; makes its data directory the first time. It comes up closed. */
  start(ordinal: number): Promise<void>;
  /** SIGKILL to exactly this process; a no-op if it is gone. The platform starts a wanted member again by itself. */
  kill(ordinal: number, process: ProcessId): Promise<void>;
  /** Stops exactly this process, orderly, and starts the member again; only for a replica. */
  restart(ordinal: number, process: ProcessId): Promise<void>;
  /**
   * Stops a member for good; resolves when the process is gone. Not `orderly`: by SIGKILL, since commits may wait there.
   * Its data stays, unless it is `disposable` and the resource asks for its deletion.
   */
  retire(ordinal: number, how: { readonly orderly: boolean; readonly disposable: boolean }): Promise<void>;
  /**
   * Sets the data of incarnation `discard` aside and starts an empty member under a new server_uuid. Refused if the
   * data directory is another incarnation's. What of `errant` (GTID text, may be empty) the old data holds is saved as
   * readable SQL first.
   */
  rebuild(ordinal: number, discard: string, rows: string, errant: string): Promise<void>;
  /** Deletes what `rebuild` set aside (never what it saved as errant). */
  dropAside(ordinal: number): Promise<void>;
  /** Called whenever something in `list()` changed. Returns the way to unsubscribe. */
  onChange(listener: () => void): () => void;
}

/** One member's way in by SQL. Holds the member's lock in one session. */
export interface MemberLink {
  /**
   * Answers within about `deadlineMs`: silent, if the server has not by then; what it answers later counts the next time.
   * Rejects only with SupersededError.
   */
  observe(deadlineMs: number): Promise<Contact>;
  /** Carries out an act in the very session that `act.session` names; rejects with why it failed. */
  perform(act: MemberAct, signal: AbortSignal): Promise<void>;
  /** Called when the session breaks. */
  onBroken(listener: () => void): void;
  close(): Promise<void>;
}

export interface EndpointTarget {
  readonly epoch: number;
  /** Ordinals; empty: new connections wait, and are told `reason` in the end. */
  readonly members: readonly number[];
  readonly reason: string;
  /** New connections wait and existing ones drain: a switchover is under way. */
  readonly hold: boolean;
}

export interface Endpoints {
  point(primary: EndpointTarget, read: EndpointTarget): void;
  /** Connections open at the primary endpoint; null if the platform can't tell. */
  openConnections(): number | null;
}

export interface JournalEntry {
  readonly at: string;
  readonly epoch: number;
  readonly term: number;
  /** A stable word: state, record, act, done, failed, request. */
  readonly kind: string;
  readonly text: string;
  readonly ms?: number;
}

export interface Journal {
  write(entry: JournalEntry): void;
}

export interface Ports {
  readonly clock: Clock;
  readonly records: RecordStore;
  readonly hosts: MemberHosts;
  readonly link: (ordinal: number) => MemberLink;
  readonly endpoints: Endpoints;
  readonly journal: Journal;
}
