/**
 * The record: the little that the brain persists. It is replaced by compare-and-swap, and it is never stronger than
 * the truth (docs/clustering.md, invariants 4, 7 and 10).
 */

export type DurabilityMode = 'quorum' | 'adaptive' | 'asynchronous';

/** Which data this is: an ordinal and the server_uuid that every fresh data directory draws anew. */
export interface Incarnation {
  readonly ordinal: number;
  readonly serverUuid: string;
}

/** A member that may acknowledge. `bootId` is its machine's: an ack in the page cache dies with the machine's power. */
export interface Acker extends Incarnation {
  readonly bootId: string;
}

export interface ClusterRecord {
  /** Names the cluster for ever; every member's epoch row carries it, so that another cluster's data is recognised. */
  readonly clusterId: string;
  /** Grows with every brain. */
  readonly term: number;
  /** Grows with every primary. 0: nothing was created yet. */
  readonly epoch: number;
  /** Null in epoch 0 alone. */
  readonly primary: Incarnation | null;
  /** The GTID set that this epoch starts from, in canonical text. */
  readonly floor: string;
  /** S: every member that may acknowledge, and so follow, this epoch's primary. */
  readonly ackers: readonly Acker[];
  /** k: how many acknowledgements a commit waits for. 0: semi-synchronous replication is off. */
  readonly required: number;
  readonly mode: DurabilityMode;
}

export function newClusterRecord(clusterId: string, mode: DurabilityMode): ClusterRecord {
  return { clusterId, term: 0, epoch: 0, primary: null, floor: '', ackers: [], required: 0, mode };
}

export function sameIncarnation(a: Incarnation, b: Incarnation): boolean {
  return a.ordinal === b.ordinal && a.serverUuid === b.serverUuid;
}
