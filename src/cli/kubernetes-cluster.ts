/** A cluster in a Kubernetes, asked through its API server. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import type { JournalEntry } from '../control/port.ts';
import { findAccess } from '../kubernetes/api/access.ts';
import { ApiClient } from '../kubernetes/api/client.ts';
import { ApiError, isConflict, isNotFound } from '../kubernetes/api/errors.ts';
import { podLog, runInPod, type PodPlace } from '../kubernetes/api/pods.ts';
import { CLUSTERS, PODS, SECRETS, type ClusterObject, type Pod, type Secret } from '../kubernetes/api/resources.ts';
import { forward, podBehind } from '../kubernetes/forward.ts';
import { OPERATOR_NAMESPACE } from '../kubernetes/install.ts';
import { namesOf, selectorText } from '../kubernetes/objects/object.ts';
import { credentialsName } from '../kubernetes/objects/secret.ts';
import {
  RESTART_ANNOTATION,
  SWITCHOVER_ANNOTATION,
  restartAsked,
  switchoverAsked,
  type SwitchoverAnswer,
  type SwitchoverRequest,
} from '../kubernetes/requests.ts';
import type { Credentials, SwitchoverResult } from '../local/api-client.ts';
import { changesBetween, changeWords } from '../local/changes.ts';
import type { Status } from '../local/status.ts';
import { validateCluster } from '../spec/parse.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import type { ClusterClient } from './cluster-client.ts';
import { badInput, CommandError, EXIT } from './exit.ts';
import { checkNamespace } from './operator.ts';
import { eventsFromNow, listEvents, operatorJournal, operatorLog, type LogTail } from './kubernetes-journal.ts';
import { statusOfObject } from './kubernetes-status.ts';
import type { KubernetesPlace } from './platform.ts';

/** Beside the time that the resource grants it: as the daemon of one machine. */
const SWITCHOVER_MS = 20_000;
/** Clocks differ, and so does the time in which an answer gets here. */
const ANSWER_MS = 5000;
const SHOWN_EVENTS = 10;
const WATCH_SECONDS = 300;
const AGAIN_MS = 500;

export class ClusterInKubernetes implements ClusterClient {
  readonly namespace: string;
  readonly name: string;
  readonly #client: ApiClient;
  /** How a hint names a command on this cluster. */
  readonly #command: (rest: string) => string;

  constructor(client: ApiClient, namespace: string, name: string, command: (rest: string) => string) {
    this.namespace = namespace;
    this.name = name;
    this.#client = client;
    this.#command = command;
  }

  /** @throws {AccessError} if there is no way to an API server */
  static at(place: KubernetesPlace, name: string, command: (rest: string) => string): ClusterInKubernetes {
    const client = new ApiClient(findAccess(place));
    const namespace = checkNamespace('--namespace', place.namespace ?? client.namespace);
    return new ClusterInKubernetes(client, namespace, name, command);
  }

  async names(): Promise<string[]> {
    try {
      const { items } = await this.#client.list<ClusterObject>(CLUSTERS, { namespace: this.namespace });
      return items.map(({ metadata }) => metadata.name);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      throw new CommandError(
        EXIT.notRunning,
        'NOT_INSTALLED',
        'this Kubernetes knows no MySQLClusters: Baton is not installed there',
        'Install it: baton install | kubectl apply --server-side -f -',
      );
    }
  }

  async status(): Promise<Status> {
    return this.#statusOf(await this.#object());
  }

