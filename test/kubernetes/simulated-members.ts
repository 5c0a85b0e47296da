/**
 * A process with an API server in memory and clusters of three members each, all healthy: no mysqld, but MySQL's protocol over
 * TCP and TLS, so that an operator has the work that it would have. Arguments: how many clusters, a file for the kubeconfig.
 * It says `ready`, then, a line each time, how many clusters are told to be healthy.
 */
import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import { FakeApiServer } from '../../src/kubernetes/api/fake-api-server.ts';
import { certificateAuthority } from '../../src/kubernetes/certificates.ts';
import { ADMIN_PORT, UNOWNED, hostOf, selectorOf } from '../../src/kubernetes/objects/object.ts';
import { INPUTS_ANNOTATION, inputsOf } from '../../src/kubernetes/objects/pod-template.ts';
import { authoritySecret, tlsSecret } from '../../src/kubernetes/objects/secret.ts';
import { issuedBy } from '../../src/kubernetes/tls.ts';
import { replicationUser } from '../../src/mysql/names.ts';
import { validateCluster } from '../../src/spec/parse.ts';
import type { MySQLCluster } from '../../src/spec/resource.ts';

const [, , count = '100', kubeconfig = ''] = process.argv;
const NAMESPACE = 'many';
const MEMBERS = [0, 1, 2];
const YEAR_MS = 365 * 86_400_000;

interface Simulated {
  readonly cluster: MySQLCluster;
  readonly id: string;
  readonly uuids: readonly string[];
  readonly context: SecureContext;
}

const authority = await certificateAuthority('many', {
  from: new Date(Date.now() - 1000),
  until: new Date(Date.now() + 9 * YEAR_MS),
});
const api = await FakeApiServer.start();
const at = (collection: string): string => `/${collection.replace('/', `/v1/namespaces/${NAMESPACE}/`)}`;
const put = (collection: string, { metadata, ...rest }: { readonly metadata: { readonly name: string } }): void => {
  api.put(at(collection), metadata.name, { ...rest, metadata: { ...metadata } });
};
const clusters = await Promise.all(Array.from({ length: Number(count) }, (_, index) => make(index)));

async function make(index: number): Promise<Simulated> {
  const cluster = validateCluster({
    apiVersion: 'baton.dev/v1alpha1',
    kind: 'MySQLCluster',
    metadata: { name: `c${index}`, namespace: NAMESPACE },
    spec: { replicas: MEMBERS.length },
  });
  const [id, uuids] = [randomUUID(), MEMBERS.map(() => randomUUID())];
  const tls = await issuedBy(authority, cluster, null, Date.now());
  put('api/secrets', authoritySecret(cluster, authority, UNOWNED));
  put('api/secrets', tlsSecret(cluster, { ...tls, changedMs: 0 }, UNOWNED));
  for (const ordinal of MEMBERS) put('api/pods', pod(cluster, index, ordinal, uuids[ordinal] ?? ''));
  const acker = (ordinal: number) => ({ ordinal, serverUuid: uuids[ordinal], bootId: 'boot' });
  const record = {
    version: 1,
    clusterId: id,
    term: 1,
    epoch: 1,
    primary: { ordinal: 0, serverUuid: uuids[0] },
    floor: '',
    ackers: [acker(1), acker(2)],
    required: 1,
    mode: 'quorum',
  };
  const { apiVersion, kind, metadata, spec } = cluster;
  api.put(`/apis/baton.dev/v1alpha1/namespaces/${NAMESPACE}/mysqlclusters`, metadata.name, {
    apiVersion,
    kind,
    spec,
    metadata: { generation: 1 },
    status: { record },
  });
  const context = createSecureContext({ cert: tls.certificate, key: tls.key });
  return { cluster, id, uuids, context };
}

function pod(cluster: MySQLCluster, index: number, ordinal: number, serverUuid: string) {
  const message = JSON.stringify({ ordinal, serverUuid, bootId: 'boot', asides: [] });
  const since = new Date().toISOString();
  return {
    metadata: {
      name: `${cluster.metadata.name}-${ordinal}`,
      labels: { ...selectorOf(cluster), 'baton.dev/role': ordinal === 0 ? 'primary' : 'replica' },
      annotations: { [INPUTS_ANNOTATION]: inputsOf(cluster) },
      creationTimestamp: since,
    },
    spec: { nodeName: `node${ordinal}` },
    status: {
      podIP: `127.1.${index}.${10 + ordinal}`,
      initContainerStatuses: [{ name: 'prepare', restartCount: 0, state: { terminated: { exitCode: 0, message } } }],
      containerStatuses: [
        {
          name: 'mysql',
          containerID: `containerd://${serverUuid}`,
          restartCount: 0,
          state: { running: { startedAt: since } },
        },
      ],
    },
  };
}

// ── What a member answers ───────────────────────────────────────────────────────────────────────────────────────────

type Row = Readonly<Record<string, string | number | null>>;

