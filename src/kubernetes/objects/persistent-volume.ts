import type { MySQLCluster } from '../../spec/resource.ts';
import { namesOf, namespaceOf, selectorOf, type KubernetesObject } from './object.ts';

/** A directory of a node that is to be a volume. */
export interface LocalVolume {
  readonly node: string;
  /** Absolute; it must exist. */
  readonly path: string;
}

/** The class of local volumes where the resource names none. */
const LOCAL_CLASS = 'local-storage';

/** `NODE:PATH`; null if it is not. */
export function parseLocalVolume(text: string): LocalVolume | null {
  const [, node, path] = /^([a-z0-9](?:[-a-z0-9.]*[a-z0-9])?):(\/.*)$/.exec(text) ?? [];
  return node === undefined || path === undefined ? null : { node, path };
}

/** A class that nobody provisions: a claim waits until its Pod has a node, and takes a volume that is there. */
export function localStorageClass({ spec: { storage } }: MySQLCluster): KubernetesObject {
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: storage.className ?? LOCAL_CLASS },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  };
}

/** The cluster on the class that its local volumes are of. */
export const onLocalStorage = (cluster: MySQLCluster): MySQLCluster => ({
  ...cluster,
  spec: {
    ...cluster.spec,
    storage: { ...cluster.spec.storage, className: cluster.spec.storage.className ?? LOCAL_CLASS },
  },
});

/** One of a cluster's local volumes. It outlives its claim: what is in a directory of a node is deleted by people. */
export function localVolume(cluster: MySQLCluster, index: number, { node, path }: LocalVolume): KubernetesObject {
  const { storage } = cluster.spec;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: `${namespaceOf(cluster)}-${namesOf(cluster).cluster}-${index}`,
      labels: selectorOf(cluster),
    },
    spec: {
      capacity: { storage: storage.size },
      volumeMode: 'Filesystem',
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: storage.className ?? LOCAL_CLASS,
      local: { path },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
          ],
        },
      },
    },
  };
}