  /** The status now and at every change, until `signal` aborts. Ends when the cluster is deleted. */
  async *watch({
    signal = new AbortController().signal,
  }: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Status> {
    for await (const object of this.#objects(signal)) yield this.#statusOf(object);
  }

  /** What happened, as Events tell it; Kubernetes keeps them for an hour. The newest last. */
  async events(): Promise<JournalEntry[]> {
    return (await listEvents(this.#client, await this.#object())).entries;
  }

  async *eventsFromNow(signal: AbortSignal): AsyncGenerator<JournalEntry> {
    yield* eventsFromNow(this.#client, await this.#object(), signal);
  }

  /** From the log of the operators, else, where that is not to be had, from Events, which tell less. */
  async *journal(signal: AbortSignal): AsyncGenerator<JournalEntry> {
    try {
      yield* this.operatorJournal(OPERATOR_NAMESPACE, { tail: 0, follow: true, signal });
    } catch (error) {
      if (!(error instanceof ApiError || error instanceof CommandError)) throw error;
      yield* this.eventsFromNow(signal);
    }
  }

  operatorJournal(operatorNamespace: string, options: LogTail): AsyncGenerator<JournalEntry> {
    return operatorJournal(this.#client, operatorNamespace, `${this.namespace}/${this.name}`, options);
  }

  operatorLog(operatorNamespace: string, options: LogTail): AsyncGenerator<string> {
    return operatorLog(this.#client, operatorNamespace, options);
  }

  memberLog(ordinal: number, options: LogTail): AsyncGenerator<string> {
    return podLog(this.#client, this.#pod(ordinal), { container: 'mysql', ...options });
  }

  async resource(): Promise<MySQLCluster> {
    return resourceOf(await this.#object());
  }

  async scale(replicas: number): Promise<{ changes: readonly string[] }> {
    const before = await this.resource();
    const after = validateCluster({ ...before, spec: { ...before.spec, replicas } });
    const changes = changesBetween(before, after, true).map(changeWords);
    if (changes.length > 0) {
      await this.#client.patch(CLUSTERS, this.namespace, this.name, { spec: { replicas } }, 'scale');
    }
    return { changes };
  }

  /** Asked for by an annotation; the answer comes in the status, from whichever operator leads then. */
  async switchover(to: number | null, signal?: AbortSignal): Promise<SwitchoverResult> {
    const object = await this.#object();
    const { spec } = resourceOf(object);
    if (to !== null) checkMember(to, spec.replicas);
    const { epoch } = await this.#statusOf(object);
    const limitMs = spec.switchover.graceSeconds * 1000 + SWITCHOVER_MS;
    const asked: SwitchoverRequest = { id: randomUUID(), epoch, to, untilMs: Date.now() + limitMs };
    const deadline = AbortSignal.timeout(limitMs + ANSWER_MS);
    await this.#annotate(SWITCHOVER_ANNOTATION, JSON.stringify(asked));
    try {
      const answer = await this.#answer(
        asked.id,
        signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      );
      if (answer.done) return { primary: await this.#primary(), reason: answer.reason, ms: answer.ms };
      throw new CommandError(
        EXIT.failed,
        'SWITCHOVER_REFUSED',
        `no switchover: ${answer.reason}`,
        `See the members: ${this.#command('status')}`,
      );
    } finally {
      await this.#withdraw(asked.id);
    }
  }

  /** Resolves once the operator has begun. */
  async restart(ordinals: readonly number[]): Promise<{ restarting: readonly number[] }> {
    const object = await this.#object();
    const { replicas } = resourceOf(object).spec;
    const members = ordinals.length > 0 ? ordinals : Array.from({ length: replicas }, (_, ordinal) => ordinal);
    for (const ordinal of members) checkMember(ordinal, replicas);
    const wanted = members.map((ordinal) => this.#pod(ordinal).pod);
    const uids = await this.#uids();
    const before = restartAsked(object.metadata.annotations);
    // One that somebody else asked for and that is still to come is kept.
    const due = Object.fromEntries(
      Object.entries(uids).filter(([pod, uid]) => wanted.includes(pod) || before[pod] === uid),
    );
    await this.#annotate(RESTART_ANNOTATION, JSON.stringify(due));
    const deadline = AbortSignal.timeout(SWITCHOVER_MS);
    for await (const { restarting } of this.watch({ signal: deadline })) {
      if (restarting.length > 0) return { restarting: members };
      const now = await this.#uids();
      if (Object.entries(due).every(([pod, uid]) => now[pod] !== uid)) return { restarting: members };
    }
    throw this.#noOperator();
  }

  /** Of the application's account, at a port of this machine that leads there as long as this process runs. */
  async credentials(
    of: { readonly read?: boolean; readonly member?: number; readonly root?: boolean; readonly port?: number } = {},
  ): Promise<Credentials> {
    const cluster = await this.resource();
    const { member, read = false } = of;
    if (of.root === true) {
      throw badInput(
        'root can log in from within a Pod only',
        `Such as: kubectl -n ${this.namespace} exec -it ${this.#pod(member ?? 0).pod} -c mysql -- mysql -u root -p`,
      );
    }
    if (member !== undefined) checkMember(member, cluster.spec.replicas);
    const login = await this.#login(cluster);
    const names = namesOf(cluster);
    const service = read ? names.readService : names.primaryService;
    const pod =
      member === undefined ? () => podBehind(this.#client, this.namespace, service) : async () => this.#pod(member).pod;
    const { port } = of;
    const led = await forward({
      client: this.#client,
      namespace: this.namespace,
      pod,
      ...(port === undefined ? {} : { port }),
    });
    return { ...login, host: led.host, port: led.port };
  }

  /** As `credentials`, at the Service: for programs in the Kubernetes. */
  async serviceCredentials(read: boolean): Promise<Credentials> {
    const object = await this.#object();
    const { endpoints } = await this.#statusOf(object);
    const at = read ? endpoints?.read : endpoints?.primary;
    return { ...(await this.#login(resourceOf(object))), host: at?.host ?? '', port: at?.port ?? 0 };
  }

  async kill(ordinal: number): Promise<object> {
    return this.#signal(ordinal, 'KILL');
  }

  async freeze(ordinal: number): Promise<object> {
    return this.#signal(ordinal, 'STOP');
  }

  async thaw(ordinal: number): Promise<object> {
    return this.#signal(ordinal, 'CONT');
  }

  async #signal(ordinal: number, signal: string): Promise<object> {
    const command = ['bash', '-c', `kill -${signal} "$(cat /var/lib/mysql/data/mysqld.pid)"`];
    await runInPod(this.#client, this.#pod(ordinal), 'mysql', command);
    return {};
  }

  #pod(ordinal: number): PodPlace {
    return { namespace: this.namespace, pod: namesOf({ metadata: { name: this.name } }).pod(ordinal) };
  }

  async #uids(): Promise<Record<string, string>> {
    const labelSelector = selectorText({ metadata: { name: this.name } });
    const { items } = await this.#client.list<Pod>(PODS, { namespace: this.namespace, labelSelector });
    return Object.fromEntries(items.map(({ metadata }) => [metadata.name, metadata.uid]));
  }

  async #login(cluster: MySQLCluster): Promise<Omit<Credentials, 'host' | 'port'>> {
    const { applicationUser, database = null } = cluster.spec.credentials;
    for (const secret of [credentialsName(cluster), namesOf(cluster).internal]) {
      const found = await this.#client.get<Secret>(SECRETS, this.namespace, secret);
      const password = Buffer.from(found?.data?.['applicationPassword'] ?? '', 'base64').toString();
      if (password === '') continue;
      return { socket: null, user: applicationUser, password: password.replace(/\r?\n$/, ''), database };
    }
    throw new CommandError(
      EXIT.failed,
      'NO_PASSWORD',
      `expected a password of ${applicationUser} in the Secret ${credentialsName(cluster)}, found none`,
      `The operator makes it with the cluster: ${this.#command('status')}`,
    );
  }

  async #object(): Promise<ClusterObject> {
    const object = await this.#client.get<ClusterObject>(CLUSTERS, this.namespace, this.name);
    if (object !== null) return object;
    const known = await this.names();
    const those = known.length === 0 ? 'there are none so far' : `those that exist: ${known.join(', ')}`;
    throw new CommandError(
      EXIT.notRunning,
      'NO_SUCH_CLUSTER',
      `there is no cluster "${this.name}" in the namespace ${this.namespace}; ${those}`,
      known.length === 0
        ? 'Make it: kubectl apply -f cluster.yaml, or name another namespace with -n'
        : 'Name one with --name.',
    );
  }

  /** As it is now and at every change, whatever becomes of the connection. Ends when it is deleted or `signal` aborts. */
  async *#objects(signal: AbortSignal): AsyncGenerator<ClusterObject> {
    let first = true;
    while (!signal.aborted) {
      try {
        const object = await this.#object();
        first = false;
        yield object;
        const scope = { namespace: this.namespace, fieldSelector: `metadata.name=${this.name}` };
        const options = { signal, timeoutSeconds: WATCH_SECONDS, silenceMs: 2 * WATCH_SECONDS * 1000 };
        const { resourceVersion } = object.metadata;
        const events = this.#client.watch<ClusterObject>(CLUSTERS, scope, resourceVersion, options);
        for await (const { type, object: changed } of events) {
          if (type === 'DELETED') return;
          if (type === 'ERROR') break;
          if (type === 'MODIFIED') yield changed;
        }
      } catch (error) {
        if (first || error instanceof CommandError) throw error;
      }
      await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #statusOf(object: ClusterObject): Promise<Status> {
    const { replicas } = resourceOf(object).spec;
    // Who may see a cluster may not always see Events.
    const { entries } = await listEvents(this.#client, object).catch(() => ({ entries: [] }));
    return statusOfObject(object, replicas, entries.slice(-SHOWN_EVENTS), Date.now());
  }

  async #annotate(annotation: string, value: string | null, resourceVersion?: string): Promise<void> {
    const metadata = {
      annotations: { [annotation]: value },
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    };
    await this.#client.patch(CLUSTERS, this.namespace, this.name, { metadata });
  }

  async #answer(id: string, signal: AbortSignal): Promise<SwitchoverAnswer> {
    for await (const { metadata, status } of this.#objects(signal)) {
      if (status?.switchover?.id === id) return status.switchover;
      if (switchoverAsked(metadata.annotations)?.id !== id) {
        return { id, done: false, reason: 'another switchover was asked for meanwhile', ms: 0 };
      }
    }
    throw this.#noOperator();
  }

  /** A request that is answered, or that nobody waits for, is taken back, if it is still that one. */
  async #withdraw(id: string): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt++) {
      const object = await this.#client.get<ClusterObject>(CLUSTERS, this.namespace, this.name).catch(() => null);
      if (object === null || switchoverAsked(object.metadata.annotations)?.id !== id) return;
      try {
        return await this.#annotate(SWITCHOVER_ANNOTATION, null, object.metadata.resourceVersion);
      } catch (error) {
        if (!isConflict(error)) return;
      }
    }
  }

  async #primary(): Promise<number> {
    return (await this.status()).primary ?? 0;
  }

  #noOperator(): CommandError {
    return new CommandError(
      EXIT.timedOut,
      'NO_ANSWER',
      'no operator took it up in time',
      `See whether one runs: kubectl -n ${OPERATOR_NAMESPACE} get pods`,
    );
  }
}

function resourceOf({ apiVersion, kind, metadata, spec }: ClusterObject): MySQLCluster {
  return validateCluster({ apiVersion, kind, metadata: { ...metadata, labels: {}, annotations: {} }, spec });
}

function checkMember(ordinal: number, replicas: number): void {
  if (ordinal < replicas) return;
  const members = Array.from({ length: replicas }, (_, index) => index).join(', ');
  throw new CommandError(
    EXIT.badInput,
    'UNKNOWN_MEMBER',
    `there is no member ${ordinal}`,
    `The members are ${members}.`,
  );
}
