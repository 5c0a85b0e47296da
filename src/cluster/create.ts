/**
 * Epoch 0: a cluster that was never opened, or whose record was lost. Either way nothing is begun before every member of
 * the resource was seen (invariant 10).
 */
import { GtidSet } from '../gtid/gtid-set.ts';
import { applierBroken, hasUnapplied, isSealed, names, rowsOf } from './assess.ts';
import { retryApplier } from './broken.ts';
import { heard, incarnationOf, type Answering, type Plan } from './plan.ts';
import type { Acker } from './record.ts';
import type { MemberView } from './view.ts';

export function create(plan: Plan): void {
  const { view } = plan;
  plan.state = 'creating';
  plan.reason = 'the members are being made';
  plan.primary = { members: [], hold: false, reason: 'the cluster is being created' };
  plan.read = plan.primary;
  plan.soon(50);
  const wanted = view.members.filter((member) => plan.wanted(member.ordinal));
  for (const member of wanted) {
    if (heard(member) !== null) plan.report(member, 'ready');
    else
      plan.report(
        member,
        'starting',
        member.trouble ?? (member.process.kind === 'gone' ? (member.process.trouble ?? '') : ''),
      );
  }
  const here = plan.answering();
  const used = here.filter(({ server }) => !server.executed.isEmpty || server.epochRow !== null);
  const all = unseen(plan).length === 0;
  if (used.length > 0) recover(plan, here, used, all);
  else if (all) begin(plan, here);
}

/** Those of the resource, and those that it asks for no more and that are still there: one of these may have led. */
function unseen(plan: Plan): MemberView[] {
  return plan.view.members.filter(
    (member) => heard(member) === null && (plan.wanted(member.ordinal) || member.process.kind !== 'absent'),
  );
}

/** The first epoch: every member is there, empty, and the first one becomes the primary. */
function begin(plan: Plan, here: readonly Answering[]): void {
  const { view, record } = plan;
  const [first, ...others] = here.filter(({ member }) => plan.wanted(member.ordinal));
  if (first === undefined) return;
  const ackers = others.map(asAcker);
  const required = Math.min(view.wanted.required, ackers.length);
  plan.write(
    { ...record, epoch: 1, primary: incarnationOf(first), floor: '', ackers, required, mode: view.wanted.mode },
    `a new cluster: member ${first.member.ordinal} is the primary`,
  );
}

/**
 * Members have data and there is no record of it. The record is made again from what all of them show: whoever is open
 * in the highest epoch is its primary; if nobody is, nothing can be acknowledged any more, and the one that has
 * everything opens the next epoch.
 */
function recover(plan: Plan, here: readonly Answering[], used: readonly Answering[], all: boolean): void {
  plan.state = 'lost';
  const lost = 'the record of this cluster is lost, while its members have data';
  const clusters = new Set(used.flatMap(({ server }) => (server.epochRow === null ? [] : [server.epochRow.clusterId])));
  if (clusters.size !== 1) {
    plan.reason = `${lost} of ${clusters.size} clusters. Nothing is touched. Bring the record back, or delete the cluster's data by name.`;
    return;
  }
  if (!all) {
    plan.reason = `${lost}: it is made again when every member has been seen; ${names(unseen(plan))} not yet`;
    return;
  }
  const rows = used.flatMap(({ server }) => (server.epochRow === null ? [] : [server.epochRow]));
  const epoch = Math.max(...rows.map((row) => row.epoch));
  const term = Math.max(plan.record.term, ...rows.map((row) => row.term + 1));
  const known = { ...plan.record, clusterId: [...clusters][0] ?? '', term };
  plan.reason = `${lost}: it is made again from what they show`;
  const open = here.filter(({ server }) => server.access === 'open');
  const [primary] = open;
  if (primary !== undefined) {
    if (open.length > 1 || primary.server.epochRow?.epoch !== epoch) {
      plan.reason = `${lost}, and ${names(open.map(({ member }) => member))} are open: close all but the right one`;
      return;
    }
    adopt(plan, here, primary, { ...known, epoch });
    return;
  }
  reopen(plan, here, { ...known, epoch });
}

