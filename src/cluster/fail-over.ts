/**
 * Failover: seal, count, choose, let it apply, record. What follows the record (fence, open, point the endpoints,
 * follow) is decided from the record, by whichever brain is there.
 */
import { GtidSet } from '../gtid/gtid-set.ts';
import {
  ackerOf,
  ackersAmong,
  applierBroken,
  hasUnapplied,
  isSealed,
  lackingAckers,
  names,
  rowsOf,
  serversOf,
} from './assess.ts';
import { retryApplier } from './broken.ts';
import { asAcker } from './create.ts';
import { awaitsClone, foreign } from './membership.ts';
import { demote, endVainWait, reportUnheard, stillReadable, waitsInVain } from './joining.ts';
import { heard, incarnationOf, type Answering, type Plan } from './plan.ts';
import { sameIncarnation } from './record.ts';
import { sameProcess, type MemberView } from './view.ts';

/** An applier that gets nothing done for so long makes it the next one's turn. */
const APPLY_STALL_MS = 10_000;
/** A receiver that connects takes two seconds to stop. */
const SEAL_HANGS_MS = 5000;

export function failOver(plan: Plan, why: string): void {
  const { record } = plan;
  plan.state = 'failing-over';
  plan.reason = why;
  plan.primary = { members: [], hold: false, reason: why };
  // Other data under the primary's ordinal is a member like any other.
  const others = plan.answering().filter((one) => !foreign(plan, one) && !isRecorded(plan, one));
  plan.read = { members: stillReadable(plan), hold: false, reason: why };
  plan.soon();
  for (const member of plan.view.members) {
    if (plan.wanted(member.ordinal) && heard(member) === null) reportUnheard(plan, member);
  }
  // Given up for its disk, which has room again: it is back sooner than others take over, if none could so far.
  for (const one of plan.answering()) if (isRecorded(plan, one) && waitsInVain(plan, one)) endVainWait(plan, one);
  seal(plan, others);
  // One on which something is under way may be starting its receiver, or losing its data, as we look.
  const sealed = others.filter(
    ({ member, server }) => member.busy === null && isSealed(server) && server.access === 'closed',
  );
  const chosen = record.required === 0 ? withoutAckers(plan, sealed) : fromAckers(plan, others, sealed);
  if (chosen === null) return;
  const { candidate, floor } = chosen;
  if (!applied(plan, candidate)) return;
  depose(plan);
  const followers = sealed.filter((one) => one !== candidate && canFollow(plan, one, candidate));
  plan.write(
    {
      ...record,
      epoch: record.epoch + 1,
      primary: incarnationOf(candidate),
      floor: floor.toString(),
      ackers: followers.map(asAcker),
    },
    `failover: ${why}; member ${candidate.member.ordinal} has every write that was acknowledged`,
  );
}

function isRecorded({ record }: Plan, one: Answering): boolean {
  return record.primary !== null && sameIncarnation(record.primary, incarnationOf(one));
}

function seal(plan: Plan, others: readonly Answering[]): void {
  for (const one of others) {
    const { member, server } = one;
    if (server.access !== 'closed') continue;
    // Its applier, too, may be what waits.
    if (waitsInVain(plan, one)) endVainWait(plan, one);
    else if (!isSealed(server)) stopReceiver(plan, member);
    // Its applier would be held up, too.
    else if (server.source.enabled) demote(plan, one);
    else if (hasUnapplied(server) && server.replica?.applier === 'off') {
      if (applierBroken(server)) retryApplier(plan, { member, server });
      else plan.act(member, { kind: 'apply' }, 'what it received has to be applied');
    }
    plan.report(member, isSealed(server) ? 'sealed' : 'sealing');
  }
}

/** One that waits for room on a full disk does not stop for as long as a minute; with its process gone, it has. */
function stopReceiver(plan: Plan, member: MemberView): void {
  const hangs = plan.lasting(`receiver of ${member.ordinal} to be stopped`) > SEAL_HANGS_MS;
  if (hangs && member.process.kind === 'running') {
    plan.act(member, { kind: 'kill', process: member.process.id }, 'its receiver does not stop otherwise');
  } else {
    plan.act(member, { kind: 'seal' }, 'so that the former primary can acknowledge nothing more');
  }
}

interface Chosen {
  readonly candidate: Answering;
  readonly floor: GtidSet;
}

