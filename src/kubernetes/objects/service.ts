import type { MySQLCluster } from '../../spec/resource.ts';
import {
  ADMIN_PORT,
  MYSQL_PORT,
  metaOf,
  namesOf,
  selectorOf,
  type KubernetesObject,
  type Ownership,
} from './object.ts';

/**
 * Gives every member its name, `NAME-0.NAME`. A member that is not ready has one too: the others must reach it while it
 * recovers or is filled.
 */
export function headlessService(cluster: MySQLCluster, ownership: Ownership): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metaOf(cluster, namesOf(cluster).cluster, ownership),
    spec: {
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      selector: selectorOf(cluster),
      ports: [
        { name: 'mysql', port: MYSQL_PORT, protocol: 'TCP', targetPort: 'mysql' },
        { name: 'admin', port: ADMIN_PORT, protocol: 'TCP', targetPort: 'admin' },
      ],
    },
  };
}

/** No selector: where it leads is said by Baton's own EndpointSlice and by nothing else. */
export function endpointService(
  cluster: MySQLCluster,
  role: 'primary' | 'read',
  ownership: Ownership,
): KubernetesObject {
  const names = namesOf(cluster);
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metaOf(cluster, role === 'primary' ? names.primaryService : names.readService, ownership),
    spec: {
      type: 'ClusterIP',
      ports: [{ name: 'mysql', port: MYSQL_PORT, protocol: 'TCP', targetPort: MYSQL_PORT }],
    },
  };
}
