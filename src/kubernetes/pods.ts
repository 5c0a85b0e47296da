/**
 * A cluster's members as Pods of a StatefulSet: the port's MemberHosts. Kubernetes makes and keeps them; mysqld's life is
 * looked after by the Pod's process 1 (scripts/member.sh), which takes orders from an annotation. Which mysqld runs in a
 * container is learnt by SQL: when it is started again there, Kubernetes does not see it.
 */
import { runsAs, type HostView, type ProcessId, type ProcessView, type SetAside } from '../cluster/view.ts';
import { systemClock } from '../control/clock.ts';
import type { MemberHosts } from '../control/port.ts';
import { MAX_MEMBERS } from '../mysql/names.ts';
import { Session, type Target } from '../mysql/session.ts';
import { quantityBytes } from '../spec/quantity.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import type { ApiClient } from './api/client.ts';
import { ApiError, isConflict } from './api/errors.ts';
import { CLAIMS, PODS, STATEFUL_SETS } from './api/resources.ts';
import type { Claim, ContainerStatus, Pod, StatefulSet } from './api/resources.ts';
import type { EndpointAddress } from './objects/endpoint-slice.ts';
import { ADMIN_PORT, MYSQL_PORT, ROLE_LABEL, hostOf, namesOf, ordinalOfPod, type Ownership } from './objects/object.ts';
import { ordersText, parseOrders, parsePrepareReport, type Orders } from './objects/orders.ts';
import { INPUTS_ANNOTATION, ORDERS_ANNOTATION, inputsOf } from './objects/pod-template.ts';
import { claimSize } from './objects/persistent-volume-claim.ts';
import { statefulSet } from './objects/stateful-set.ts';
import { keyOf, type Reflector } from './reflector.ts';

export interface PodMembersOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** What is asked for now. */
  readonly cluster: () => MySQLCluster;
  readonly ownership: Ownership;
  readonly pods: Reflector<Pod>;
  readonly claims: Reflector<Claim>;
  readonly nowMs: () => number;
}

/** What a rebuild set aside is told on the member's claim, which lives as long as the data. */
const ASIDE_ANNOTATION = 'baton.dev/aside';

/** On a Pod: when the Secret that it mounts was last changed. */
const SECRET_ANNOTATION = 'baton.dev/secret-changed';

/** One life of one mysqld, as a session found it. */
interface Life {
  /** Pod and container that it was found in. */
  readonly container: string;
  readonly pid: number;
  readonly serverUuid: string;
  /** By its machine's clock, when it was seen alive first. */
  readonly seenMs: number;
  /** By ours. */
  readonly sinceMs: number;
}

interface Address {
  readonly host: string;
  /** The Pod that has it, or had it last. */
  readonly podUid: string;
  /** By our clock, when the Pod had it last; infinite while it has. */
  readonly seenMs: number;
}

/** What a session is with. */
interface Connected {
  readonly container: string;
  readonly podUid: string;
}

/** The container that was last seen to run under an ordinal. */
interface Ran {
  readonly container: string;
  over: boolean;
}

const LIFE = `SELECT @@server_uuid AS uuid, UNIX_TIMESTAMP(NOW(6)) * 1000 AS ms,
  (SELECT THREAD_OS_ID FROM performance_schema.threads WHERE NAME = 'thread/sql/main') AS pid`;

/** mysqld waits or refuses where its volume is full, and its log says so; nobody else in the Pod could tell. */
const FULL = `SELECT DATE_FORMAT(LOGGED, '%H:%i:%s') AS at, DATA AS said FROM performance_schema.error_log
  WHERE LOGGED > NOW(6) - INTERVAL 11 MINUTE AND (DATA LIKE '%No space left on device%' OR DATA LIKE '%Disk is full%')
  ORDER BY LOGGED DESC LIMIT 1`;

