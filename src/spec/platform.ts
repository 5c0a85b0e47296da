import { isDeepStrictEqual } from 'node:util';
import { type Field, fieldsBelow, resourceSchema } from './fields.ts';
import type { MySQLClusterInput } from './resource.ts';

export type Platform = 'local' | 'kubernetes';

const USED_ON: Record<Platform, string> = { local: 'one machine', kubernetes: 'Kubernetes' };

/** One line for each field that is set and that a platform does not use: it is no error, since the file serves both. */
export function ignoredOn(platform: Platform, cluster: MySQLClusterInput): string[] {
  const notes: string[] = [];
  for (const [path, field] of fieldsBelow(resourceSchema())) {
    const only = field['x-baton-platform'];
    if (only !== undefined && only !== platform && isSet(cluster, path, field)) {
      notes.push(`${path} is used on ${USED_ON[only]} only; ignored here`);
    }
  }
  return notes;
}

/** A value that is only the default says nothing of the user's wish. */
function isSet(cluster: unknown, path: string, field: Field): boolean {
  let value = cluster;
  for (const name of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[name];
  return value !== undefined && !isDeepStrictEqual(value, field.default);
}
