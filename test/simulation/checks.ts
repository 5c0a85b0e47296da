/** What must hold, after every event and at the end: docs/clustering.md's promises and invariants, by number. */
import type { Decision } from '../../src/cluster/decision.ts';
import type { Acker, ClusterRecord, Incarnation } from '../../src/cluster/record.ts';
import type { MemberView, ServerView, View } from '../../src/cluster/view.ts';
import { GtidSet } from '../../src/gtid/gtid-set.ts';
import type { Brain } from './brain.ts';
import type { Data } from './data.ts';
import { Gtids } from './gtids.ts';
import { rowsIn, type Aside, type Member } from './member.ts';
import type { Server } from './server.ts';
import { nameOf, type Transaction } from './transaction.ts';
import type { World } from './world.ts';

/** What was so for this long, every look that counts has shown. */
const STEADY_MS = 1500;
/** A primary that waits in vain is ended, opened again and heard of by its ackers within this; and others get over all else. */
const STUCK_MS = 12_000;
const LONG_MS = 20_000;
/** Once for what began before, and once more. */
const MOST_ADMITTED = 2;

/** A member that answers in a session that holds its lock, and on which nothing is under way. */
interface Idle extends MemberView {
  readonly server: ServerView;
}

function idle(members: readonly MemberView[]): Idle[] {
  return members.flatMap((member) => {
    const { busy, contact } = member;
    return contact.kind === 'answers' && contact.server.locked && busy === null
      ? [{ ...member, server: contact.server }]
      : [];
  });
}

function rows(server: ServerView): GtidSet {
  return server.executed.union(server.replica?.received ?? GtidSet.EMPTY);
}

/** Whether one of these has all that any of them has, and can apply it. */
function hasHeir(some: readonly Data[]): boolean {
  return some.some((one) => {
    const rowsOfOne = rowsIn(one);
    return (
      !(one.applierFault && one.applied < one.relay.length) && some.every((other) => rowsOfOne.contains(rowsIn(other)))
    );
  });
}

/** One that S names as it was before its data was lost and after, and that is lost again, was two that could acknowledge. */
function lostServers({ ackers }: ClusterRecord, lost: ReadonlySet<number>): number {
  const named = (ordinal: number): Set<string> =>
    new Set(ackers.filter((acker) => acker.ordinal === ordinal).map(({ serverUuid }) => serverUuid));
  return [...lost].reduce((sum, ordinal) => sum + Math.max(1, named(ordinal).size), 0);
}

export class Checks {
  readonly #world: World;
  /** Rows that were answered with OK, in that order. */
  acknowledged: Transaction[] = [];
  /** How many of `acknowledged`, from the first on, a data directory is known to hold. Data only grows. */
  #verified = new WeakMap<Data, number>();
  /** Rows that were read through the primary endpoint, in the order in which they were first. */
  #read: Transaction[] = [];
  readonly #known = new Set<Transaction>();
  #readVerified = new WeakMap<Data, number>();
  /** Up to which position a data directory's rows have been read. */
  readonly #readTo = new WeakMap<Data, number>();
  heard = 0;
  /** Whether a loss is part of the bargain: asynchronous, or a fault that goes beyond the promise. */
  mayLose = false;
  #clusterRecord: ClusterRecord | null = null;
  /** The data that was opened in the newest epoch. */
  #leader: { readonly epoch: number; readonly data: Data } | null = null;

  /** Since when the primary has committed nothing though something waits; and since when it is as writable as it is. */
  #stuck = { at: '', sinceMs: 0 };
  #about = { state: '', sinceMs: 0 };
  #clonedMs = 0;
  /** How often each life of a member was taken into S since a fault last began or ended. */
  #admitted = { sinceMs: 0, times: new Map<string, number>() };
  /** Who recorded last that fewer acknowledgements are needed. */
  #loweredBy: Brain | null = null;
  /** The epoch in which each brain has given up the primary. */
  readonly #givenUp = new WeakMap<Brain, number>();
  /** Members whose data was lost, set aside or set back, until they have caught up. */
  readonly #lost = new Set<number>();