/** Null: done, and nothing to show. */
function answerTo(sql: string, { cluster, id, uuids }: Simulated, ordinal: number): Row | null {
  const [primaryUuid = ''] = uuids;
  const uuid = uuids[ordinal] ?? '';
  if (sql.startsWith('SELECT JSON_OBJECT(')) {
    const isPrimary = ordinal === 0;
    const executed = `${primaryUuid}:1-1000`;
    const replicas = isPrimary ? [1, 2].map(replicationUser) : null;
    return {
      seen: JSON.stringify({
        uuid,
        version: '8.4.3',
        locked: 1,
        executed,
        purged: '',
        readOnly: isPrimary ? 0 : 1,
        anyReadOnly: isPrimary ? 0 : 1,
        enabled: isPrimary ? 1 : 0,
        required: 1,
        status: {
          Rpl_semi_sync_source_status: isPrimary ? 'ON' : 'OFF',
          Rpl_semi_sync_source_wait_sessions: '0',
          Rpl_semi_sync_replica_status: isPrimary ? 'OFF' : 'ON',
        },
        unlocked: replicas,
        connected: replicas,
        receiver: isPrimary
          ? null
          : {
              host: hostOf(cluster, 0),
              port: 3306,
              uuid: primaryUuid,
              state: 'ON',
              error: '',
              received: executed,
              heard: 0.1,
            },
        applier: isPrimary ? null : 'ON',
        applierErrors: null,
        behind: null,
        lastApplied: null,
        transaction: null,
        epoch: { clusterId: id, epoch: 1, term: 1 },
        clone: null,
        cloneBytes: { done: null, total: null },
      }),
    };
  }
  if (sql.startsWith('SELECT @@server_uuid AS uuid')) return { uuid, ms: Date.now(), pid: 4 };
  if (sql.startsWith('SELECT GET_LOCK')) return { got: 1, holder: null };
  if (sql.includes('COUNT(*) AS n')) return { n: 0 };
  if (sql === 'SELECT 1') return { one: 1 };
  return sql.startsWith('SELECT') ? {} : null;
}

// ── MySQL's protocol, as little of it as the operator uses ──────────────────────────────────────────────────────────

const lenenc = (text: string): Buffer => {
  const body = Buffer.from(text);
  const size =
    body.length < 251 ? Buffer.from([body.length]) : Buffer.from([0xfc, body.length & 0xff, body.length >> 8]);
  return Buffer.concat([size, body]);
};
const packet = (sequence: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  header[3] = sequence;
  return Buffer.concat([header, body]);
};
const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0]);
const EOF = Buffer.from([0xfe, 0, 0, 2, 0]);
/** 4.1, TLS, plugins; not: what would make answers longer. */
const CAPABILITIES = 0x0008_0000 | 0x8000 | 0x2000 | 0x0800 | 0x0200 | 0x000f;

function greeting(): Buffer {
  const capabilities = Buffer.alloc(4);
  capabilities.writeUInt32LE(CAPABILITIES);
  return packet(
    0,
    Buffer.from([10]),
    Buffer.from('8.4.3\0'),
    Buffer.from([1, 0, 0, 0]),
    Buffer.from('12345678\0'),
    capabilities.subarray(0, 2),
    Buffer.from([45, 2, 0]),
    capabilities.subarray(2),
    Buffer.from([21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    Buffer.from('123456789012\0'),
    Buffer.from('mysql_native_password\0'),
  );
}

/** Of one row; of none, if that has no columns. */
function resultSet(row: Row): Buffer {
  const rows = Object.keys(row).length === 0 ? [] : [row];
  const names = rows.length === 0 ? ['nothing'] : Object.keys(row);
  const column = (name: string): Buffer =>
    Buffer.concat([
      ...['def', '', '', '', name, name].map(lenenc),
      Buffer.from([0x0c, 45, 0, 0xff, 0xff, 0, 0, 0xfd, 0, 0, 0, 0, 0]),
    ]);
  const values = rows.map((one) =>
    Buffer.concat(names.map((name) => (one[name] === null ? Buffer.from([0xfb]) : lenenc(String(one[name]))))),
  );
  let sequence = 1;
  return Buffer.concat(
    [Buffer.from([names.length]), ...names.map(column), EOF, ...values, EOF].map((body) => packet(sequence++, body)),
  );
}

/** Packets of a stream, one by one. */
function onPackets(stream: Socket, take: (sequence: number, body: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUIntLE(0, 3)) {
      const size = rest.readUIntLE(0, 3);
      const body = rest.subarray(4, 4 + size);
      const sequence = rest[3] ?? 0;
      rest = rest.subarray(4 + size);
      take(sequence, body);
    }
  });
  stream.on('error', () => stream.destroy());
}

const server = createServer((socket) => {
  const [, , index, last] = (socket.localAddress ?? '').split('.').map(Number);
  const member = clusters[index ?? -1];
  if (member === undefined) return void socket.destroy();
  const ordinal = (last ?? 10) - 10;
  socket.on('error', () => socket.destroy());
  socket.write(greeting());
  // The client asks for TLS, in a packet of 36 bytes; what it says after that may be there already.
  socket.once('readable', () => {
    if (socket.read(36) === null) return void socket.destroy();
    const secure = new TLSSocket(socket, { isServer: true, secureContext: member.context });
    let known = false;
    onPackets(secure, (sequence, body) => {
      if (!known) {
        known = true;
        secure.write(packet(sequence + 1, OK));
        return;
      }
      const row = body[0] === 3 ? answerTo(body.subarray(1).toString(), member, ordinal) : null;
      secure.write(row === null ? packet(1, OK) : resultSet(row));
    });
  });
});
server.listen(ADMIN_PORT, '0.0.0.0', () => {
  const kubernetes = { name: 'fake', cluster: { server: api.access.server } };
  const context = { name: 'fake', context: { cluster: 'fake', user: 'fake' } };
  const users = [{ name: 'fake', user: { token: 'fake' } }];
  const config = { clusters: [kubernetes], contexts: [context], users, 'current-context': 'fake' };
  writeFileSync(kubeconfig, JSON.stringify(config));
  console.log('ready');
});

const watching = setInterval(() => {
  const healthy = clusters.filter(({ cluster: { metadata } }) => {
    const object = api.read(`/apis/baton.dev/v1alpha1/namespaces/${NAMESPACE}/mysqlclusters`, metadata.name);
    return (object?.['status'] as { state?: string } | undefined)?.state === 'healthy';
  });
  console.log(healthy.length);
}, 500);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    clearInterval(watching);
    process.exit(0);
  });
}
