/**
 * The record in its MySQLCluster's status, replaced by compare-and-swap: the write names the resourceVersion at which the
 * record was seen to be the expected one.
 */
import * as z from 'zod';
import type { ClusterRecord } from '../cluster/record.ts';
import type { RecordStore, VersionedRecord } from '../control/port.ts';
import { recordShape } from '../control/record-shape.ts';
import type { ApiClient } from './api/client.ts';
import { isConflict } from './api/errors.ts';
import { CLUSTERS, type ClusterObject } from './api/resources.ts';

// A merge patch has no word for null: it is left out.
const primary = recordShape.shape.primary.default(null);
const stored = recordShape.extend({ version: z.int().min(1), primary });

/** The status holds something that is no record. */
export class RecordUnreadableError extends Error {
  override readonly name = 'RecordUnreadableError';
  readonly code = 'RECORD_UNREADABLE';
  readonly hint =
    'Take status.record away (kubectl edit --subresource=status): if every member can be seen, it is made again from what they show.';

  constructor(which: string, found: string) {
    super(`expected the cluster's record in status.record of ${which}, found ${found}`);
  }
}

/** The MySQLCluster is gone, or another one of its name is there: there is nothing to keep a record of. */
export class ClusterGoneError extends Error {
  override readonly name = 'ClusterGoneError';
  readonly code = 'CLUSTER_GONE';
}

export interface StatusRecordOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Others write to the same object (its spec, the rest of its status): each such write costs another attempt. */
const MAX_ATTEMPTS = 10;

export class StatusRecord implements RecordStore {
  readonly #options: StatusRecordOptions;

  constructor(options: StatusRecordOptions) {
    this.#options = options;
  }

  async read(): Promise<VersionedRecord | null> {
    return this.#recordOf(await this.#object());
  }

  /** Version 0 stands for no record. Rejects when it isn't known whether the record was written. */
  async swap(expectedVersion: number, record: ClusterRecord): Promise<'written' | 'conflict'> {
    const { client, namespace, name, uid } = this.#options;
    const { primary, ...rest } = stored.parse({ ...record, version: expectedVersion + 1 });
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const object = await this.#object();
      if ((this.#recordOf(object)?.version ?? 0) !== expectedVersion) return 'conflict';
      const { resourceVersion } = object.metadata;
      const patch = { metadata: { uid, resourceVersion }, status: { record: { ...rest, primary } } };
      try {
        await client.patch(CLUSTERS, namespace, name, patch, 'status');
        return 'written';
      } catch (error) {
        // Refused, and so not written: whatever else was written meanwhile is looked at.
        if (!isConflict(error)) throw error;
      }
    }
    throw new Error(`expected ${namespace}/${name} to hold still, found it changed ${MAX_ATTEMPTS} times`);
  }

  async #object(): Promise<ClusterObject> {
    const { client, namespace, name, uid } = this.#options;
    const object = await client.get<ClusterObject>(CLUSTERS, namespace, name);
    if (object?.metadata.uid !== uid) throw new ClusterGoneError(`${namespace}/${name} does not exist any more`);
    return object;
  }

  #recordOf({ status }: ClusterObject): VersionedRecord | null {
    if (status?.record === undefined || status.record === null) return null;
    const parsed = stored.safeParse(status.record);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const found = `${issue?.message ?? 'another shape'} at ${issue?.path.join('.') || 'the top'}`;
      throw new RecordUnreadableError(`${this.#options.namespace}/${this.#options.name}`, found);
    }
    const { version, ...record } = parsed.data;
    return { version, record };
  }
}
