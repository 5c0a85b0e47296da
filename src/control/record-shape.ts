/** The record as it is stored, on whatever platform: what is read back is checked before anything rests on it. */
import { z } from 'zod';
import type { ClusterRecord } from '../cluster/record.ts';
import { GtidSet } from '../gtid/gtid-set.ts';

const serverUuid = z.uuid();
const ordinal = z.int().min(0);

// Strict: a field that this version does not know may be what makes the record mean something else.
export const recordShape = z.strictObject({
  clusterId: z.string().min(1),
  term: z.int().min(0),
  epoch: z.int().min(0),
  primary: z.strictObject({ ordinal, serverUuid }).nullable(),
  floor: z.string().refine(isGtidSet, 'expected a GTID set'),
  ackers: z.array(z.strictObject({ ordinal, serverUuid, bootId: z.string() })),
  required: z.int().min(0),
  mode: z.enum(['quorum', 'adaptive', 'asynchronous']),
}) satisfies z.ZodType<ClusterRecord>;

function isGtidSet(text: string): boolean {
  try {
    GtidSet.parse(text);
    return true;
  } catch {
    return false;
  }
}
