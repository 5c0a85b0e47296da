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

/** What the operator's Pods are labelled with. */
export const OPERATOR_LABELS = {
  'app.kubernetes.io/name': 'baton',
  'app.kubernetes.io/component': 'operator',
} as const;

/**
 * Who may connect to members: any Pod of the namespace to MySQL's port; the operator and the members themselves to the
 * administrative one too. Policies add up: another one can let in more, such as an application's namespace.
 */
export function networkPolicy(
  cluster: MySQLCluster,
  operatorNamespace: string,
  ownership: Ownership,
): KubernetesObject {
  const operator = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': operatorNamespace } },
    podSelector: { matchLabels: OPERATOR_LABELS },
  };
  const members = { podSelector: { matchLabels: selectorOf(cluster) } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metaOf(cluster, namesOf(cluster).cluster, ownership),
    spec: {
      podSelector: { matchLabels: selectorOf(cluster) },
      policyTypes: ['Ingress'],
      ingress: [
        { from: [{ podSelector: {} }, operator], ports: [{ port: MYSQL_PORT, protocol: 'TCP' }] },
        { from: [operator, members], ports: [{ port: ADMIN_PORT, protocol: 'TCP' }] },
      ],
    },
  };
}
