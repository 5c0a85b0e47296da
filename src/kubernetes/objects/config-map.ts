import { configFile } from '../../mysql/config-file.ts';
import type { MySQLCluster } from '../../spec/resource.ts';
import { isStatic, type VariableValue } from '../../spec/variables.ts';
import { memberScript } from '../scripts/member.ts';
import { ADMIN_PORT, MYSQL_PORT, metaOf, namesOf, type KubernetesObject, type Ownership } from './object.ts';

/** Where a member's files are, and where it listens. Paths are absolute. */
export interface MemberPlace {
  /** The member's volume: data, and what was set aside or saved. */
  readonly volume: string;
  /** Gone with the Pod: the socket. */
  readonly run: string;
  /** The Secret of its certificate. */
  readonly tls: string;
  readonly port: number;
  readonly adminPort: number;
}

export const IN_POD: MemberPlace = {
  volume: '/var/lib/mysql',
  run: '/run/mysqld',
  tls: '/etc/baton-tls',
  port: MYSQL_PORT,
  adminPort: ADMIN_PORT,
};

/** What members are started with: the same for all. Their Pods keep what it was when they began. */
export function configMap(cluster: MySQLCluster, ownership: Ownership): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: metaOf(cluster, namesOf(cluster).cluster, ownership),
    data: {
      'my.cnf': memberConfig(cluster, IN_POD),
      'initialise.cnf': initialConfig(cluster),
      'member.sh': memberScript(),
    },
  };
}

/** Packagers compile in a directory that an image need not have; and a kubelet that looks in is no failing client. */
const DEFAULTS: Readonly<Record<string, VariableValue>> = {
  secure_file_priv: 'NULL',
  max_connect_errors: 4_294_967_295,
};

/** Whom members trust, as a file of theirs. */
export const trustedFile = ({ tls }: MemberPlace): string => `${tls}/ca.crt`;

/** What a member shows and whom it trusts; as a donor's recipient, too. */
function tlsSettings(place: MemberPlace): Record<string, VariableValue> {
  const [ca, certificate, key] = [trustedFile(place), `${place.tls}/tls.crt`, `${place.tls}/tls.key`];
  return {
    ssl_ca: ca,
    ssl_cert: certificate,
    ssl_key: key,
    loose_clone_ssl_ca: ca,
    loose_clone_ssl_cert: certificate,
    loose_clone_ssl_key: key,
  };
}

/** What is each member's own, so that member.sh says it when it starts mysqld. */
const OWN = /^(server_id|report_host|admin_address) = .*\n/gm;

/** my.cnf of every member. Where it says 0, member.sh has the member's own. */
export function memberConfig({ spec }: MySQLCluster, place: MemberPlace): string {
  const text = configFile({
    ordinal: 0,
    serverId: 0,
    bindAddress: '*',
    port: place.port,
    adminPort: place.adminPort,
    dataDir: `${place.volume}/data`,
    socket: `${place.run}/mysqld.sock`,
    tmpDir: `${place.volume}/tmp`,
    powerLoss: spec.durability.powerLoss,
    // Later than the controller's own judgement, which goes by heartbeats: a receiver that reads is quickly sealed.
    replicaNetTimeoutSeconds: Math.max(2, Math.ceil(3 * spec.detection.timeoutSeconds)),
    settings: [DEFAULTS, spec.mysql.config, tlsSettings(place)],
  });
  return text.replace(OWN, '');
}

/** What a data directory is made with and can't be changed later. */
const AT_BIRTH = ['lower_case_table_names', 'innodb_page_size', 'innodb_data_file_path', 'innodb_undo_tablespaces'];

export function initialConfig({ spec: { mysql } }: MySQLCluster): string {
  const lines = Object.entries(mysql.config)
    .filter(([name]) => AT_BIRTH.includes(name.replace(/^loose_/, '')))
    .map(([name, value]) => `${name} = ${String(value)}\n`);
  return `[mysqld]\nsecure_file_priv = NULL\n${lines.join('')}`;
}

/** The settings that mysqld reads only when it starts: members that began with others are to be restarted. */
export const staticSettings = ({ spec: { mysql } }: MySQLCluster): Record<string, VariableValue> =>
  Object.fromEntries(
    Object.entries(mysql.config)
      .filter(([name]) => isStatic(name))
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
