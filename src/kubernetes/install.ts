/** What `baton install` prints: the CRD, the operator, and the least that it must be allowed to do. */
import { GROUP, PLURAL, customResourceDefinition } from './crd.ts';
import { OPERATOR_LABELS } from './objects/network-policy.ts';
import type { KubernetesObject, ObjectMeta } from './objects/object.ts';

export interface InstallOptions {
  /** The operator's image, such as `baton:0.1.0`. */
  readonly image: string;
  /** The operator's own namespace. Default: baton-system. */
  readonly namespace?: string;
  /** The namespaces whose clusters it looks after; it can do nothing in others. Default, and if empty: all. */
  readonly watch?: readonly string[];
  /** How many operators there are; one leads. Default: 2. */
  readonly replicas?: number;
}

export const OPERATOR_NAMESPACE = 'baton-system';
export const OPERATOR_HTTP_PORT = 8080;
/** Much is made and soon forgotten: what is kept for it is a third of what Node would take. */
export const OPERATOR_ENVIRONMENT = { NODE_OPTIONS: '--max-semi-space-size=4', MALLOC_ARENA_MAX: '1' };
const NAME = 'baton';

/** In the order in which they can be applied. */
export function installObjects(options: InstallOptions): KubernetesObject[] {
  const namespace = options.namespace ?? OPERATOR_NAMESPACE;
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
    customResourceDefinition(),
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(namespace), automountServiceAccountToken: false },
    ...permissions(namespace, options.watch ?? []),
    ...ownPermissions(namespace),
    ...peoplesRoles(),
    {
      apiVersion: 'policy/v1',
      kind: 'PodDisruptionBudget',
      metadata: meta(namespace),
      spec: { maxUnavailable: 1, selector: { matchLabels: OPERATOR_LABELS } },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: meta(namespace),
      spec: {
        selector: OPERATOR_LABELS,
        ports: [{ name: 'http', port: OPERATOR_HTTP_PORT, protocol: 'TCP', targetPort: 'http' }],
      },
    },
    deployment(namespace, options),
  ];
}

const LABELS = { ...OPERATOR_LABELS, 'app.kubernetes.io/managed-by': 'baton' };
const meta = (namespace: string, name = NAME): ObjectMeta => ({ name, namespace, labels: LABELS });

interface PolicyRule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const rule = (apiGroup: string, resources: string, verbs: string): PolicyRule => ({
  apiGroups: [apiGroup],
  resources: resources.split(' '),
  verbs: verbs.split(' '),
});

/** Applying server-side is create and patch. What is deleted with its MySQLCluster is deleted by Kubernetes. */
const RULES: readonly PolicyRule[] = [
  rule(GROUP, PLURAL, 'get list watch'),
  rule(GROUP, `${PLURAL}/status`, 'get update patch'),
  rule('apps', 'statefulsets', 'get list watch create patch delete'),
  // Orders and roles are annotations and labels; a Pod is deleted to be restarted.
  rule('', 'pods', 'get list watch patch delete'),
  rule('', 'services configmaps serviceaccounts', 'get create patch'),
  // By name alone: whoever lists Secrets has them all.
  rule('', 'secrets', 'get create patch'),
  // Deleted only where the resource says so, of a member that left and whose data is all elsewhere.
  rule('', 'persistentvolumeclaims', 'get list watch patch delete'),
  rule('discovery.k8s.io', 'endpointslices', 'get list watch create patch'),
  rule('policy', 'poddisruptionbudgets', 'get create patch'),
  rule('networking.k8s.io', 'networkpolicies', 'get create patch'),
  rule('events.k8s.io', 'events', 'create patch'),
];

