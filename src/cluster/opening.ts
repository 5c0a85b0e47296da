/** Opening: after a creation, a failover, a switchover, a restart in place alike. */
import { GtidSet } from '../gtid/gtid-set.ts';
import { ackerOf, ackersAmong, hasUnapplied, lackingAckers, names, rowsOf } from './assess.ts';
import { failOver } from './fail-over.ts';
import { join, stillReadable } from './joining.ts';
import { admit, awaitsClone, shape } from './membership.ts';
import type { Answering, Plan } from './plan.ts';
import { continueSwitchover } from './switch-over.ts';
import type { MemberView, ServerView } from './view.ts';

export function openPrimary(plan: Plan, primary: Answering): void {
  if (continueSwitchover(plan, primary)) return;
  const { member, server } = primary;
  if (wiser(plan, primary)) {
    failOver(
      plan,
      `the primary, member ${member.ordinal}, restarted, and cannot be opened before its ackers are attached`,
    );
    return;
  }
  plan.state = plan.record.epoch === 1 && server.epochRow === null ? 'creating' : 'failing-over';
  plan.reason = `member ${member.ordinal} is being opened`;
  plan.primary = { members: [], hold: false, reason: plan.reason };
  plan.soon();
  plan.report(member, 'opening');
  const prepared = isPrepared(plan, primary);
  if (prepared) openOrWait(plan, primary);
  else prepare(plan, primary);
  // Nobody can log in before: followers would only be put off for a second.
  if (!prepared) turnFollowers(plan, primary);
  const readable = prepared ? join(plan, primary) : [];
  plan.read = { members: readable.length > 0 ? readable : stillReadable(plan), hold: false, reason: plan.reason };
  if (admit(plan, primary)) return;
  shape(plan, primary);
}

/** Step 1 and 2 of Opening, as read back from the server in the session that is to open it. */
export function isPrepared(plan: Plan, { server }: Answering): boolean {
  const { record } = plan;
  const { source } = server;
  if (server.offline) return false;
  const unlocked = [...new Set(record.ackers.map((acker) => acker.ordinal))].sort((a, b) => a - b);
  const waits =
    record.required === 0 ? !source.enabled : source.enabled && source.active && source.required === record.required;
  return server.access === 'closed' && server.replica === null && waits && source.unlocked.join() === unlocked.join();
}

function prepare(plan: Plan, { member, server }: Answering): void {
  if (hasUnapplied(server)) {
    if (server.replica?.applier === 'off') plan.act(member, { kind: 'apply' }, 'all that it received comes first');
    plan.reason = `member ${member.ordinal} applies what it received`;
    return;
  }
  // Somebody wrote there in spite of everything: it can't be closed behind that, and shows it once it is back.
  if (server.source.waiting > 0 && member.failure?.act === 'prepare' && member.process.kind === 'running') {
    const why = 'a commit waits there, and keeps it from being prepared';
    plan.act(member, { kind: 'kill', process: member.process.id }, why);
    return;
  }
  const unlocked = [...new Set(plan.record.ackers.map((acker) => acker.ordinal))];
  plan.act(
    member,
    { kind: 'prepare', required: plan.record.required, unlocked },
    'its ackers must be known, and commits wait, before it is open',
  );
}

/** Meanwhile those who may follow turn to it, and need only be started then. */
function turnFollowers(plan: Plan, { member }: Answering): void {
  for (const one of plan.answering()) {
    const { server } = one;
    const turned = server.replica?.sourceHost === member.host && server.replica.sourcePort === member.port;
    if (one.member.ordinal === member.ordinal || ackerOf(one, plan.record, plan.view) === null) continue;
    if (turned || server.access !== 'closed' || hasUnapplied(server)) continue;
    plan.act(
      one.member,
      { kind: 'turn', source: { ordinal: member.ordinal, host: member.host, port: member.port } },
      `member ${member.ordinal} is the primary`,
    );
  }
}

/** Step 3: rows above the floor were perhaps acknowledged by nobody; they are shown when k of S have them. */
function openOrWait(plan: Plan, { member, server }: Answering): void {
  const { record } = plan;
  const floor = GtidSet.parse(record.floor);
  const open = (why: string): void => {
    plan.act(member, { kind: 'open', required: record.required }, why);
  };
  if (record.required === 0) return open('no acknowledgement is asked for');
  if (servesAsDonor(plan, { member, server })) {
    plan.state = 'blocked';
    plan.reason =
      `member ${member.ordinal} stays closed while others are filled from it: fewer than ${record.required} of ` +
      `${names(record.ackers)} answer, and a first write that waits would hold that up`;
    return;
  }
  if (floor.contains(server.executed)) return open('it shows nothing that its epoch did not start from');
  const holders = holdersOf(plan, server);
  if (holders.length >= record.required) return open(`${names(holders)} received all that it shows`);
  plan.state = 'blocked';
  plan.reason =
    `member ${member.ordinal} shows rows that perhaps nobody acknowledged: it is opened when ${record.required} of ` +
    `${names(record.ackers)} have them, ${holders.length} so far`;
}

/** Open, it could have nothing acknowledged, and so fill nobody: a clone waits for the commits that wait. */
function servesAsDonor(plan: Plan, primary: Answering): boolean {
  const { record, view } = plan;
  const others = plan.answering().filter((one) => one.member.ordinal !== primary.member.ordinal);
  const ackers = others.filter((one) => ackerOf(one, record, view) !== null);
  return (
    ackers.length < record.required &&
    others.some((one) => plan.wanted(one.member.ordinal) && awaitsClone(one, primary))
  );
}

function holdersOf(plan: Plan, shown: ServerView): MemberView[] {
  return plan
    .answering()
    .filter((one) => ackerOf(one, plan.record, plan.view) !== null && rowsOf(one.server).contains(shown.executed))
    .map(({ member }) => member);
}

/**
 * A primary that came back, closed: opened in place, or another chosen, whichever is sooner and safe. Here it answers
 * already, so in place; unless it can't be opened for want of ackers that have its rows, while enough others are there.
 */
function wiser(plan: Plan, { member, server }: Answering): boolean {
  const { record, view } = plan;
  if (server.epochRow?.epoch !== record.epoch || record.required === 0) return false;
  const ackers = plan.answering().filter((one) => ackerOf(one, record, view) !== null);
  const canSeal = lackingAckers(record, ackersAmong(ackers, record, view)) === 0;
  const floor = GtidSet.parse(record.floor);
  // One to take over, and enough to acknowledge to it: else the next one would be no better off.
  const others = plan
    .answering()
    .filter((one) => one.member.ordinal !== member.ordinal && rowsOf(one.server).contains(floor))
    .filter((one) => one.member.disk === null);
  return canSeal && ackers.length < record.required && others.length > record.required;
}
