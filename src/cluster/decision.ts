/** What the brain answers: at most one new record, the acts that follow from the present one, and why. */
import type { ClusterRecord } from './record.ts';
import type { ProcessId, RoleSettings } from './view.ts';

export type ClusterState =
  | 'creating'
  | 'healthy'
  | 'degraded'
  | 'switching'
  | 'failing-over'
  | 'blocked'
  | 'lost'
  | 'stopped';

export interface SourceAddress {
  readonly ordinal: number;
  readonly host: string;
  readonly port: number;
}

/** Acts inside MySQL, each in the session that showed what it rests on. */
type ServerAct = { readonly session: number } & (
  | { readonly kind: 'seal' }
  | { readonly kind: 'apply' }
  | { readonly kind: 'turn'; readonly source: SourceAddress }
  | { readonly kind: 'follow'; readonly source: SourceAddress }
  | {
      readonly kind: 'prepare';
      readonly required: number;
      readonly unlocked: readonly number[];
    }
  | { readonly kind: 'open'; readonly required: number }
  | { readonly kind: 'set-required'; readonly required: number }
  | { readonly kind: 'unlock'; readonly ordinals: readonly number[] }
  | { readonly kind: 'lock-out'; readonly ordinals: readonly number[] }
  | { readonly kind: 'close' }
  | { readonly kind: 'reopen' }
  | { readonly kind: 'disarm' }
  | { readonly kind: 'clone'; readonly donor: SourceAddress }
  | { readonly kind: 'purge'; readonly keep: string }
  | { readonly kind: 'enable-events' }
  | { readonly kind: 'configure'; readonly role: RoleSettings }
);

/** Writes that may wait for an acknowledgement, each in a session of its own. */
type WriteAct = { readonly session: number } & (
  | { readonly kind: 'write-epoch'; readonly clusterId: string; readonly epoch: number; readonly term: number }
  | { readonly kind: 'barrier'; readonly purpose: string }
);

/** Acts outside MySQL, each conditional on what was seen. */
type HostAct =
  | { readonly kind: 'start' }
  | { readonly kind: 'kill'; readonly process: ProcessId }
  /** `orderly`: it is known to be closed. `disposable`: nothing that it holds is missing elsewhere. */
  | { readonly kind: 'retire'; readonly orderly: boolean; readonly disposable: boolean }
  | { readonly kind: 'restart'; readonly process: ProcessId }
  | { readonly kind: 'rebuild'; readonly discard: string; readonly rows: string; readonly errant: string }
  | { readonly kind: 'drop-aside' };

/** An act that goes to a member by SQL. */
export type MemberAct = { readonly ordinal: number; readonly why: string } & (ServerAct | WriteAct);
export type Act = MemberAct | ({ readonly ordinal: number; readonly why: string } & HostAct);

export interface EndpointWish {
  /** Ordinals that new connections go to; empty: they wait. */
  readonly members: readonly number[];
  /** New connections wait and existing ones drain, though `members` still serve what is open. */
  readonly hold: boolean;
  /** What somebody who waits in vain is told. */
  readonly reason: string;
}

export interface MemberReport {
  readonly ordinal: number;
  readonly role: 'primary' | 'replica';
  readonly state: string;
  readonly reason: string;
}

/** What the brain remembers from one decision to the next. Another brain starts without it, and must come out right. */
export interface Memory {
  /** The process as which the recorded primary was last heard, in this epoch. */
  readonly heardAs: { readonly epoch: number; readonly process: ProcessId } | null;
  /** The epoch in which the endpoints were last pointed at the primary. */
  readonly served: number;
  /** Why the recorded primary was given up; until it answers again, or a new epoch. */
  readonly givenUp: { readonly epoch: number; readonly sinceMs: number; readonly reason: string } | null;
  readonly switchover: Switching | null;
  /** Since when something has been so, by a stable key: timers of the brain. */
  readonly since: Readonly<Record<string, number>>;
  /** The outcome of the last switchover asked for. */
  readonly outcome: Outcome | null;
  /** The process of a primary that was given up: to be killed wherever it still runs. */
  readonly deposed: { readonly ordinal: number; readonly process: ProcessId } | null;
  /** Appliers that stopped with an error and have not got past it. */
  readonly broken: readonly Broken[];
}

export interface Broken {
  readonly ordinal: number;
  readonly serverUuid: string;
  /** What it had applied when it stopped, in canonical text. */
  readonly executed: string;
  readonly error: string;
  readonly sinceMs: number;
}

export interface Outcome {
  /** The request's; below 0: one that the brain needed itself. */
  readonly id: number;
  readonly done: boolean;
  readonly reason: string;
  readonly atMs: number;
  /** How often in a row it failed. */
  readonly failures: number;
}

export interface Switching {
  readonly id: number;
  readonly to: number;
  /** The epoch that it is to end: in another one it is over. */
  readonly epoch: number;
  readonly phase: 'waiting' | 'draining' | 'closing' | 'moving' | 'undoing';
  readonly sinceMs: number;
  readonly reason: string;
}

export interface Decision {
  readonly state: ClusterState;
  /** Why the cluster is in this state, in words. */
  readonly reason: string;
  /** To be written before anything else; nothing is acted on in the same decision. */
  readonly record: { readonly next: ClusterRecord; readonly why: string } | null;
  readonly acts: readonly Act[];
  readonly primary: EndpointWish;
  readonly read: EndpointWish;
  readonly members: readonly MemberReport[];
  readonly memory: Memory;
  /** Look at all members again within about so many milliseconds, even if nothing happens. */
  readonly againMs: number;
  /** And at the primary alone: its silence has to be noticed sooner than anything else on a cluster at rest. */
  readonly glanceMs: number;
  /** In so many milliseconds something is due, to the moment; null: nothing is. */
  readonly dueMs: number | null;
}

export const NO_MEMORY: Memory = {
  heardAs: null,
  served: 0,
  givenUp: null,
  switchover: null,
  since: {},
  outcome: null,
  deposed: null,
  broken: [],
};
