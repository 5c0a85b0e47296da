/** A primary that is open: keep its replicas, its ackers and its endpoints right. */
import { acknowledges, ackerOf, follows, names, rowsOf } from './assess.ts';
import { endVainWait, join, stillReadable, waitsInVain } from './joining.ts';
import { admit, shape } from './membership.ts';
import type { Answering, Plan } from './plan.ts';
import type { Verdict } from './primary.ts';
import type { MemberView } from './view.ts';
import { restartOne } from './restart.ts';
import { beginSwitchover, continueSwitchover } from './switch-over.ts';

/** A commit that waits this long, with enough ackers attached, waits for an ack that was lost. */
const LOST_ACK_MS = 300;
/** After an opening everybody waits, and MySQL hears a newly attached acker up to a second late; a write of ours wakes it. */
const LATE_ACK_MS = 60;
/** Between one write that releases others and the next, at first. */
const RELEASE_AGAIN_MS = 1000;
/** Commits that make no progress for so long are worth a word. */
const BLOCKED_MS = 500;

export function tend(plan: Plan, primary: Extract<Verdict, { kind: 'serving' | 'opening' }>): void {
  const { member, server } = primary;
  if (!waitsAsRecorded(plan, primary)) return;
  if (waitsInVain(plan, primary) && losesNothing(plan, primary)) endVainWait(plan, primary);
  plan.report(member, primary.kind === 'serving' ? 'writable' : 'opening');
  if (primary.kind === 'opening') {
    writeEpoch(plan, primary);
  } else {
    plan.primary = { members: [member.ordinal], hold: false, reason: '' };
    plan.memory = { ...plan.memory, served: plan.record.epoch };
  }
  const readable = join(plan, primary);
  pointReads(plan, primary, readable);
  judgeState(plan, primary, readable);
  const waiting = watchWaiters(plan, primary);
  if (primary.kind === 'serving') {
    if (continueSwitchover(plan, primary)) return;
    if (!waiting && beginSwitchover(plan, primary)) return;
  }
  if (admit(plan, primary)) return;
  shape(plan, primary);
  if (plan.writes) return;
  configure(plan, primary);
  // Tried once a minute: one whose definer is gone stays off.
  const minute = Math.floor(plan.view.nowMs / 60_000);
  if (primary.kind === 'serving' && server.eventsOff > 0 && plan.lasting(`events off in minute ${minute}`) === 0) {
    plan.act(member, { kind: 'enable-events' }, 'events run where the primary is');
  }
  purge(plan, primary);
  restartOne(plan, primary);
  // A member that became the primary before its old data was dropped.
  if (member.aside !== null && plan.state === 'healthy') {
    plan.act(member, { kind: 'drop-aside' }, 'every member has all that the cluster has');
  }
  if (server.source.waiting > 0) plan.soon(100);
}

/** Open, and OK would be said with fewer acknowledgements than recorded: closed at once, by the only way that is sure. */
function waitsAsRecorded(plan: Plan, { member, server }: Answering): boolean {
  const { record } = plan;
  const { source } = server;
  if (record.required === 0 || (source.enabled && source.active)) return true;
  plan.state = 'failing-over';
  plan.reason = `member ${member.ordinal} does not wait for acknowledgements although the record says ${record.required}`;
  plan.primary = { members: [], hold: false, reason: plan.reason };
  plan.read = { members: stillReadable(plan), hold: false, reason: plan.reason };
  plan.report(member, 'opening', plan.reason);
  if (member.process.kind === 'running') {
    plan.act(member, { kind: 'kill', process: member.process.id }, `${plan.reason}: closed at once, then opened again`);
  }
  return false;
}

/** Where the best replica takes over as soon as the primary's process has ended, one of them is to have all that it has. */
function losesNothing(plan: Plan, { member, server }: Answering): boolean {
  if (plan.record.mode !== 'asynchronous' || plan.view.wanted.replicas === 1) return true;
  return plan.answering().some((one) => one.member !== member && rowsOf(one.server).contains(server.executed));
}

/** The epoch's first write, once nobody outside S could acknowledge it. */
function writeEpoch(plan: Plan, { member, server }: Answering): void {
  const { record, view } = plan;
  plan.state = record.epoch === 1 ? 'creating' : 'failing-over';
  plan.reason = `member ${member.ordinal} is open, and its first write waits to be acknowledged`;
  plan.primary = { members: [], hold: false, reason: plan.reason };
  plan.soon();
  const may = new Set(record.ackers.map((acker) => acker.ordinal));
  const outsiders = [...server.source.unlocked, ...server.source.connected].some((ordinal) => !may.has(ordinal));
  if (outsiders || view.barrier?.state === 'pending' || !plan.settled(member)) return;
  plan.act(
    member,
    { kind: 'write-epoch', clusterId: record.clusterId, epoch: record.epoch, term: record.term },
    `the first write of epoch ${record.epoch}`,
  );
}

function pointReads(plan: Plan, { member }: Answering, readable: readonly number[]): void {
  const policy = plan.view.wanted.readIncludesPrimary;
  const alone = readable.length === 0;
  const members =
    policy === 'always' || (policy === 'whenAlone' && alone) ? [...readable, ...plan.primary.members] : readable;
  plan.read = {
    members,
    hold: false,
    reason: `no replica within the lag limit, and member ${member.ordinal} takes no reads`,
  };
}

