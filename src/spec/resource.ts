/**
 * The resource `kind: MySQLCluster`: one schema gives its types, defaults, validation and documentation.
 *
 * Conventions of this file:
 * - The message of a check is what was expected, as a noun phrase; after a semicolon, what to do instead.
 * - Each field is described; `x-baton-platform` marks a field that only one platform uses, `x-baton-open` a map that is
 *   not ours to check.
 * - A field holds what JSON Schema can say; rules between fields are `superRefine`.
 */
import * as z from 'zod';
import { quantityBytes } from './quantity.ts';
import { checkVariables, normaliseNames } from './variables.ts';

export const API_VERSION = 'baton.dev/v1alpha1';
export const KIND = 'MySQLCluster';
/** Members that one cluster may have. Semi-synchronous acks and a failover's seals are tested up to here. */
const MAX_REPLICAS = 15;

const text = (expected: string, pattern?: RegExp, maxLength?: number) => {
  let schema = z.string({ error: expected });
  if (maxLength !== undefined) schema = schema.max(maxLength, { error: expected });
  return pattern === undefined ? schema : schema.regex(pattern, { error: expected });
};

const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, { error: `${values.length > 1 ? 'one of ' : ''}${values.map((v) => `"${v}"`).join(', ')}` });

const flag = () => z.boolean({ error: 'true or false' });

const seconds = (min: number, max: number) => {
  const error = `a number of seconds from ${min} to ${max}`;
  return z.number({ error }).min(min, { error }).max(max, { error });
};

const open = (expected: string) => z.record(z.string(), z.unknown(), { error: expected });
const kubernetesOnly = { 'x-baton-platform': 'kubernetes' } as const;
const localOnly = { 'x-baton-platform': 'local' } as const;

const NAME = 'a name of lower-case letters, digits and dashes, a letter first, 40 characters at most';

const METADATA = z
  .strictObject({
    name: text(NAME, /^[a-z]([-a-z0-9]*[a-z0-9])?$/, 40)
      .default('mysql')
      .describe(
        'Name of the cluster; members are NAME-0, NAME-1 and so on. A DNS label of at most 40 characters, a letter first.',
      ),
    namespace: text('the name of a namespace', /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 63)
      .optional()
      .describe('The namespace that the cluster lives in.')
      .meta(kubernetesOnly),
    labels: z
      .record(z.string(), text('text'), { error: 'a map of names to text' })
      .optional()
      .describe('Labels, passed through.'),
    annotations: z
      .record(z.string(), text('text'), { error: 'a map of names to text' })
      .optional()
      .describe('Annotations, passed through.'),
  })
  .prefault({})
  .describe('Who this cluster is.');

const REPLICAS_EXPECTED = `a whole number from 1 to ${MAX_REPLICAS}`;
const replicasError = ({ input }: { input: unknown }) =>
  input === 0 ? `${REPLICAS_EXPECTED}; to stop every member and keep the data, run "baton stop"` : REPLICAS_EXPECTED;

const DURABILITY = z
  .strictObject({
    mode: oneOf('quorum', 'adaptive', 'asynchronous')
      .optional()
      .describe(
        'What an acknowledged write waits for. `quorum`: half of the members, rounded down, have received it besides the primary; a write is never lost while at most that many members are lost at once, and writes stop when too few are attached. `adaptive`: as quorum, but lowered to the replicas that are in sync, at last to none, so that writes go on. `asynchronous`: nothing; the newest writes are lost with the primary. Left out, it is quorum from 3 members and adaptive below.',
      ),
    powerLoss: flag()
      .default(false)
      .describe(
        'Whether an acknowledgement must also survive a power cut of the machine that gave it: replicas then sync their relay log for every write, which halves the write rate.',
      ),
  })
  .prefault({})
  .describe('What an acknowledged write is promised.');

const VALUE_EXPECTED = 'text on one line, a number, or true or false';
const variables = (roleSpecific: boolean) =>
  z
    .record(z.string(), z.union([z.string(), z.number(), z.boolean()], { error: VALUE_EXPECTED }), {
      error: 'a map of MySQL variables to values',
    })
    .superRefine(checkVariables(roleSpecific), { when: () => true })
    .transform(normaliseNames)
    .prefault({});

