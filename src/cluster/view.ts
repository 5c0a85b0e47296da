/**
 * What the brain is shown: everything that was observed, at one moment, as plain data. Nothing here is guessed; what
 * could not be seen says so.
 */
import type { GtidSet } from '../gtid/gtid-set.ts';
import type { ClusterRecord, DurabilityMode } from './record.ts';

/** One life of one mysqld process. The start time tells a process from a later one with the same pid. */
export interface ProcessId {
  readonly pid: number;
  readonly startTime: string;
}

export type ProcessView =
  | { readonly kind: 'running'; readonly id: ProcessId; readonly sinceMs: number }
  /** Known gone: reaped, or its pid names something else. `trouble` says why it is not up again, if it should be. */
  | { readonly kind: 'gone'; readonly trouble: string | null }
  /** Nothing was ever started under this ordinal, or it was retired. */
  | { readonly kind: 'absent' }
  /** The platform can't tell. */
  | { readonly kind: 'unknown' };

export function sameProcess(a: ProcessId, b: ProcessId): boolean {
  return a.pid === b.pid && a.startTime === b.startTime;
}

/** Whether it is this very process that runs. */
export function runsAs(process: ProcessView, id: ProcessId): boolean {
  return process.kind === 'running' && sameProcess(process.id, id);
}

/** Old data kept beside a member that is being rebuilt, until the new data is complete. */
export interface SetAside {
  readonly serverUuid: string;
  /** All that the old data held, in canonical text. */
  readonly rows: string;
}

/** How `disk` begins where a member's data directory is no more, though its process may run on. */
export const DATA_GONE = 'directory gone';

/** A member as its platform sees it, from outside MySQL. */
export interface HostView {
  readonly ordinal: number;
  readonly process: ProcessView;
  readonly bootId: string;
  readonly aside: SetAside | null;
  /** Why the member can't write to its disk (full, read-only, gone), as the platform or MySQL itself has found; null if it can. */
  readonly disk: string | null;
  /** Whether the platform has seen for itself that there is room on that disk. */
  readonly room: boolean;
  /** Whatever the platform knows to be wrong outside MySQL, in words. */
  readonly trouble: string | null;
  /** Where others reach it. */
  readonly host: string;
  readonly port: number;
}

export interface SourceView {
  readonly enabled: boolean;
  /** Rpl_semi_sync_source_status: whether commits really wait. */
  readonly active: boolean;
  readonly required: number;
  /** Commits that wait for an acknowledgement now. */
  readonly waiting: number;
  /** Ordinals whose replication account may log in here. */
  readonly unlocked: readonly number[];
  /** Ordinals that have a connection here by their replication account, dump thread or not. */
  readonly connected: readonly number[];
}

export interface ReplicaView {
  readonly sourceHost: string;
  readonly sourcePort: number;
  /** The server_uuid last seen at the other end; empty if never connected. */
  readonly sourceUuid: string;
  readonly receiver: 'on' | 'connecting' | 'off';
  readonly receiverError: string;
  /** Since when the receiver heard nothing of its source, not even a heartbeat; null if it can't be told. */
  readonly heardSecondsAgo: number | null;
  /** What the receiver has fetched in this replication's life, applied or not. */
  readonly received: GtidSet;
  readonly applier: 'on' | 'off';
  readonly applierError: string;
  /** Whether the running receiver acknowledges. */
  readonly acking: boolean;
  /** It is the donor of a clone that copies pages: its last step, over in a moment as a rule. */
  readonly donating: boolean;
}

export interface CloneView {
  readonly state: 'running' | 'completed' | 'failed';
  readonly bytesDone: number;
  readonly bytesTotal: number;
  readonly error: string;
}

