/** One MySQLCluster, looked after: its objects applied, its members found, its record kept, and the loop put over them. */
import { newClusterRecord } from '../cluster/record.ts';
import { systemClock } from '../control/clock.ts';
import { isNews } from '../control/journal-news.ts';
import { Loop } from '../control/loop.ts';
import type { JournalEntry } from '../control/port.ts';
import { ServerLink } from '../control/server-link.ts';
import { wantedBy } from '../control/wanted.ts';
import { CONTROLLER_USER } from '../mysql/names.ts';
import { changePasswords } from '../mysql/procedures/passwords.ts';
import { validateCluster } from '../spec/parse.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import type { ApiClient } from './api/client.ts';
import { CLUSTERS } from './api/resources.ts';
import type { Claim, ClusterObject, Condition, Pod } from './api/resources.ts';
import { ClusterPasswords, SecretMissingError } from './cluster-passwords.ts';
import { ClusterTls, GivenTlsError } from './cluster-tls.ts';
import { EndpointSlices } from './endpoint-slices.ts';
import { IN_POD, trustedFile } from './objects/config-map.ts';
import { ordinalOfPod, type Ownership } from './objects/object.ts';
import { PodMembers } from './pods.ts';
import { ClusterGoneError, StatusRecord } from './record-status.ts';
import { Recorder } from './recorder.ts';
import type { Reflector } from './reflector.ts';
import {
  RESTART_ANNOTATION,
  moot,
  restartAsked,
  switchoverAsked,
  type SwitchoverAnswer,
  type SwitchoverRequest,
} from './requests.ts';
import { standingObjects } from './render.ts';
import { statusOf, type Hindrance, type Latest } from './status.ts';

export interface KubernetesClusterOptions {
  readonly client: ApiClient;
  readonly pods: Reflector<Pod>;
  readonly claims: Reflector<Claim>;
  readonly operatorNamespace: string;
  readonly log: (event: Record<string, unknown>) => void;
}

/** After something kept the operator from a cluster, it tries again. */
const RETRY_MS = { first: 500, most: 15_000 };
/** A status is for people: so often at most. */
const STATUS_MS = 500;
/** Beside what the resource grants it, how long a switchover that somebody asks for may take. */
const SWITCHOVER_MS = 20_000;
/** How long a Pod that is deleted waits for a successor (its preStop is a little longer). */
const DRAIN_MS = 30_000;
const DRAIN_AGAIN_MS = 300;

/** Secrets are looked at so often; certificates last for months. */
const SECRETS_MS = 10_000;
const PASSWORDS_MS = 5000;
const LOGS_MS = 10_000;

interface KeptSecrets {
  readonly members: PodMembers;
  readonly loop: Loop;
  readonly secrets: ClusterPasswords;
  readonly tls: ClusterTls;
  readonly controller: string;
}

export class KubernetesCluster {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly #options: KubernetesClusterOptions;
  readonly #recorder: Recorder;
  readonly #stop = new AbortController();
  #object: ClusterObject;
  /** The newest resource that makes sense. */
  #wanted: MySQLCluster | null = null;
  #hindrance: Hindrance | null = null;
  #loop: Loop | null = null;
  #conditions: readonly Condition[];
  #toldStatus = '';
  #statusDue = false;
  #appliedGeneration = -1;
  #toldState = '';
  readonly #drained = new Set<string>();
  /** The switchover that was asked for last, and how it is withdrawn. */
  #request: { readonly id: string; readonly withdrawn: AbortController } | null = null;
  #answer: SwitchoverAnswer | null;
  #changed: () => void = () => undefined;

  constructor(object: ClusterObject, options: KubernetesClusterOptions) {
    this.#options = options;
    this.#object = object;
    this.namespace = object.metadata.namespace;
    this.name = object.metadata.name;
    this.uid = object.metadata.uid;
    this.#recorder = new Recorder(options.client, object);
    this.#conditions = object.status?.conditions ?? [];
    this.#answer = object.status?.switchover ?? null;
    this.#take(object);
  }

  /** The newest decision and what it rests on; null before the first. */
  get latest(): Latest | null {
    return this.#loop?.latest ?? null;
  }

  /** Something keeps it from being looked after as it is asked for; the status says what. */
  get hindered(): boolean {
    return this.#hindrance !== null;
  }

  /** What is asked for now, or what became of it. */
  update(object: ClusterObject): void {
    const before = this.#object.metadata;
    this.#object = object;
    this.#heed();
    if (restartText(object.metadata) !== restartText(before)) this.#changed();
    if (object.metadata.generation === before.generation) return;
    this.#take(object);
    this.#changed();
    this.#loop?.poke();
  }