const absolutePath = () => text('an absolute path', /^\/[^\0\n]*$/, 1024);

const MYSQL = z
  .strictObject({
    version: text('a MySQL version from 8.0.26 to 9.x, such as "8.4"', /^\d+\.\d+(\.\d+)?$/)
      .superRefine((version, context) => {
        const message = versionRefusal(version);
        if (message !== undefined) context.addIssue({ code: 'custom', message });
      })
      .optional()
      .describe(
        'The MySQL version to run, in quotes: "8.4" or "8.4.3". On one machine, the MySQL found must be of it; on Kubernetes it chooses the image, unless `image` does. Left out, whatever is found, or 8.4.',
      ),
    basedir: absolutePath()
      .optional()
      .describe('Directory of the MySQL installation to use (the one that holds bin/mysqld or sbin/mysqld).')
      .meta(localOnly),
    image: text('the name of a container image', /^\S+$/, 512)
      .optional()
      .describe('Container image that has mysqld. Left out, mysql:VERSION, or mysql:8.4.')
      .meta(kubernetesOnly),
    config: variables(false)
      .describe(
        'MySQL variables for every member, as in the [mysqld] part of my.cnf. A few, such as lower_case_table_names, count only when the data is first made.',
      )
      .meta({ 'x-baton-open': true }),
    primaryConfig: variables(true)
      .describe(
        "MySQL variables for the primary, whichever member that is at the moment (a tutorial's master.cnf). Over `config`; only such as can be set at runtime.",
      )
      .meta({ 'x-baton-open': true }),
    replicaConfig: variables(true)
      .describe(
        "MySQL variables for replicas, whichever members these are at the moment (a tutorial's slave.cnf). Over `config`; only such as can be set at runtime.",
      )
      .meta({ 'x-baton-open': true }),
  })
  .prefault({})
  .describe('Which MySQL, and how it is set up.');

const SIZE = 'a size of at least 1Gi, such as "10Gi"';
const size = () =>
  text(SIZE, /^\d+(\.\d+)?([KMGTPE]i|[kMGTPE])?$/, 32).superRefine((value, context) => {
    if ((quantityBytes(value) ?? 0) < 2 ** 30) context.addIssue({ code: 'custom', message: SIZE });
  });

const STORAGE = z
  .strictObject({
    size: size()
      .default('10Gi')
      .describe('Size of the volume of each member. It may grow where the storage class allows it; it cannot shrink.')
      .meta(kubernetesOnly),
    className: text('the name of a StorageClass', /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/, 253)
      .optional()
      .describe('StorageClass of the volumes. Left out, the default class of the Kubernetes cluster.')
      .meta(kubernetesOnly),
    path: absolutePath()
      .optional()
      .describe('Directory that holds the data of all members. Left out, a directory of the user (XDG_DATA_HOME).')
      .meta(localOnly),
    whenScaled: oneOf('Retain', 'Delete')
      .default('Retain')
      .describe('What becomes of the data of a member that leaves when the cluster is scaled in.'),
    whenDeleted: oneOf('Retain', 'Delete')
      .default('Retain')
      .describe(
        'What becomes of the volumes when the MySQLCluster is deleted. On one machine, `baton down` keeps the data and `baton down --delete` does not.',
      )
      .meta(kubernetesOnly),
  })
  .prefault({})
  .describe('Where the data is.');