/** A member seen through SQL, in the session that holds its lock. */
export interface ServerView {
  readonly serverUuid: string;
  readonly version: string;
  /** Which session showed this: an act is carried out in the same session or not at all. */
  readonly session: number;
  /** Whether this brain's session holds the member's lock. */
  readonly locked: boolean;
  /** Whether this session has stopped the receiver, and nobody has started it since. */
  readonly sealed: boolean;
  /**
   * Ordinals whose accounts this session has locked, and whose connections it has seen gone, those included that were
   * still logging in. What another session began can't be seen to be complete: it is done again.
   */
  readonly lockedOut: readonly number[];
  readonly executed: GtidSet;
  readonly purged: GtidSet;
  /** closed: read_only and super_read_only both read 1; open: both 0; ajar: in between, or a SET that is pending. */
  readonly access: 'closed' | 'ajar' | 'open';
  /** Nobody but the controller may log in, replicas neither: while it is prepared, or where that was broken off. */
  readonly offline: boolean;
  readonly source: SourceView;
  /** Null if no replication is configured. */
  readonly replica: ReplicaView | null;
  readonly epochRow: { readonly clusterId: string; readonly epoch: number; readonly term: number } | null;
  readonly clone: CloneView | null;
  /** Seconds that what it applies is behind; 0 if all that it received is applied; null if it can't be told. */
  readonly lagSeconds: number | null;
  /** The key of the settings that this session applied; null if none yet. */
  readonly configured: string | null;
  /** Age of the oldest transaction that a client has open, in seconds; 0 if none. */
  readonly oldestTransactionSeconds: number;
  /** Events that came by replication, and do not run here. */
  readonly eventsOff: number;
  /** Some thread found no room on the disk, and waits for it: attached or open as it may be, it writes no more. */
  readonly waitsForRoom: boolean;
}

export type Contact =
  | { readonly kind: 'answers'; readonly server: ServerView }
  /** It answered, with a refusal: too many connections, access denied. That is not down. */
  /** `heldSinceMs`: since when a statement of another controller has its lock that KILL does not end. */
  | { readonly kind: 'refused'; readonly error: string; readonly heldSinceMs: number | null }
  /** Nothing listens, or the network says no. `closedPort`: its machine answered that nobody listens there. */
  | { readonly kind: 'unreachable'; readonly error: string; readonly closedPort: boolean; readonly sinceMs: number }
  /** A connection is open, or opening, and nothing comes. */
  | { readonly kind: 'silent'; readonly sinceMs: number }
  | { readonly kind: 'unseen' };

export interface MemberView extends HostView {
  readonly contact: Contact;
  /** The act under way on this member, if any: nothing else is begun on it. */
  readonly busy: string | null;
  /** The last act's failure on this member, until one succeeds. */
  readonly failure: { readonly act: string; readonly error: string; readonly atMs: number } | null;
}

/** A write of the controller's own on the primary, in a session of its own, since it may wait for an acknowledgement. */
export interface BarrierView {
  readonly purpose: string;
  readonly state: 'pending' | 'passed' | 'failed';
  readonly sinceMs: number;
}

export interface Limits {
  readonly detectionMs: number;
  readonly readLagSeconds: number;
  readonly switchoverLagSeconds: number;
  readonly switchoverGraceMs: number;
  readonly powerLoss: boolean;
}

/** What the resource asks for. */
export interface Wanted {
  readonly replicas: number;
  readonly mode: DurabilityMode;
  readonly required: number;
  readonly limits: Limits;
  readonly settings: { readonly primary: RoleSettings; readonly replica: RoleSettings };
  readonly readIncludesPrimary: 'whenAlone' | 'always' | 'never';
}

/** Variables of MySQL for one role, as the resource asks for them. `key` names this very choice. */
export interface RoleSettings {
  readonly key: string;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
}

export interface SwitchoverRequest {
  readonly id: number;
  /** Null: the brain chooses. */
  readonly to: number | null;
}

export interface View {
  readonly nowMs: number;
  readonly record: ClusterRecord;
  readonly wanted: Wanted;
  /** By ordinal; every member that the spec wants or that the platform knows. */
  readonly members: readonly MemberView[];
  readonly barrier: BarrierView | null;
  readonly switchover: SwitchoverRequest | null;
  /** Processes that someone asked to be replaced, one after the other. */
  readonly restarts: readonly { readonly ordinal: number; readonly process: ProcessId }[];
  /** Connections still open at the primary endpoint while it drains; null where the platform can't tell. */
  readonly openConnections: number | null;
}
