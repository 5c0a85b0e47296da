/** The first epoch: every member is there, empty, and the first one becomes the primary. */
import { heard, incarnationOf, type Answering, type Plan } from './plan.ts';
import type { Acker } from './record.ts';

/** How long the others are waited for, once the first member is ready: without them writes would wait anyway. */
const PATIENCE_MS = 15_000;

export function create(plan: Plan): void {
  const { view, record } = plan;
  plan.state = 'creating';
  plan.reason = 'the members are being made';
  plan.primary = { members: [], hold: false, reason: 'the cluster is being created' };
  plan.read = plan.primary;
  plan.soon(50);
  const wanted = view.members.filter((member) => plan.wanted(member.ordinal));
  const ready = plan.answering().filter(({ member }) => plan.wanted(member.ordinal));
  const used = ready.find(({ server }) => !isEmpty(server));
  if (used !== undefined) {
    plan.state = 'lost';
    plan.reason =
      `member ${used.member.ordinal} has data, but there is no record of the cluster that it belongs to. Nothing is ` +
      `touched. Bring the record back, or delete the cluster's data by name.`;
    return;
  }
  for (const member of wanted) {
    if (heard(member) !== null) plan.report(member, 'ready');
    else plan.report(member, 'starting', member.process.kind === 'gone' ? (member.process.trouble ?? '') : '');
  }
  const [first] = ready;
  if (first === undefined) return;
  const complete = ready.length === wanted.length;
  if (!complete && plan.lasting('creating') < PATIENCE_MS) return;
  const ackers = ready.filter((one) => one !== first).map(asAcker);
  const required = view.wanted.mode === 'quorum' ? view.wanted.required : Math.min(view.wanted.required, ackers.length);
  plan.write(
    { ...record, epoch: 1, primary: incarnationOf(first), floor: '', ackers, required, mode: view.wanted.mode },
    `a new cluster: member ${first.member.ordinal} is the primary`,
  );
}

export function asAcker(answering: Answering): Acker {
  return { ...incarnationOf(answering), bootId: answering.member.bootId };
}

function isEmpty(server: Answering['server']): boolean {
  return server.executed.isEmpty && server.epochRow === null;
}
