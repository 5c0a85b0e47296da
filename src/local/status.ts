/** What people and programs are shown of a cluster, made from the newest decision and what it rests on. */
import type { ClusterState, Decision } from '../cluster/decision.ts';
import type { DurabilityMode } from '../cluster/record.ts';
import type { MemberView, View } from '../cluster/view.ts';
import type { JournalEntry } from '../control/port.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface MemberStatus {
  readonly ordinal: number;
  readonly role: 'primary' | 'replica';
  /** A word of docs/clustering.md, such as writable, following, joining, cloning, down. */
  readonly state: string;
  /** Why it is in this state; empty where there is nothing to say. */
  readonly reason: string;
  /** Null while no process runs. */
  readonly pid: number | null;
  /** Of its own MySQL, which nobody but Baton need use; null before it has one. */
  readonly port: number | null;
  /** Seconds behind the primary; null on the primary, and where it can't be told. */
  readonly lagSeconds: number | null;
  /** Null while it does not answer. */
  readonly gtidExecuted: string | null;
}

export interface Progress {
  readonly step: string;
  readonly message: string;
  readonly doneBytes?: number;
  readonly totalBytes?: number;
}

/** Stable: fields are added, never renamed or removed. */
export interface Status {
  readonly name: string;
  /**
   * `starting`: the daemon is getting ready. `stopped`: no daemon and no member runs. `unattended`: members run, and
   * nobody looks after them.
   */
  readonly state: ClusterState | 'starting' | 'unattended';
  readonly reason: string;
  /** Grows with every primary; 0 before the first. */
  readonly epoch: number;
  /** Grows with every daemon. */
  readonly term: number;
  /** The primary's ordinal; null before the first. */
  readonly primary: number | null;
  readonly durability: {
    readonly mode: DurabilityMode;
    /** Acknowledgements that a commit waits for now. */
    readonly required: number;
    /** Members that may give one. */
    readonly ackers: readonly number[];
  } | null;
  /** Null before they are chosen. */
  readonly endpoints: { readonly primary: Address; readonly read: Address } | null;
  readonly members: readonly MemberStatus[];
  readonly mysql: { readonly version: string } | null;
  /** Null if none runs. */
  readonly daemon: { readonly pid: number } | null;
  /** Members that are to be restarted still. */
  readonly restarting: readonly number[];
  /** How many members the resource asks for. */
  readonly replicas: number;
  /** The newest last. */
  readonly lastEvents: readonly JournalEntry[];
  /** While the daemon is getting ready. */
  readonly progress: Progress | null;
}

/** What a status needs besides the loop's newest decision. */
export interface Facts {
  readonly name: string;
  readonly replicas: number;
  readonly endpoints: Status['endpoints'];
  readonly mysqlVersion: string | null;
  readonly daemonPid: number | null;
  readonly restarting: readonly number[];
  readonly lastEvents: readonly JournalEntry[];
  readonly progress: Progress | null;
}

/** `latest` is null before the first decision. */
export function statusOf(latest: { readonly decision: Decision; readonly view: View } | null, facts: Facts): Status {
  const { name, replicas, endpoints, mysqlVersion, daemonPid, restarting, lastEvents, progress } = facts;
  const known = {
    endpoints,
    mysql: mysqlVersion === null ? null : { version: mysqlVersion },
    daemon: daemonPid === null ? null : { pid: daemonPid },
    restarting,
    replicas,
    lastEvents,
    progress,
  };
  if (latest === null) {
    const reason = progress?.message ?? 'the daemon is getting ready';
    const none = { epoch: 0, term: 0, primary: null, durability: null, members: [] };
    return { name, state: 'starting', reason, ...none, ...known };
  }
  const { decision, view } = latest;
  // A record that is being written says where things are going; what is shown is where they are.
  const { epoch, term, primary, mode, required, ackers } = view.record;
  return {
    name,
    state: decision.state,
    reason: decision.reason,
    epoch,
    term,
    primary: primary?.ordinal ?? null,
    durability: { mode, required, ackers: ackers.map(({ ordinal }) => ordinal).sort((a, b) => a - b) },
    members: decision.members.flatMap((report) => {
      const member = view.members.find(({ ordinal }) => ordinal === report.ordinal);
      if (member === undefined) return [];
      // One that was taken out of the cluster, and keeps its data, is none of it.
      const retired = member.process.kind === 'absent' && member.ordinal >= view.wanted.replicas;
      return retired ? [] : [memberStatus(report, member)];
    }),
    ...known,
  };
}

function memberStatus(report: Decision['members'][number], member: MemberView): MemberStatus {
  const server = member.contact.kind === 'answers' ? member.contact.server : null;
  const trouble = member.disk ?? member.trouble ?? (member.process.kind === 'gone' ? member.process.trouble : null);
  return {
    ordinal: report.ordinal,
    role: report.role,
    state: report.state,
    reason: report.reason !== '' ? report.reason : (trouble ?? member.failure?.error ?? ''),
    pid: member.process.kind === 'running' ? member.process.id.pid : null,
    port: member.port === 0 ? null : member.port,
    lagSeconds: report.role === 'primary' ? null : (server?.lagSeconds ?? null),
    gtidExecuted: server?.executed.toString() ?? null,
  };
}

/** Whether all that the resource asks for is there. */
export function isSettled(status: Status): boolean {
  return status.state === 'healthy' && status.restarting.length === 0 && status.members.length === status.replicas;
}

/** What a cluster that is not healthy waits for, in words. */
export function awaited(status: Status): string {
  const troubled = status.members
    .filter(({ state }) => state !== 'following' && state !== 'writable' && state !== 'ready')
    .map(({ ordinal, state, reason }) => `member ${ordinal} ${state}${reason === '' ? '' : ` (${reason})`}`);
  return [status.reason, ...troubled].filter((part) => part !== '').join('; ');
}
