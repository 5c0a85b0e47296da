import { stringify } from 'yaml';
import type { MySQLCluster } from './resource.ts';

/**
 * A cluster as YAML, every default written out; `parseCluster` reads it back to an equal one. Kubernetes reads YAML 1.1,
 * where `on` is true and `1_0` a number: such text is quoted.
 */
export function renderCluster(cluster: MySQLCluster): string {
  const { apiVersion, kind, metadata, spec } = cluster;
  return stringify(
    { apiVersion, kind, metadata, spec },
    {
      aliasDuplicateObjects: false,
      compat: 'yaml-1.1',
      lineWidth: 0,
    },
  );
}
