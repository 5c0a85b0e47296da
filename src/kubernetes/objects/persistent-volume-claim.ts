import type { MySQLCluster } from '../../spec/resource.ts';
import { namesOf, namespaceOf, type KubernetesObject } from './object.ts';

/** The size that a member's claim is to have, for claims that were made when it was smaller: nothing else of it is ours. */
export function claimSize(cluster: MySQLCluster, ordinal: number): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: namesOf(cluster).claim(ordinal), namespace: namespaceOf(cluster) },
    spec: { resources: { requests: { storage: cluster.spec.storage.size } } },
  };
}
