/**
 * Switchover: the primary moves by request. Before the record any missed deadline undoes it; after the record it only
 * goes forward, as an Opening like any other.
 */
import { applierBroken, ackerOf, attached, errantRows, rowsOf } from './assess.ts';
import { asAcker } from './create.ts';
import type { Switching } from './decision.ts';
import { heard, incarnationOf, type Answering, type Plan } from './plan.ts';

/** From closing the old primary to the record; beyond it, the old one writes again. */
const MOVE_MS = 2000;
/** Statements under way come to their end at the endpoint; whoever takes longer is cut. */
const DRAIN_MS = 150;
/** innodb_trx shows nothing new to who asks more often than every 0.1 s: not that a transaction is over, either. */
const OPEN_TRANSACTIONS_MS = 150;
const LONG_TRANSACTION_SECONDS = 1;
/** Beyond, the target would hardly have applied in time what it lacks once the old primary is closed. */
const NEARLY_SECONDS = 0.5;
const PUT_OFF_MS = 3000;
const RETRY_MS = 2000;
const MAX_RETRY_MS = 300_000;

/** Takes up a request. Says whether a switchover begins. */
export function beginSwitchover(plan: Plan, primary: Answering): boolean {
  const request = wish(plan, primary);
  if (request === null || restsAfter(plan, request.id)) return false;
  const target = choose(plan, primary, request.to);
  if (typeof target === 'string' || plan.record.ackers.some((acker) => plan.member(acker.ordinal)?.busy != null)) {
    if (putOff(plan, request)) return false;
  }
  if (typeof target === 'string') {
    // One that nobody asked for by hand is simply tried again later.
    settle(plan, request.id, false, target);
    return false;
  }
  enter(plan, {
    id: request.id,
    to: target.member.ordinal,
    epoch: plan.record.epoch,
    phase: 'waiting',
    sinceMs: plan.view.nowMs,
    reason: request.why,
  });
  plan.soon(1);
  return continueSwitchover(plan, primary);
}

/**
 * What is over in a moment is waited for, and no reason to refuse: an act under way on the target, or on an acker, which
 * could not turn to the new primary meanwhile; or the target's first transaction after that.
 */
function putOff(plan: Plan, { id, to }: Wish): boolean {
  const passing = plan.view.members.some((member) => {
    const server = heard(member);
    const unknownLag = server !== null && server.replica !== null && server.lagSeconds === null;
    const mayBe = to === null || to === member.ordinal;
    const turns = plan.record.ackers.some(({ ordinal }) => ordinal === member.ordinal);
    return (member.busy !== null && (mayBe || turns)) || (mayBe && unknownLag);
  });
  if (!passing || plan.lasting(`switchover ${id} put off`) >= PUT_OFF_MS) return false;
  plan.soon();
  return true;
}

/** What was asked for is tried once; what the brain needs itself, ever more rarely. */
function restsAfter(plan: Plan, id: number): boolean {
  const { outcome } = plan.memory;
  if (outcome?.id !== id || (id < 0 && outcome.done)) return false;
  return id >= 0 || plan.view.nowMs - outcome.atMs < Math.min(outcome.failures * RETRY_MS, MAX_RETRY_MS);
}

interface Wish {
  readonly id: number;
  readonly to: number | null;
  readonly why: string;
}

/** Asked for by somebody, or needed because the primary leaves or restarts. */
function wish(plan: Plan, primary: Answering): Wish | null {
  const asked = plan.view.switchover;
  if (asked !== null && plan.memory.outcome?.id !== asked.id) return { ...asked, why: 'a switchover was asked for' };
  const { member } = primary;
  if (!plan.wanted(member.ordinal)) return { id: -1, to: null, why: 'the primary is to leave' };
  const due = plan.view.restarts.filter((restart) => plan.member(restart.ordinal)?.process.kind === 'running');
  const restart = due.length > 0 && due.every((one) => one.ordinal === member.ordinal) && plan.view.wanted.replicas > 1;
  const pending = due.some(({ process }) => member.process.kind === 'running' && member.process.id.pid === process.pid);
  return restart && pending && plan.state === 'healthy' ? { id: -2, to: null, why: 'the primary is to restart' } : null;
}

