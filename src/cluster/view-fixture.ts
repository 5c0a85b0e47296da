/**
 * Views for tests, short enough to read in one line. Three members, 0 the primary in epoch 2, S = {1, 2}, k = 1; all of
 * them have `0:1-100`, up and in sync. Every test says only what is different.
 */
import { GtidSet } from '../gtid/gtid-set.ts';
import { decide } from './decide.ts';
import { NO_MEMORY, type Act, type Decision, type Memory } from './decision.ts';
import type { Acker, ClusterRecord } from './record.ts';
import type { Contact, MemberView, ProcessId, ReplicaView, ServerView, SourceView, View, Wanted } from './view.ts';

/** The server_uuid of a member; `life` counts its data directories. */
export function uuid(ordinal: number, life = 0): string {
  return `${String(ordinal).repeat(8)}-0000-0000-0000-00000000000${life}`;
}

/** `0:1-100,1:5` in short for member 0's and member 1's numbers; `0b` is member 0's second life. */
export function rows(text: string): GtidSet {
  return GtidSet.parse(
    text.replaceAll(/(\d)(b?):/g, (_, ordinal: string, b: string) => `${uuid(Number(ordinal), b === '' ? 0 : 1)}:`),
  );
}

export const ALL = '0:1-100';
/** What the fixture's primary is open in. */
export const EPOCH = 2;
export const CLUSTER = 'this-cluster';

export function pid(ordinal: number, start = 1): ProcessId {
  return { pid: 100 + ordinal, startTime: String(start) };
}

export function acker(ordinal: number, over: Partial<Acker> = {}): Acker {
  return { ordinal, serverUuid: uuid(ordinal), bootId: 'boot', ...over };
}

export function record(over: Partial<ClusterRecord> = {}): ClusterRecord {
  return {
    clusterId: CLUSTER,
    term: 1,
    epoch: EPOCH,
    primary: { ordinal: 0, serverUuid: uuid(0) },
    floor: rows('0:1-10').toString(),
    ackers: [acker(1), acker(2)],
    required: 1,
    mode: 'quorum',
    ...over,
  };
}

export type ServerOver = Partial<Omit<ServerView, 'source' | 'replica'>> & {
  readonly source?: Partial<SourceView>;
  readonly replica?: Partial<ReplicaView> | null;
};

function server(ordinal: number, executed: string, over: ServerOver): ServerView {
  const { source, replica, ...rest } = over;
  return {
    serverUuid: uuid(ordinal),
    version: '9.7.4',
    session: 10 + ordinal,
    locked: true,
    sealed: false,
    lockedOut: Array.from({ length: 15 }, (_, other) => other),
    executed: rows(executed),
    purged: GtidSet.EMPTY,
    access: 'closed',
    offline: false,
    epochRow: { clusterId: CLUSTER, epoch: EPOCH, term: 1 },
    clone: null,
    lagSeconds: 0,
    configured: 'as asked for',
    oldestTransactionSeconds: 0,
    eventsOff: 0,
    waitsForRoom: false,
    ...rest,
    source: { enabled: false, active: false, required: 1, waiting: 0, unlocked: [], connected: [], ...source },
    replica: replica == null ? null : { ...following(0, executed), ...replica },
  };
}

/** A running, acknowledging replica of `source`, which received `received`. */
export function following(source: number, received: string): ReplicaView {
  return {
    sourceHost: `host-${source}`,
    sourcePort: 3306,
    sourceUuid: uuid(source),
    receiver: 'on',
    receiverError: '',
    heardSecondsAgo: 0,
    received: rows(received),
    applier: 'on',
    applierError: '',
    acking: true,
    donating: false,
  };
}

function member(ordinal: number, contact: Contact, over: Partial<MemberView> = {}): MemberView {
  return {
    ordinal,
    process: { kind: 'running', id: pid(ordinal), sinceMs: 0 },
    bootId: 'boot',
    aside: null,
    disk: null,
    room: true,
    trouble: null,
    host: `host-${ordinal}`,
    port: 3306,
    contact,
    busy: null,
    failure: null,
    ...over,
  };
}

/** A member that answers. */
export function answering(
  ordinal: number,
  executed = ALL,
  over: ServerOver = {},
  host: Partial<MemberView> = {},
): MemberView {
  return member(ordinal, { kind: 'answers', server: server(ordinal, executed, over) }, host);
}

/** Open in the fixture's epoch, waiting for one acknowledgement of 1 or 2. */
export function primary(ordinal = 0, over: ServerOver = {}, host: Partial<MemberView> = {}): MemberView {
  const others = [0, 1, 2].filter((other) => other !== ordinal);
  const source = { enabled: true, active: true, required: 1, unlocked: others, connected: others, ...over.source };
  return answering(ordinal, ALL, { access: 'open', lagSeconds: null, ...over, source }, host);
}

/** Prepared, still closed: step 3 of Opening comes next. */
export function prepared(ordinal = 0, over: ServerOver = {}, host: Partial<MemberView> = {}): MemberView {
  return primary(ordinal, { access: 'closed', ...over }, host);
}

/** Follows member 0, or whom `over.replica` says. */
export function replica(
  ordinal: number,
  executed = ALL,
  over: ServerOver = {},
  host: Partial<MemberView> = {},
): MemberView {
  return answering(ordinal, executed, { ...over, replica: { ...over.replica } }, host);
}