  constructor(world: World) {
    this.#world = world;
  }

  onRecord(record: ClusterRecord): void {
    const before = this.#clusterRecord;
    const { tampered } = this.#world.shelf;
    if (before !== null && record.epoch < before.epoch && !tampered)
      this.#world.fail(`the record went back to epoch ${record.epoch}`);
    this.#clusterRecord = record;
    if (before !== null && record.epoch === before.epoch && record.required > before.required) this.#isArmed(record);
    if (before?.epoch === record.epoch) this.#settles(before, record);
    if (before === null || record.epoch <= before.epoch) return;
    if (before.mode === 'asynchronous') this.#forgive(record);
    else if (before.primary !== null && before.required > 0 && !tampered) this.#floorIsNoHigher(before, record);
  }

  /** Who is taken into S stays there for as long as nothing happens but that disks are full. */
  #settles(before: ClusterRecord, { ackers }: ClusterRecord): void {
    const { disturbedMs, lasting } = this.#world;
    if (this.#admitted.sinceMs !== disturbedMs || lasting > 0)
      this.#admitted = { sinceMs: disturbedMs, times: new Map() };
    const { times } = this.#admitted;
    for (const { ordinal, serverUuid } of ackers) {
      if (before.ackers.some((acker) => acker.serverUuid === serverUuid)) continue;
      // One that was started anew is another case.
      const life = `${serverUuid} ${this.#world.member(ordinal).running?.startTime}`;
      const time = (times.get(life) ?? 0) + 1;
      times.set(life, time);
      if (time > MOST_ADMITTED)
        this.#world.fail(`S does not settle: member ${ordinal} is admitted for time ${time} since anything happened`);
    }
  }

