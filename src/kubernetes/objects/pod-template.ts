/** The Pod of a member: one stock MySQL image, nothing beside it, no privileges. */
import { createHash } from 'node:crypto';
import { imageFor, type MySQLCluster } from '../../spec/resource.ts';
import { IN_POD, staticSettings } from './config-map.ts';
import { mergePodTemplate } from './merge-pod-template.ts';
import { ADMIN_PORT, MYSQL_PORT, namesOf, selectorOf } from './object.ts';

/** What was asked for when a Pod was made: a Pod with another value is outdated, one that merely came from another Baton is not. */
export const INPUTS_ANNOTATION = 'baton.dev/inputs';
/** What member.sh is told to do; see orders.ts. */
export const ORDERS_ANNOTATION = 'baton.dev/orders';

/** uid and gid of mysql in MySQL's images. */
const MYSQL_USER = 999;

/** Kept for mysqld after preStop: an orderly stop writes out what it has in memory. */
const STOP_SECONDS = 30;
/** How long a draining primary waits for its successor, beyond the grace of the transactions that are open. */
const DRAIN_SECONDS = 25;

type Part = Readonly<Record<string, unknown>>;

export interface PodTemplate {
  readonly metadata: {
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: Part & { readonly containers: readonly Part[]; readonly initContainers: readonly Part[] };
}

/**
 * A fingerprint of what the user says of members' Pods. An upgrade of Baton may change the template, and takes effect with a
 * Pod's next restart; only a change of this is a reason to restart one.
 */
export function inputsOf(cluster: MySQLCluster): string {
  const { resources, podTemplate } = cluster.spec;
  const inputs = [imageFor(cluster), sorted(resources), sorted(podTemplate), staticSettings(cluster)];
  return createHash('sha256').update(JSON.stringify(inputs)).digest('hex').slice(0, 16);
}

/** Maps are the same in any order; the API server has one of its own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value ?? null;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, child]) => [name, sorted(child)]));
}

/** @throws {PodTemplateError} if `spec.podTemplate` is not shaped like one */
export function podTemplate(cluster: MySQLCluster): PodTemplate {
  const ours: PodTemplate = {
    metadata: { labels: selectorOf(cluster), annotations: { [INPUTS_ANNOTATION]: inputsOf(cluster) } },
    spec: podSpec(cluster),
  };
  return cluster.spec.podTemplate === undefined ? ours : mergePodTemplate(ours, cluster.spec.podTemplate);
}

function podSpec(cluster: MySQLCluster): PodTemplate['spec'] {
  const names = namesOf(cluster);
  const drainSeconds = Math.ceil(cluster.spec.switchover.graceSeconds) + DRAIN_SECONDS;
  return {
    serviceAccountName: names.cluster,
    automountServiceAccountToken: false,
    // Members find each other by name; a variable for each Service of the namespace would only be in MySQL's way.
    enableServiceLinks: false,
    terminationGracePeriodSeconds: drainSeconds + STOP_SECONDS,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: MYSQL_USER,
      runAsGroup: MYSQL_USER,
      fsGroup: MYSQL_USER,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    affinity: apart(cluster),
    initContainers: [prepareContainer(cluster)],
    containers: [mysqlContainer(cluster, drainSeconds)],
    volumes: [
      // In memory: the socket, and what the Pod was started with.
      { name: 'run', emptyDir: { medium: 'Memory', sizeLimit: '16Mi' } },
      { name: 'tmp', emptyDir: {} },
      { name: 'config', configMap: { name: names.cluster } },
      {
        name: 'internal',
        secret: {
          secretName: names.internal,
          defaultMode: 0o440,
          items: ['accounts.sql', 'client.cnf'].map((key) => ({ key, path: key })),
        },
      },
      { name: 'tls', secret: { secretName: names.tls, defaultMode: 0o440 } },
      {
        name: 'orders',
        downwardAPI: {
          items: [{ path: 'orders', fieldRef: { fieldPath: `metadata.annotations['${ORDERS_ANNOTATION}']` } }],
        },
      },
    ],
  };
}

/** Rather on different nodes and in different zones; on one, if there is only one. */
function apart(cluster: MySQLCluster): Part {
  const term = (topologyKey: string, weight: number): Part => ({
    weight,
    podAffinityTerm: { topologyKey, labelSelector: { matchLabels: selectorOf(cluster) } },
  });
  return {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        term('kubernetes.io/hostname', 100),
        term('topology.kubernetes.io/zone', 50),
      ],
    },
  };
}

/** What both containers are alike in. They are given the same resources, so that a quota lets in both or none. */
function container(cluster: MySQLCluster): Part {
  const { resources } = cluster.spec;
  const field = (name: string, fieldPath: string): Part => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  return {
    image: imageFor(cluster),
    imagePullPolicy: 'IfNotPresent',
    // Why it did not come up, in the Pod's status.
    terminationMessagePolicy: 'FallbackToLogsOnError',
    env: [
      field('POD_NAME', 'metadata.name'),
      field('POD_IP', 'status.podIP'),
      // So that `kubectl exec NAME-0 -- mysql` finds the socket, whatever the image was built with.
      { name: 'MYSQL_UNIX_PORT', value: `${IN_POD.run}/mysqld.sock` },
    ],
    ...(resources === undefined ? {} : { resources }),
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'data', mountPath: IN_POD.volume },
      { name: 'run', mountPath: IN_POD.run },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'config', mountPath: '/etc/baton', readOnly: true },
      { name: 'internal', mountPath: '/etc/baton-internal', readOnly: true },
      { name: 'tls', mountPath: IN_POD.tls, readOnly: true },
      { name: 'orders', mountPath: '/etc/baton-orders', readOnly: true },
    ],
  };
}

function prepareContainer(cluster: MySQLCluster): Part {
  return { name: 'prepare', ...container(cluster), command: ['bash', '/etc/baton/member.sh', 'prepare'] };
}

/** The copy that the init container made: a newer Baton's scripts are for newer Pods. */
const script = (...args: string[]): string[] => ['bash', `${IN_POD.run}/member.sh`, ...args];

function mysqlContainer(cluster: MySQLCluster, drainSeconds: number): Part {
  const listening = { tcpSocket: { port: 'mysql' }, timeoutSeconds: 2 };
  return {
    name: 'mysql',
    ...container(cluster),
    command: script('run'),
    ports: [
      { name: 'mysql', containerPort: MYSQL_PORT, protocol: 'TCP' },
      { name: 'admin', containerPort: ADMIN_PORT, protocol: 'TCP' },
    ],
    // A day: recovery after a crash takes as long as it takes.
    startupProbe: { ...listening, periodSeconds: 1, failureThreshold: 86_400 },
    // Not replication: a replica that lags is a healthy Pod. Who is sent where is said by EndpointSlices.
    readinessProbe: { ...listening, periodSeconds: 5, failureThreshold: 2 },
    // Of process 1 and not of mysqld: one that recovers, is filled or is busy is not to be killed for it.
    livenessProbe: { exec: { command: script('alive') }, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 4 },
    lifecycle: { preStop: { exec: { command: script('drain', String(drainSeconds)) } } },
  };
}
