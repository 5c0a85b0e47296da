/** Events: what `kubectl describe` shows of a cluster's decisions. Best effort: none is worth waiting for. */
import { hostname } from 'node:os';
import type { ApiClient } from './api/client.ts';
import { EVENTS, type ClusterObject } from './api/resources.ts';
import { microTime } from './lease.ts';

/** A cluster that can't come to rest would drown all others. */
const PER_MINUTE = 30;
/** Kubernetes takes no longer notes. */
const MAX_NOTE = 1000;

export class Recorder {
  readonly #client: ApiClient;
  readonly #object: ClusterObject;
  #left = PER_MINUTE;
  #refilledMs = Date.now();

  constructor(client: ApiClient, object: ClusterObject) {
    this.#client = client;
    this.#object = object;
  }

  /** `reason`: one word, in capitals and small letters. */
  tell(type: 'Normal' | 'Warning', reason: string, action: string, note: string): void {
    if (!this.#mayTell()) return;
    const { namespace, name, uid, resourceVersion } = this.#object.metadata;
    const now = new Date();
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: `${name}.${now.getTime().toString(16)}${Math.random().toString(16).slice(2, 8)}`, namespace },
      eventTime: microTime(now),
      reportingController: 'baton.dev/operator',
      reportingInstance: hostname(),
      regarding: { apiVersion: 'baton.dev/v1alpha1', kind: 'MySQLCluster', namespace, name, uid, resourceVersion },
      type,
      reason,
      action,
      note: note.slice(0, MAX_NOTE),
    };
    this.#client.create(EVENTS, namespace, event).catch(() => undefined);
  }

  #mayTell(): boolean {
    const now = Date.now();
    if (now - this.#refilledMs > 60_000) {
      this.#left = PER_MINUTE;
      this.#refilledMs = now;
    }
    return this.#left-- > 0;
  }
}
