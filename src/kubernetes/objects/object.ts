/** What every object that Baton makes has in common: its names, its labels, its owner. */
import type { MySQLCluster } from '../../spec/resource.ts';

/** The field manager of everything that is applied. */
export const FIELD_MANAGER = 'baton';

export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
}

/** A Kubernetes object, as applied: plain data, nothing that the API server adds. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
  readonly [field: string]: unknown;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller: true;
}

/** What a builder needs beside the resource. */
export interface Ownership {
  /** The MySQLCluster that objects go with; null when there is none, as in what `baton render` prints. */
  readonly owner: OwnerReference | null;
}

export const UNOWNED: Ownership = { owner: null };

/** The port of MySQL's classic protocol, and of its administrative address. */
export const MYSQL_PORT = 3306;
export const ADMIN_PORT = 33_062;

type Named = Pick<MySQLCluster, 'metadata'>;

/** The names of a cluster's objects. Two clusters never share one: the CRD refuses names that end in a Service's suffix. */
export const namesOf = ({ metadata: { name } }: Named) => ({
  /** StatefulSet, headless Service, ConfigMap, PodDisruptionBudget, NetworkPolicy, ServiceAccount. */
  cluster: name,
  primaryService: `${name}-primary`,
  readService: `${name}-read`,
  /** For people and applications; the resource may name another. */
  credentials: `${name}-credentials`,
  /** Passwords of Baton's own accounts. */
  internal: `${name}-internal`,
  /** The cluster's own authority, with its key: for the operator alone. */
  authority: `${name}-ca`,
  /** What members show, and whom they trust. */
  tls: `${name}-tls`,
  pod: (ordinal: number) => `${name}-${ordinal}`,
  claim: (ordinal: number) => `data-${name}-${ordinal}`,
});

/** Suffixes that a cluster's name may not have: `mysql-read` would be the Service of a cluster `mysql`. */
export const RESERVED_SUFFIXES = ['-primary', '-read'];

/** The ordinal in the name of a member's Pod; null for any other. */
export function ordinalOfPod(cluster: Named, pod: string): number | null {
  const prefix = `${cluster.metadata.name}-`;
  const rest = pod.startsWith(prefix) ? pod.slice(prefix.length) : '';
  return /^(0|[1-9]\d*)$/.test(rest) ? Number(rest) : null;
}

/** Where a member is reached: by a name that outlives its Pod. */
export const hostOf = (cluster: Named, ordinal: number): string =>
  `${namesOf(cluster).pod(ordinal)}.${cluster.metadata.name}.${namespaceOf(cluster)}.svc`;

export const namespaceOf = ({ metadata }: Named): string => metadata.namespace ?? 'default';

/** Tells a cluster's objects from all others; `managed-by` from those of a chart of the same name. */
export const selectorOf = ({ metadata: { name } }: Named): Readonly<Record<string, string>> => ({
  'app.kubernetes.io/name': 'mysql',
  'app.kubernetes.io/instance': name,
  'app.kubernetes.io/managed-by': 'baton',
});

/** Set on Pods while the member is that, for people: nothing is routed by it. */
export const ROLE_LABEL = 'baton.dev/role';

/** The same as text, for the scale subresource. */
export const selectorText = (cluster: Named): string =>
  Object.entries(selectorOf(cluster))
    .map(([label, value]) => `${label}=${value}`)
    .join(',');

/** Metadata of an object of a cluster. */
export function metaOf(cluster: Named, name: string, { owner }: Ownership): ObjectMeta {
  return {
    name,
    namespace: namespaceOf(cluster),
    labels: selectorOf(cluster),
    ...(owner === null ? {} : { ownerReferences: [owner] }),
  };
}
