/** What becomes of every member that is not the primary, while the primary answers. */
import { GtidSet } from '../gtid/gtid-set.ts';
import {
  ackerOf,
  applierBroken,
  attached,
  errantRows,
  follows,
  hasUnapplied,
  lacksPurged,
  mayFollow,
  names,
  rowsOf,
} from './assess.ts';
import { brokenMs, retryApplier } from './broken.ts';
import { awaitsClone, followsAnother, foreign } from './membership.ts';
import { heard, incarnationOf, type Answering, type Plan } from './plan.ts';
import { sameIncarnation, type Incarnation } from './record.ts';
import { DATA_GONE, type MemberView } from './view.ts';

/** A broken applier is given this long to be mended, by itself or by hand, before its member is rebuilt. */
const BROKEN_APPLIER_MS = 15_000;

/** A replica whose lock is held for so long: what hangs there, such as STOP REPLICA on a full disk, ends with the process. */
const HELD_MS = 5000;
/** A member outside S that answers nobody for so long is started anew. */
const HANGING_MS = 20_000;
/** A clone is given up on stall, however long it takes otherwise. */
const STALLED_CLONE_MS = 60_000;
/** A donor that copies pages and applies nothing meanwhile goes on in a moment, or never. */
const HELD_BY_CLONE_MS = 30_000;
/** A primary where commits make no progress for so long is no donor as it is. */
const BLOCKED_DONOR_MS = 2000;
/** Until a platform that saw room has looked again: the disk may just have become full. */
const ROOM_MS = 3000;

/** Returns the ordinals that reads may go to. */
export function join(plan: Plan, primary: Answering): number[] {
  const readable: number[] = [];
  for (const member of plan.view.members) {
    if (member.ordinal === primary.member.ordinal) continue;
    const server = heard(member);
    if (server === null) {
      reportUnheard(plan, member);
      endHanging(plan, member);
      continue;
    }
    const one = { member, server };
    if (plan.wanted(member.ordinal)) joinOne(plan, one, primary);
    else leave(plan, one, primary);
    if (isReadable(plan, one, primary)) readable.push(member.ordinal);
  }
  return readable;
}

function isReadable(plan: Plan, one: Answering, primary: Answering): boolean {
  const { member, server } = one;
  // Its receiver may wait for room: what it shows gets old, and no lag tells of it.
  if (member.disk !== null && primary.member.disk === null) return false;
  if (!plan.wanted(member.ordinal) || server.access !== 'closed') return false;
  if (!attached(server, primary.member, primary.server.serverUuid) || applierBroken(server) || server.epochRow === null)
    return false;
  if (!errantRows(server, primary.server).isEmpty) return false;
  return server.lagSeconds !== null && server.lagSeconds <= plan.view.wanted.limits.readLagSeconds;
}

/**
 * Where reads may go on while the primary is in doubt, or none is open: members of S that show no more lag than allowed.
 * `written`: others may go on writing to a primary that such a member does not hear; it is as far behind as that, then.
 */
export function stillReadable(plan: Plan, written = false): number[] {
  return plan
    .answering()
    .filter((one) => {
      const { member, server } = one;
      const known = server.epochRow !== null && !foreign(plan, one) && ackerOf(one, plan.record, plan.view) !== null;
      const behind = server.lagSeconds ?? (written ? server.replica?.heardSecondsAgo : null) ?? 0;
      const fresh = behind <= plan.view.wanted.limits.readLagSeconds;
      return known && fresh && plan.wanted(member.ordinal) && server.access === 'closed' && !applierBroken(server);
    })
    .map(({ member }) => member.ordinal);
}

export function reportUnheard(plan: Plan, member: MemberView): void {
  const { process, contact } = member;
  endHolder(plan, member);
  if (!plan.wanted(member.ordinal)) {
    // One that leaves and does not answer can be stopped all the same, once it may acknowledge no more.
    const mayAck = plan.record.ackers.some((acker) => acker.ordinal === member.ordinal);
    if (process.kind !== 'absent' && !mayAck) {
      plan.act(
        member,
        { kind: 'retire', orderly: false, disposable: false },
        'the resource asks for fewer members, and it does not answer',
      );
    }
    plan.report(member, process.kind === 'absent' ? 'retired' : 'leaving');
    return;
  }
  if (process.kind === 'gone') plan.report(member, 'down', process.trouble ?? 'its process ended');
  else if (contact.kind === 'silent') plan.report(member, 'silent', 'it does not answer');
  else if (contact.kind === 'refused') plan.report(member, 'refusing', contact.error);
  else plan.report(member, 'starting', contact.kind === 'unreachable' ? contact.error : '');
}

