/** Where a command looks for its cluster: on this machine, or in a Kubernetes. */
import { badInput } from './exit.ts';

export interface PlaceOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
}

/** Each where it was said. */
export type KubernetesPlace = PlaceOptions;

/**
 * Null: this machine. An option that says where in a Kubernetes means one; so does BATON_PLATFORM=kubernetes, which is set
 * where the program is called as `kubectl baton`.
 */
export function kubernetesPlace(options: PlaceOptions, env: NodeJS.ProcessEnv): KubernetesPlace | null {
  const { kubeconfig, context, namespace } = options;
  const said = [kubeconfig, context, namespace].some((option) => option !== undefined);
  if (!said && !isKubernetes(env)) return null;
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(namespace === undefined ? {} : { namespace }),
  };
}

/** Whether commands mean a Kubernetes where no option says so. */
export function isKubernetes(env: NodeJS.ProcessEnv): boolean {
  const platform = env['BATON_PLATFORM'] ?? '';
  if (platform === '' || platform === 'local') return false;
  if (platform === 'kubernetes') return true;
  throw badInput(`expected BATON_PLATFORM to be local or kubernetes, found ${JSON.stringify(platform.slice(0, 60))}`);
}

/** What does on Kubernetes what a command does on this machine. */
const INSTEAD: Readonly<Record<string, string>> = {
  up: 'kubectl apply -f cluster.yaml',
  start: 'kubectl apply -f cluster.yaml',
  stop: 'kubectl delete mysqlcluster NAME (volumes stay unless spec.storage.whenDeleted says otherwise)',
  down: 'kubectl delete mysqlcluster NAME (volumes stay unless spec.storage.whenDeleted says otherwise)',
};

/** Throws if a command is one of this machine alone, and it is asked for on Kubernetes. */
export function checkCommand(command: string, env: NodeJS.ProcessEnv): void {
  const instead = INSTEAD[command];
  if (instead === undefined || !isKubernetes(env)) return;
  throw badInput(`${command} is for clusters on one machine`, `On Kubernetes: ${instead}`);
}
