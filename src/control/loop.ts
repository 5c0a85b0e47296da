/**
 * The loop: observe, decide, record, act; again at once after an act, else on an event, and at least once a second. A cluster
 * at rest is looked at once a second, and its primary alone in between, as often as its silence must be noticed.
 * The only place where a decision meets an action.
 */
import { decide } from '../cluster/decide.ts';
import {
  NO_MEMORY,
  type Act,
  type Decision,
  type EndpointWish,
  type Memory,
  type Outcome,
} from '../cluster/decision.ts';
import type { ClusterRecord } from '../cluster/record.ts';
import {
  runsAs,
  type BarrierView,
  type Contact,
  type HostView,
  type MemberView,
  type ProcessId,
  type ServerView,
  type SwitchoverRequest,
  type View,
  type Wanted,
} from '../cluster/view.ts';
import type { EndpointTarget, MemberLink, Ports, VersionedRecord } from './port.ts';
import { SupersededError } from './superseded.ts';

export interface LoopOptions extends Ports {
  /** What the resource asks for now. */
  readonly wanted: () => Wanted;
  /** Called after every decision. */
  readonly onDecision?: (decision: Decision, view: View) => void;
}

/** A member that answers is waited for so long; one that did not the last time, hardly at all. */
const ANSWER_MS = 250;
const SILENT_MS = 5;
/** A look that took longer than all waiting in it was interrupted: the process stood still, and what it saw is long past. */
const STALE_MS = 2 * ANSWER_MS + 500;
/** On a machine that is that slow all the time, something is decided all the same. */
const LOOKS_AGAIN = 3;
/** Acts are over by then, one way or the other; a clone or a rebuild takes as long as it takes. */
const ACT_MS = 10_000;
const LONG_ACTS: ReadonlySet<Act['kind']> = new Set(['clone', 'rebuild', 'start', 'retire', 'restart', 'drop-aside']);
/** A barrier waits as long as commits do; it is looked at again and again meanwhile. */
const WRITE_MS = 3_600_000;
/** Bounds the records that one look at the members may lead to. */
const WRITES_PER_LOOK = 4;
/** An act that takes this long no longer keeps its member from being looked at. */
const BUSY_MS = 1000;
const RECORD_RETRY_MS = 200;
/**
 * What lasts is looked at ever less often, down to this: its end is noticed later by a tenth of its length at most.
 * Else a cluster that waits for somebody to come back would ask all members the same, dozens of times a second, for hours.
 */
const SELDOM_MS = 300;
const NOTICED_WITHIN = 1 / 10;
/** Between two attempts at an act that failed. */
const FAILED_PAUSE_MS = 100;
const FAILED_LONG_PAUSE_MS = 2000;

interface Job {
  readonly act: Act;
  readonly sinceMs: number;
}

export class Loop {
  readonly #options: LoopOptions;
  readonly #links = new Map<number, MemberLink>();
  readonly #contacts = new Map<number, Contact>();
  readonly #jobs = new Map<number, Job>();
  readonly #failures = new Map<number, NonNullable<MemberView['failure']>>();
  /** When each member was last begun to be looked at, and when its last act ended. */
  readonly #lookedAtMs = new Map<number, number>();
  readonly #actedAtMs = new Map<number, number>();
  /** When an act last failed, by its name: it is not tried again at once. */
  readonly #failedAtMs = new Map<string, number>();
  #barrier: BarrierView | null = null;
  #barrierEndedAtMs = 0;
  #current: VersionedRecord | null = null;
  #term = 0;
  /** The highest term that this brain tried to write: one whose swap got no answer may be its own. */
  #tried = 0;
  #memory: Memory = NO_MEMORY;
  #switchover: SwitchoverRequest | null = null;
  #answered: Outcome | null = null;
  #restarts: readonly { readonly ordinal: number; readonly process: ProcessId }[] = [];
  #requests = 0;
  #lastSaid = '';
  /** Since when every decision said the same, and that nothing was to be done. */
  #sameSinceMs = 0;
  #lastPointed = '';
  #wake: () => void = () => undefined;
  #woken = false;
  #decision: Decision | null = null;
  #view: View | null = null;

