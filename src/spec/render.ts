import { stringify } from 'yaml';
import type { MySQLCluster } from './resource.ts';

/** A cluster as YAML, every default written out; `parseCluster` reads it back to an equal one. */
export function renderCluster(cluster: MySQLCluster): string {
  const { apiVersion, kind, metadata, spec } = cluster;
  return stringify({ apiVersion, kind, metadata, spec }, { aliasDuplicateObjects: false, lineWidth: 0 });
}
