/** What is to be thought of the recorded primary. */
import { ackersAmong, attached, follows, lackingAckers, names, reachesNobody, serversOf } from './assess.ts';
import { successor } from './fail-over.ts';
import { heard, type Answering, type Plan } from './plan.ts';
import type { Acker, ClusterRecord, Incarnation } from './record.ts';
import { sameProcess, type MemberView } from './view.ts';

export type Verdict =
  /** Open in this epoch: its first row was acknowledged. */
  | ({ readonly kind: 'serving' } & Answering)
  /** Writable, and its first row not yet acknowledged. */
  | ({ readonly kind: 'opening' } & Answering)
  /** It answers, closed: newly chosen, or restarted. */
  | ({ readonly kind: 'closed' } & Answering)
  /** This life of it is over, or everybody who could hear it says so. */
  | { readonly kind: 'gone'; readonly why: string; readonly known: boolean }
  /** Nobody knows yet: nothing is done. `ask`: every acker is to say what it hears. */
  | { readonly kind: 'doubtful'; readonly why: string; readonly ask?: true };

/** A process this young is still starting: recovery takes its time. */
const START_MS = 10_000;
/** A replica that missed heartbeats for this part of the detection time does not hear its source. */
const DEAF = 0.75;

export function judgePrimary(plan: Plan, recorded: Incarnation): Verdict {
  const member = plan.member(recorded.ordinal);
  if (member === undefined)
    return { kind: 'gone', known: true, why: `member ${recorded.ordinal} does not exist any more` };
  const server = heard(member);
  if (server === null) return judgeUnheard(plan, member);
  if (server.serverUuid !== recorded.serverUuid) {
    return { kind: 'gone', known: true, why: `member ${recorded.ordinal} has other data than the primary had` };
  }
  const answering = { member, server };
  forgive(plan);
  if (member.process.kind === 'running') {
    plan.memory = { ...plan.memory, heardAs: { epoch: plan.record.epoch, process: member.process.id } };
  }
  if (server.access !== 'open') return { kind: 'closed', ...answering };
  const disk = judgeDisk(plan, member);
  if (disk !== null) return disk;
  const opened = server.epochRow?.epoch === plan.record.epoch && server.epochRow.clusterId === plan.record.clusterId;
  return { kind: opened ? 'serving' : 'opening', ...answering };
}

/** A primary that can't write to its disk is a dead one, if others can. */
function judgeDisk(plan: Plan, member: MemberView): Verdict | null {
  if (member.disk === null) return null;
  if (plan.lasting(`disk of ${member.ordinal}`) < plan.view.wanted.limits.detectionMs) return null;
  const able = plan.answering().filter((one) => one.member.disk === null);
  if (plan.record.required === 0 || lackingAckers(plan.record, ackersAmong(able, plan.record, plan.view)) > 0)
    return null;
  // Without one to take over it is better off: it goes on as soon as there is room.
  if (successor(plan, able).candidate === null) return null;
  return { kind: 'gone', known: false, why: `the primary, member ${member.ordinal}, can't write: ${member.disk}` };
}

function judgeUnheard(plan: Plan, member: MemberView): Verdict {
  const { process, contact, ordinal } = member;
  const which = `the primary, member ${ordinal},`;
  if (process.kind === 'gone' || process.kind === 'absent') {
    const cause = member.disk === null ? '' : `: ${member.disk}`;
    return { kind: 'gone', known: true, why: `${which} is not running${cause}` };
  }
  const heardAs = plan.memory.heardAs;
  if (process.kind === 'running' && heardAs?.epoch === plan.record.epoch && !sameProcess(heardAs.process, process.id)) {
    return { kind: 'gone', known: true, why: `${which} died and is starting again` };
  }
  const disk = judgeDisk(plan, member);
  if (disk !== null) return disk;
  if (contact.kind === 'refused') {
    return { kind: 'doubtful', why: `${which} is up but refuses us: ${contact.error}` };
  }
  if (contact.kind === 'answers') return { kind: 'doubtful', why: `${which} answers, but its lock is not ours yet` };
  if (contact.kind === 'unseen') return { kind: 'doubtful', why: `${which} was not heard of yet` };
  // Nobody waits for it who was served by it before: a cluster that starts, or a controller that just took over.
  const unheard = heardAs?.epoch !== plan.record.epoch;
  if (unheard && process.kind === 'running' && plan.view.nowMs - process.sinceMs < START_MS) {
    return { kind: 'doubtful', why: `${which} is starting` };
  }
  const silentMs = plan.view.nowMs - contact.sinceMs;
  const how = contact.kind === 'silent' ? 'does not answer' : `can't be reached (${contact.error})`;
  if (plan.memory.givenUp?.epoch === plan.record.epoch) {
    return { kind: 'gone', known: false, why: plan.memory.givenUp.reason };
  }
  // Its machine says that nobody listens where we were connected: no need to wait for what the replicas say, either.
  const hungUp = contact.kind === 'unreachable' && contact.closedPort && heardAs?.epoch === plan.record.epoch;
  const { detectionMs } = plan.view.wanted.limits;
  if (!hungUp && silentMs < detectionMs) {
    plan.due(detectionMs - silentMs);
    return { kind: 'doubtful', why: `${which} ${how}: waiting to be sure` };
  }
  return giveUp(plan, member, `${which} ${how}`);
}