  constructor(options: LoopOptions) {
    this.#options = options;
  }

  /** The newest decision and what it rests on; null before the first. */
  get latest(): { readonly decision: Decision; readonly view: View } | null {
    return this.#decision === null || this.#view === null ? null : { decision: this.#decision, view: this.#view };
  }

  /** Runs until `signal` aborts; rejects with SupersededError if another brain has taken over. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = this.#options.hosts.onChange(() => this.#poke());
    const onAbort = (): void => this.#poke();
    signal.addEventListener('abort', onAbort);
    try {
      await this.#takeTerm(signal);
      while (!signal.aborted) await this.#turn(signal);
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
      await Promise.all([...this.#links.values()].map((link) => link.close()));
    }
  }

  /** Resolves with how it ended. */
  async switchover(to: number | null, signal: AbortSignal): Promise<{ done: boolean; reason: string }> {
    const request = { id: ++this.#requests, to };
    this.#switchover = request;
    this.#journal('request', to === null ? 'a switchover' : `a switchover to member ${to}`);
    this.#poke();
    while (!signal.aborted) {
      if (this.#answered?.id === request.id) return this.#answered;
      if (this.#switchover !== request) return { done: false, reason: 'another switchover was asked for meanwhile' };
      await this.#options.clock.sleep(5, signal);
    }
    if (this.#switchover === request) this.#switchover = null;
    return { done: false, reason: `not begun: ${this.#decision?.reason ?? 'no decision yet'}` };
  }

  /** Asks for members' processes to be replaced, one by one; the primary last, after a switchover. */
  restart(ordinals: readonly number[]): void {
    this.#restarts = this.#options.hosts
      .list()
      .flatMap(({ ordinal, process }) =>
        ordinals.includes(ordinal) && process.kind === 'running' ? [{ ordinal, process: process.id }] : [],
      );
    this.#journal('request', `a restart of ${ordinals.map((ordinal) => `member ${ordinal}`).join(', ')}`);
    this.#poke();
  }

  /** Members whose restart was asked for and is still to come. */
  restarting(): number[] {
    return this.#stillRunning().map(({ ordinal }) => ordinal);
  }

  #stillRunning(): { readonly ordinal: number; readonly process: ProcessId }[] {
    if (this.#restarts.length === 0) return [];
    const hosts = this.#options.hosts.list();
    return this.#restarts.filter(({ ordinal, process }) =>
      hosts.some((host) => host.ordinal === ordinal && runsAs(host.process, process)),
    );
  }

  /** What the resource asks for has changed, or something happened outside. */
  poke(): void {
    this.#poke();
  }

  async #turn(signal: AbortSignal): Promise<void> {
    this.#woken = false;
    let view = await this.#fresh();
    // What was seen holds for the new record as well: what follows from it need not be seen again first.
    for (let writes = 0; writes < WRITES_PER_LOOK && (await this.#step(view, signal)) === 'recorded'; writes++) {
      // Unless the process stood still while it wrote, or the store took that long.
      if (this.#options.clock.nowMs() - view.nowMs > STALE_MS) return;
      view = { ...view, record: this.#record(), barrier: this.#barrier };
    }
  }

  async #step(view: View, signal: AbortSignal): Promise<'recorded' | 'done'> {
    const decision = decide(view, this.#memory);
    this.#decision = decision;
    this.#view = view;
    this.#say(decision);
    this.#point(decision, view);
    // Shown to one decision and no more: a barrier proves what held when it passed.
    if (view.barrier !== null && view.barrier.state !== 'pending' && this.#barrier === view.barrier)
      this.#barrier = null;
    this.#options.onDecision?.(decision, view);
    if (decision.record !== null) {
      if (!(await this.#write(decision.record.next, decision.record.why, signal))) return 'done';
      this.#remember(decision.memory);
      return 'recorded';
    }
    this.#remember(decision.memory);
    for (const act of decision.acts) this.#begin(act);
    const nowMs = this.#options.clock.nowMs();
    if (decision.acts.length > 0) this.#sameSinceMs = nowMs;
    const seldomMs = Math.min(SELDOM_MS, (nowMs - this.#sameSinceMs) * NOTICED_WITHIN);
    const restMs = Math.min(Math.max(decision.againMs, seldomMs), decision.dueMs ?? Infinity);
    await this.#restWatching(restMs, decision.glanceMs, signal);
    return 'done';
  }

  /** A request is over with its outcome: the brain's own switchovers have outcomes, too, and must not bring it back. */
  #remember(memory: Memory): void {
    this.#memory = memory;
    const { outcome } = memory;
    if (outcome === null || outcome.id !== this.#switchover?.id) return;
    this.#answered = outcome;
    this.#switchover = null;
  }

  async #fresh(): Promise<View> {
    const { clock } = this.#options;
    for (let again = 0; ; again++) {
      const sinceMs = clock.nowMs();
      const view = await this.#observe();
      if (view.nowMs - sinceMs <= STALE_MS || again === LOOKS_AGAIN) return view;
    }
  }

  /** Replicas first, the primary after them: its history is read after their rows (invariant 8). */
  async #observe(): Promise<View> {
    const { clock, hosts, wanted } = this.#options;
    const record = this.#record();
    const want = wanted();
    const listed = hosts.list();
    const absent = Array.from({ length: want.replicas }, (_, ordinal) => ordinal)
      .filter((ordinal) => !listed.some((host) => host.ordinal === ordinal))
      .map(unborn);
    const primary = record.primary?.ordinal;
    await Promise.all(listed.filter((host) => host.ordinal !== primary).map((host) => this.#look(host)));
    // A barrier counts for what is seen of the primary after it passed.
    const ended = this.#barrier;
    await Promise.all(listed.filter((host) => host.ordinal === primary).map((host) => this.#look(host)));
    // An answer that comes late is to a question from before.
    const early = ended !== null && this.#barrierEndedAtMs > (this.#lookedAtMs.get(primary ?? -1) ?? 0);
    const barrier: BarrierView | null = early ? { ...ended, state: 'pending' } : ended;
    // The platform is asked after the servers: a process that ended meanwhile is known to have ended.
    const now = hosts.list();
    return {
      nowMs: clock.nowMs(),
      record,
      wanted: want,
      members: [...listed, ...absent]
        .map((asked) => ({ asked, host: now.find((later) => later.ordinal === asked.ordinal) ?? asked }))
        .sort((a, b) => a.host.ordinal - b.host.ordinal)
        .map(({ asked, host }) => this.#member(host, asked)),
      barrier,
      switchover: this.#switchover,
      restarts: this.#stillRunning(),
      openConnections: this.#options.endpoints.openConnections(),
    };
  }

  /** `asked`: what was known of it when it was asked. What a process said that is over by now, it says no more. */
  #member(host: HostView, asked: HostView): MemberView {
    // One that is there no more, its data neither perhaps, is not asked: what it said last is of another life.
    const heard = host.process.kind === 'absent' ? undefined : this.#contacts.get(host.ordinal);
    const said: Contact = heard ?? { kind: 'unseen' };
    const over = said.kind === 'answers' && asked.process.kind === 'running' && !runsAs(host.process, asked.process.id);
    const contact: Contact = over
      ? { kind: 'unreachable', error: 'its process ended', closedPort: false, sinceMs: this.#options.clock.nowMs() }
      : said;
    // What was asked before an act ended does not show what the act did; one that does not answer shows nothing.
    const acted = (this.#actedAtMs.get(host.ordinal) ?? -1) >= (this.#lookedAtMs.get(host.ordinal) ?? 0);
    const stale = acted && contact.kind === 'answers';
    return {
      ...host,
      disk:
        host.disk ??
        (contact.kind === 'answers' && contact.server.waitsForRoom ? 'disk full: MySQL waits for room' : null),
      contact,
      busy: this.#jobs.get(host.ordinal)?.act.kind ?? (stale ? 'settling' : null),
      failure: this.#failures.get(host.ordinal) ?? null,
    };
  }

  async #look({ ordinal, process }: HostView): Promise<void> {
    const before = this.#contacts.get(ordinal);
    if (process.kind === 'absent') {
      this.#contacts.delete(ordinal);
      this.#lookedAtMs.set(ordinal, this.#options.clock.nowMs());
      return;
    }
    // It would answer late, and nothing is begun on it before the act is over.
    const job = this.#jobs.get(ordinal);
    if (job !== undefined && before !== undefined && this.#options.clock.nowMs() - job.sinceMs < BUSY_MS) return;
    const deadlineMs = before?.kind === 'silent' ? SILENT_MS : ANSWER_MS;
    // An answer that is still to come was asked for earlier.
    if (before?.kind !== 'silent') this.#lookedAtMs.set(ordinal, this.#options.clock.nowMs());
    const link = this.#link(ordinal);
    const contact = await link.observe(deadlineMs);
    this.#contacts.set(ordinal, contact);
    const nowMs = this.#options.clock.nowMs();
    if (before?.kind !== 'silent' || contact.kind !== 'answers') return;
    // What it was asked long ago may be long past. One that is always so slow is believed all the same.
    if (nowMs - (this.#lookedAtMs.get(ordinal) ?? nowMs) <= STALE_MS) return;
    const again = await link.observe(ANSWER_MS);
    if (again.kind === 'silent') return;
    this.#lookedAtMs.set(ordinal, nowMs);
    this.#contacts.set(ordinal, again);
  }

  #link(ordinal: number): MemberLink {
    const known = this.#links.get(ordinal);
    if (known !== undefined) return known;
    const link = this.#options.link(ordinal);
    link.onBroken(() => this.#poke());
    this.#links.set(ordinal, link);
    return link;
  }

  #begin(act: Act): void {
    const { clock } = this.#options;
    const sinceMs = clock.nowMs();
    const failedMs = this.#failedAtMs.get(this.#name(act));
    const pauseMs = LONG_ACTS.has(act.kind) ? FAILED_LONG_PAUSE_MS : FAILED_PAUSE_MS;
    if (failedMs !== undefined && sinceMs - failedMs < pauseMs) return;
    this.#journal('act', `${this.#name(act)}: ${act.why}`);
    if (act.kind === 'barrier' || act.kind === 'write-epoch') {
      const purpose = act.kind === 'barrier' ? act.purpose : epochRow(act.epoch);
      const barrier: BarrierView = { purpose, state: 'pending', sinceMs };
      this.#barrier = barrier;
      const end = (state: 'passed' | 'failed'): void => {
        if (this.#barrier !== barrier) return;
        this.#barrier = { ...barrier, state };
        this.#barrierEndedAtMs = clock.nowMs();
      };
      void this.#carryOut(act, sinceMs).then((error) => end(error === null ? 'passed' : 'failed'));
      return;
    }
    // What a barrier proves of the primary holds until something is changed there. The epoch's row proves nothing else.
    const { primary, epoch } = this.#record();
    if (act.ordinal === primary?.ordinal && this.#barrier?.purpose !== epochRow(epoch)) this.#barrier = null;
    const job: Job = { act, sinceMs };
    this.#jobs.set(act.ordinal, job);
    void this.#carryOut(act, sinceMs).then((error) => {
      // A kill may have taken the place of a statement that hung.
      if (this.#jobs.get(act.ordinal) === job) this.#jobs.delete(act.ordinal);
      this.#actedAtMs.set(act.ordinal, clock.nowMs());
      if (error === null) this.#failures.delete(act.ordinal);
      else this.#failures.set(act.ordinal, { act: act.kind, error, atMs: clock.nowMs() });
      this.#poke();
    });
  }

  /** What went wrong, or null. */
  async #carryOut(act: Act, sinceMs: number): Promise<string | null> {
    const { clock } = this.#options;
    let error: string | null = null;
    try {
      await this.#perform(act);
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
    }
    if (error === null) this.#failedAtMs.delete(this.#name(act));
    else this.#failedAtMs.set(this.#name(act), clock.nowMs());
    const ms = Math.round(clock.nowMs() - sinceMs);
    this.#journal(
      error === null ? 'done' : 'failed',
      error === null ? this.#name(act) : `${this.#name(act)}: ${error}`,
      ms,
    );
    this.#poke();
    return error;
  }

  #perform(act: Act): Promise<void> {
    const { hosts, clock } = this.#options;
    switch (act.kind) {
      case 'start':
        return hosts.start(act.ordinal);
      case 'kill':
        return hosts.kill(act.ordinal, act.process);
      case 'restart':
        return hosts.restart(act.ordinal, act.process);
      case 'retire':
        return hosts.retire(act.ordinal, act);
      case 'rebuild':
        return hosts.rebuild(act.ordinal, act.discard, act.rows, act.errant);
      case 'drop-aside':
        return hosts.dropAside(act.ordinal);
      default: {
        const write = act.kind === 'barrier' || act.kind === 'write-epoch';
        const limitMs = write || LONG_ACTS.has(act.kind) ? WRITE_MS : ACT_MS;
        return this.#link(act.ordinal).perform(act, clock.deadline(limitMs));
      }
    }
  }

  #name(act: Act): string {
    return `${act.kind} member ${act.ordinal}`;
  }

  /** A new term first: what another brain has under way can no longer be recorded. */
  async #takeTerm(signal: AbortSignal): Promise<void> {
    const { records, clock } = this.#options;
    while (!signal.aborted) {
      try {
        const found = await records.read();
        if (found === null) throw new Error('there is no record of this cluster');
        if (this.#term > 0 && found.record.term > this.#tried) throw new SupersededError(this.#term, found.record.term);
        const record = { ...found.record, term: found.record.term + 1 };
        this.#tried = record.term;
        if ((await records.swap(found.version, record)) === 'written') {
          this.#term = record.term;
          this.#current = { version: found.version + 1, record };
          this.#barrier = null;
          this.#journal('record', `term ${record.term} begins`);
          return;
        }
      } catch (error) {
        if (error instanceof SupersededError) throw error;
        this.#journal('failed', `the record: ${error instanceof Error ? error.message : String(error)}`);
        await clock.sleep(RECORD_RETRY_MS, signal);
      }
    }
  }

  /** Rejects if the record names another brain's term. For links, whenever they took a lock. */
  async confirm(): Promise<void> {
    const before = this.#term;
    const found = await this.#options.records.read();
    if (found === null || found.record.term === this.#term) return;
    // Links reconnect while a new term is being written: what was read may be this brain's own.
    const writing = before !== this.#term || this.#tried !== this.#term;
    if (writing && found.record.term <= this.#tried) throw new Error('the record is being written: to be asked again');
    throw new SupersededError(this.#term, found.record.term);
  }

  /** Says whether it is written. A swap without an answer is neither: the record is written once more, under a new term. */
  async #write(next: ClusterRecord, why: string, signal: AbortSignal): Promise<boolean> {
    const { records, clock } = this.#options;
    const current = this.#current;
    if (current === null) return false;
    const sinceMs = clock.nowMs();
    let outcome: 'written' | 'conflict';
    this.#tried = next.term;
    try {
      outcome = await records.swap(current.version, next);
    } catch (error) {
      this.#journal(
        'failed',
        `the record: ${error instanceof Error ? error.message : String(error)}; read again under a new term`,
      );
      await this.#takeTerm(signal);
      return false;
    }
    if (outcome === 'conflict') {
      const found = await records.read();
      throw new SupersededError(this.#term, found?.record.term ?? 0);
    }
    this.#current = { version: current.version + 1, record: next };
    this.#term = next.term;
    this.#barrier = null;
    this.#journal('record', `${why} [${describe(next)}]`, Math.round(clock.nowMs() - sinceMs));
    return true;
  }

  #record(): ClusterRecord {
    if (this.#current === null) throw new Error('the loop has no record yet');
    return this.#current.record;
  }

  #say({ state, reason }: Decision): void {
    const said = `${state}: ${reason}`;
    if (said === this.#lastSaid) return;
    this.#lastSaid = said;
    this.#sameSinceMs = this.#options.clock.nowMs();
    this.#journal('state', said);
  }

  #point(decision: Decision, view: View): void {
    const target = (wish: EndpointWish): EndpointTarget => ({ epoch: view.record.epoch, ...wish });
    const [primary, read] = [target(decision.primary), target(decision.read)];
    const pointed = [primary, read]
      .map(({ epoch, members, hold, reason }) => `${epoch} ${members.join()} ${hold} ${reason}`)
      .concat(view.members.map(({ ordinal, host, port }) => `${ordinal} ${host} ${port}`))
      .join('\n');
    if (pointed === this.#lastPointed) return;
    this.#lastPointed = pointed;
    this.#options.endpoints.point(primary, read);
  }

  #journal(kind: string, text: string, ms?: number): void {
    const { journal, clock } = this.#options;
    const epoch = this.#current?.record.epoch ?? 0;
    const at = clock.wallTime().toISOString();
    journal.write({ at, epoch, term: this.#term, kind, text, ...(ms === undefined ? {} : { ms }) });
  }

  #poke(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Until it is time, or something happens, or the primary is seen to be another than it was. */
  async #restWatching(ms: number, glanceMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const untilMs = clock.nowMs() + ms;
    let leftMs = ms;
    while (leftMs > glanceMs && !this.#woken && !signal.aborted) {
      await this.#rest(glanceMs, signal);
      if (this.#woken || signal.aborted || !(await this.#isAsBefore())) return;
      leftMs = untilMs - clock.nowMs();
    }
    await this.#rest(Math.max(0, leftMs), signal);
  }

  /** Looks at the primary alone. Nothing is decided on that: all are looked at if it is not as it was. */
  async #isAsBefore(): Promise<boolean> {
    const ordinal = this.#record().primary?.ordinal;
    const host = this.#options.hosts.list().find((one) => one.ordinal === ordinal);
    if (host === undefined) return false;
    const before = this.#contacts.get(host.ordinal);
    await this.#look(host);
    const now = this.#contacts.get(host.ordinal);
    return before?.kind === 'answers' && now?.kind === 'answers' && atRest(before.server) === atRest(now.server);
  }

  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#woken || signal.aborted) return;
    const alarm = new AbortController();
    this.#wake = () => alarm.abort();
    await this.#options.clock.sleep(ms, alarm.signal);
    this.#wake = () => undefined;
  }
}

function epochRow(epoch: number): string {
  return `the row of epoch ${epoch}`;
}

/** What a primary shows but for what goes on all the while. */
function atRest({ serverUuid, session, locked, access, offline, source, replica, ...rest }: ServerView): string {
  const { epochRow, eventsOff, configured, lockedOut, sealed, waitsForRoom } = rest;
  const shown = [serverUuid, session, locked, access, offline, source, replica === null];
  return JSON.stringify([...shown, epochRow, eventsOff, configured, lockedOut, sealed, waitsForRoom]);
}

function unborn(ordinal: number): HostView {
  return {
    ordinal,
    process: { kind: 'absent' },
    bootId: '',
    aside: null,
    disk: null,
    room: false,
    trouble: null,
    host: '',
    port: 0,
  };
}

function describe(record: ClusterRecord): string {
  const ackers = record.ackers.map((acker) => acker.ordinal).join(',');
  return `epoch ${record.epoch}, primary ${record.primary?.ordinal ?? 'none'}, S {${ackers}}, k ${record.required}, ${record.mode}`;
}
