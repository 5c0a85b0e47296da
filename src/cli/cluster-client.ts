/** What commands ask of a cluster, wherever it is: of the daemon on this machine, or of a Kubernetes. */
import type { ApiClient } from '../local/api-client.ts';

export type ClusterClient = Pick<
  ApiClient,
  | 'status'
  | 'watch'
  | 'journal'
  | 'resource'
  | 'scale'
  | 'switchover'
  | 'restart'
  | 'kill'
  | 'freeze'
  | 'thaw'
  | 'credentials'
>;