/** A statement of a former controller's that hangs; on the primary it may be one that waits for acknowledgements. */
function endHolder(plan: Plan, member: MemberView): void {
  const { process, contact, ordinal } = member;
  if (contact.kind !== 'refused' || contact.heldSinceMs === null || process.kind !== 'running') return;
  if (ordinal === plan.record.primary?.ordinal) return;
  if (plan.view.nowMs - Math.max(contact.heldSinceMs, process.sinceMs) < HELD_MS) return;
  plan.act(member, { kind: 'kill', process: process.id }, `${contact.error}: with its process it does`);
}

/** One that lets nobody in for so long, and that no write needs, begins anew: a former primary behind an account statement. */
function endHanging(plan: Plan, member: MemberView): void {
  const { process, contact, ordinal } = member;
  if (process.kind !== 'running' || contact.kind !== 'silent' || !plan.wanted(ordinal)) return;
  if (plan.view.nowMs - Math.max(contact.sinceMs, process.sinceMs) < HANGING_MS) return;
  if (plan.record.ackers.some((acker) => acker.ordinal === ordinal)) return;
  plan.act(member, { kind: 'kill', process: process.id }, 'it answers nobody, and nothing waits for it');
}

function joinOne(plan: Plan, one: Answering, primary: Answering): void {
  const { member, server } = one;
  if (foreign(plan, one)) {
    plan.report(
      member,
      'foreign',
      `its data belongs to another cluster (${server.epochRow?.clusterId ?? ''}): it is left alone`,
    );
    return;
  }
  if (member.busy === 'clone') {
    const progress = cloneProgress(server);
    plan.report(member, 'cloning', progress);
    const stalledMs = plan.lasting(`clone ${member.ordinal} at ${progress}`);
    if (stalledMs > BLOCKED_DONOR_MS) unblock(plan, one, primary);
    if (stalledMs > STALLED_CLONE_MS && member.process.kind === 'running') {
      const why = `its clone makes no progress (${progress === '' ? 'not begun' : progress}): given up, and tried again`;
      plan.act(member, { kind: 'kill', process: member.process.id }, why);
    }
    return;
  }
  if (server.access !== 'closed') {
    demote(plan, one);
    return;
  }
  if (isDataGone(plan, member) && primary.member.disk === null && member.process.kind === 'running') {
    // It may go on for hours, and acknowledge what is on no disk. Its next life begins with new data.
    plan.report(member, 'gone', member.disk ?? '');
    plan.act(member, { kind: 'kill', process: member.process.id }, `it runs without its data (${member.disk ?? ''})`);
    return;
  }
  if (waitsInVain(plan, one)) {
    endVainWait(plan, one);
    return;
  }
  if (isHeldByClone(plan, one) && member.process.kind === 'running') {
    const why = 'a clone waits for its applier, which waits for the clone';
    plan.report(member, 'stuck', why);
    plan.act(member, { kind: 'kill', process: member.process.id }, `${why}: both for ever, otherwise`);
    return;
  }
  const errant = errantRows(server, primary.server);
  if (!errant.isEmpty) {
    plan.report(member, 'errant', `it has transactions that the primary lacks: ${errant.toString()}`);
    rebuild(
      plan,
      one,
      primary,
      `it has transactions that the primary lacks, ${errant.toString()}, which are saved first`,
    );
    // While it is one of S, its acknowledgements are needed: by a barrier without which it can't leave, for instance.
    if (mayAcknowledge(plan, one)) follow(plan, one, primary);
    return;
  }
  // In S by then it fetches everything, however long that takes: it can't be cloned, and S may not be able to shrink.
  if (awaitsClone(one, primary) && (!mayAcknowledge(plan, one) || lacksPurged(server, primary.server))) {
    fill(plan, one, primary);
    return;
  }
  if (lacksPurged(server, primary.server)) {
    plan.report(member, 'purged', 'it needs binlogs that exist no more');
    rebuild(plan, one, primary, 'it needs binlogs that exist no more');
    return;
  }
  if (applierBroken(server)) {
    mend(plan, one, primary);
    // What it receives counts all the same, and S may not be able to do without it.
    if (mayAcknowledge(plan, one)) follow(plan, one, primary);
    return;
  }
  if (ackerOf(one, plan.record, plan.view) === null) {
    if (server.source.enabled) demote(plan, one);
    plan.report(member, 'joining', 'waiting to be admitted');
    if (followsAnother(one, primary)) plan.act(member, { kind: 'seal' }, 'it follows a member that is not the primary');
    else if (!mayFollow(server, primary.member)) applyFirst(plan, one);
    plan.soon();
    return;
  }
  follow(plan, one, primary);
}

/** A thread that found no room neither goes on nor stops, and looks again once a minute. */
export function waitsInVain(plan: Plan, { member, server }: Answering): boolean {
  if (!server.waitsForRoom || !member.room) return false;
  return plan.lasting(`${member.ordinal} has room, and waits`) >= ROOM_MS;
}