/**
 * Only a replica whose receiver is on, or trying, can say whether it hears this primary; and one that waits for room shows
 * the same whether it does or not.
 */
function tries({ member, server }: Answering, primary: MemberView): boolean {
  return member.ordinal !== primary.ordinal && member.busy === null && follows(server, primary) && !server.waitsForRoom;
}

/** A refusal is an answer. */
function isRefused({ server }: Answering): boolean {
  const { receiver, receiverError } = server.replica ?? {};
  return receiver === 'connecting' && Number.parseInt(receiverError ?? '', 10) > 0 && !reachesNobody(server);
}

/** Whether nothing can be acknowledged to a primary that these of S, some of them at least, do not hear. */
function isMute({ ackers, required }: ClusterRecord, deaf: readonly Acker[]): boolean {
  if (required === 0 || deaf.length === 0) return false;
  const able = serversOf(ackers);
  for (const { serverUuid } of deaf) able.delete(serverUuid);
  return able.size < required;
}

/** Ackers of whose data nothing is left, as other data under their ordinals shows: they acknowledge nothing any more. */
function replacedAckers(plan: Plan): Acker[] {
  return plan.record.ackers.filter((acker) => {
    const now = heard(plan.member(acker.ordinal));
    return now !== null && now.serverUuid !== acker.serverUuid;
  });
}

/** Invariant 5: given up only if every replica that answers, at least one, can't hear it either. */
function giveUp(plan: Plan, primary: MemberView, what: string): Verdict {
  const uuid = plan.record.primary?.serverUuid ?? '';
  const witnesses = plan.answering().filter((one) => tries(one, primary));
  const { record, view } = plan;
  const replaced = replacedAckers(plan);
  // It was being told to wait for fewer, and hung: behind an account statement, which lets nobody in.
  const hung = primary.failure?.act === 'set-required';
  if (witnesses.length === 0 && !isMute(record, replaced) && !hung) {
    const why = `${what}, and no replica answers that could say more: we may be the ones cut off`;
    return { kind: 'doubtful', why, ask: true };
  }
  // Its receiver notices a silence late, and is slow to stop once it tries to connect: heartbeats tell sooner.
  const deafSeconds = (plan.view.wanted.limits.detectionMs / 1000) * DEAF;
  const hearing = witnesses.filter(
    (one) =>
      isRefused(one) ||
      (attached(one.server, primary, uuid) && (one.server.replica?.heardSecondsAgo ?? 0) < deafSeconds),
  );
  // Where too many ackers are deaf for a commit to be acknowledged, one that hears it is no sign of life: one account
  // statement that waits locks everybody out who is not connected yet, the controller too.
  const deaf = ackersAmong(
    witnesses.filter((one) => !hearing.includes(one)),
    record,
    view,
  );
  if (hearing.length > 0 && !isMute(record, [...deaf, ...replaced])) {
    const who = hearing.map(({ member }) => `member ${member.ordinal}`).join(', ');
    // One that an abandoned failover sealed neither acknowledges nor counts as deaf: without it, this could last for ever.
    return { kind: 'doubtful', why: `${what}, but ${who} still hears it: we may be the ones cut off`, ask: true };
  }
  const others = witnesses.filter((one) => !hearing.includes(one)).map(({ member }) => member);
  const reason =
    others.length > 0
      ? `${what}, and neither can ${names(others)}`
      : `${what}, and could have nothing acknowledged${hung ? '' : `: ${names(replaced)} lost what it had`}`;
  plan.memory = { ...plan.memory, givenUp: { epoch: plan.record.epoch, sinceMs: plan.view.nowMs, reason } };
  return { kind: 'gone', known: false, why: reason };
}

/** It answers again, before another was chosen: nothing happened. */
function forgive(plan: Plan): void {
  if (plan.memory.givenUp !== null) plan.memory = { ...plan.memory, givenUp: null };
}