/** Invariant 2: the union of what enough ackers received holds every acknowledged write of this epoch. */
function fromAckers(plan: Plan, others: readonly Answering[], sealed: readonly Answering[]): Chosen | null {
  const { record, view } = plan;
  const ackers = sealed.filter((one) => ackerOf(one, record, view) !== null);
  const lacking = lackingAckers(record, ackersAmong(ackers, record, view));
  if (lacking > 0) {
    const need = ackers.length + lacking;
    if (lackingAckers(record, ackersAmong(others, record, view)) > 0) return lost(plan, need, ackers);
    plan.reason = `${plan.reason}: sealing, ${ackers.length} of ${need}`;
    return null;
  }
  const { floor, candidate } = successor(plan, sealed);
  if (candidate === null) {
    // An acker that is not sealed yet counts as one that has whatever others have.
    const mayHelp = (one: Answering): boolean =>
      rowsOf(one.server).contains(floor) || (ackerOf(one, record, view) !== null && one.server.access === 'closed');
    if (others.some((one) => !sealed.includes(one) && mayHelp(one))) {
      plan.reason = `${plan.reason}: others are being sealed`;
      return null;
    }
    plan.state = 'lost';
    plan.reason = `${plan.reason}; no member that answers holds all of ${floor.toString()}, some of which may have been acknowledged`;
    plan.soon(200);
    restartHanging(plan);
    return null;
  }
  return { candidate, floor };
}

/** Who of these would take over, if it were them who are sealed, and from which floor on. */
export function successor(plan: Plan, sealed: readonly Answering[]): { floor: GtidSet; candidate: Answering | null } {
  const { record, view } = plan;
  const ackers = sealed.filter((one) => ackerOf(one, record, view) !== null);
  const union = ackers.reduce((all, { server }) => all.union(rowsOf(server)), GtidSet.EMPTY);
  const former = GtidSet.parse(record.floor);
  // Who acknowledges anything has all before it: if the union lacks the floor, nothing was acknowledged in this epoch.
  const floor = union.contains(former) ? former.union(perhapsAcknowledged(plan, ackers)) : former;
  return { floor, candidate: best(plan, sealed, floor) };
}

/**
 * What can have been acknowledged, or shown, in this epoch is on k of S; so a row is left out that fewer have, even if
 * every acker that is not sealed had it: one that the primary alone wrote, or that somebody wrote on a replica.
 */
function perhapsAcknowledged({ record, view }: Plan, sealed: readonly Answering[]): GtidSet {
  const have = ackersAmong(sealed, record, view);
  const unseen = serversOf(record.ackers.filter((acker) => !have.includes(acker))).size;
  const holders = Math.max(1, record.required - unseen);
  // heldBy[n]: the rows that more than n of those looked at so far have.
  const heldBy: GtidSet[] = Array.from({ length: holders }, () => GtidSet.EMPTY);
  for (const { server } of sealed) {
    const rows = rowsOf(server);
    for (let n = holders - 1; n >= 0; n--) {
      const also = n === 0 ? rows : (heldBy[n - 1] ?? GtidSet.EMPTY).intersect(rows);
      heldBy[n] = (heldBy[n] ?? GtidSet.EMPTY).union(also);
    }
  }
  return heldBy[holders - 1] ?? GtidSet.EMPTY;
}

/** With no acknowledgement asked for, seals stop nothing: only a primary known to be gone is replaced. */
function withoutAckers(plan: Plan, sealed: readonly Answering[]): Chosen | null {
  const { record } = plan;
  const primary = record.primary === null ? undefined : plan.member(record.primary.ordinal);
  if (record.mode !== 'asynchronous') {
    plan.state = 'lost';
    plan.reason =
      `${plan.reason}. It alone was sure to have every acknowledged write (${record.mode}, no acknowledgement was ` +
      `required any more): waiting for it to come back`;
    plan.soon(200);
    restartHanging(plan);
    return null;
  }
  if (primary !== undefined && mayStillServe(plan, primary)) {
    const { process } = primary;
    if (process.kind === 'running') {
      plan.act(primary, { kind: 'kill', process: process.id }, 'asynchronous: a living primary would go on saying OK');
    }
    return null;
  }
  const floor = GtidSet.parse(record.floor);
  const candidate = best(plan, sealed, floor);
  if (candidate === null) {
    plan.state = 'lost';
    plan.reason = `${plan.reason}; no replica answers that could take over`;
    plan.soon(200);
    return null;
  }
  return { candidate, floor: rowsOf(candidate.server) };
}