export function endVainWait(plan: Plan, { member }: Answering): void {
  if (member.process.kind !== 'running') return;
  const why = 'its disk has room again, which MySQL looks for once a minute only';
  plan.report(member, 'waiting', why);
  plan.act(member, { kind: 'kill', process: member.process.id }, why);
}

/** A deadlock in MySQL, between a clone and a definition that its donor applies; it outlives the clone. */
function isHeldByClone(plan: Plan, { member, server }: Answering): boolean {
  if (server.replica?.donating !== true || !hasUnapplied(server)) return false;
  return plan.lasting(`${member.ordinal} held by a clone at ${server.executed.toString()}`) >= HELD_BY_CLONE_MS;
}

/** Not only for a moment, as while a file system is being mounted. */
function isDataGone(plan: Plan, { ordinal, disk }: MemberView): boolean {
  if (disk?.startsWith(DATA_GONE) !== true) return false;
  return plan.lasting(`data of ${ordinal} gone`) >= plan.view.wanted.limits.detectionMs;
}

/**
 * While the primary is in doubt: a member of S that does not follow it, as one that an earlier brain sealed or had only just
 * recorded, can't say whether it hears it. Nobody else was recorded since, so it may follow.
 */
export function listenAgain(plan: Plan, recorded: Incarnation): void {
  const primary = plan.member(recorded.ordinal);
  if (primary === undefined) return;
  for (const one of plan.answering()) {
    const { server } = one;
    if (follows(server, primary) || server.access !== 'closed') continue;
    if (ackerOf(one, plan.record, plan.view) === null) continue;
    begin(plan, one, primary, 'it is to say whether it hears the primary');
  }
}

/**
 * Commits that wait on a former primary must not turn into OK: killed, unless it is closed, which means drained; but for
 * what somebody wrote there in spite of that.
 */
export function demote(plan: Plan, { member, server }: Answering): void {
  plan.report(member, 'deposed', 'it was a primary');
  if (server.access === 'closed' && server.source.waiting === 0) {
    plan.act(member, { kind: 'disarm' }, 'it was drained: it waits for no acknowledgement any more');
  } else if (member.process.kind === 'running') {
    plan.act(
      member,
      { kind: 'kill', process: member.process.id },
      'it is not the primary, and may hold commits that wait',
    );
  }
}

function begin(plan: Plan, { member, server }: Answering, primary: MemberView, why: string): void {
  const { ordinal, host, port } = primary;
  if (mayFollow(server, primary)) plan.act(member, { kind: 'follow', source: { ordinal, host, port } }, why);
  else applyFirst(plan, { member, server });
}

function applyFirst(plan: Plan, { member, server }: Answering): void {
  if (server.replica?.applier === 'off') plan.act(member, { kind: 'apply' }, 'what it received comes first');
}

function follow(plan: Plan, one: Answering, primary: Answering): void {
  const { member, server } = one;
  if (!follows(server, primary.member)) {
    plan.report(member, 'joining', `to follow member ${primary.member.ordinal}`);
    begin(plan, one, primary.member, `member ${primary.member.ordinal} is the primary`);
    plan.soon();
    return;
  }
  // Acknowledging comes first, and before all the epoch's first row: everybody waits for that.
  if (server.source.enabled && primary.server.epochRow?.epoch === plan.record.epoch) demote(plan, one);
  if (server.replica?.applier === 'off' && !applierBroken(server))
    plan.act(member, { kind: 'apply' }, 'its applier is stopped');
  if (!attached(server, primary.member, primary.server.serverUuid)) {
    plan.report(member, 'connecting', server.replica?.receiverError ?? '');
    return;
  }
  if (member.aside !== null && complete(one, primary)) {
    plan.act(member, { kind: 'drop-aside' }, 'its new data is complete');
  }
  const limit = plan.view.wanted.limits.readLagSeconds;
  if ((server.lagSeconds ?? 0) > limit)
    plan.report(member, 'lagging', `${Math.round(server.lagSeconds ?? 0)} s behind`);
  else plan.report(member, 'following');
}

/** What the old data held of the primary's history: not to be lost before the new data has it. */
function oldRows({ member }: Answering, primary: Answering): GtidSet {
  return member.aside === null ? GtidSet.EMPTY : GtidSet.parse(member.aside.rows).intersect(primary.server.executed);
}

function complete(one: Answering, primary: Answering): boolean {
  const { server } = one;
  return !server.executed.isEmpty && !hasUnapplied(server) && server.executed.contains(oldRows(one, primary));
}

