/** Every object that a cluster is made of, as YAML: for reading, for review, for those who apply it themselves. */
import { stringify } from 'yaml';
import type { Passwords } from '../mysql/accounts.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { OPERATOR_NAMESPACE } from './install.ts';
import { configMap } from './objects/config-map.ts';
import { endpointSlice, type EndpointAddress } from './objects/endpoint-slice.ts';
import { networkPolicy } from './objects/network-policy.ts';
import { UNOWNED, type KubernetesObject, type Ownership } from './objects/object.ts';
import { localStorageClass, localVolume, onLocalStorage, type LocalVolume } from './objects/persistent-volume.ts';
import { podDisruptionBudget } from './objects/pod-disruption-budget.ts';
import { credentialsSecret, internalSecret } from './objects/secret.ts';
import { endpointService, headlessService } from './objects/service.ts';
import { serviceAccount } from './objects/service-account.ts';
import { statefulSet } from './objects/stateful-set.ts';

export interface RenderOptions {
  /** Those that the Secrets are to hold. Left out, the Secrets are left out, too. */
  readonly passwords?: Passwords;
  /** Directories of nodes to be volumes, for clusters without a class that makes some. */
  readonly localVolumes?: readonly LocalVolume[];
  /** Where the operator runs that may connect to members. Default: baton-system. */
  readonly operatorNamespace?: string;
}

/**
 * In the order in which they can be applied. The same for the same cluster and options.
 *
 * @throws {PodTemplateError} if `spec.podTemplate` is not shaped like one
 */
export function renderObjects(cluster: MySQLCluster, options: RenderOptions = {}): KubernetesObject[] {
  const { passwords, localVolumes = [], operatorNamespace = OPERATOR_NAMESPACE } = options;
  const placed = localVolumes.length === 0 ? cluster : onLocalStorage(cluster);
  const secrets =
    passwords === undefined
      ? []
      : [credentialsSecret(cluster, passwords, UNOWNED), internalSecret(cluster, passwords, UNOWNED)];
  return [
    ...(localVolumes.length === 0 ? [] : [localStorageClass(placed)]),
    ...localVolumes.map((volume, index) => localVolume(placed, index, volume)),
    ...secrets.filter((secret) => secret !== null),
    ...standingObjects(placed, operatorNamespace, UNOWNED),
    ...(['primary', 'read'] as const).map((role) => endpointSlice(placed, role, NOWHERE, 'IPv4', UNOWNED)),
    statefulSet(placed, placed.spec.replicas, UNOWNED),
  ];
}

/** Until the operator has opened a primary. */
const NOWHERE: readonly EndpointAddress[] = [];

/** What depends on the resource alone, and on nothing that happens to members. */
export function standingObjects(
  cluster: MySQLCluster,
  operatorNamespace: string,
  ownership: Ownership,
): KubernetesObject[] {
  return [
    serviceAccount(cluster, ownership),
    configMap(cluster, ownership),
    headlessService(cluster, ownership),
    endpointService(cluster, 'primary', ownership),
    endpointService(cluster, 'read', ownership),
    podDisruptionBudget(cluster, ownership),
    networkPolicy(cluster, operatorNamespace, ownership),
  ];
}

/** As one text for `kubectl apply -f -`. Kubernetes reads YAML 1.1, where `on` is true: such text is quoted. */
export const toYaml = (objects: readonly KubernetesObject[]): string =>
  objects
    .map((object) => stringify(object, { aliasDuplicateObjects: false, compat: 'yaml-1.1', lineWidth: 0 }))
    .join('---\n');