/** An order reaches a Pod within a second or two; a node that is away carries it out when it is back. */
const ORDER_MS = 10_000;
/** A new data directory is made in seconds; a Pod that comes anew may have to be scheduled, its image pulled. */
const REBUILD_MS = 300_000;
const POD_MS = 300_000;
const MAX_ATTEMPTS = 10;
const ORDINALS: readonly number[] = Array.from({ length: MAX_MEMBERS }, (_, ordinal) => ordinal);
/** The API server takes a moment to let go of what an object owned. */
const ORPHANED_MS = 500;
/** Soon another Pod may have it. */
const ADDRESS_MS = 5000;

export class PodMembers implements MemberHosts {
  readonly #options: PodMembersOptions;
  readonly #lives = new Map<number, Life>();
  readonly #ran = new Map<number, Ran>();
  readonly #addresses = new Map<number, Address>();
  /** Where members answered last; `seenMs`: until when, infinite while they do. */
  readonly #targets = new Map<number, { readonly address: EndpointAddress; readonly seenMs: number }>();
  readonly #bootIds = new Map<string, string>();
  readonly #sessions = new Map<number, Map<Session, Connected>>();
  /** What a member's own log says of a full volume. */
  readonly #full = new Map<number, string>();
  readonly #reading = new Set<number>();
  readonly #listeners = new Set<() => void>();
  readonly #unsubscribe: (() => void)[];
  /** How many Pods the StatefulSet asks for; null before that is known. */
  #count: number | null = null;
  #scaling: Promise<void> = Promise.resolve();

  constructor(options: PodMembersOptions) {
    this.#options = options;
    const { pods, claims, namespace } = options;
    const { claim } = namesOf(options.cluster());
    this.#unsubscribe = [
      pods.onChange((key) => {
        const ordinal = this.#ordinalOf(key);
        if (ordinal === null) return;
        this.#podChanged(ordinal);
        this.#changed();
      }),
      claims.onChange((key) => {
        if (key.startsWith(keyOf(namespace, claim(0).replace(/0$/, '')))) this.#changed();
      }),
    ];
    for (const ordinal of this.#ordinals()) this.#podChanged(ordinal);
  }

  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** How many members there are to be now: one whose Pod is away is not taken for one that was never made. */
  async learn(): Promise<void> {
    const { client, namespace, cluster } = this.#options;
    const found = await client.get<StatefulSet>(STATEFUL_SETS, namespace, namesOf(cluster()).cluster);
    this.#count = found?.spec.replicas ?? null;
  }

  /** Makes the StatefulSet as it is asked for; how many members it has stays as it is. */
  async apply(): Promise<void> {
    const { client, claims, cluster, namespace } = this.#options;
    await this.#scale((count) => count);
    const wanted = quantityBytes(cluster().spec.storage.size) ?? 0;
    for (const { ordinal } of this.list()) {
      const found = claims.get(namespace, namesOf(cluster()).claim(ordinal))?.spec?.resources?.requests?.['storage'];
      if (found !== undefined && (quantityBytes(found) ?? wanted) < wanted)
        await client.apply(claimSize(cluster(), ordinal));
    }
  }