  /** Looks after the cluster until `stop`, whatever happens. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    const status = this.#tellStatus();
    let pauseMs = RETRY_MS.first;
    while (!signal.aborted) {
      const begunMs = performance.now();
      try {
        if (this.#wanted !== null) await this.#lookAfter(this.#wanted);
      } catch (error) {
        if (error instanceof ClusterGoneError) break;
        const message = error instanceof Error ? error.message : String(error);
        const missing = error instanceof SecretMissingError || error instanceof GivenTlsError;
        const reason = missing ? 'SecretMissing' : 'NotLookedAfter';
        this.#hindrance = { reason, message };
        this.#log({ event: 'hindered', reason, error: message });
      }
      if (performance.now() - begunMs > 60_000) pauseMs = RETRY_MS.first;
      await systemClock.sleep(pauseMs, signal);
      pauseMs = Math.min(2 * pauseMs, RETRY_MS.most);
    }
    this.#stop.abort();
    await status;
  }

  /** Lets go: the members go on as they are. */
  stop(): void {
    this.#stop.abort();
  }

  /** A switchover that is asked for by an annotation; its answer is in the status. */
  #heed(): void {
    const loop = this.#loop;
    const asked = switchoverAsked(this.#object.metadata.annotations);
    if (this.#request !== null && asked?.id !== this.#request.id) {
      this.#request.withdrawn.abort();
      this.#request = null;
    }
    if (loop?.latest === null || loop === null || asked === null) return;
    if (asked.id === this.#answer?.id || asked.id === this.#request?.id) return;
    const withdrawn = new AbortController();
    this.#request = { id: asked.id, withdrawn };
    void this.#switchOver(loop, asked, AbortSignal.any([withdrawn.signal, this.#stop.signal]));
  }

  async #switchOver(loop: Loop, asked: SwitchoverRequest, signal: AbortSignal): Promise<void> {
    const sinceMs = performance.now();
    const { record } = loop.latest?.view ?? {};
    const now = { epoch: record?.epoch ?? 0, primary: record?.primary?.ordinal ?? null, nowMs: Date.now() };
    const graceMs = (this.#wanted?.spec.switchover.graceSeconds ?? 0) * 1000;
    const limit = AbortSignal.timeout(Math.max(1, Math.min(asked.untilMs - now.nowMs, graceMs + SWITCHOVER_MS)));
    const { done, reason } = moot(asked, now) ?? (await loop.switchover(asked.to, AbortSignal.any([signal, limit])));
    // Whoever leads next takes it up.
    if (signal.aborted) return;
    this.#answer = { id: asked.id, done, reason, ms: Math.round(performance.now() - sinceMs) };
    this.#statusDue = true;
  }

  #take(object: ClusterObject): void {
    try {
      const { apiVersion = 'baton.dev/v1alpha1', kind = 'MySQLCluster', metadata, spec } = object;
      this.#wanted = validateCluster({
        apiVersion,
        kind,
        metadata: { ...metadata, labels: {}, annotations: {} },
        spec,
      });
      this.#hindrance = null;
    } catch (error) {
      // What was asked for before is still looked after.
      this.#hindrance = { reason: 'InvalidSpec', message: (error as Error).message };
      this.#log({ event: 'invalid', error: (error as Error).message });
    }
  }

  async #lookAfter(first: MySQLCluster): Promise<void> {
    const { client, pods, claims } = this.#options;
    const { namespace, name, uid } = this;
    const asked = (): MySQLCluster => this.#wanted ?? first;
    const owner = { apiVersion: first.apiVersion, kind: first.kind, name, uid, controller: true } as const;
    const ownership: Ownership = { owner };
    const secrets = new ClusterPasswords(client, asked, ownership);
    const tls = new ClusterTls(client, asked, ownership);
    const [passwords] = await Promise.all([
      secrets.make(),
      // Where members have certificates already, no trouble with others keeps them from being looked after.
      tls.keep().catch((error: unknown) => {
        if (tls.trusted().ca === '') throw error;
      }),
    ]);
    const records = new StatusRecord({ client, namespace, name, uid });
    const members = new PodMembers({
      client,
      namespace,
      cluster: asked,
      ownership,
      pods,
      claims,
      nowMs: () => systemClock.nowMs(),
    });
    this.#appliedGeneration = -1;
    const version = (): string => versionOf(loop.latest) ?? asked().spec.mysql.version ?? '8.4';
    const endpoints = new EndpointSlices({
      client,
      cluster: asked,
      ownership,
      target: (ordinal) => members.target(ordinal),
      term: () => loop.latest?.view.record.term ?? 0,
      log: (event) => this.#log(event),
    });
    const over = new AbortController();
    const loop = new Loop({
      clock: systemClock,
      records,
      hosts: members,
      endpoints,
      journal: { write: (entry) => this.#journal(entry) },
      wanted: () => wantedBy(asked(), version()),
      onDecision: () => {
        this.#statusDue = true;
        this.#heed();
        // Not only when a Pod changes: it may have been going when this brain took over.
        this.#drainMaybe(loop, members, over.signal);
      },
      link: (ordinal) =>
        new ServerLink({
          ordinal,
          address: () => members.address(ordinal),
          passwords,
          heartbeatSeconds: Math.max(0.1, asked().spec.detection.timeoutSeconds / 4),
          tls: { trusted: () => tls.trusted(), file: trustedFile(IN_POD) },
          clock: systemClock,
          confirm: () => loop.confirm(),
          open: (target, signal) => members.open(ordinal, target, signal),
        }),
    });
    // A cluster that there is may need its brain now; what it is made of is applied meanwhile.
    if ((await records.read()) !== null) await members.learn();
    else {
      await this.#applyObjects(members, ownership);
      await records.swap(0, newClusterRecord(systemClock.uuid(), wantedBy(asked(), version()).mode));
    }
    this.#hindrance = null;
    this.#loop = loop;
    try {
      await Promise.all([
        loop.run(this.#stop.signal).finally(() => over.abort()),
        this.#keepApplied(members, loop, ownership, over.signal),
        this.#readLogs(members, over.signal),
        this.#keepSecrets({ members, loop, secrets, tls, controller: passwords.controller }, over.signal),
      ]);
    } finally {
      endpoints.close();
      members.close();
      this.#loop = null;
    }
  }

  /** A primary whose Pod is deleted, as when its node is drained, is followed by another before it goes. */
  #drainMaybe(loop: Loop, members: PodMembers, signal: AbortSignal): void {
    const { record } = loop.latest?.view ?? {};
    for (const { ordinal, uid } of members.leaving()) {
      if (record?.primary?.ordinal !== ordinal || this.#drained.has(uid) || (this.#wanted?.spec.replicas ?? 1) < 2)
        continue;
      this.#drained.add(uid);
      const limit = AbortSignal.any([signal, AbortSignal.timeout(DRAIN_MS)]);
      void loop.switchover(null, limit).then(async ({ done, reason }) => {
        this.#log({ event: 'drain', ordinal, text: done ? `done: ${reason}` : reason });
        if (done) return;
        // It is going, whatever was in the way: tried again for as long as it is there.
        await systemClock.sleep(DRAIN_AGAIN_MS, signal);
        this.#drained.delete(uid);
        if (!signal.aborted) this.#drainMaybe(loop, members, signal);
      });
    }
  }

  /** Whenever the resource changed. */
  async #keepApplied(members: PodMembers, loop: Loop, ownership: Ownership, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const wake = new AbortController();
      this.#changed = () => wake.abort();
      try {
        if (this.#appliedGeneration !== this.#object.metadata.generation) await this.#applyObjects(members, ownership);
        await members.showRoles(loop.latest?.view.record.primary?.ordinal ?? null);
        await members.replaceBroken();
        const running = members.list().filter(({ process }) => process.kind === 'running');
        const due = [...new Set([...members.outdated(), ...this.#toRestart()])].filter((ordinal) =>
          running.some((member) => member.ordinal === ordinal),
        );
        const asked = loop.restarting();
        if (loop.latest !== null && due.some((ordinal) => !asked.includes(ordinal))) loop.restart(due);
      } catch (error) {
        this.#log({ event: 'apply', error: error instanceof Error ? error.message : String(error) });
      }
      const either = AbortSignal.any([wake.signal, signal]);
      await systemClock.sleep(5000, either);
    }
  }

  async #readLogs(members: PodMembers, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await systemClock.sleep(LOGS_MS, signal);
      members.readLogs();
    }
  }

  /** Certificates are renewed, or replaced by others that were given; passwords that people have changed are changed in MySQL. */
  async #keepSecrets(kept: KeptSecrets, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await systemClock.sleep(SECRETS_MS, signal);
      if (signal.aborted) return;
      try {
        await kept.tls.keep();
        await kept.members.bringSecret(kept.tls.changedMs);
        await this.#changePasswords(kept, signal);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        if (error instanceof GivenTlsError) this.#note('failed', `${message}; members keep what they have`);
        else this.#log({ event: 'secrets', error: message });
      }
    }
  }

  /** Only while all is well: a statement about accounts that waits keeps everybody from logging in. */
  async #changePasswords({ members, loop, secrets, tls, controller }: KeptSecrets, signal: AbortSignal): Promise<void> {
    const { decision, view } = loop.latest ?? {};
    const primary = view?.record.primary?.ordinal;
    if (decision?.state !== 'healthy' || primary === undefined) return;
    const passwords = await secrets.changed();
    const address = members.address(primary);
    if (passwords === null || address === null) return;
    const { root, application } = passwords;
    if (root === '' || application === '') return;
    const applicationUser = this.#wanted?.spec.credentials.applicationUser ?? '';
    const target = { ...address, user: CONTROLLER_USER, password: controller, tls: tls.trusted() };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(PASSWORDS_MS)]);
    const session = await members.open(primary, target, limit);
    try {
      await changePasswords(session, { root, application, applicationUser }, limit);
    } finally {
      session.destroy();
    }
    await secrets.adopt(passwords);
    this.#note('request', 'other passwords, by the Secret: MySQL has them now');
  }

  /** Members whose Pods are the very ones that somebody asked to have replaced. */
  #toRestart(): number[] {
    const cluster = this.#wanted;
    if (cluster === null) return [];
    return Object.entries(restartAsked(this.#object.metadata.annotations)).flatMap(([name, uid]) => {
      const ordinal = ordinalOfPod(cluster, name);
      const same = this.#options.pods.get(this.namespace, name)?.metadata.uid === uid;
      return ordinal !== null && same ? [ordinal] : [];
    });
  }

  async #applyObjects(members: PodMembers, ownership: Ownership): Promise<void> {
    const cluster = this.#wanted;
    if (cluster === null) return;
    const { generation = 0 } = this.#object.metadata;
    const { client, operatorNamespace } = this.#options;
    await Promise.all(standingObjects(cluster, operatorNamespace, ownership).map((object) => client.apply(object)));
    await members.apply();
    this.#appliedGeneration = generation;
  }

  async #tellStatus(): Promise<void> {
    const { client } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await systemClock.sleep(STATUS_MS, signal);
      if (signal.aborted) return;
      const { generation = 0 } = this.#object.metadata;
      if (!this.#statusDue && this.#hindrance === null) continue;
      this.#statusDue = false;
      const status = {
        ...statusOf(this.#wanted, generation, this.latest, this.#hindrance, this.#conditions),
        restarting: this.#loop?.restarting() ?? [],
        ...(this.#answer === null ? {} : { switchover: this.#answer }),
      };
      const text = JSON.stringify(status);
      if (text === this.#toldStatus) continue;
      try {
        const body = { metadata: { uid: this.uid }, status };
        const told = await client.patch<ClusterObject>(CLUSTERS, this.namespace, this.name, body, 'status');
        this.#conditions = told.status?.conditions ?? [];
        this.#toldStatus = text;
      } catch (error) {
        this.#statusDue = true;
        this.#log({ event: 'status', error: error instanceof Error ? error.message : String(error) });
      }
    }
  }

  /** Of what the loop has no part in. */
  #note(kind: 'request' | 'failed', text: string): void {
    const { epoch = 0, term = 0 } = this.latest?.view.record ?? {};
    this.#journal({ at: new Date().toISOString(), epoch, term, kind, text });
  }

  #journal(entry: JournalEntry): void {
    const { kind, text, epoch, term, ms } = entry;
    this.#log({ event: kind, text, epoch, term, ...(ms === undefined ? {} : { ms }) });
    // Roles may have changed.
    if (kind === 'record') this.#changed();
    if (kind !== 'state') return isNews(entry) ? this.#recorder.tell(entry) : undefined;
    const [state = ''] = text.split(':');
    if (state === this.#toldState) return;
    this.#toldState = state;
    this.#recorder.tell(entry);
  }

  #log(event: Record<string, unknown>): void {
    this.#options.log({ cluster: `${this.namespace}/${this.name}`, ...event });
  }
}

const restartText = ({ annotations }: ClusterObject['metadata']): string | undefined =>
  annotations?.[RESTART_ANNOTATION];

/** The primary's, or that of whoever answers. */
function versionOf(latest: Latest | null): string | null {
  for (const { contact } of latest?.view.members ?? []) if (contact.kind === 'answers') return contact.server.version;
  return null;
}