/** The target, or why there is none. */
function choose(plan: Plan, primary: Answering, to: number | null): Answering | string {
  const { member } = primary;
  if (to === member.ordinal) return `member ${to} is the primary already`;
  if (to !== null) {
    if (plan.member(to) === undefined || !plan.wanted(to)) return `there is no member ${to}`;
    const server = heard(plan.member(to));
    const view = plan.member(to);
    if (server === null || view === undefined) return `member ${to} does not answer`;
    return unable(plan, { member: view, server }, primary) ?? { member: view, server };
  }
  const able = plan
    .answering()
    .filter(
      (one) =>
        one.member.ordinal !== member.ordinal && plan.wanted(one.member.ordinal) && unable(plan, one, primary) === null,
    )
    .sort((a, b) => (a.server.lagSeconds ?? 0) - (b.server.lagSeconds ?? 0));
  return able[0] ?? 'no replica is attached and within the lag limit';
}

function unable(
  plan: Plan,
  one: Answering,
  primary: Answering,
  limit = plan.view.wanted.limits.switchoverLagSeconds,
): string | null {
  const { member, server } = one;
  const which = `member ${member.ordinal}`;
  if (!errantRows(server, primary.server).isEmpty) return `${which} has transactions that the primary lacks`;
  if (!attached(server, primary.member, primary.server.serverUuid)) return `${which} is not attached to the primary`;
  if (applierBroken(server)) return `${which} can't apply: ${server.replica?.applierError ?? ''}`;
  if (server.replica?.applier !== 'on') return `${which} does not apply what it receives`;
  if (server.lagSeconds === null || server.lagSeconds > limit) {
    return `${which} is ${server.lagSeconds === null ? 'of unknown lag' : `${server.lagSeconds.toFixed(1)} s behind`}; the limit is ${limit} s (spec.lag)`;
  }
  if (ackerOf(one, plan.record, plan.view) === null) return `${which} is not admitted yet`;
  if (member.busy !== null) return `${which} is busy: ${member.busy}`;
  const after = plan.record.ackers.length;
  if (after < plan.record.required) return `too few members would acknowledge`;
  return null;
}

/** The next step of the one under way. Says whether there is one. */
export function continueSwitchover(plan: Plan, primary: Answering): boolean {
  const now = plan.memory.switchover;
  if (now === null) return false;
  if (now.epoch !== plan.record.epoch) {
    const done = now.to === primary.member.ordinal;
    settle(plan, now.id, done, `member ${primary.member.ordinal} is the primary`);
    return false;
  }
  if (now.phase === 'undoing') return undo(plan, primary, now, now.reason);
  const server = heard(plan.member(now.to));
  const member = plan.member(now.to);
  if (server === null || member === undefined)
    return undo(plan, primary, now, `member ${now.to} does not answer any more`);
  const target = { member, server };
  const elapsedMs = plan.view.nowMs - now.sinceMs;
  if (now.phase !== 'waiting') plan.soon(3);
  switch (now.phase) {
    case 'waiting': {
      const patient = elapsedMs < plan.view.wanted.limits.switchoverGraceMs;
      const refusal = patient ? unable(plan, target, primary, Infinity) : unable(plan, target, primary);
      if (refusal !== null && member.busy === null) return undo(plan, primary, now, refusal);
      if (primary.server.access !== 'open') return undo(plan, primary, now, 'the primary was closed by somebody else');
      // Nobody is held up meanwhile: a long transaction gets its grace, the target catches up, and all others go on.
      const open = primary.server.oldestTransactionSeconds;
      const lag = server.lagSeconds ?? 0;
      if ((open >= LONG_TRANSACTION_SECONDS || lag > NEARLY_SECONDS) && patient) {
        plan.soon(OPEN_TRANSACTIONS_MS);
        const why =
          open >= LONG_TRANSACTION_SECONDS
            ? `a transaction is open for ${open} s`
            : `member ${now.to} is ${lag.toFixed(1)} s behind`;
        return announce(plan, primary, why);
      }
      plan.soon(3);
      enter(plan, { ...now, phase: 'draining', sinceMs: plan.view.nowMs });
      return show(plan, primary, 'connections drain');
    }
    case 'draining': {
      const open = plan.view.openConnections;
      if (open !== null && open > 0 && elapsedMs < DRAIN_MS) return show(plan, primary, 'connections drain');
      plan.act(primary.member, { kind: 'close' }, `member ${now.to} takes over`);
      enter(plan, { ...now, phase: 'closing', sinceMs: plan.view.nowMs });
      return show(plan, primary, 'the old primary closes');
    }
    case 'closing':
      if (primary.server.access === 'closed' && primary.member.busy === null) {
        enter(plan, { ...now, phase: 'moving', sinceMs: plan.view.nowMs });
        return move(plan, primary, target, now);
      }
      if (primary.member.failure?.act === 'close' && primary.member.failure.atMs >= now.sinceMs) {
        return undo(plan, primary, now, `the primary could not be closed: ${primary.member.failure.error}`);
      }
      if (elapsedMs > MOVE_MS) return undo(plan, primary, now, 'the primary could not be closed in time');
      return show(plan, primary, 'the old primary closes');
    case 'moving':
      if (elapsedMs > MOVE_MS) return undo(plan, primary, now, `member ${now.to} did not catch up in time`);
      return move(plan, primary, target, now);
    default:
      return now.phase satisfies never;
  }
}

