/** Appliers that stopped with an error. */
import { hasUnapplied } from './assess.ts';
import type { Broken, Memory } from './decision.ts';
import { heard, type Answering, type Plan } from './plan.ts';
import type { MemberView, View } from './view.ts';

/** A broken applier is started again this often: what stopped it may have been a passing fault. */
const RETRY_MS = 3000;

/**
 * A broken applier stays broken until it is past what stopped it: trying it again clears its error for a moment, in
 * which it must neither be admitted nor waited for. So the error is shown to the brain for as long as nothing was applied.
 */
export function rememberBroken(view: View, memory: Memory): { view: View; memory: Memory } {
  const broken: Broken[] = [];
  const members = view.members.map((member): MemberView => {
    const known = memory.broken.find((one) => one.ordinal === member.ordinal);
    const server = heard(member);
    if (server?.replica == null || member.contact.kind !== 'answers') {
      if (server === null && known !== undefined) broken.push(known);
      return member;
    }
    const executed = server.executed.toString();
    const same = known?.serverUuid === server.serverUuid && known.executed === executed;
    const error = server.replica.applierError || (same && hasUnapplied(server) ? known.error : '');
    if (error === '') return member;
    const sinceMs = same ? known.sinceMs : view.nowMs;
    broken.push({ ordinal: member.ordinal, serverUuid: server.serverUuid, executed, error, sinceMs });
    const replica = { ...server.replica, applierError: error };
    return { ...member, contact: { ...member.contact, server: { ...server, replica } } };
  });
  return { view: { ...view, members }, memory: { ...memory, broken } };
}

/** For how long, in ms. */
export function brokenMs(plan: Plan, ordinal: number): number {
  const known = plan.memory.broken.find((one) => one.ordinal === ordinal);
  return known === undefined ? 0 : plan.view.nowMs - known.sinceMs;
}

export function retryApplier(plan: Plan, { member }: Answering): void {
  const attempt = Math.floor(brokenMs(plan, member.ordinal) / RETRY_MS);
  if (plan.lasting(`apply again ${member.ordinal} ${attempt}`) > 0) return;
  plan.act(member, { kind: 'apply' }, 'its applier is tried again');
}