const QUANTITY = /^(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?$/;
const AMOUNT = 'a quantity, such as "500m" or 2';
const amounts = () =>
  z.record(z.string(), z.union([text(AMOUNT, QUANTITY), z.number()], { error: AMOUNT }), {
    error: 'a map such as {cpu: 500m, memory: 1Gi}',
  });

const RESOURCES = z
  .strictObject({
    requests: amounts()
      .optional()
      .describe('What the scheduler reserves, such as {cpu: 500m, memory: 1Gi}.')
      .meta({ 'x-baton-open': true }),
    limits: amounts()
      .optional()
      .describe('What a member may use at most, such as {memory: 2Gi}.')
      .meta({ 'x-baton-open': true }),
  })
  .optional()
  .describe('Compute resources of the container of each member, as in a Pod.')
  .meta(kubernetesOnly);

const RESERVED_USERS = /^(root|mysql\..*|baton.*)$/;
const RESERVED_DATABASES = /^(mysql|sys|information_schema|performance_schema|ndbinfo|baton)$/i;

const CREDENTIALS = z
  .strictObject({
    secretName: text('the name of a Secret', /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/, 253)
      .optional()
      .describe(
        'Secret with the keys `rootPassword` and `applicationPassword` (`password` is taken for root’s). Left out, passwords are generated and kept.',
      )
      .meta(kubernetesOnly),
    applicationUser: text(
      'an account name of letters, digits, "_", "-", 32 characters at most',
      /^[A-Za-z_][\w-]*$/,
      32,
    )
      .superRefine((user, context) => {
        if (RESERVED_USERS.test(user)) {
          context.addIssue({ code: 'custom', message: 'an account of yours; root, mysql.* and baton* are taken' });
        }
      })
      .default('app')
      .describe('The account for applications. It may read and write, but nothing that could break replication.'),
    database: text('a database name of letters, digits, "_", "-", 64 characters at most', /^[A-Za-z0-9_][\w-]*$/, 64)
      .superRefine((database, context) => {
        if (RESERVED_DATABASES.test(database)) {
          context.addIssue({
            code: 'custom',
            message: 'a database of your own; MySQL or Baton keep their own in this',
          });
        }
      })
      .optional()
      .describe('A database to create with the cluster, for the application account.'),
  })
  .prefault({})
  .describe('Accounts. Passwords are never in this file.');

const TLS = z
  .strictObject({
    secretName: text('the name of a Secret', /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/, 253)
      .optional()
      .describe(
        'Secret with the keys `ca.crt`, `tls.crt` and `tls.key`, as cert-manager makes one; all members show this certificate. Left out, the cluster has an authority of its own. Can be changed at any time: nothing restarts.',
      )
      .meta(kubernetesOnly),
  })
  .prefault({})
  .describe('On Kubernetes, TLS between members, and between them and the operator, is always on. Clients may use it.');

const DETECTION = z
  .strictObject({
    timeoutSeconds: seconds(0.2, 60)
      .default(1)
      .describe(
        'How long a primary may be silent before it is taken for dead, if its replicas do not hear it either. A process that is known to have ended needs no wait.',
      ),
  })
  .prefault({})
  .describe('When a primary counts as dead.');

const LAG = z
  .strictObject({
    readMaxSeconds: seconds(0, 86_400)
      .default(10)
      .describe('A replica that lags more than this leaves the read endpoint, and the cluster is degraded.'),
    switchoverMaxSeconds: seconds(0, 86_400)
      .default(10)
      .describe('A switchover to a replica that lags more than this is refused: writes would stop for as long.'),
  })
  .prefault({})
  .describe('How far replicas may lag behind the primary.');

const HOST = 'an IP address or a host name of this machine, such as "127.0.0.1"';
const host = () => text(HOST, /^[A-Za-z0-9:][A-Za-z0-9.:%-]*$/, 253);
const portError = 'a port from 1 to 65535';
const port = () =>
  z
    .int({ error: portError })
    .min(1, { error: portError })
    .max(65_535, { error: portError })
    .optional()
    .describe('Port to listen on. Left out, a free one is chosen when the cluster is made, and kept.')
    .meta(localOnly);
const listenHost = () =>
  host()
    .default('127.0.0.1')
    .describe('Address to listen on; 0.0.0.0 or :: opens the endpoint to the network.')
    .meta(localOnly);

const ENDPOINTS = z
  .strictObject({
    primary: z
      .strictObject({ host: listenHost(), port: port() })
      .prefault({})
      .describe('Reaches the primary, and never a deposed one.'),
    read: z
      .strictObject({
        host: listenHost(),
        port: port(),
        includePrimary: oneOf('whenAlone', 'always', 'never')
          .default('whenAlone')
          .describe(
            'Whether reads also go to the primary: `whenAlone`, only while no replica is within the lag limit; `always`, as to any replica; `never`, reads fail rather.',
          ),
      })
      .prefault({})
      .describe('Reaches the replicas within the lag limit, evenly.'),
    waitSeconds: seconds(0, 600)
      .default(10)
      .describe(
        'How long a new connection waits while there is no member to serve it, before it gets an error that says why.',
      )
      .meta(localOnly),
    drainSeconds: seconds(0, 3600)
      .default(30)
      .describe(
        'How long connections to a replica that is leaving (scaled in, restarted on purpose) may go on until they are cut.',
      ),
  })
  .prefault({})
  .superRefine(({ primary, read }, context) => {
    if (primary.port !== undefined && primary.port === read.port) {
      context.addIssue({
        code: 'custom',
        path: ['read', 'port'],
        message: 'another port than endpoints.primary.port; leave one of them out to have it chosen',
      });
    }
  })
  .describe('Two addresses that stay the same whatever happens to members.');

const SPEC = z
  .strictObject({
    replicas: z
      .int({ error: replicasError })
      .min(1, { error: replicasError })
      .max(MAX_REPLICAS, { error: replicasError })
      .default(3)
      .describe('How many members the cluster has, the primary included. 1 to 15; even numbers are fine.'),
    durability: DURABILITY,
    mysql: MYSQL,
    storage: STORAGE,
    resources: RESOURCES,
    credentials: CREDENTIALS,
    tls: TLS,
    detection: DETECTION,
    lag: LAG,
    endpoints: ENDPOINTS,
    switchover: z
      .strictObject({
        graceSeconds: seconds(0, 600)
          .default(5)
          .describe(
            'How long everybody goes on writing while transactions that are open on the old primary come to their end, or are killed then, and its successor catches up.',
          ),
      })
      .prefault({})
      .describe('How a planned change of the primary treats its clients.'),
    targets: z
      .strictObject({
        failoverSeconds: seconds(0.05, 600)
          .default(1)
          .describe(
            'The longest gap in writes that you accept when the primary fails; `baton drill` measures against it.',
          ),
      })
      .prefault({})
      .describe('What you expect of the cluster. Nothing is steered by it: it is what a drill is judged by.'),
    podTemplate: open('a Pod template: a map with metadata and spec')
      .optional()
      .describe(
        'Merged over the Pods that Baton makes: affinity, tolerations, annotations, volumes, sidecars, security context.',
      )
      .meta({ ...kubernetesOnly, 'x-baton-open': true }),
  })
  .prefault({})
  .superRefine(({ replicas, durability }, context) => {
    if (durability.mode === 'quorum' && replicas < 2) {
      context.addIssue({
        code: 'custom',
        path: ['durability', 'mode'],
        message:
          '"adaptive" or "asynchronous" with one replica; quorum needs a second member: raise replicas or leave mode out',
      });
    }
    if (durability.mode === 'asynchronous' && durability.powerLoss) {
      context.addIssue({
        code: 'custom',
        path: ['durability', 'powerLoss'],
        message: 'false with mode asynchronous; no replica acknowledges, so there is nothing to make durable',
      });
    }
  })
  .describe('What the cluster should be. Everything is optional.');

export const MySQLClusterSchema = z
  .strictObject({
    apiVersion: z.literal(API_VERSION, { error: `"${API_VERSION}"` }).describe('Version of this resource.'),
    kind: z.literal(KIND, { error: `"${KIND}"` }).describe('Kind of this resource.'),
    metadata: METADATA,
    spec: SPEC,
  })
  .describe('A MySQL primary with replicas.');

/** A cluster as wanted, every default filled in. */
export type MySQLCluster = z.output<typeof MySQLClusterSchema>;
/** A cluster as a user writes it. */
export type MySQLClusterInput = z.input<typeof MySQLClusterSchema>;

/** The image that runs a member on Kubernetes. */
export const imageFor = ({ spec: { mysql } }: MySQLCluster): string => mysql.image ?? `mysql:${mysql.version ?? '8.4'}`;

/** Why a version is not supported, as an expectation and what to do; undefined if it is supported. */
function versionRefusal(version: string): string | undefined {
  const [major = 0, minor = 0, patch] = version.split('.').map(Number);
  const range = 'a MySQL version from 8.0.26 to 9.x';
  if (major >= 10) return `${range}; ${major}.${minor} is MariaDB's numbering, and Baton runs MySQL alone`;
  if (major < 8 || (major === 8 && minor === 0 && patch !== undefined && patch < 26)) {
    return `${range}; older ones lack the replication that Baton relies on: upgrade, such as to "8.4"`;
  }
  return undefined;
}