/** The old primary died in the middle of it: what follows is a failover. */
export function abandonSwitchover(plan: Plan, why: string): void {
  const now = plan.memory.switchover;
  if (now !== null) settle(plan, now.id, false, `${why}: a failover instead`);
}

function move(plan: Plan, primary: Answering, target: Answering, now: Switching): boolean {
  show(plan, primary, `member ${now.to} catches up`);
  if (primary.server.access !== 'closed' || primary.server.source.waiting > 0) return true;
  const all = primary.server.executed;
  if (!rowsOf(target.server).contains(all)) return true;
  if (!target.server.sealed) {
    plan.act(target.member, { kind: 'seal' }, 'it has all that the old primary executed');
    return true;
  }
  if (!target.server.executed.contains(all)) return true;
  const { record } = plan;
  const others = record.ackers.filter((acker) => acker.ordinal !== now.to);
  // One acker for another: S keeps its size, and so the promise.
  const ackers = [...others, asAcker(primary)].sort((a, b) => a.ordinal - b.ordinal);
  plan.write(
    { ...record, epoch: record.epoch + 1, primary: incarnationOf(target), floor: all.toString(), ackers },
    `switchover: member ${now.to} has all that member ${primary.member.ordinal} executed`,
  );
  settle(plan, now.id, true, `member ${now.to} is the primary`);
  return true;
}

/** The old primary writes again; if it can't be reopened soon, it is opened like one that restarted. */
function undo(plan: Plan, primary: Answering, now: Switching, reason: string): boolean {
  const over = primary.server.access === 'open' && primary.member.busy === null;
  const sinceMs = now.phase === 'undoing' ? now.sinceMs : plan.view.nowMs;
  if (over || plan.view.nowMs - sinceMs > MOVE_MS) {
    settle(plan, now.id, false, `${reason}; writes go on at member ${primary.member.ordinal}`);
    plan.soon(1);
    return false;
  }
  enter(plan, { ...now, phase: 'undoing', sinceMs, reason });
  plan.soon(3);
  if (primary.server.access !== 'open') plan.act(primary.member, { kind: 'reopen' }, `undone: ${reason}`);
  return show(plan, primary, `undone: ${reason}`);
}

function enter(plan: Plan, switchover: Switching): void {
  plan.memory = { ...plan.memory, switchover };
}

function settle(plan: Plan, id: number, done: boolean, reason: string): void {
  const before = plan.memory.outcome;
  const failures = done ? 0 : (before?.id === id ? before.failures : 0) + 1;
  plan.memory = { ...plan.memory, switchover: null, outcome: { id, done, reason, atMs: plan.view.nowMs, failures } };
}

function announce(plan: Plan, primary: Answering, reason: string): boolean {
  plan.state = 'switching';
  plan.reason = reason;
  plan.report(primary.member, 'switching', reason);
  return true;
}

function show(plan: Plan, primary: Answering, reason: string): boolean {
  plan.state = 'switching';
  plan.reason = reason;
  plan.primary = { members: [primary.member.ordinal], hold: true, reason };
  plan.report(primary.member, 'switching', reason);
  return true;
}
