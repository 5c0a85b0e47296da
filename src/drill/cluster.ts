/** What a drill needs of a platform: a way in for an application, three things to do to the primary, and what is told. */
import type { JournalEntry } from '../control/port.ts';
import type { DurabilityMode } from '../cluster/record.ts';

/** How an application logs in, at the primary endpoint. */
export interface Login {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The only database that this account may use; null: it may make its own. */
  readonly database: string | null;
}

/** What of a cluster's status a drill looks at; the status of `baton status --json` has it all. */
export interface DrillStatus {
  readonly state: string;
  readonly reason: string;
  readonly epoch: number;
  readonly primary: number | null;
  readonly replicas: number;
  readonly restarting: readonly number[];
  readonly members: readonly { readonly ordinal: number; readonly role: string; readonly state: string }[];
  readonly durability: { readonly mode: DurabilityMode; readonly required: number } | null;
}

/** A cluster that a drill is held on. Each rejects with why it can't be done. */
export interface DrillCluster {
  status(): Promise<DrillStatus>;
  login(): Promise<Login>;
  /** What the journal gets from now on, until `signal` aborts. */
  journal(signal: AbortSignal): AsyncIterable<JournalEntry>;
  /** The member's process is gone, as by SIGKILL; the platform starts it again. */
  kill(ordinal: number): Promise<unknown>;
  /** The member's process stands still, as on a machine that hangs, until it is thawed or replaced. */
  freeze(ordinal: number): Promise<unknown>;
  /** A no-op on a process that runs. */
  thaw(ordinal: number): Promise<unknown>;
  /** Another member becomes the primary; resolves once that is so. */
  switchover(signal: AbortSignal): Promise<unknown>;
}