/** Around a primary that is open. S is everybody who may acknowledge to it: whose account is unlocked, or who is connected. */
function adopt(plan: Plan, here: readonly Answering[], primary: Answering, known: Plan['record']): void {
  const { source } = primary.server;
  const may = [...new Set([...source.unlocked, ...source.connected])];
  const unknown = may.filter((ordinal) => !here.some(({ member }) => member.ordinal === ordinal));
  if (unknown.length > 0) {
    plan.act(primary.member, { kind: 'lock-out', ordinals: unknown }, 'they may acknowledge, and nobody has seen them');
  }
  if (unknown.length > 0 || !plan.settled(primary.member)) return;
  const ackers = here.filter((one) => one !== primary && may.includes(one.member.ordinal)).map(asAcker);
  const required = source.enabled && source.active ? Math.min(source.required, ackers.length) : 0;
  const asked = plan.view.wanted.mode;
  // With none, only the resource's own word allows another primary without this one's writes.
  const mode = required === 0 && asked === 'quorum' ? 'adaptive' : asked;
  plan.write(
    { ...known, primary: incarnationOf(primary), floor: '', ackers, required, mode },
    `the record is made again: member ${primary.member.ordinal} is open in epoch ${known.epoch}`,
  );
}

/** All are closed: once all are sealed, the one that has all that any has is the next primary when it has applied it. */
function reopen(plan: Plan, here: readonly Answering[], known: Plan['record']): void {
  for (const { member, server } of here) {
    // Half closed, by a clone that was broken off, say: its next life is closed.
    if (server.access === 'ajar' && member.process.kind === 'running') {
      plan.act(member, { kind: 'kill', process: member.process.id }, 'it is half closed');
    } else if (!isSealed(server))
      plan.act(member, { kind: 'seal' }, 'nobody may acknowledge while the record is made again');
    else if (hasUnapplied(server) && server.replica?.applier === 'off') {
      if (applierBroken(server)) retryApplier(plan, { member, server });
      else plan.act(member, { kind: 'apply' }, 'what it received has to be applied');
    }
  }
  // Half closed, a commit may yet go on there. What is received counts, applied or not.
  const still = ({ member, server }: Answering): boolean =>
    member.busy === null && server.access === 'closed' && isSealed(server);
  if (!here.every(still)) return;
  const everything = here.reduce((sum, { server }) => sum.union(rowsOf(server)), GtidSet.EMPTY);
  const wantedHere = here.filter(({ member }) => plan.wanted(member.ordinal));
  // One that is to leave leads until it has handed over.
  const able = here.filter(({ server }) => rowsOf(server).contains(everything));
  const ready = able.filter(({ server }) => !hasUnapplied(server));
  const primary = ready.find(({ member }) => plan.wanted(member.ordinal)) ?? ready[0];
  if (primary === undefined) {
    if (able.length > 0) {
      plan.reason = `${plan.reason}; ${names(able.map(({ member }) => member))} has everything, and is to apply what it received`;
      return;
    }
    plan.reason = `${plan.reason}; no member has all of ${everything.toString()}: say which one is right`;
    return;
  }
  const ackers = wantedHere
    .filter(
      (one) =>
        one !== primary &&
        !applierBroken(one.server) &&
        rowsOf(one.server).contains(primary.server.purged) &&
        !rowsOf(one.server).isEmpty,
    )
    .map(asAcker);
  const { wanted } = plan.view;
  plan.write(
    {
      ...known,
      epoch: known.epoch + 1,
      primary: incarnationOf(primary),
      floor: everything.toString(),
      ackers,
      required: Math.min(wanted.required, ackers.length),
      mode: wanted.mode,
    },
    `the record is made again: member ${primary.member.ordinal} has all that any member has`,
  );
}

export function asAcker(answering: Answering): Acker {
  return { ...incarnationOf(answering), bootId: answering.member.bootId };
}
