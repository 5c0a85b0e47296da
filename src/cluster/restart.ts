/** Members that someone asked to restart: replicas one by one, the primary last, after a switchover. */
import { attached } from './assess.ts';
import type { Answering, Plan } from './plan.ts';
import { runsAs } from './view.ts';

export function restartOne(plan: Plan, primary: Answering): void {
  if (plan.state !== 'healthy') return;
  const due = plan.view.restarts.filter(({ ordinal, process }) => {
    const member = plan.member(ordinal);
    return member !== undefined && runsAs(member.process, process);
  });
  const next = due.find(({ ordinal }) => ordinal !== primary.member.ordinal) ?? due[0];
  if (next === undefined) return;
  const member = plan.member(next.ordinal);
  if (member === undefined) return;
  // Writes go on only if enough others stay attached.
  const others = plan
    .answering()
    .filter(
      (one) => one.member.ordinal !== next.ordinal && attached(one.server, primary.member, primary.server.serverUuid),
    );
  if (next.ordinal === primary.member.ordinal) {
    // SIGTERM says OK to whatever waits (invariant 6): not before nothing is waited for any more.
    const alone = plan.view.wanted.replicas === 1 && plan.record.required === 0;
    // The switchover that comes first is asked for in switch-over.ts.
    if (alone) plan.act(member, { kind: 'restart', process: next.process }, 'a restart was asked for');
    return;
  }
  if (others.length < plan.record.required && plan.record.mode === 'quorum' && plan.view.wanted.replicas > 2) return;
  plan.act(member, { kind: 'restart', process: next.process }, 'a restart was asked for');
}
