import type { MySQLCluster } from '../../spec/resource.ts';
import { metaOf, namesOf, selectorOf, type KubernetesObject, type Ownership } from './object.ts';

/** Drains take members one by one. A member that is broken anyway never holds up the drain of its node. */
export function podDisruptionBudget(cluster: MySQLCluster, ownership: Ownership): KubernetesObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: metaOf(cluster, namesOf(cluster).cluster, ownership),
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: selectorOf(cluster) },
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  };
}