function permissions(namespace: string, watch: readonly string[]): KubernetesObject[] {
  const subjects = [{ kind: 'ServiceAccount', name: NAME, namespace }];
  const role = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: NAME };
  const clusterRole = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: NAME, labels: LABELS },
    rules: RULES,
  };
  if (watch.length === 0) {
    return [
      clusterRole,
      {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: NAME, labels: LABELS },
        roleRef: role,
        subjects,
      },
    ];
  }
  const bindings = watch.map((watched) => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: meta(watched),
    roleRef: role,
    subjects,
  }));
  return [clusterRole, ...bindings];
}

/** Who leads is settled by a Lease in the operator's own namespace. */
function ownPermissions(namespace: string): KubernetesObject[] {
  const name = `${NAME}-leader`;
  return [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: meta(namespace, name),
      rules: [rule('coordination.k8s.io', 'leases', 'get create update patch')],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: meta(namespace, name),
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name: NAME, namespace }],
    },
  ];
}

/** Who may edit or view a namespace may do so with its MySQLClusters; the record in their status is the operator's alone. */
function peoplesRoles(): KubernetesObject[] {
  const role = (name: string, aggregate: readonly string[], rules: readonly PolicyRule[]): KubernetesObject => ({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: {
      name: `${NAME}-${name}`,
      labels: {
        ...LABELS,
        ...Object.fromEntries(aggregate.map((to) => [`rbac.authorization.k8s.io/aggregate-to-${to}`, 'true'])),
      },
    },
    rules,
  });
  return [
    role('view', ['view'], [rule(GROUP, PLURAL, 'get list watch')]),
    role(
      'edit',
      ['edit', 'admin'],
      [
        rule(GROUP, PLURAL, 'get list watch create update patch delete deletecollection'),
        rule(GROUP, `${PLURAL}/scale`, 'get update patch'),
      ],
    ),
  ];
}

function deployment(namespace: string, { image, replicas = 2, watch = [] }: InstallOptions): KubernetesObject {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const probe = (path: string) => ({ httpGet: { path, port: 'http' }, periodSeconds: 5, timeoutSeconds: 3 });
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: meta(namespace),
    spec: {
      replicas,
      selector: { matchLabels: OPERATOR_LABELS },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1, maxSurge: 1 } },
      template: {
        metadata: { labels: LABELS },
        spec: {
          serviceAccountName: NAME,
          // Only here: this is the one that asks the API server.
          automountServiceAccountToken: true,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 10,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65_532,
            runAsGroup: 65_532,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          affinity: {
            podAntiAffinity: {
              preferredDuringSchedulingIgnoredDuringExecution: [
                {
                  weight: 100,
                  podAffinityTerm: {
                    topologyKey: 'kubernetes.io/hostname',
                    labelSelector: { matchLabels: OPERATOR_LABELS },
                  },
                },
              ],
            },
          },
          // Its node may be away together with a primary's: another one is made soon, not after the usual five minutes.
          tolerations: ['not-ready', 'unreachable'].map((taint) => ({
            key: `node.kubernetes.io/${taint}`,
            operator: 'Exists',
            effect: 'NoExecute',
            tolerationSeconds: 10,
          })),
          containers: [
            {
              name: 'operator',
              image,
              imagePullPolicy: 'IfNotPresent',
              args: ['operator', ...watch.map((watched) => `--watch=${watched}`)],
              env: [
                field('POD_NAME', 'metadata.name'),
                field('POD_NAMESPACE', 'metadata.namespace'),
                ...Object.entries(OPERATOR_ENVIRONMENT).map(([name, value]) => ({ name, value })),
              ],
              ports: [{ name: 'http', containerPort: OPERATOR_HTTP_PORT, protocol: 'TCP' }],
              resources: { requests: { cpu: '50m', memory: '128Mi' }, limits: { memory: '512Mi' } },
              securityContext: {
                allowPrivilegeEscalation: false,
                readOnlyRootFilesystem: true,
                capabilities: { drop: ['ALL'] },
              },
              livenessProbe: { ...probe('/healthz'), failureThreshold: 6 },
              readinessProbe: probe('/readyz'),
            },
          ],
        },
      },
    },
  };
}
