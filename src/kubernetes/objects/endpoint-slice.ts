import { isIPv6 } from 'node:net';
import type { MySQLCluster } from '../../spec/resource.ts';
import { MYSQL_PORT, metaOf, namesOf, namespaceOf, type KubernetesObject, type Ownership } from './object.ts';

/** A member that a Service leads to. */
export interface EndpointAddress {
  readonly ordinal: number;
  readonly ip: string;
  readonly podUid: string;
  readonly node: string;
}

/**
 * Where `NAME-primary` or `NAME-read` leads: the whole answer in one object, so that one write moves it. Two writes in a
 * row, empty and then full, would cost a second: kube-proxy takes changes together (minSyncPeriod).
 *
 * @param family what the members' addresses are, also while there are none: it can't be changed later
 */
export function endpointSlice(
  cluster: MySQLCluster,
  role: 'primary' | 'read',
  targets: readonly EndpointAddress[],
  family: 'IPv4' | 'IPv6',
  ownership: Ownership,
): KubernetesObject {
  const names = namesOf(cluster);
  const service = role === 'primary' ? names.primaryService : names.readService;
  const metadata = metaOf(cluster, family === 'IPv4' ? service : `${service}-ipv6`, ownership);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      ...metadata,
      labels: {
        ...metadata.labels,
        'kubernetes.io/service-name': service,
        // Another value than the EndpointSlice controller's own, which would tidy it away.
        'endpointslice.kubernetes.io/managed-by': 'baton.dev',
      },
    },
    addressType: family,
    endpoints: targets
      .filter(({ ip }) => isIPv6(ip) === (family === 'IPv6'))
      .toSorted((a, b) => a.ordinal - b.ordinal)
      .map(({ ordinal, ip, podUid, node }) => ({
        addresses: [ip],
        conditions: { ready: true, serving: true, terminating: false },
        nodeName: node,
        targetRef: { kind: 'Pod', name: names.pod(ordinal), namespace: namespaceOf(cluster), uid: podUid },
      })),
    ports: [{ name: 'mysql', port: MYSQL_PORT, protocol: 'TCP' }],
  };
}
