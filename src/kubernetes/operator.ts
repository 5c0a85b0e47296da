/** Looks after every MySQLCluster that there is, while it leads. */
import type { ApiClient } from './api/client.ts';
import { CLAIMS, CLUSTERS, PODS, type Claim, type ClusterObject, type Pod } from './api/resources.ts';
import { KubernetesCluster } from './cluster.ts';
import { keyOf, Reflector } from './reflector.ts';

export interface OperatorOptions {
  readonly client: ApiClient;
  /** The namespaces whose clusters it looks after; empty: all. */
  readonly namespaces: readonly string[];
  /** Its own. */
  readonly operatorNamespace: string;
  readonly log: (event: Record<string, unknown>) => void;
}

/** Members' Pods and claims carry these; see selectorOf. */
const MEMBERS = 'app.kubernetes.io/name=mysql,app.kubernetes.io/managed-by=baton';

export class Operator {
  readonly #options: OperatorOptions;
  readonly #clusters: Reflector<ClusterObject>;
  readonly #pods: Reflector<Pod>;
  readonly #claims: Reflector<Claim>;
  readonly #cared = new Map<string, { readonly cluster: KubernetesCluster; readonly over: Promise<void> }>();

  constructor(options: OperatorOptions) {
    this.#options = options;
    const common = { client: options.client, namespaces: options.namespaces, log: options.log };
    this.#clusters = new Reflector({ ...common, resource: CLUSTERS });
    this.#pods = new Reflector({ ...common, resource: PODS, labelSelector: MEMBERS });
    this.#claims = new Reflector({ ...common, resource: CLAIMS, labelSelector: MEMBERS });
  }

  /** The clusters that it looks after; none while it does not lead. */
  get cared(): readonly KubernetesCluster[] {
    return [...this.#cared.values()].map(({ cluster }) => cluster);
  }

  /** Resolves once all that there is has been seen. */
  async informed(): Promise<void> {
    await Promise.all([this.#clusters.listed, this.#pods.listed, this.#claims.listed]);
  }

  /** Keeps itself informed, leading or not: a successor begins at once. Until `signal` aborts. */
  async inform(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#clusters.run(signal), this.#pods.run(signal), this.#claims.run(signal)]);
  }

  /** Until `signal` aborts; the members of all clusters go on as they are. */
  async lead(signal: AbortSignal): Promise<void> {
    await this.informed();
    const unwatch = this.#clusters.onChange((key, now) => this.#see(key, now));
    for (const object of this.#clusters.all()) {
      this.#see(keyOf(object.metadata.namespace, object.metadata.name), object);
    }
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    unwatch();
    const all = [...this.#cared.values()];
    for (const { cluster } of all) cluster.stop();
    await Promise.all(all.map(({ over }) => over));
    this.#cared.clear();
  }

  #see(key: string, object: ClusterObject | null): void {
    const known = this.#cared.get(key);
    // One that is being deleted is let go: what it owns is deleted by Kubernetes.
    const there = object !== null && object.metadata.deletionTimestamp === undefined ? object : null;
    if (known !== undefined && there?.metadata.uid === known.cluster.uid) return known.cluster.update(there);
    if (known !== undefined) {
      known.cluster.stop();
      this.#cared.delete(key);
      this.#options.log({ event: 'let go', cluster: key });
    }
    if (there === null) return;
    const cluster = new KubernetesCluster(there, {
      client: this.#options.client,
      pods: this.#pods,
      claims: this.#claims,
      operatorNamespace: this.#options.operatorNamespace,
      log: this.#options.log,
    });
    this.#cared.set(key, { cluster, over: (known?.over ?? Promise.resolve()).then(() => cluster.run()) });
    this.#options.log({ event: 'care', cluster: key });
  }
}
