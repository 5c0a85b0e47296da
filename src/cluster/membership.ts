/**
 * Who may acknowledge (S), and how many must (k). Invariant 7: weaker is recorded first, then done; stronger is done
 * first, then recorded; one thing at a time.
 */
import {
  acknowledges,
  ackerOf,
  applierBroken,
  attached,
  errantRows,
  follows,
  isLockedOut,
  isSealed,
  knocksInVain,
  lacksPurged,
  mayFollow,
  names,
  rowsOf,
} from './assess.ts';
import { asAcker } from './create.ts';
import { heard, type Answering, type Plan } from './plan.ts';
import { sameIncarnation, type Acker } from './record.ts';

/** A receiver this far behind would hold up every commit that starts to wait for it. */
const CAUGHT_UP = 200n;

/** Admits one member that can follow at once; weaker, so it is recorded first. Says whether it wrote the record. */
export function admit(plan: Plan, primary: Answering): boolean {
  const { record } = plan;
  for (const one of plan.answering()) {
    if (!admissible(plan, one, primary)) continue;
    const acker = asAcker(one);
    // The same data after its machine restarted is another acker: the old one is dropped like any that is gone.
    const ackers = [...record.ackers, acker];
    return plan.write({ ...record, ackers }, `member ${acker.ordinal} may follow, and acknowledge`);
  }
  return false;
}

function admissible(plan: Plan, one: Answering, primary: Answering): boolean {
  const { member, server } = one;
  if (member.ordinal === primary.member.ordinal || !plan.wanted(member.ordinal)) return false;
  if (server.access !== 'closed' || server.source.enabled || member.busy !== null) return false;
  if (foreign(plan, one) || applierBroken(server) || member.disk !== null) return false;
  if (followsAnother(one, primary) || !mayFollow(server, primary.member)) return false;
  // It would leave again for being away, and so on.
  if (follows(server, primary.member) && knocksInVain(server)) return false;
  if (!errantRows(server, primary.server).isEmpty || lacksPurged(server, primary.server)) return false;
  if (awaitsClone(one, primary)) return false;
  return (
    ackerOf(one, plan.record, plan.view) === null && !plan.record.ackers.some((acker) => same(acker, asAcker(one)))
  );
}

/** Its receiver may still acknowledge to somebody else than the primary. */
export function followsAnother({ server }: Answering, primary: Answering): boolean {
  return !isSealed(server) && server.replica?.receiver !== 'off' && !follows(server, primary.member);
}

function same(a: Acker, b: Acker): boolean {
  return sameIncarnation(a, b) && a.bootId === b.bootId;
}

/** Data that another cluster wrote. */
export function foreign(plan: Plan, { server }: Answering): boolean {
  return server.epochRow !== null && server.epochRow.clusterId !== plan.record.clusterId;
}

/** An empty member is filled by a clone where that is quicker than the whole history, or the history is gone. */
export function awaitsClone({ server }: Answering, primary: Answering): boolean {
  return rowsOf(server).isEmpty && (!primary.server.purged.isEmpty || primary.server.executed.count > 5000n);
}

/** S and k towards what the resource asks for; the primary answers. */
export function shape(plan: Plan, primary: Answering): void {
  settleSource(plan, primary);
  if (plan.writes) return;
  if (lower(plan, primary) || changeMode(plan)) return;
  const leaver = leaving(plan, primary);
  settleAccounts(plan, primary, leaver);
  if (primary.server.access !== 'open') return;
  // S and k are shaped by what the primary shows: not while something there is being changed.
  if (!plan.settled(primary.member)) return;
  if (leaver !== null && remove(plan, primary, leaver)) return;
  raise(plan, primary);
}

/** The accounts that are unlocked are those of S, no more and no less. */
function settleAccounts(plan: Plan, { member, server }: Answering, leaver: Acker | null): void {
  // Closed, this is part of preparing it.
  if (server.access !== 'open') return;
  const { source } = server;
  const may = new Set(plan.record.ackers.filter((acker) => acker !== leaver).map((acker) => acker.ordinal));
  const mayNot = [
    ...new Set([...source.unlocked, ...source.connected, ...notLockedOut(plan, { member, server })]),
  ].filter((ordinal) => !may.has(ordinal));
  const locked = [...may].filter((ordinal) => !source.unlocked.includes(ordinal));
  if (mayNot.length > 0) {
    plan.act(member, { kind: 'lock-out', ordinals: mayNot }, `${names(mayNot.map(byOrdinal))} may not acknowledge`);
  } else if (locked.length > 0) {
    plan.act(member, { kind: 'unlock', ordinals: locked }, `${names(locked.map(byOrdinal))} may follow`);
  }
}

/** Somebody may have locked them out half-way: what was still logging in then is not seen, and would acknowledge. */
function notLockedOut(plan: Plan, { member, server }: Answering): number[] {
  return plan.view.members
    .map(({ ordinal }) => ordinal)
    .filter((ordinal) => ordinal !== member.ordinal && !server.lockedOut.includes(ordinal));
}