  list(): readonly HostView[] {
    const known = new Set(Array.from({ length: this.#count ?? 0 }, (_, ordinal) => ordinal));
    for (const ordinal of this.#ordinals()) known.add(ordinal);
    return [...known].sort((a, b) => a - b).map((ordinal) => this.#view(ordinal));
  }

  /**
   * Where the controller reaches a member's administrative address; null while it has none. A Pod's address outlives it for
   * a moment: while its network is still there, it says at once that nobody listens any more.
   */
  address(ordinal: number): { readonly host: string; readonly port: number } | null {
    const former = this.#addresses.get(ordinal);
    const lately = former !== undefined && this.#options.nowMs() - former.seenMs < ADDRESS_MS ? former.host : '';
    const host = this.#pod(ordinal)?.status?.podIP ?? lately;
    return host === '' ? null : { host, port: ADMIN_PORT };
  }

  /**
   * Where Services lead to a member; null while that is nowhere. It is where it answers, also once its Pod is deleted: the next
   * Pod of its name has an address before it has a mysqld. Each change that is none costs kube-proxy's patience.
   */
  target(ordinal: number): EndpointAddress | null {
    const answered = this.#targets.get(ordinal);
    if (answered !== undefined && this.#options.nowMs() - answered.seenMs < ADDRESS_MS) return answered.address;
    return this.#targetNow(ordinal);
  }

  #targetNow(ordinal: number): EndpointAddress | null {
    const pod = this.#pod(ordinal);
    const ip = pod?.status?.podIP;
    if (pod === null || ip === undefined || ip === '') return null;
    return { ordinal, ip, podUid: pod.metadata.uid, node: pod.spec?.nodeName ?? '' };
  }

  /** Opens a session, and learns which life of mysqld it is with. */
  async open(ordinal: number, target: Target, signal: AbortSignal): Promise<Session> {
    const container = containerOf(this.#pod(ordinal));
    const session = await Session.open(target, signal);
    const open = this.#sessions.get(ordinal) ?? new Map<Session, Connected>();
    const podUid = this.#podUidAt(ordinal, target.host);
    this.#sessions.set(ordinal, open.set(session, { container, podUid }));
    const here = this.#targetNow(ordinal);
    if (here?.ip === target.host) this.#targets.set(ordinal, { address: here, seenMs: Number.POSITIVE_INFINITY });
    session.onBroken(() => {
      open.delete(session);
      const answered = this.#targets.get(ordinal);
      if (open.size === 0 && answered !== undefined) {
        this.#targets.set(ordinal, { ...answered, seenMs: this.#options.nowMs() });
      }
    });
    const [row] = await session.query(LIFE, [], signal);
    const pid = Number(row?.['pid'] ?? 0);
    const before = this.#lives.get(ordinal);
    if (before?.pid !== pid || before.container !== container || before.serverUuid !== String(row?.['uuid'])) {
      const seenMs = Math.floor(Number(row?.['ms']));
      const life = { container, pid, serverUuid: String(row?.['uuid']), seenMs, sinceMs: this.#options.nowMs() };
      this.#lives.set(ordinal, life);
      this.#changed();
    }
    return session;
  }

  /** Looks into the logs of those that are connected; whatever has to wait there first is not disturbed. */
  readLogs(): void {
    for (const ordinal of this.#ordinals()) {
      const [session] = this.#sessions.get(ordinal)?.keys() ?? [];
      if (session === undefined || this.#reading.has(ordinal)) continue;
      this.#reading.add(ordinal);
      void this.#readLog(ordinal, session).finally(() => this.#reading.delete(ordinal));
    }
  }

  async #readLog(ordinal: number, session: Session): Promise<void> {
    try {
      // A query that is given up would end its session.
      const [row] = await session.query(FULL, [], new AbortController().signal);
      if (row === undefined) this.#full.delete(ordinal);
      else this.#full.set(ordinal, `its log said at ${String(row['at'])} UTC: ${String(row['said'])}`.slice(0, 400));
    } catch {
      // It broke: the next session is asked.
    }
  }

  /** Members whose Pods were made when something else was asked for. */
  outdated(): number[] {
    const inputs = inputsOf(this.#options.cluster());
    return this.#ordinals().filter((at) => this.#pod(at)?.metadata.annotations?.[INPUTS_ANNOTATION] !== inputs);
  }

  /** The members whose Pods are being deleted, with the Pods' uids. */
  leaving(): { readonly ordinal: number; readonly uid: string }[] {
    return this.#ordinals().flatMap((ordinal) => {
      const { metadata } = this.#pod(ordinal) ?? {};
      return metadata?.deletionTimestamp === undefined ? [] : [{ ordinal, uid: metadata.uid }];
    });
  }

  /** Labels Pods with what their members are, for people. */
  async showRoles(primary: number | null): Promise<void> {
    for (const ordinal of this.#ordinals()) {
      const pod = this.#pod(ordinal);
      const role = ordinal === primary ? 'primary' : 'replica';
      if (pod === null || primary === null || pod.metadata.labels?.[ROLE_LABEL] === role) continue;
      const { name, namespace, uid } = pod.metadata;
      await this.#options.client.patch(PODS, namespace, name, { metadata: { uid, labels: { [ROLE_LABEL]: role } } });
    }
  }

  /** A kubelet looks at a Secret now and then, and at once when its Pod has changed. */
  async bringSecret(changedMs: number): Promise<void> {
    const stamp = String(changedMs);
    for (const ordinal of this.#ordinals()) {
      const pod = this.#pod(ordinal);
      const { name, namespace, uid, annotations, creationTimestamp = '' } = pod?.metadata ?? {};
      if (name === undefined || namespace === undefined || annotations?.[SECRET_ANNOTATION] === stamp) continue;
      if (Date.parse(creationTimestamp) > changedMs) continue;
      const patch = { metadata: { uid, annotations: { [SECRET_ANNOTATION]: stamp } } };
      await this.#options.client.patch(PODS, namespace, name, patch);
    }
  }

  /** A Pod that was made wrong, and never ran for it, is made anew: nothing in it is to be stopped. */
  async replaceBroken(): Promise<void> {
    for (const ordinal of this.outdated()) {
      const pod = this.#pod(ordinal);
      const status = mysqlOf(pod);
      const ran = status?.state?.running ?? status?.state?.terminated ?? status?.lastState?.terminated;
      if (pod !== null && ran === undefined && pod.metadata.deletionTimestamp === undefined) await this.#delete(pod);
    }
  }

  async start(ordinal: number): Promise<void> {
    await this.#scale((count) => Math.max(count, ordinal + 1));
  }

  async kill(ordinal: number, process: ProcessId): Promise<void> {
    if (!this.#is(ordinal, process)) return;
    const life = this.#lifeOf(ordinal);
    // Not a later one: it is told by when this one was seen alive. One that was never heard has no such time but ours.
    const before = life?.seenMs ?? Date.now();
    const sessions = this.#sessions.get(ordinal)?.size ?? 0;
    await this.#order(ordinal, (orders) => ({
      ...orders,
      killStartedBefore: Math.max(before, orders.killStartedBefore ?? 0),
    }));
    const over = (): boolean =>
      !this.#is(ordinal, process) || (sessions > 0 && (this.#sessions.get(ordinal)?.size ?? 0) === 0);
    await this.#until(over, ORDER_MS, 'its node has not carried out the order to kill it yet');
  }

  async restart(ordinal: number, process: ProcessId): Promise<void> {
    const pod = this.#pod(ordinal);
    if (pod === null || !this.#is(ordinal, process)) return;
    await this.#delete(pod);
    const again = (): boolean => {
      const now = this.#pod(ordinal);
      return now !== null && now.metadata.uid !== pod.metadata.uid && mysqlOf(now)?.state?.running !== undefined;
    };
    await this.#until(again, POD_MS, 'its new Pod does not run yet');
  }

  async retire(ordinal: number, { disposable }: { readonly disposable: boolean }): Promise<void> {
    // A StatefulSet's members leave from its end.
    await this.#until(() => (this.#count ?? 0) <= ordinal + 1, POD_MS, 'a member with a higher number leaves first');
    await this.#scale((count) => (count === ordinal + 1 ? ordinal : count));
    await this.#until(() => this.#pod(ordinal) === null, POD_MS, 'its Pod is still there');
    this.#lives.delete(ordinal);
    if (!disposable || this.#options.cluster().spec.storage.whenScaled !== 'Delete') return;
    const claim = this.#claim(ordinal);
    if (claim !== null) {
      await this.#options.client.delete(CLAIMS, this.#options.namespace, claim.metadata.name, claim.metadata.uid);
    }
  }

  async rebuild(ordinal: number, discard: string, rows: string, errant: string): Promise<void> {
    const found = this.#lives.get(ordinal)?.serverUuid;
    if (found !== undefined && found !== discard) throw new Error(`expected data ${discard}, found ${found}`);
    const pod = this.#pod(ordinal);
    const restarts = mysqlOf(pod)?.restartCount ?? 0;
    const aside: SetAside = { serverUuid: discard, rows };
    await this.#annotateClaim(ordinal, JSON.stringify(aside));
    await this.#order(ordinal, (orders) => ({ ...orders, rebuild: { discard, attempt: restarts, errant } }));
    // The order goes with its Pod: what became of it is seen by the data that the next one brings up.
    const refusal = (): string | null => {
      const now = this.#pod(ordinal);
      if (now !== null && now.metadata.uid !== pod?.metadata.uid) return 'its Pod was replaced meanwhile';
      const status = mysqlOf(now);
      if (status === undefined || status.restartCount === restarts) return null;
      return status.lastState?.terminated?.message ?? 'its container ended';
    };
    const rebuilt = (): boolean => this.#lives.get(ordinal)?.serverUuid !== found;
    await this.#until(() => rebuilt() || refusal() !== null, REBUILD_MS, 'its data is not set aside yet');
    const refused = refusal();
    if (!rebuilt() && refused !== null) throw new Error(refused);
  }

  async dropAside(ordinal: number): Promise<void> {
    const aside = this.#aside(ordinal);
    if (aside === null) return;
    await this.#order(ordinal, (orders) => ({
      ...orders,
      rebuild: orders.rebuild?.discard === aside.serverUuid ? null : orders.rebuild,
      drop: [...new Set([...orders.drop, aside.serverUuid])],
    }));
    await this.#annotateClaim(ordinal, null);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #view(ordinal: number): HostView {
    const pod = this.#pod(ordinal);
    const here = pod !== null || ordinal < (this.#count ?? 0);
    return {
      ordinal,
      process: this.#process(ordinal, pod),
      bootId: this.#bootId(ordinal, pod),
      aside: this.#aside(ordinal),
      disk: null,
      room: false,
      trouble: troubleOf(pod, this.#claim(ordinal)) ?? this.#full.get(ordinal) ?? null,
      host: here ? hostOf(this.#options.cluster(), ordinal) : '',
      port: here ? MYSQL_PORT : 0,
    };
  }

  /** A Pod that is no more proves nothing of its processes: its node may be away. What a kubelet said has ended, has. */
  #process(ordinal: number, pod: Pod | null): ProcessView {
    const ran = this.#ran.get(ordinal);
    if (pod === null) {
      if (ordinal >= (this.#count ?? 0)) return { kind: 'absent' };
      return ran?.over === true ? { kind: 'gone', trouble: 'its Pod is still to be made' } : { kind: 'unknown' };
    }
    const status = mysqlOf(pod);
    const running = status?.state?.running;
    if (running !== undefined) {
      const container = containerOf(pod);
      const life = this.#lifeOf(ordinal);
      const startedMs = running.startedAt === undefined ? Date.now() : Date.parse(running.startedAt);
      const sinceMs = life?.sinceMs ?? this.#options.nowMs() - Math.max(0, Date.now() - startedMs);
      return { kind: 'running', id: { pid: life?.pid ?? 0, startTime: container }, sinceMs };
    }
    const ended = status?.state?.terminated ?? status?.lastState?.terminated;
    if (ended === undefined && ran?.over !== true) return { kind: 'unknown' };
    return { kind: 'gone', trouble: troubleOf(pod, null) ?? 'its container is being started' };
  }

  #is(ordinal: number, process: ProcessId): boolean {
    return runsAs(this.#process(ordinal, this.#pod(ordinal)), process);
  }

  /** That of the container that runs now. */
  #lifeOf(ordinal: number): Life | undefined {
    const life = this.#lives.get(ordinal);
    return life?.container === containerOf(this.#pod(ordinal)) ? life : undefined;
  }

  #aside(ordinal: number): SetAside | null {
    const text = this.#claim(ordinal)?.metadata.annotations?.[ASIDE_ANNOTATION];
    if (text === undefined) return null;
    const { serverUuid, rows } = JSON.parse(text) as SetAside;
    // It is told before it is done.
    return this.#lives.get(ordinal)?.serverUuid === serverUuid ? null : { serverUuid, rows };
  }

  #podChanged(ordinal: number): void {
    const pod = this.#pod(ordinal);
    const status = mysqlOf(pod);
    const report = parsePrepareReport(
      pod?.status?.initContainerStatuses?.find(({ name }) => name === 'prepare')?.state?.terminated?.message,
    );
    if (pod !== null && report !== null) this.#bootIds.set(pod.metadata.uid, report.bootId);
    const host = pod?.status?.podIP ?? '';
    const had = this.#addresses.get(ordinal);
    if (pod !== null && host !== '') {
      this.#addresses.set(ordinal, { host, podUid: pod.metadata.uid, seenMs: Number.POSITIVE_INFINITY });
    } else if (had?.seenMs === Number.POSITIVE_INFINITY) {
      this.#addresses.set(ordinal, { ...had, seenMs: this.#options.nowMs() });
    }
    const ran = this.#ran.get(ordinal);
    const container = containerOf(pod);
    if (status?.state?.running !== undefined) {
      if (ran?.container !== container) this.#ran.set(ordinal, { container, over: false });
    } else if (ran?.container === container && status?.state?.terminated !== undefined) ran.over = true;
    // Whoever is connected to a container that was followed by another waits for an answer that nobody gives.
    if (container === '' || status?.state?.running === undefined) return;
    for (const [session, former] of this.#sessions.get(ordinal) ?? []) {
      if (former.container !== container) session.destroy();
    }
  }

  #podUidAt(ordinal: number, host: string): string {
    const { metadata, status } = this.#pod(ordinal) ?? {};
    if (metadata !== undefined && status?.podIP === host) return metadata.uid;
    const known = this.#addresses.get(ordinal);
    return known?.host === host ? known.podUid : '';
  }

  /**
   * That of the Pod that answers: for a moment it may be one that was deleted, while the next one of its name comes up
   * already. Empty while it is not known.
   */
  #bootId(ordinal: number, pod: Pod | null): string {
    const connected = [...(this.#sessions.get(ordinal)?.values() ?? [])].at(-1);
    return this.#bootIds.get(connected?.podUid ?? pod?.metadata.uid ?? '') ?? '';
  }

  #pod(ordinal: number): Pod | null {
    return this.#options.pods.get(this.#options.namespace, namesOf(this.#options.cluster()).pod(ordinal));
  }

  #claim(ordinal: number): Claim | null {
    return this.#options.claims.get(this.#options.namespace, namesOf(this.#options.cluster()).claim(ordinal));
  }

  #ordinalOf(key: string): number | null {
    const [namespace, name = ''] = key.split('/');
    return namespace === this.#options.namespace ? ordinalOfPod(this.#options.cluster(), name) : null;
  }

  /** Of the Pods that there are, ascending. */
  #ordinals(): number[] {
    return ORDINALS.filter((ordinal) => this.#pod(ordinal) !== null);
  }

  async #delete({ metadata }: Pod): Promise<void> {
    await this.#options.client.delete(PODS, metadata.namespace, metadata.name, metadata.uid);
  }

  /** Conditional on the very Pod: another one of its name gets no orders that are not about it. */
  async #order(ordinal: number, change: (orders: Orders) => Orders): Promise<void> {
    const { client, namespace } = this.#options;
    const pod = this.#pod(ordinal);
    if (pod === null) throw new Error('it has no Pod');
    const { uid, name, annotations } = pod.metadata;
    const text = ordersText(change(parseOrders(annotations?.[ORDERS_ANNOTATION])));
    if (text === annotations?.[ORDERS_ANNOTATION]) return;
    await client.patch(PODS, namespace, name, { metadata: { uid, annotations: { [ORDERS_ANNOTATION]: text } } });
  }