/** Its receiver stopped in this session. */
export function sealed(
  ordinal: number,
  executed = ALL,
  over: ServerOver = {},
  host: Partial<MemberView> = {},
): MemberView {
  const stopped = { receiver: 'off' as const, acking: false, ...over.replica };
  return replica(ordinal, executed, { sealed: true, ...over, replica: stopped }, host);
}

/** Empty data, never used, under this ordinal. */
export function empty(ordinal: number, over: ServerOver = {}, host: Partial<MemberView> = {}): MemberView {
  return answering(ordinal, '', { epochRow: null, serverUuid: uuid(ordinal, 1), ...over }, host);
}

/** Its process is known to be gone. */
export function gone(ordinal: number): MemberView {
  const process = { kind: 'gone' as const, trouble: null };
  return member(ordinal, { kind: 'unreachable', error: 'ECONNREFUSED', closedPort: true, sinceMs: 0 }, { process });
}

/** Its process runs, as far as anybody knows, and it has not answered since `sinceMs`. */
export function silent(ordinal: number, sinceMs = 0, host: Partial<MemberView> = {}): MemberView {
  return member(ordinal, { kind: 'silent', sinceMs }, host);
}

export function unreachable(ordinal: number, over: { sinceMs?: number; closedPort?: boolean } = {}): MemberView {
  return member(ordinal, { kind: 'unreachable', error: 'EHOSTUNREACH', closedPort: false, sinceMs: 0, ...over });
}

export function refusing(ordinal: number, error = '1040: Too many connections'): MemberView {
  return member(ordinal, { kind: 'refused', error, heldSinceMs: null });
}

/** Another controller's statement has its lock, and hangs. */
export function held(ordinal: number, heldSinceMs: number): MemberView {
  return member(ordinal, { kind: 'refused', error: 'another session holds its lock', heldSinceMs });
}

export function absent(ordinal: number): MemberView {
  return member(ordinal, { kind: 'unseen' }, { process: { kind: 'absent' }, host: '', port: 0 });
}

export type WantedOver = Partial<Omit<Wanted, 'limits'>> & { readonly limits?: Partial<Wanted['limits']> };

export function wanted(over: WantedOver = {}): Wanted {
  const role = { key: 'as asked for', settings: {} };
  return {
    replicas: 3,
    mode: 'quorum',
    required: 1,
    settings: { primary: role, replica: role },
    readIncludesPrimary: 'whenAlone',
    ...over,
    limits: {
      detectionMs: 1000,
      readLagSeconds: 10,
      switchoverLagSeconds: 10,
      switchoverGraceMs: 5000,
      powerLoss: false,
      ...over.limits,
    },
  };
}

export type ViewOver = Partial<Omit<View, 'record' | 'wanted' | 'members'>> & {
  readonly record?: Partial<ClusterRecord>;
  readonly wanted?: WantedOver;
};

/** Late enough that whatever began at 0 has lasted longer than any limit of detection. */
export const LATER_MS = 100_000;

/** The healthy cluster, with `members` in place of those of the same ordinal. */
export function view(members: readonly MemberView[] = [], over: ViewOver = {}): View {
  const usual = [primary(0), replica(1), replica(2)];
  return {
    nowMs: LATER_MS,
    barrier: null,
    switchover: null,
    restarts: [],
    openConnections: null,
    ...over,
    members: [...usual.filter(({ ordinal }) => !members.some((one) => one.ordinal === ordinal)), ...members].sort(
      (a, b) => a.ordinal - b.ordinal,
    ),
    record: record(over.record),
    wanted: wanted(over.wanted),
  };
}

/** What is done, as `kind member`, in the order of the decision. */
export function acts(decision: Decision): string[] {
  return decision.acts.map((act) => `${act.kind} ${act.ordinal}`);
}

export function act<K extends Act['kind']>(
  decision: Decision,
  kind: K,
  ordinal: number,
): Extract<Act, { kind: K }> | undefined {
  return decision.acts.find((one): one is Extract<Act, { kind: K }> => one.kind === kind && one.ordinal === ordinal);
}

/** Who may acknowledge in the record that is to be written; null if none is. */
export function nextAckers(decision: Decision): number[] | null {
  return decision.record?.next.ackers.map(({ ordinal }) => ordinal) ?? null;
}

export function remember(over: Partial<Memory>): Memory {
  return { ...NO_MEMORY, ...over };
}

/** Decides on one view after the other, remembering; returns every decision. */
export function decideAll(views: readonly View[], memory: Memory = NO_MEMORY): Decision[] {
  const decisions: Decision[] = [];
  for (const one of views) decisions.push(decide(one, decisions.at(-1)?.memory ?? memory));
  return decisions;
}

/** The last of `decideAll`. */
export function decideLast(views: readonly View[], memory: Memory = NO_MEMORY): Decision {
  const last = decideAll(views, memory).at(-1);
  if (last === undefined) throw new Error('no view to decide on');
  return last;
}

/** The same view `forMs` later: whatever it shows has lasted so long. */
export function lasting(one: View, forMs: number): View[] {
  return [one, { ...one, nowMs: one.nowMs + forMs }];
}

/** A view, and the same once the barrier that it led to has passed. Fails if none was asked for. */
export function withBarrier(one: View, memory: Memory = NO_MEMORY): Decision {
  const first = decide(one, memory);
  const asked = first.acts.find((each) => each.kind === 'barrier');
  if (asked === undefined) throw new Error(`no barrier was asked for: ${acts(first).join(', ') || 'nothing'}`);
  return decide({ ...one, barrier: { purpose: asked.purpose, state: 'passed', sinceMs: one.nowMs } }, first.memory);
}
