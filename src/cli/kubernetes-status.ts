/** The status of a MySQLCluster, as the status of a cluster anywhere. */
import * as z from 'zod';
import type { DurabilityMode } from '../cluster/record.ts';
import type { JournalEntry } from '../control/port.ts';
import type { ClusterObject } from '../kubernetes/api/resources.ts';
import { MYSQL_PORT, namesOf } from '../kubernetes/objects/object.ts';
import type { MemberStatus, Status } from '../local/status.ts';

/** What of it is read. All of it may be missing: nobody has looked after the cluster yet. */
const Written = z
  .object({
    observedGeneration: z.number().optional(),
    state: z.string().optional(),
    reason: z.string().default(''),
    version: z.string().optional(),
    epoch: z.number().default(0),
    durability: z.object({ mode: z.string(), required: z.number() }).optional(),
    members: z
      .array(
        z.object({
          name: z.string(),
          ordinal: z.number(),
          role: z.enum(['primary', 'replica']).default('replica'),
          state: z.string().default(''),
          detail: z.string().default(''),
          lagSeconds: z.number().optional(),
        }),
      )
      .default([]),
    restarting: z.array(z.number()).default([]),
    record: z
      .object({
        term: z.number().default(0),
        primary: z.object({ ordinal: z.number() }).nullish(),
        ackers: z.array(z.object({ ordinal: z.number() })).default([]),
      })
      .default({ term: 0, ackers: [] }),
  })
  .default({ reason: '', epoch: 0, members: [], restarting: [], record: { term: 0, ackers: [] } });

/** An operator that runs sees a new cluster at once. */
const UNSEEN_MS = 15_000;

export function statusOfObject(
  object: ClusterObject,
  replicas: number,
  lastEvents: readonly JournalEntry[],
  nowMs: number,
): Status {
  const { namespace, name, generation = 0, creationTimestamp } = object.metadata;
  const written = Written.parse(object.status);
  const { term, primary, ackers } = written.record;
  const { durability, version } = written;
  const ageMs = nowMs - Date.parse(creationTimestamp ?? new Date(nowMs).toISOString());
  const unseen = written.observedGeneration === undefined && ageMs > UNSEEN_MS;
  // Of what was asked for since, nothing has been seen yet.
  const stale = written.observedGeneration !== undefined && written.observedGeneration < generation;
  const names = namesOf({ metadata: { name } });
  const at = (service: string) => ({ host: `${service}.${namespace}.svc`, port: MYSQL_PORT });
  return {
    name,
    state: unseen ? 'unattended' : ((written.state ?? 'creating') as Status['state']),
    reason: unseen
      ? 'no operator looks after it: is one installed, and does it watch this namespace?'
      : stale
        ? 'the operator has not seen yet what is asked for now'
        : written.reason,
    epoch: written.epoch,
    term,
    primary: primary?.ordinal ?? null,
    durability:
      durability === undefined || durability.mode === ''
        ? null
        : {
            mode: durability.mode as DurabilityMode,
            required: durability.required,
            ackers: ackers.map(({ ordinal }) => ordinal).sort((a, b) => a - b),
          },
    endpoints: { primary: at(names.primaryService), read: at(names.readService) },
    members: written.members.map(({ ordinal, role, state, detail, lagSeconds }): MemberStatus => ({
      ordinal,
      role,
      state,
      reason: detail,
      pid: null,
      port: MYSQL_PORT,
      lagSeconds: lagSeconds ?? null,
      gtidExecuted: null,
    })),
    mysql: version === undefined ? null : { version },
    daemon: null,
    restarting: written.restarting,
    replicas,
    lastEvents,
    progress: null,
  };
}
