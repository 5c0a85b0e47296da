/** Small predicates on what was seen, each named as the documentation names it. */
import type { GtidSet } from '../gtid/gtid-set.ts';
import type { Answering } from './plan.ts';
import type { Acker, ClusterRecord } from './record.ts';
import type { MemberView, ServerView, View } from './view.ts';

/** All that a member holds: applied, or received and to be applied. */
export function rowsOf(server: ServerView): GtidSet {
  return server.replica === null ? server.executed : server.executed.union(server.replica.received);
}

export function hasUnapplied(server: ServerView): boolean {
  return server.replica !== null && !server.executed.contains(server.replica.received);
}

/**
 * What a member has that the primary's history lacks. The history is what the primary executed and whatever is
 * numbered by its own server_uuid: it wrote that, and may wait for its acknowledgement still.
 */
export function errantRows(server: ServerView, primary: ServerView): GtidSet {
  return rowsOf(server).subtract(primary.executed).withoutSource(primary.serverUuid);
}

/** Whether the primary has purged binlogs that this member would need. */
export function lacksPurged(server: ServerView, primary: ServerView): boolean {
  return !rowsOf(server).contains(primary.purged);
}

/** Its receiver was stopped in this session, and still is; or it has none. */
export function isSealed(server: ServerView): boolean {
  return server.replica === null || (server.sealed && server.replica.receiver === 'off');
}

/** Whether its receiver is set up for this primary, running or trying to. */
export function follows(server: ServerView, primary: MemberView): boolean {
  const { replica } = server;
  return (
    replica !== null &&
    replica.sourceHost === primary.host &&
    replica.sourcePort === primary.port &&
    replica.receiver !== 'off' &&
    !server.sealed
  );
}

/**
 * Whether it can be told to follow this primary at once. What it received from the same source stays where it is; what it
 * received from another would be lost, if it were not applied first.
 */
export function mayFollow(server: ServerView, { host, port }: MemberView): boolean {
  const again = server.replica?.sourceHost === host && server.replica.sourcePort === port;
  return again || !hasUnapplied(server);
}

/** Whether its receiver is connected to the primary, of this very incarnation. */
export function attached(server: ServerView, primary: MemberView, primaryUuid: string): boolean {
  return follows(server, primary) && server.replica?.receiver === 'on' && server.replica.sourceUuid === primaryUuid;
}

/** Attached, and able to: with a full disk a receiver stays connected and waits for room, acknowledging nothing. */
export function acknowledges({ member, server }: Answering, primary: Answering): boolean {
  return member.disk === null && attached(server, primary.member, primary.server.serverUuid);
}

/** Its receiver tries to connect, and nobody answers: the errors of a client that reached nobody are numbered from 2000 to 2999. */
export function reachesNobody({ replica }: ServerView): boolean {
  return replica?.receiver === 'connecting' && /^2\d{3}:/.test(replica.receiverError);
}

/** Nobody answers it, or nobody more is let in (ER_CON_COUNT_ERROR). */
export function knocksInVain(server: ServerView): boolean {
  const { receiver, receiverError } = server.replica ?? {};
  return reachesNobody(server) || (receiver === 'connecting' && receiverError?.startsWith('1040:') === true);
}

/** Its source answers it, and says that its account is locked (ER_ACCOUNT_HAS_BEEN_LOCKED). */
export function isLockedOut({ replica }: ServerView): boolean {
  return replica?.receiver === 'connecting' && replica.receiverError.startsWith('3118');
}

export function applierBroken(server: ServerView): boolean {
  return server.replica !== null && server.replica.applierError !== '';
}

/** The acker that this member is, if it is one, in this incarnation; power loss makes another one of it. */
export function ackerOf(answering: Answering, record: ClusterRecord, view: View): Acker | null {
  const { member, server } = answering;
  const survives = (acker: Acker): boolean => view.wanted.limits.powerLoss || acker.bootId === member.bootId;
  // S may name the same data twice: as it was before its machine restarted, and after.
  const acker = record.ackers.find(
    (one) => one.ordinal === member.ordinal && one.serverUuid === server.serverUuid && survives(one),
  );
  return acker ?? null;
}

/** Each server that is in S. S may name one twice, as it was before its machine restarted and after; it acknowledges once. */
export function serversOf(ackers: readonly Acker[]): Set<string> {
  return new Set(ackers.map(({ serverUuid }) => serverUuid));
}

/**
 * How many more of S must be sealed, or seen, so that nothing can be, or was, acknowledged without one of them. Whoever k
 * servers acknowledged to, one of these has it, if fewer than k servers are left of which some entry is not among them.
 */
export function lackingAckers(record: ClusterRecord, have: readonly Acker[]): number {
  const left = serversOf(record.ackers.filter((acker) => !have.includes(acker)));
  return Math.max(0, left.size - record.required + 1);
}

/** Those of S that these are. */
export function ackersAmong(some: readonly Answering[], record: ClusterRecord, view: View): Acker[] {
  return some.flatMap((one) => ackerOf(one, record, view) ?? []);
}

export function names(members: readonly { ordinal: number }[]): string {
  if (members.length === 0) return 'none';
  return members.map((member) => `member ${member.ordinal}`).join(', ');
}