function judgeState(plan: Plan, primary: Answering, readable: readonly number[]): void {
  if (plan.state === 'creating' || plan.state === 'failing-over') return;
  const missing = plan.view.members.filter(
    ({ ordinal }) => plan.wanted(ordinal) && ordinal !== primary.member.ordinal && !readable.includes(ordinal),
  );
  const { record, wanted } = plan.view;
  if (missing.length > 0) {
    plan.soon(100);
    plan.state = 'degraded';
    plan.reason = `${names(missing)} not in sync`;
  } else if (record.required < wanted.required && wanted.mode !== 'asynchronous') {
    plan.state = 'degraded';
    plan.reason = `${record.required} of ${wanted.required} acknowledgements are asked for so far`;
  } else {
    plan.state = 'healthy';
    plan.reason = `member ${primary.member.ordinal} is the primary, every replica is in sync`;
  }
}

/** Commits that wait: released if an ack was lost, killed if nobody can attach any more, else told for whom. */
function watchWaiters(plan: Plan, primary: Extract<Verdict, { kind: 'serving' | 'opening' }>): boolean {
  const { member, server } = primary;
  const { record } = plan;
  if (server.source.waiting === 0) return false;
  const stillMs = plan.lasting(`waiting at ${server.executed.toString()}`);
  const here = plan.answering().filter((one) => ackerOf(one, record, plan.view) !== null);
  const able = here.filter((one) => acknowledges(one, primary));
  // Told that fewer are enough, it may be unable to hear that: an account statement that waits keeps a SET waiting, too.
  const needed = Math.max(record.required, server.source.enabled ? server.source.required : 0);
  if (able.length >= needed) {
    if (stillMs >= (primary.kind === 'opening' ? LATE_ACK_MS : LOST_ACK_MS)) release(plan, primary, stillMs);
    return false;
  }
  // Whatever we began there hangs behind such a statement, and what would tell it comes after that.
  if (needed > record.required && member.busy !== null) toldInVain(plan, member);
  // Every commit waits for a moment, and an acker that was restarted takes one to attach again.
  if (stillMs < BLOCKED_MS) return true;
  plan.state = 'blocked';
  plan.reason =
    `${server.source.waiting} commits wait for ${needed} acknowledgements of ${names(record.ackers)}; ` +
    `${able.length} attached`;
  stuck(plan, primary, here, needed - able.length, stillMs);
  return true;
}

/**
 * A small write of ours is acknowledged, and with it all that waits before it: another write of ours, too, whose own
 * acknowledgement was lost, or went to a replica that passed it on.
 */
function release(plan: Plan, { member, server }: Answering, stillMs: number): void {
  const { barrier, nowMs } = plan.view;
  plan.soon(100);
  // Ever more rarely: each waits in a session of its own for as long as nothing is acknowledged.
  const sinceMs = barrier?.state === 'pending' && barrier.purpose === 'release' ? barrier.sinceMs : -Infinity;
  if (nowMs - sinceMs < Math.max(RELEASE_AGAIN_MS, stillMs / 2)) return;
  plan.act(member, { kind: 'barrier', purpose: 'release' }, `release after ${server.executed.toString()}`);
}

/** While it can still be seen: once the session that waits is given up, nobody can log in any more. */
function toldInVain(plan: Plan, member: MemberView): void {
  const { detectionMs } = plan.view.wanted.limits;
  if (plan.lasting('told to wait for fewer, in vain') < detectionMs || member.process.kind !== 'running') return;
  plan.act(
    member,
    { kind: 'kill', process: member.process.id },
    'it is to wait for fewer acknowledgements, and can’t be told while an account statement waits',
  );
}

/** As many ackers as lack are up and try to attach, and can't: the primary lets nobody in (an account statement that waits). */
function stuck(plan: Plan, { member }: Answering, here: readonly Answering[], lacking: number, stillMs: number): void {
  const trying = here.filter((one) => follows(one.server, member) && one.server.replica?.receiver === 'connecting');
  const limitMs = Math.max(2000, 2 * plan.view.wanted.limits.detectionMs);
  if (trying.length < lacking) return;
  const knockingMs = plan.lasting('ackers knock in vain');
  if (Math.min(stillMs, knockingMs) < limitMs || member.process.kind !== 'running') return;
  plan.act(
    member,
    { kind: 'kill', process: member.process.id },
    `commits make no progress, and ${names(trying.map((one) => one.member))} cannot attach`,
  );
}

/** Variables that the resource asks for, by role; each session sets them once. */
function configure(plan: Plan, primary: Extract<Verdict, { kind: 'serving' | 'opening' }>): void {
  const { settings } = plan.view.wanted;
  for (const { member, server } of plan.answering()) {
    const role = member.ordinal === primary.member.ordinal ? settings.primary : settings.replica;
    if (!plan.wanted(member.ordinal) || server.configured === role.key) continue;
    if (server.configured === null && Object.keys(role.settings).length === 0) continue;
    // An epoch's first write comes first: an act on the primary would have it begun again.
    if (member.ordinal === primary.member.ordinal && primary.kind !== 'serving') continue;
    plan.act(member, { kind: 'configure', role }, 'the resource asks for these settings');
  }
}

/** Binlogs that every member of the resource has are of no use any more. */
function purge(plan: Plan, primary: Answering): void {
  const { view } = plan;
  if (plan.lasting(`purged ${Math.floor(view.nowMs / PURGE_EVERY_MS)}`) > 0 || plan.state !== 'healthy') return;
  const replicas = plan.answering().filter((one) => plan.wanted(one.member.ordinal));
  if (replicas.length < view.wanted.replicas || plan.record.ackers.some((acker) => !plan.wanted(acker.ordinal))) return;
  const held = replicas.reduce((all, one) => all.intersect(one.server.executed), primary.server.executed);
  for (const one of replicas) plan.act(one.member, { kind: 'purge', keep: held.toString() }, 'every member has them');
}

const PURGE_EVERY_MS = 60_000;