function byOrdinal(ordinal: number): { ordinal: number } {
  return { ordinal };
}

/** What the server waits for is what the record says, or about to be recorded. */
function settleSource(plan: Plan, { member, server }: Answering): void {
  const { record } = plan;
  if (server.access !== 'open') return;
  const { source } = server;
  const waitsFor = source.enabled ? source.required : 0;
  if (waitsFor === record.required) return;
  if (waitsFor > record.required && raiseTo(plan, { member, server }) >= waitsFor) return;
  plan.act(member, { kind: 'set-required', required: record.required }, 'as recorded');
}

/** To stay, attached to this primary, acknowledging if that is asked for, and not far behind in what it received. */
function inSync(plan: Plan, primary: Answering): Answering[] {
  return plan
    .answering()
    .filter(
      (one) =>
        plan.wanted(one.member.ordinal) &&
        ackerOf(one, plan.record, plan.view) !== null &&
        acknowledges(one, primary) &&
        !applierBroken(one.server) &&
        errantRows(one.server, primary.server).isEmpty &&
        primary.server.executed.subtract(rowsOf(one.server)).count <= CAUGHT_UP,
    );
}

function raiseTo(plan: Plan, primary: Answering): number {
  const { wanted, record } = plan.view;
  if (wanted.mode === 'asynchronous') return 0;
  const able = inSync(plan, primary).length;
  if (wanted.mode === 'adaptive') return Math.max(record.required, Math.min(wanted.required, able));
  return able >= wanted.required ? Math.max(record.required, wanted.required) : record.required;
}

/** More acknowledgements: asked for first, proven by a barrier, then recorded. */
function raise(plan: Plan, primary: Answering): void {
  const { record } = plan;
  const { member, server } = primary;
  const required = raiseTo(plan, primary);
  if (required <= record.required) return;
  // Only S may be attached before any acknowledgement counts.
  const may = record.ackers.map((acker) => acker.ordinal);
  if ([...server.source.unlocked, ...notLockedOut(plan, primary)].some((ordinal) => !may.includes(ordinal))) return;
  // Somebody shortened its timeout: it would go on so.
  if (server.source.enabled && !server.source.active) {
    plan.act(member, { kind: 'set-required', required: 0 }, 'it has given up waiting: to be switched on anew');
    return;
  }
  const { source } = server;
  if (!source.enabled || source.required !== required) {
    plan.act(member, { kind: 'set-required', required }, `${required} members are in sync`);
    return;
  }
  if (!passed(plan, primary, `raise to ${required} in epoch ${record.epoch}`)) return;
  plan.write({ ...record, required }, `every write now waits for ${required} acknowledgements`);
}

/** Fewer acknowledgements: recorded first. Says whether it wrote the record. */
function lower(plan: Plan, primary: Answering): boolean {
  const { record, view } = plan;
  const { mode, required } = view.wanted;
  if (record.required === 0) return false;
  if (mode === 'asynchronous')
    return plan.write({ ...record, required: 0 }, 'the resource asks for no acknowledgement');
  if (record.required > required) {
    // Members that leave go first, as long as enough remain.
    const spare = record.ackers.length > record.required;
    const going = record.ackers.some((acker) => !plan.wanted(acker.ordinal));
    // Who can't acknowledge any more can't be waited for, either.
    if (spare && going && inSync(plan, primary).length >= record.required) return false;
    return plan.write({ ...record, required }, `${view.wanted.replicas} members need ${required} acknowledgements`);
  }
  if (mode !== 'adaptive') return false;
  const able = inSync(plan, primary).length;
  if (able >= record.required) return false;
  const lastedMs = plan.lasting('too few in sync');
  // No use in waiting for members that are known to be down; the others get their time, as after an opening.
  const running = plan.view.members.filter(
    ({ ordinal, process }) =>
      plan.wanted(ordinal) && process.kind === 'running' && record.ackers.some((acker) => acker.ordinal === ordinal),
  ).length;
  const left = lastedMs < view.wanted.limits.detectionMs ? Math.max(able, running) : able;
  if (left >= record.required) return false;
  return plan.write(
    { ...record, required: left },
    `only ${left} of ${names(record.ackers)} can acknowledge: writes go on`,
  );
}

/** A weaker mode is recorded at once; quorum, when as many acknowledge as it takes. Says whether it wrote the record. */
function changeMode(plan: Plan): boolean {
  const { record, view } = plan;
  const { mode, required } = view.wanted;
  if (record.mode === mode) return false;
  if (mode === 'quorum' && record.required < required) return false;
  return plan.write({ ...record, mode }, `the resource asks for ${mode}`);
}