  async #annotateClaim(ordinal: number, value: string | null): Promise<void> {
    const { client, namespace, cluster } = this.#options;
    const name = namesOf(cluster()).claim(ordinal);
    await client.patch(CLAIMS, namespace, name, { metadata: { annotations: { [ASIDE_ANNOTATION]: value } } });
  }

  /** One after the other, each from the newest count: a stale one would scale a member in. */
  async #scale(next: (count: number) => number): Promise<void> {
    const before = this.#scaling;
    let done: () => void = () => undefined;
    this.#scaling = new Promise((resolve) => (done = resolve));
    await before;
    try {
      await this.#scaleNow(next);
    } finally {
      done();
    }
  }

  async #scaleNow(next: (count: number) => number): Promise<void> {
    const { client, namespace, cluster, ownership } = this.#options;
    const { name } = cluster().metadata;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const found = await client.get<StatefulSet>(STATEFUL_SETS, namespace, name);
      const count = next(found?.spec.replicas ?? this.#count ?? cluster().spec.replicas);
      try {
        await client.apply<StatefulSet>(statefulSet(cluster(), count, ownership), found?.metadata.resourceVersion);
        this.#count = count;
        return this.#changed();
      } catch (error) {
        if (found !== null && error instanceof ApiError && error.status === 422) {
          // Such as larger volumes: what a StatefulSet can't change is changed by another one, which takes the Pods over.
          await client.delete(STATEFUL_SETS, namespace, name, found.metadata.uid, 'Orphan');
          await systemClock.sleep(ORPHANED_MS);
        }
        // Its status was written meanwhile.
        else if (!isConflict(error)) throw error;
      }
    }
    throw new Error(`expected the StatefulSet ${name} to hold still, found it changed ${MAX_ATTEMPTS} times`);
  }

  async #until(condition: () => boolean, limitMs: number, otherwise: string): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const over = (finish: () => void): void => {
        clearTimeout(timer);
        clearInterval(looking);
        stop();
        finish();
      };
      const look = (): void => {
        if (condition()) over(resolve);
      };
      const timer = setTimeout(() => over(() => reject(new Error(otherwise))), limitMs);
      const looking = setInterval(look, 100);
      const stop = this.onChange(look);
    });
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function mysqlOf(pod: Pod | null): ContainerStatus | undefined {
  return pod?.status?.containerStatuses?.find(({ name }) => name === 'mysql');
}