function lost(plan: Plan, need: number, have: readonly Answering[]): null {
  const { record } = plan;
  const missing = record.ackers.filter((acker) => !have.some(({ member }) => member.ordinal === acker.ordinal));
  plan.state = 'lost';
  plan.reason =
    `${plan.reason}. To choose another without losing a write, ${need} of ${names(record.ackers)} must answer; ` +
    `${have.length} do. Safe as soon as the primary, or ${need - have.length} of ${names(missing)}, is back`;
  plan.soon(100);
  restartHanging(plan);
  return null;
}

/**
 * Nobody else may take over. A primary that hangs, as behind an account statement that waits, comes back by a restart
 * alone, and keeps what it has. Its next life is not killed for being slow to begin.
 */
function restartHanging(plan: Plan): void {
  const primary = plan.record.primary === null ? undefined : plan.member(plan.record.primary.ordinal);
  if (primary?.process.kind !== 'running' || primary.contact.kind !== 'silent' || !mayStillServe(plan, primary)) return;
  plan.act(primary, { kind: 'kill', process: primary.process.id }, 'it hangs, and nobody else may take over');
}

/**
 * Rather one that stays, and that followed the former primary (others may have rows of their own); then one whom the
 * others can follow, then by applied progress, then by ordinal.
 */
function best(plan: Plan, sealed: readonly Answering[], floor: GtidSet): Answering | null {
  const able = sealed.filter(
    (one) =>
      rowsOf(one.server).contains(floor) &&
      one.member.disk === null &&
      !(hasUnapplied(one.server) && (applierBroken(one.server) || stalled(plan, one))),
  );
  const score = (one: Answering): (number | bigint)[] => [
    plan.wanted(one.member.ordinal) ? 1 : 0,
    ackerOf(one, plan.record, plan.view) === null ? 0 : 1,
    sealed.filter((other) => other !== one && canFollow(plan, other, one)).length,
    rowsOf(one.server).count,
    one.server.executed.count,
  ];
  const ranked = able
    .map((one) => ({ one, score: score(one) }))
    .sort((a, b) => compare(b.score, a.score) || a.one.member.ordinal - b.one.member.ordinal);
  return ranked[0]?.one ?? null;
}

function compare(a: readonly (number | bigint)[], b: readonly (number | bigint)[]): number {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? 0;
    if (value !== other) return value < other ? -1 : 1;
  }
  return 0;
}

function stalled(plan: Plan, { member, server }: Answering): boolean {
  return plan.lasting(`applying ${member.ordinal} ${server.executed.toString()}`) > APPLY_STALL_MS;
}

function canFollow(plan: Plan, one: Answering, candidate: Answering): boolean {
  const { member, server } = one;
  return (
    plan.wanted(member.ordinal) &&
    !applierBroken(server) &&
    !awaitsClone(one, candidate) &&
    rowsOf(candidate.server).contains(rowsOf(server)) &&
    rowsOf(server).contains(candidate.server.purged)
  );
}

function applied(plan: Plan, candidate: Answering): boolean {
  const { member, server } = candidate;
  if (!hasUnapplied(server)) return true;
  plan.reason = `${plan.reason}: member ${member.ordinal} applies what it received`;
  plan.report(member, 'applying');
  return false;
}

function depose(plan: Plan): void {
  const { primary } = plan.record;
  const member = primary === null ? undefined : plan.member(primary.ordinal);
  if (member?.process.kind !== 'running' || !mayStillServe(plan, member)) return;
  plan.memory = { ...plan.memory, deposed: { ordinal: member.ordinal, process: member.process.id } };
}

/** Whether the process under the primary's ordinal can be the very one that was open, rather than a later, closed life. */
function mayStillServe(plan: Plan, primary: MemberView): boolean {
  if (heard(primary) !== null || primary.process.kind === 'gone' || primary.process.kind === 'absent') return false;
  const { heardAs } = plan.before;
  if (heardAs?.epoch !== plan.record.epoch || primary.process.kind !== 'running') return true;
  return sameProcess(heardAs.process, primary.process.id);
}