  /** Asynchronous: what the new primary lacks was not promised. */
  #forgive({ primary }: ClusterRecord): void {
    const data = primary === null ? null : this.#world.member(primary.ordinal).data;
    const has = (transaction: Transaction): boolean => data?.holds(transaction) === true;
    this.acknowledged = this.acknowledged.filter(has);
    this.#read = this.#read.filter(has);
    this.#verified = new WeakMap();
    this.#readVerified = new WeakMap();
  }

  /** Invariant 7: stronger is done first, then recorded. */
  #isArmed({ primary, required }: ClusterRecord): void {
    const server = primary === null ? null : this.#world.member(primary.ordinal).server;
    if (server === null || server.data.serverUuid !== primary?.serverUuid || server.superReadOnly) return;
    if (server.source.active && server.source.required >= required) return;
    // Somebody shortened the timeout just then.
    if (server.timeoutMs < 1_000_000) return;
    this.#world.fail(`invariant 7: k = ${required} is recorded, but member ${server.ordinal} does not wait for it`);
  }

  onDecision(brain: Brain, decision: Decision, view: View): void {
    const { givenUp } = decision.memory;
    const before = this.#givenUp.get(brain);
    this.#givenUp.set(brain, givenUp?.epoch ?? -1);
    if (givenUp !== null && before !== givenUp.epoch) this.#isUnheard(view);
    if ((decision.record?.next.required ?? Infinity) < view.record.required) this.#loweredBy = brain;
    this.#goesOn(decision);
    this.#leadsToWhoWaits(decision, view);
    this.#floorIsDue(decision, view);
    this.#isErrant(decision, view);
    if (this.#world.shelf.tampered) this.#touchesNothing(decision, view);
    else if (decision.state === 'lost') this.#isLost(decision, view);
  }

  /** No wedge: while nothing is wrong with anybody, commits go on, and what a brain is about comes to an end. */
  #goesOn({ state }: Decision): void {
    const { shelf, time, members, wanted, lasting, disturbedMs } = this.#world;
    const { record } = shelf;
    const nowMs = time.nowMs;
    const primary = record?.primary == null ? null : this.#world.member(record.primary.ordinal).server;
    const at = `${record?.epoch} ${primary?.data.serverUuid} ${primary?.data.committed}`;
    // For acknowledgements, or for room.
    const waits = primary !== null && primary.data.committed < primary.data.end;
    if (!waits || this.#stuck.at !== at) this.#stuck = { at, sinceMs: nowMs };
    const about = state === 'healthy' || state === 'degraded' ? 'writable' : record === null ? '' : 'not writable';
    if (this.#about.state !== about) this.#about = { state: about, sinceMs: nowMs };
    if (record?.primary == null || shelf.tampered || lasting > 0 || this.#excused(record, ['errant'])) return;
    if (primary !== null && this.#waitsForRoom(primary, record)) {
      this.#stuck = { at, sinceMs: nowMs };
      return;
    }
    const calmMs = nowMs - Math.max(disturbedMs, this.#cloneMs());
    const up = ({ server, data }: Member): boolean => server?.listening === true && data?.full === false;
    const all = members.filter(({ ordinal }) => ordinal < wanted.replicas).every(up);
    const ackers = record.ackers.filter(
      (acker) => this.#dataOf(acker) !== null && up(this.#world.member(acker.ordinal)),
    );
    const stuckMs = Math.min(calmMs, nowMs - this.#stuck.sinceMs);
    if (waits && stuckMs > (ackers.length >= record.required ? STUCK_MS : LONG_MS)) {
      if (ackers.length >= record.required || all)
        this.#world.fail(
          `no commit in ${Math.round(stuckMs / 1000)} s at member ${primary?.ordinal}, though nothing is wrong`,
        );
    } else if (all && about === 'not writable' && Math.min(calmMs, nowMs - this.#about.sinceMs) > LONG_MS) {
      this.#world.fail(
        `${state} for ${LONG_MS / 1000} s though all members are there: ${this.#world.decision?.reason}`,
      );
    }
  }

  /** Nobody can take over from it, or see that there is room: MySQL itself looks once a minute. */
  #waitsForRoom({ data, waitsForRoom, holdsAcl }: Server, { ackers, required }: ClusterRecord): boolean {
    const able = ({ ordinal, serverUuid, bootId }: Acker): boolean => {
      const member = this.#world.member(ordinal);
      const same = member.data?.serverUuid === serverUuid && (this.#world.powerLoss || member.bootId === bootId);
      return same && member.server?.listening === true && member.data?.full === false;
    };
    const left = new Set(ackers.filter((acker) => !able(acker)).map(({ serverUuid }) => serverUuid));
    const here = ackers.filter(able).flatMap(({ ordinal }) => this.#world.member(ordinal).data ?? []);
    return (data.full && (left.size >= required || !hasHeir(here))) || (waitsForRoom > 0 && holdsAcl);
  }

  /** A clone is begun anew a minute after it has lost its donor. */
  #cloneMs(): number {
    const { members, time } = this.#world;
    if (members.some(({ server }) => server?.cloning != null)) this.#clonedMs = time.nowMs;
    return this.#clonedMs;
  }

  /** Invariant 7: no endpoint leads to a primary that is seen not to wait for acknowledgements. */
  #leadsToWhoWaits({ primary }: Decision, { record, members }: View): void {
    if (record.required === 0) return;
    for (const { ordinal, contact } of members) {
      if (!primary.members.includes(ordinal) || contact.kind !== 'answers' || !contact.server.locked) continue;
      const { access, source } = contact.server;
      if (access !== 'open' || (source.enabled && source.active)) continue;
      this.#world.fail(
        `invariant 7: clients are led to member ${ordinal}, which is seen not to wait for acknowledgements`,
      );
    }
  }

  /** `lost` is said only where it is true: enough ackers answer, sealed and idle, and one of them has all that they have. */
  #isLost({ reason }: Decision, { record, members }: View): void {
    if (record.primary === null || record.required === 0 || record !== this.#world.shelf.record) return;
    const here = idle(members).filter(({ disk }) => disk === null);
    const { ackers, left } = this.#ackersAmong(here, record);
    // Whoever k servers acknowledged to: one of these has it, if fewer than k are left.
    if (left >= record.required) return;
    const all = ackers.reduce((sum, { server }) => sum.union(rows(server)), GtidSet.parse(record.floor));
    // One whose applier was broken is not believed in before it is past its error.
    const able = here.filter(({ server }) => server.executed.contains(all));
    if (able.length === 0) return;
    this.#world.fail(
      `said to be lost although member ${able[0]?.ordinal} has everything, and enough ackers answer: ${reason}`,
    );
  }

  /** Invariant 8: nothing healthy is called errant. */
  #isErrant(decision: Decision, { record, members }: View): void {
    const primary = record.primary === null ? null : this.#dataOf(record.primary);
    if (primary === null) return;
    for (const { ordinal, state } of decision.members) {
      if (state !== 'errant') continue;
      const seen = members.find((member) => member.ordinal === ordinal)?.contact;
      if (seen?.kind !== 'answers') continue;
      if (rowsIn(primary).contains(Gtids.parse(rows(seen.server).toString())))
        this.#world.fail(`invariant 8: member ${ordinal} is called errant, though the primary has all that it has`);
    }
  }

  /** Which of these are in S, and of how many servers something of S is not among them. S may name a server twice. */
  #ackersAmong(here: readonly Idle[], { ackers }: ClusterRecord): { ackers: readonly Idle[]; left: number } {
    const is = (acker: Acker, { ordinal, bootId, server }: Idle): boolean =>
      ordinal === acker.ordinal &&
      server.serverUuid === acker.serverUuid &&
      (this.#world.powerLoss || bootId === acker.bootId);
    const missing = ackers.filter((acker) => !here.some((one) => is(acker, one)));
    return {
      ackers: here.filter((one) => ackers.some((acker) => is(acker, one))),
      left: new Set(missing.map(({ serverUuid }) => serverUuid)).size,
    };
  }

  /** Floor: what the one before had, and what k of S may have acknowledged by what is seen of them. */
  #floorIsDue(decision: Decision, { record, members }: View): void {
    const { next, why } = decision.record ?? {};
    if (next === undefined || why?.startsWith('failover') !== true || record.required === 0) return;
    const sealed = idle(members).filter(
      ({ server: { access, replica, sealed: stopped } }) =>
        access === 'closed' && (replica === null || (stopped && replica.receiver === 'off')),
    );
    const { ackers, left } = this.#ackersAmong(sealed, record);
    const needed = Math.max(1, record.required - left);
    const held = ackers.map(({ server }) => Gtids.parse(rows(server).toString()));
    const more = GtidSet.parse(next.floor).subtract(GtidSet.parse(record.floor));
    for (const row of Gtids.parse(more.toString()).each()) {
      const holders = held.filter((all) => all.has(row)).length;
      if (holders >= needed) continue;
      this.#world.fail(
        `the floor holds ${row.uuid.slice(0, 8)}:${row.number}, which ${holders} sealed ackers have, and ${left} were not ` +
          `seen: nobody can have been told OK, with k = ${record.required}`,
      );
      return;
    }
  }

  /** Invariant 5: unknown is not down. */
  #isUnheard({ record, members }: View): void {
    if (record.primary === null) return;
    const { ordinal, serverUuid } = record.primary;
    const { server } = this.#world.member(ordinal);
    const contact = members.find((one) => one.ordinal === ordinal)?.contact;
    if (server === null || server.process.frozen || !server.listening || server.data.serverUuid !== serverUuid) return;
    if (server.superReadOnly || server.holdsAcl) return;
    if (contact?.kind === 'refused') {
      this.#world.fail(`invariant 5: the primary, member ${ordinal}, is given up although it only refuses`);
      return;
    }
    const hears = members.filter(({ ordinal: other, contact: seen, busy }) => {
      const replica = this.#world.member(other).server;
      // What waits for room hears nothing, whatever it shows.
      if (seen.kind !== 'answers' || busy !== null || replica === null || replica.waitsForRoom > 0) return false;
      return replica.receiver.hearsForMs(server) >= STEADY_MS;
    });
    const ackers = record.ackers.filter((acker) => hears.some((one) => one.ordinal === acker.ordinal));
    // One that can have nothing acknowledged is no primary, whoever hears it.
    if (hears.length === 0 || ackers.length < record.required) return;
    this.#world.fail(
      `invariant 5: the primary, member ${ordinal}, is given up although it is well, and heard by ` +
        hears.map((one) => one.ordinal).join(', '),
    );
  }

  /** Invariant 10: data that has seen a higher epoch than the record is left alone. */
  #touchesNothing(decision: Decision, { record, members }: View): void {
    const ahead = members.some(
      ({ contact }) =>
        contact.kind === 'answers' &&
        contact.server.locked &&
        contact.server.epochRow?.clusterId === record.clusterId &&
        contact.server.epochRow.epoch > record.epoch,
    );
    const touching = decision.acts.filter(({ kind }) => kind !== 'start');
    if (!ahead || (touching.length === 0 && decision.record === null)) return;
    this.#world.fail(
      `invariant 10: the record is older than the data, and yet: ${touching.map(({ kind }) => kind).join(', ')}`,
    );
  }

  /** Invariant 7: no binlog that a member of S lacks is purged. */
  onPurged(server: Server): void {
    for (const acker of this.#world.shelf.record?.ackers ?? []) {
      const data = this.#dataOf(acker);
      if (data === null || rowsIn(data).contains(server.data.purged)) continue;
      this.#world.fail(`invariant 7: member ${server.ordinal} purged binlogs that acker ${acker.ordinal} lacks`);
    }
  }

  /** Invariant 8: old data goes when the new has all of it that was acknowledged. */
  onDropped({ ordinal, data }: Member, dropped: readonly Aside[]): void {
    for (const transaction of this.acknowledged) {
      if (!dropped.some((aside) => aside.data.holds(transaction)) || data?.holds(transaction) === true) continue;
      this.#world.fail(
        `invariant 8: member ${ordinal} drops old data with ${nameOf(transaction)}, which its new data lacks`,
      );
      return;
    }
  }

  /** A commit is over at the server that wrote it. `answered`: somebody is told OK. */
  onCommitted(server: Server, transaction: Transaction, answered: boolean): void {
    const { record } = this.#world.shelf;
    if (record?.primary?.serverUuid === server.data.serverUuid && record.epoch > (this.#leader?.epoch ?? 0)) {
      this.#opened(server, record.epoch);
    }
    // Somebody shortened the timeout: an OK without an acknowledgement is their doing.
    if (server.source.enabled && !server.source.active) {
      this.#known.add(transaction);
      return;
    }
    if (!answered) return;
    if (!this.mayLose) this.#enoughHoldIt(server, transaction);
    const { kind } = transaction.content;
    if (kind === 'barrier' || kind === 'epoch') return;
    if (!this.mayLose) this.#nothingBefore(server, transaction);
    this.acknowledged.push(transaction);
  }

  /** How many rows have been read so far. */
  get seen(): number {
    return this.#read.length;
  }

  /** What was read through the primary endpoint before this read began is still there. */
  onRead(server: Server, since: number): void {
    const { data } = server;
    // Restarted while no brain lives, on a platform whose endpoints outlive brains: it should be in none.
    if (!server.released) return;
    for (let i = this.#readVerified.get(data) ?? 0; i < Math.min(since, this.#read.length); i++) {
      const transaction = this.#read[i] as Transaction;
      if (!data.holds(transaction)) {
        this.#world.fail(
          `reads went back: member ${server.ordinal} does not show ${nameOf(transaction)}, which was read before`,
        );
        return;
      }
      this.#readVerified.set(data, i + 1);
    }
    const from = this.#readTo.get(data);
    this.#readTo.set(data, data.committed);
    if (from === undefined) for (const transaction of data.contents()) this.#see(transaction);
    else for (let at = Math.max(from, data.firstPosition); at < data.committed; at++) this.#see(data.at(at));
  }

  #see(transaction: Transaction): void {
    if (transaction.content.kind !== 'row' || this.#known.has(transaction)) return;
    this.#known.add(transaction);
    this.#read.push(transaction);
  }

  onAcknowledged(_row: number): void {
    this.heard++;
  }

  /** The recorded primary's first commit in an epoch: from now on it is the primary to the world. */
  #opened(server: Server, epoch: number): void {
    this.#leader = { epoch, data: server.data };
    this.#world.trace(`member ${server.ordinal} leads epoch ${epoch}`);
    if (!this.mayLose) this.#holdsAll(server.data, `member ${server.ordinal}, opened in epoch ${epoch},`);
  }

  /** Invariant 2: whoever acknowledges has all that was acknowledged before. */
  #nothingBefore(server: Server, transaction: Transaction): void {
    const leader = this.#leader;
    if (leader === null || leader.data === server.data) {
      this.#holdsAll(server.data, `member ${server.ordinal}, which answers OK to ${nameOf(transaction)},`);
      return;
    }
    // Invariant 1: what a former primary acknowledges late, the new one has.
    if (leader.data.holds(transaction)) return;
    this.#world.fail(
      `invariant 1: member ${server.ordinal} answers OK to ${nameOf(transaction)} although epoch ${leader.epoch} is led by ` +
        `another member, which lacks it: two ackable primaries`,
    );
  }

  #holdsAll(data: Data, who: string): void {
    for (let i = this.#verified.get(data) ?? 0; i < this.acknowledged.length; i++) {
      const transaction = this.acknowledged[i] as Transaction;
      if (!data.holds(transaction)) {
        this.#world.fail(`invariant 2: ${who} lacks ${nameOf(transaction)}, which was acknowledged: it is lost`);
        return;
      }
      this.#verified.set(data, i + 1);
    }
  }

  /** Invariant 7: as many recorded ackers have it as the record says. */
  #enoughHoldIt(server: Server, transaction: Transaction): void {
    const record = this.#world.shelf.record;
    if (record?.primary == null || record.primary.serverUuid !== server.data.serverUuid) return;
    const has = (acker: Acker): boolean =>
      transaction.receivedBy.has(acker.serverUuid) || this.#dataOf(acker)?.holds(transaction) === true;
    const holders = record.ackers.filter(has).length;
    if (holders >= record.required) return;
    this.#world.fail(
      `invariant 7: member ${server.ordinal} answers OK to ${nameOf(transaction)}, which ${holders} of the recorded ackers ` +
        `{${record.ackers.map(({ ordinal }) => ordinal).join(', ')}} have; the record says ${record.required}`,
    );
  }

  // ── What the promise covers ───────────────────────────────────────────────────────────────────────────────────────

  /** Its data, or what nobody but it had of it, is gone. */
  onLost(ordinal: number): void {
    this.#lost.add(ordinal);
  }

  /** Invariant 7: a member leaves S before it is wiped, or filled by a clone. */
  onDiscarded({ ordinal, data }: Member): void {
    // By the record that it was decided on.
    if (this.#world.shelf.tampered) return;
    const acker = this.#world.shelf.record?.ackers.find((one) => one.serverUuid === data?.serverUuid);
    if (acker !== undefined) this.#world.fail(`invariant 7: member ${ordinal} is in S, and its data is discarded`);
  }

  /** Floor: what the epoch before started from, and what members that could acknowledge in it have. */
  #floorIsNoHigher(before: ClusterRecord, { floor }: ClusterRecord): void {
    const most = Gtids.parse(before.floor);
    const named = [...before.ackers, ...(before.primary === null ? [] : [before.primary])];
    for (const { data } of this.#world.members) {
      if (data !== null && named.some((one) => one.serverUuid === data.serverUuid)) most.addAll(rowsIn(data));
    }
    if (!most.contains(Gtids.parse(floor))) this.#world.fail(`the floor ${floor} holds rows that no acker has`);
  }

  /** Whether every member has caught up with whatever it lost. */
  get whole(): boolean {
    const { record } = this.#world.shelf;
    if (record?.primary == null) return false;
    for (const lost of this.#lost) if (this.#caughtUp(lost, record)) this.#lost.delete(lost);
    return this.#lost.size === 0;
  }

  /** Whether the promise still holds if this member is lost, too, by the record and by any that is on its way to be it. */
  survives(ordinal: number): boolean {
    const { record, coming } = this.#world.shelf;
    return this.#survivesBy(record, ordinal) && [...coming].every((one) => this.#survivesBy(one, ordinal));
  }

  #survivesBy(record: ClusterRecord | null, ordinal: number): boolean {
    if (record?.primary == null) return false;
    for (const lost of this.#lost) if (this.#caughtUp(lost, record)) this.#lost.delete(lost);
    const broken = this.#world.members.filter(({ data }) => data?.brokenForGood === true);
    const lost = new Set([...this.#lost, ...broken.map((member) => member.ordinal), ordinal]);
    // A floor may hold rows that nobody acknowledged, an errant one for instance: without them `lost` is right.
    const floor = Gtids.parse(record.floor);
    const holds = ({ ordinal: other, data }: Member): boolean =>
      !lost.has(other) && data !== null && rowsIn(data).contains(floor);
    if (!this.#world.members.some(holds) || !this.#oneHasAll(record, lost)) return false;
    if (record.mode === 'quorum') return lostServers(record, lost) <= record.required;
    if (!lost.has(record.primary.ordinal)) return true;
    if (this.#mayBeLowered(record)) return false;
    const surviving = record.ackers.filter((acker) => !lost.has(acker.ordinal) && this.#dataOf(acker) !== null).length;
    return record.required > 0 && surviving >= Math.max(1, record.ackers.length - record.required + 1);
  }

  /**
   * Adaptive: where fewer are attached than k, a brain that has just seen that may be about to record it. One that has stood
   * still for longer looks again first.
   */
  #mayBeLowered({ primary, ackers, required }: ClusterRecord): boolean {
    const server = primary === null ? null : this.#world.member(primary.ordinal).server;
    const about = this.#world.livingBrains.some(({ process }) => process.frozenMs < STEADY_MS);
    if (server === null || !about) return ackers.length < required;
    // With a full disk it acknowledges nothing, attached or not.
    const attached = ackers.filter(
      (acker) =>
        this.#dataOf(acker)?.full === false &&
        this.#world.member(acker.ordinal).server?.receiver.hears(server) === true,
    );
    return attached.length < required;
  }

  /**
   * Rows of their own, as errant ones are, on two ackers: no member could take over that has both. Nor if one of them has
   * such rows, and what the primary wrote is still on its way to another.
   */
  #oneHasAll({ ackers, primary }: ClusterRecord, lost: ReadonlySet<number>): boolean {
    const rows = ackers.flatMap((acker) => {
      const data = lost.has(acker.ordinal) ? null : this.#dataOf(acker);
      return data === null ? [] : [rowsIn(data)];
    });
    const data = primary === null ? null : this.#dataOf(primary);
    const history = data === null ? new Gtids() : rowsIn(data);
    const due = data !== null && rows.some((some) => !history.contains(some)) ? [...rows, history] : rows;
    return rows.length === 0 || rows.some((all) => due.every((some) => all.contains(some)));
  }

  #caughtUp(ordinal: number, record: ClusterRecord): boolean {
    const { data, bootId } = this.#world.member(ordinal);
    if (data === null) return false;
    const now = (acker: Acker): boolean =>
      acker.serverUuid === data.serverUuid && (this.#world.powerLoss || acker.bootId === bootId);
    // As long as S names what it was before, too, that one's acknowledgements count, and can't be had any more.
    const named = record.ackers.filter((acker) => acker.ordinal === ordinal);
    const isPrimary = record.primary?.serverUuid === data.serverUuid;
    const recorded = named.every(now) && (isPrimary || named.length > 0);
    return recorded && this.acknowledged.every((transaction) => data.holds(transaction));
  }

  #dataOf({ ordinal, serverUuid }: Incarnation): Data | null {
    const { data } = this.#world.member(ordinal);
    return data?.serverUuid === serverUuid ? data : null;
  }

  /** Once faults have ended: null when all is well, else what is missing. */
  unsettled(): string | null {
    const { shelf, decision, wanted } = this.#world;
    const { record } = shelf;
    if (record?.primary == null || decision === null) return 'there is no primary yet';
    if (this.#excused(record)) return null;
    if (decision.state !== 'healthy') return `${decision.state}: ${decision.reason}`;
    if (record.mode !== wanted.mode) return `the mode is ${record.mode}, not ${wanted.mode}`;
    if (record.required !== wanted.required) return `k is ${record.required}, not ${wanted.required}`;
    const primary = this.#world.member(record.primary.ordinal).data;
    if (primary === null) return 'the primary has no data';
    const { source } = this.#world.member(record.primary.ordinal).server ?? {};
    if (record.required > 0 && source?.active !== true) return 'the primary does not wait for acknowledgements';
    for (const member of this.#world.members) {
      if (member.ordinal >= wanted.replicas) {
        if (member.running !== null) return `member ${member.ordinal} should have left`;
        continue;
      }
      if (member.server === null) return `member ${member.ordinal} does not run`;
      if (member.asides.length > 0) return `member ${member.ordinal} still has old data set aside`;
    }
    return null;
  }

  /** In a quorum of two, k is fixed and S can't shrink: an acker with rows of its own, or one that can't apply, is for people. */
  #excused({ mode, ackers, required }: ClusterRecord, states = ['errant', 'broken']): boolean {
    // Nor can a brain that took over tell a primary that hangs behind an account statement from one that it is cut off from.
    const server = this.#world.primary?.server;
    const hangs = server?.holdsAcl === true && server.source.enabled && server.source.required > required;
    if (hangs && this.#loweredBy?.alive !== true) return true;
    const unfit = this.#world.decision?.members.some(({ state }) => states.includes(state)) === true;
    return unfit && mode === 'quorum' && this.#world.wanted.replicas === 2 && ackers.length <= required;
  }

  /** Whether every member has the primary's rows, and nothing waits. */
  equal(): boolean {
    const { shelf, members, wanted } = this.#world;
    const { primary } = shelf.record ?? {};
    const leader = primary == null ? null : this.#world.member(primary.ordinal).data;
    if (leader === null || leader.committed < leader.end) return false;
    const all = leader.executed.toString();
    return members.every(({ ordinal, data }) => ordinal >= wanted.replicas || data?.executed.toString() === all);
  }

  /** With clients at rest: every member has the same, and all that was acknowledged. */
  atEnd(): void {
    const { shelf, members, wanted } = this.#world;
    const { record } = shelf;
    if (record?.primary == null || this.#excused(record)) return;
    const primary = this.#world.member(record.primary.ordinal).data;
    if (primary === null) return;
    if (!this.mayLose) this.#holdsAll(primary, `member ${record.primary.ordinal}, the primary at the end,`);
    for (const { ordinal, data } of members) {
      if (ordinal >= wanted.replicas || data === primary || data === null) continue;
      const [theirs, ours] = [data.executed.toString(), primary.executed.toString()];
      if (theirs !== ours) this.#world.fail(`members differ at the end: ${ordinal} has ${theirs}, the primary ${ours}`);
      for (const transaction of primary.contents()) {
        if (!data.holds(transaction))
          this.#world.fail(`member ${ordinal} has another transaction than the primary as ${nameOf(transaction)}`);
      }
    }
  }
}