/** Names a container for ever; empty before there is one. */
function containerOf(pod: Pod | null): string {
  const id = mysqlOf(pod)?.containerID ?? '';
  return pod === null || id === '' ? '' : `${pod.metadata.uid}/${id.replace(/^.*:\/\//, '').slice(0, 16)}`;
}

/** Waiting for one of these is no trouble. */
const USUAL = new Set(['ContainerCreating', 'PodInitializing']);

function troubleOf(pod: Pod | null, claim: Claim | null): string | null {
  const unscheduled = pod?.status?.conditions?.find(
    ({ type, status }) => type === 'PodScheduled' && status === 'False',
  );
  if (unscheduled !== undefined) return `${said(unscheduled.reason, unscheduled.message)}${unboundOf(claim)}`;
  for (const { state, lastState } of [
    ...(pod?.status?.initContainerStatuses ?? []),
    ...(pod?.status?.containerStatuses ?? []),
  ]) {
    const { waiting } = state ?? {};
    if (waiting === undefined || USUAL.has(waiting.reason ?? '')) continue;
    const ended = lastState?.terminated?.message?.trim().split('\n').at(-1);
    return said(waiting.reason, ended ?? waiting.message);
  }
  return null;
}

/** The scheduler says only that there is such a claim. */
function unboundOf(claim: Claim | null): string {
  if (claim?.status?.phase !== 'Pending') return '';
  const { storageClassName, resources } = claim.spec ?? {};
  const size = resources?.requests?.['storage'] ?? '';
  const from = storageClassName === undefined ? 'no class named' : `class "${storageClassName}"`;
  return ` (${claim.metadata.name}, ${size}, ${from}, has no volume)`;
}

const said = (reason = 'unknown', message = ''): string =>
  message === '' ? reason : `${reason}: ${message.slice(0, 400)}`;
