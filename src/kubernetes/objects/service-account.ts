import type { MySQLCluster } from '../../spec/resource.ts';
import { metaOf, namesOf, type KubernetesObject, type Ownership } from './object.ts';

/** Members ask the API server for nothing, so they get no token to ask with. */
export function serviceAccount(cluster: MySQLCluster, ownership: Ownership): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: metaOf(cluster, namesOf(cluster).cluster, ownership),
    automountServiceAccountToken: false,
  };
}
