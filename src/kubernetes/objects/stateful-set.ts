import type { MySQLCluster } from '../../spec/resource.ts';
import { metaOf, namesOf, selectorOf, type KubernetesObject, type Ownership } from './object.ts';
import { podTemplate } from './pod-template.ts';

/**
 * The members' Pods and volumes. Kubernetes only makes and keeps them: which are restarted when, and which leaves, the brain
 * says (all start at once; a changed template waits until a Pod is deleted).
 *
 * @param members how many Pods there are to be now: members come and go one by one, so it may differ from `spec.replicas`
 * @throws {PodTemplateError} if `spec.podTemplate` is not shaped like one
 */
export function statefulSet(cluster: MySQLCluster, members: number, ownership: Ownership): KubernetesObject {
  const { storage } = cluster.spec;
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: metaOf(cluster, namesOf(cluster).cluster, ownership),
    spec: {
      replicas: members,
      serviceName: namesOf(cluster).cluster,
      podManagementPolicy: 'Parallel',
      updateStrategy: { type: 'OnDelete' },
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorOf(cluster) },
      template: podTemplate(cluster),
      persistentVolumeClaimRetentionPolicy: { whenDeleted: storage.whenDeleted, whenScaled: storage.whenScaled },
      volumeClaimTemplates: [
        {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'data', labels: selectorOf(cluster) },
          spec: {
            accessModes: ['ReadWriteOnce'],
            volumeMode: 'Filesystem',
            ...(storage.className === undefined ? {} : { storageClassName: storage.className }),
            resources: { requests: { storage: storage.size } },
          },
        },
      ],
    },
  };
}
