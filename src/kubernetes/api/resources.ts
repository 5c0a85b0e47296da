/** What the operator asks the API server for, and the parts of it that it reads. */
import { GROUP, PLURAL, VERSION } from '../crd.ts';
import type { SwitchoverAnswer } from '../requests.ts';

/** A kind of object, as paths name it. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly plural: string;
}

const resource = (group: string, version: string, plural: string): Resource => ({ group, version, plural });

export const CLUSTERS = resource(GROUP, VERSION, PLURAL);
export const PODS = resource('', 'v1', 'pods');
export const CLAIMS = resource('', 'v1', 'persistentvolumeclaims');
export const SECRETS = resource('', 'v1', 'secrets');
export const STATEFUL_SETS = resource('apps', 'v1', 'statefulsets');
export const ENDPOINT_SLICES = resource('discovery.k8s.io', 'v1', 'endpointslices');
export const LEASES = resource('coordination.k8s.io', 'v1', 'leases');
export const EVENTS = resource('events.k8s.io', 'v1', 'events');
/** The same, as people may see them. */
export const SEEN_EVENTS = resource('', 'v1', 'events');

/** By `apiVersion` and `kind`, for objects that are applied. */
export const RESOURCE_OF: Readonly<Record<string, Resource>> = {
  'v1 Service': resource('', 'v1', 'services'),
  'v1 ConfigMap': resource('', 'v1', 'configmaps'),
  'v1 ServiceAccount': resource('', 'v1', 'serviceaccounts'),
  'v1 Secret': SECRETS,
  'v1 PersistentVolumeClaim': CLAIMS,
  'apps/v1 StatefulSet': STATEFUL_SETS,
  'discovery.k8s.io/v1 EndpointSlice': ENDPOINT_SLICES,
  'policy/v1 PodDisruptionBudget': resource('policy', 'v1', 'poddisruptionbudgets'),
  'networking.k8s.io/v1 NetworkPolicy': resource('networking.k8s.io', 'v1', 'networkpolicies'),
};

export interface Meta {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly generation?: number;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
}

/** An object as the API server has it. */
export interface ApiObject {
  readonly metadata: Meta;
}

interface ContainerState {
  readonly running?: { readonly startedAt?: string };
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly terminated?: {
    readonly exitCode: number;
    readonly reason?: string;
    readonly message?: string;
    readonly containerID?: string;
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly containerID?: string;
  readonly restartCount: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface Pod extends ApiObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface StatefulSet extends ApiObject {
  readonly spec: { readonly replicas?: number };
}

export interface Claim extends ApiObject {
  readonly spec?: {
    readonly storageClassName?: string;
    readonly resources?: { readonly requests?: Readonly<Record<string, string>> };
  };
  readonly status?: { readonly phase?: string };
}

export interface Secret extends ApiObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface Lease extends ApiObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

export interface EndpointSlice extends ApiObject {
  readonly endpoints?:
    | readonly { readonly addresses: readonly string[]; readonly targetRef?: { readonly name?: string } }[]
    | null;
}

/** A MySQLCluster as stored: its spec is checked by src/spec, its record by record-status.ts. */
export interface ClusterObject extends ApiObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly spec?: unknown;
  readonly status?: {
    readonly record?: unknown;
    readonly conditions?: readonly Condition[];
    readonly switchover?: SwitchoverAnswer;
  };
}