/** Invariant 8: only while the primary has applied all, beside the old data, and never while the member may acknowledge. */
function rebuild(plan: Plan, { member, server }: Answering, primary: Answering, why: string): void {
  if (mayAcknowledge(plan, { member, server })) {
    plan.soon();
    return;
  }
  if (primary.server.replica !== null) return;
  // Without room for both, what there is stays.
  if (member.disk !== null) return;
  const rows = rowsOf(server).toString();
  const errant = errantRows(server, primary.server).toString();
  plan.act(member, { kind: 'rebuild', discard: server.serverUuid, rows, errant }, why);
}

function mayAcknowledge(plan: Plan, one: Answering): boolean {
  return plan.record.ackers.some((acker) => sameIncarnation(acker, incarnationOf(one)));
}

function cloneProgress({ clone }: Answering['server']): string {
  return clone?.state === 'running' ? `${clone.bytesDone} of ${clone.bytesTotal} bytes` : '';
}

/** Clone from a replica if one is fresh enough; else from the primary, where no commit may be waiting. */
function fill(plan: Plan, recipient: Answering, primary: Answering): void {
  const { member } = recipient;
  if (mayAcknowledge(plan, recipient)) {
    plan.report(member, 'cloning', 'it is to leave the ackers first');
    return;
  }
  const donor = donorFor(plan, recipient, primary);
  if (donor === null) {
    plan.report(member, 'cloning', 'no donor yet');
    return;
  }
  plan.report(member, 'cloning');
  plan.act(
    member,
    { kind: 'clone', donor: { ordinal: donor.ordinal, host: donor.host, port: donor.port } },
    `it is empty: filled from member ${donor.ordinal}`,
  );
}

function donorFor(plan: Plan, recipient: Answering, primary: Answering): MemberView | null {
  const replicas = plan
    .answering()
    .filter(
      (one) =>
        one.member.ordinal !== recipient.member.ordinal &&
        one.member.busy === null &&
        plan.wanted(one.member.ordinal) &&
        attached(one.server, primary.member, primary.server.serverUuid) &&
        !applierBroken(one.server) &&
        errantRows(one.server, primary.server).isEmpty &&
        one.server.executed.contains(oldRows(recipient, primary)) &&
        primary.server.executed.subtract(one.server.executed).count <= 1000n,
    );
  const [replica] = replicas;
  if (replica !== undefined) return replica.member;
  // A clone from a primary hangs as long as a commit waits there.
  if (primary.server.source.waiting === 0 || primary.server.access === 'closed') return primary.member;
  unblock(plan, recipient, primary);
  return null;
}

/** Killed, a primary on which a commit waits is closed, and shows what waited: it can be cloned from. */
function unblock(plan: Plan, recipient: Answering, { member, server }: Answering): void {
  if (server.source.waiting === 0 || server.access === 'closed' || member.process.kind !== 'running') return;
  const stuckMs = plan.lasting(`nobody else to clone from, waiting at ${server.executed.toString()}`);
  if (stuckMs <= BLOCKED_DONOR_MS) return;
  plan.act(
    member,
    { kind: 'kill', process: member.process.id },
    `a commit waits for an acknowledgement, and ${names([recipient.member])} can be filled only from a primary without one: ` +
      `killed, cloned from while closed, opened again`,
  );
}

function mend(plan: Plan, one: Answering, primary: Answering): void {
  const { member, server } = one;
  const error = server.replica?.applierError ?? '';
  plan.report(member, 'broken', `its applier stopped: ${error}`);
  if (brokenMs(plan, member.ordinal) >= BROKEN_APPLIER_MS) {
    rebuild(plan, one, primary, `its applier stopped and does not go on: ${error}`);
  } else {
    retryApplier(plan, one);
  }
}

/** Scale-in: once it may acknowledge no more, it stops; its data stays. */
function leave(plan: Plan, one: Answering, primary: Answering): void {
  const { member, server } = one;
  plan.report(member, 'leaving', 'the resource asks for fewer members');
  const mayAck = plan.record.ackers.some((acker) => acker.ordinal === member.ordinal);
  const { source } = primary.server;
  const connected = source.unlocked.includes(member.ordinal) || source.connected.includes(member.ordinal);
  plan.soon();
  if (server.access !== 'closed') return demote(plan, one);
  // Until it is out of S it follows like any other: writes may need it, and the barrier by which others leave.
  // Not so other data under its ordinal, which came too late to be one of S.
  if (mayAcknowledge(plan, one) && errantRows(server, primary.server).isEmpty) return follow(plan, one, primary);
  if (server.source.enabled) return demote(plan, one);
  if (mayAck || connected) return;
  // A clone that loses its donor looks for it for minutes.
  if (plan.view.members.some((other) => other.busy === 'clone')) return;
  const disposable = member.aside === null && !foreign(plan, one) && primary.server.executed.contains(rowsOf(server));
  plan.act(member, { kind: 'retire', orderly: true, disposable }, 'the resource asks for fewer members');
}
