/**
 * The brain. From what was seen to what is to be done, and why; nothing else. The order of the cases is the order of
 * docs/clustering.md.
 */
import { rememberBroken } from './broken.ts';
import { NO_MEMORY, type Decision, type Memory } from './decision.ts';
import { create } from './create.ts';
import { failOver } from './fail-over.ts';
import { endVainWait, listenAgain, reportUnheard, stillReadable, waitsInVain } from './joining.ts';
import { openPrimary } from './opening.ts';
import { Plan, heard } from './plan.ts';
import { judgePrimary } from './primary.ts';
import { abandonSwitchover } from './switch-over.ts';
import { tend } from './tend.ts';
import { runsAs, type View } from './view.ts';

export function decide(view: View, memory: Memory = NO_MEMORY): Decision {
  const seen = rememberBroken(view, memory);
  const plan = new Plan(seen.view, seen.memory);
  startMembers(plan);
  if (!refuseForeign(plan)) return plan.decision();
  if (view.record.primary === null) {
    create(plan);
    return plan.decision();
  }
  fenceDeposed(plan);
  const verdict = judgePrimary(plan, view.record.primary);
  switch (verdict.kind) {
    case 'serving':
    case 'opening':
      tend(plan, verdict);
      break;
    case 'closed':
      openPrimary(plan, verdict);
      break;
    case 'gone':
      abandonSwitchover(plan, verdict.why);
      failOver(plan, verdict.why);
      break;
    case 'doubtful':
      plan.state = 'degraded';
      plan.reason = verdict.why;
      // A blip cuts nobody off: what leads to the primary goes on leading there.
      plan.primary = {
        members: memory.served === view.record.epoch ? [view.record.primary.ordinal] : [],
        hold: false,
        reason: verdict.why,
      };
      plan.read = { members: stillReadable(plan, true), hold: false, reason: verdict.why };
      for (const member of view.members) {
        if (plan.wanted(member.ordinal) && heard(member) === null) reportUnheard(plan, member);
      }
      // Commits may wait for it, and so may we: it can't say whether it hears the primary.
      for (const one of plan.answering()) if (waitsInVain(plan, one)) endVainWait(plan, one);
      if (verdict.ask === true) listenAgain(plan, view.record.primary);
      plan.soon(50);
      break;
    default:
      verdict satisfies never;
  }
  return plan.decision();
}

/** Every member that is wanted, or needed until it may leave, runs; it comes up closed, so starting one is never wrong. */
function startMembers(plan: Plan): void {
  for (const member of plan.view.members) {
    if (member.process.kind !== 'absent') continue;
    const needed = [plan.record.primary, ...plan.record.ackers].some((one) => one?.ordinal === member.ordinal);
    if (plan.wanted(member.ordinal) || needed) {
      plan.act(member, { kind: 'start' }, needed ? 'it may have what nobody else has' : 'the resource asks for it');
      plan.report(member, 'starting');
    }
  }
}

/** Invariant 10: data that has seen a higher epoch than the record, or another cluster, is left alone. */
function refuseForeign(plan: Plan): boolean {
  const { record } = plan;
  for (const { member, server } of plan.answering()) {
    const row = server.epochRow;
    if (row === null || row.clusterId !== record.clusterId) continue;
    if (row.epoch < record.epoch || (row.epoch === record.epoch && row.term <= record.term)) continue;
    plan.state = 'lost';
    plan.reason =
      `member ${member.ordinal} has seen epoch ${row.epoch} (term ${row.term}), but the record says ${record.epoch} ` +
      `(term ${record.term}): the record is older ` +
      `than the data (was it restored from a copy?). Nothing is touched. Bring the newest record back.`;
    plan.primary = { members: [], hold: false, reason: plan.reason };
    plan.read = plan.primary;
    return false;
  }
  return true;
}

/** A primary that was given up is killed wherever it still runs; the seals hold meanwhile (invariant 1). */
function fenceDeposed(plan: Plan): void {
  const { deposed } = plan.before;
  if (deposed === null) return;
  const member = plan.member(deposed.ordinal);
  if (
    member === undefined ||
    !runsAs(member.process, deposed.process) ||
    plan.record.primary?.ordinal === deposed.ordinal
  ) {
    plan.memory = { ...plan.memory, deposed: null };
    return;
  }
  // One that answers closed was restarted or drained: it is judged like any other member.
  if (heard(member)?.access === 'closed') return;
  plan.act(member, { kind: 'kill', process: deposed.process }, 'it was the primary, and was given up');
}