/** The acker that should leave S next, if S can shrink. */
function leaving(plan: Plan, primary: Answering): Acker | null {
  const { record } = plan;
  if (record.ackers.length <= record.required) {
    // An incarnation that is gone can go as soon as it is one too many.
    return null;
  }
  const reasons = record.ackers.map((acker) => ({ acker, worse: unfit(plan, acker, primary) }));
  const worst = reasons
    .filter(({ acker, worse }) => worse > 0 && canBeSpared(plan, acker, primary))
    .sort((a, b) => b.worse - a.worse || b.acker.ordinal - a.acker.ordinal)[0];
  return worst?.acker ?? null;
}

/** As long as too few others are attached, one that is attached goes on acknowledging: without it, writes would stand still. */
function canBeSpared(plan: Plan, acker: Acker, primary: Answering): boolean {
  const acknowledging = plan
    .answering()
    .filter((one) => acknowledges(one, primary))
    .map((one) => ackerOf(one, plan.record, plan.view));
  const others = acknowledging.filter((one) => one !== null && one !== acker);
  return !acknowledging.includes(acker) || others.length >= plan.record.required;
}

/**
 * Whether what is under its ordinal now is other data, or has lost what was not on its disk: it acknowledges no more. Who
 * can't be seen is what was seen, and admitted, last.
 */
function isReplaced(plan: Plan, acker: Acker): boolean {
  const { ackers } = plan.record;
  const member = plan.member(acker.ordinal);
  const server = heard(member);
  if (server === null) return ackers.slice(ackers.indexOf(acker) + 1).some(({ ordinal }) => ordinal === acker.ordinal);
  return (
    server.serverUuid !== acker.serverUuid || (!plan.view.wanted.limits.powerLoss && member?.bootId !== acker.bootId)
  );
}

/** 0: fit. Else the higher, the sooner it goes. */
function unfit(plan: Plan, acker: Acker, primary: Answering): number {
  const member = plan.member(acker.ordinal);
  const outKey = `out ${acker.ordinal} ${acker.serverUuid}`;
  if (member === undefined || acker.ordinal === primary.member.ordinal) return 5;
  const server = heard(member);
  if (isReplaced(plan, acker)) return 5;
  // Until the epoch is open it acknowledges like any other: while one is cut off, MySQL hears who attaches a second late.
  const opened = primary.server.epochRow?.epoch === plan.record.epoch;
  if (!plan.wanted(acker.ordinal) && opened) return 2;
  if (server !== null && (applierBroken(server) || lacksPurged(server, primary.server))) return 4;
  if (server !== null && !errantRows(server, primary.server).isEmpty) return 4;
  // Where the primary can't write either, it is the disk of all of them.
  const full = member.disk !== null && primary.member.disk === null;
  if (server !== null && !full && attached(server, primary.member, primary.server.serverUuid)) return 0;
  if (primary.server.access !== 'open') return 0;
  // One that may not log in yet can't be attached; one that was locked out for being away goes on leaving, unless it is
  // back and only the lock keeps it out: it may be the one that writes, and the barrier for its leaving, wait for.
  const mayLogIn = primary.server.source.unlocked.includes(acker.ordinal);
  const knocks = server !== null && follows(server, primary.member) && isLockedOut(server);
  if (!mayLogIn && (knocks || plan.before.since[outKey] === undefined)) return 0;
  return plan.lasting(outKey) >= plan.view.wanted.limits.detectionMs ? 3 : 0;
}

/** One acker fewer: locked out and seen gone, a barrier passed by the rest, then recorded. */
function remove(plan: Plan, primary: Answering, leaver: Acker): boolean {
  const { record } = plan;
  const { source } = primary.server;
  const ackers = record.ackers.filter((acker) => acker !== leaver);
  const shared = ackers.some((acker) => acker.ordinal === leaver.ordinal) && isReplaced(plan, leaver);
  // Its successor under the same ordinal uses the same account; one process an ordinal is the platform's promise.
  const lockedOut = primary.server.lockedOut.includes(leaver.ordinal) || leaver.ordinal === primary.member.ordinal;
  const gone = !source.unlocked.includes(leaver.ordinal) && !source.connected.includes(leaver.ordinal);
  if (!shared && !(lockedOut && gone)) return false;
  const purpose = `S without ${leaver.ordinal}/${leaver.serverUuid.slice(0, 8)}/${leaver.bootId.slice(0, 8)} in epoch ${record.epoch}`;
  if (record.required > 0 && !passed(plan, primary, purpose)) return false;
  return plan.write({ ...record, ackers }, `member ${leaver.ordinal} acknowledges no more`);
}

/** Whether a barrier of this purpose has passed; asks for one if none is under way. */
export function passed(plan: Plan, { member, server }: Answering, purpose: string): boolean {
  const { barrier } = plan.view;
  plan.soon();
  if (!plan.settled(member)) return false;
  if (barrier?.purpose === purpose && barrier.state === 'passed') return server.source.active;
  if (barrier?.state !== 'pending') plan.act(member, { kind: 'barrier', purpose }, purpose);
  return false;
}
