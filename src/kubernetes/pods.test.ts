import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { defaultCluster } from '../spec/parse.ts';
import { ApiClient } from './api/client.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { CLAIMS, PODS, type Claim, type Pod } from './api/resources.ts';
import { UNOWNED } from './objects/object.ts';
import { ORDERS_ANNOTATION } from './objects/pod-template.ts';
import { PodMembers } from './pods.ts';
import { Reflector } from './reflector.ts';

const PODS_PATH = '/api/v1/namespaces/default/pods';
const CLAIMS_PATH = '/api/v1/namespaces/default/persistentvolumeclaims';
const SETS_PATH = '/apis/apps/v1/namespaces/default/statefulsets';

const running = (container: string, restartCount = 0) => ({
  spec: { nodeName: 'node1' },
  status: {
    podIP: '10.0.0.1',
    initContainerStatuses: [
      {
        name: 'prepare',
        restartCount: 0,
        state: {
          terminated: {
            exitCode: 0,
            message: '{"ordinal":0,"serverUuid":"7b3f8a60-0000-4000-8000-000000000000","bootId":"boot","asides":[]}',
          },
        },
      },
    ],
    containerStatuses: [
      {
        name: 'mysql',
        containerID: `containerd://${container}`,
        restartCount,
        state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
      },
    ],
  },
});

const stopped = (state: Record<string, unknown>) => ({
  status: { containerStatuses: [{ name: 'mysql', containerID: 'containerd://a', restartCount: 0, state }] },
});

async function members(
  work: (
    server: FakeApiServer,
    members: PodMembers,
    seen: (check: () => boolean) => Promise<void>,
    /** So many milliseconds later, for them. */
    later: (ms: number) => void,
  ) => Promise<void>,
) {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 500 });
  const stop = new AbortController();
  const common = { client, namespaces: [], log: () => undefined };
  const pods = new Reflector<Pod>({ ...common, resource: PODS });
  const claims = new Reflector<Claim>({ ...common, resource: CLAIMS });
  const reflecting = Promise.all([pods.run(stop.signal), claims.run(stop.signal)]);
  await Promise.all([pods.listed, claims.listed]);
  const cluster = defaultCluster('mysql');
  let aheadMs = 0;
  const all = new PodMembers({
    client,
    namespace: 'default',
    cluster: () => cluster,
    ownership: UNOWNED,
    pods,
    claims,
    nowMs: () => performance.now() + aheadMs,
  });
  const seen = async (check: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 200; tries++) {
      if (check()) return;
      await wait(5);
    }
    assert.fail(`not seen: ${JSON.stringify(all.list())}`);
  };
  try {
    await work(server, all, seen, (ms) => void (aheadMs += ms));
  } finally {
    all.close();
    stop.abort();
    await reflecting;
    client.close();
  }
}

const kind = (all: PodMembers, ordinal = 0): string | undefined => all.list()[ordinal]?.process.kind;

test('a container that its kubelet says runs is running, one that it says ended is gone, with why', () =>
  members(async (server, all, seen) => {
    await all.apply();
    server.put(PODS_PATH, 'mysql-0', running('a'));
    await seen(() => kind(all) === 'running');
    const [member] = all.list();
    assert.equal(member?.bootId, 'boot');
    assert.equal(member.host, 'mysql-0.mysql.default.svc');
    server.put(PODS_PATH, 'mysql-0', stopped({ terminated: { exitCode: 1 } }));
    await seen(() => kind(all) === 'gone');
    server.put(PODS_PATH, 'mysql-0', stopped({ waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } }));
    await seen(() => all.list()[0]?.trouble === 'CrashLoopBackOff: back-off');
  }));

test('a Pod that was deleted proves nothing: its process may run on, on a node that is away', () =>
  members(async (server, all, seen) => {
    await all.apply();
    server.put(PODS_PATH, 'mysql-0', running('a'));
    await seen(() => kind(all) === 'running');
    server.remove(PODS_PATH, 'mysql-0');
    await seen(() => kind(all) === 'unknown');
    server.put(PODS_PATH, 'mysql-0', {
      status: {
        containerStatuses: [{ name: 'mysql', restartCount: 0, state: { waiting: { reason: 'PodInitializing' } } }],
      },
    });
    await seen(() => all.list()[0]?.trouble === null);
    assert.equal(kind(all), 'unknown');
  }));

test('another container under the same name is another process', () =>
  members(async (server, all, seen) => {
    await all.apply();
    server.put(PODS_PATH, 'mysql-0', running('a'));
    await seen(() => kind(all) === 'running');
    const [before] = all.list();
    server.put(PODS_PATH, 'mysql-0', running('b', 1));
    await seen(() => {
      const [now] = all.list();
      return (
        now?.process.kind === 'running' &&
        before?.process.kind === 'running' &&
        now.process.id.startTime !== before.process.id.startTime
      );
    });
  }));

test('members are added one by one, and the template’s change keeps their number', () =>
  members(async (server, all) => {
    server.put(SETS_PATH, 'mysql', { spec: { replicas: 1 } });
    await all.apply();
    const replicas = (): unknown =>
      (server.read(SETS_PATH, 'mysql')?.['spec'] as { replicas?: number } | undefined)?.replicas;
    assert.equal(replicas(), 1);
    await Promise.all([all.start(1), all.start(2)]);
    assert.equal(replicas(), 3);
    await all.start(0);
    assert.equal(replicas(), 3);
    await all.retire(2, { disposable: false });
    assert.equal(replicas(), 2);
  }));

test('an order names what it is about, and is given to the very Pod that was meant', () =>
  members(async (server, all, seen) => {
    await all.apply();
    server.put(PODS_PATH, 'mysql-0', running('a'));
    server.put(CLAIMS_PATH, 'data-mysql-0', {});
    await seen(() => kind(all) === 'running');
    const process = all.list()[0]?.process;
    assert.ok(process?.kind === 'running');
    await all.kill(0, { ...process.id, pid: 7 });
    const orders = (): string | undefined =>
      server.read(PODS_PATH, 'mysql-0')?.metadata['annotations']?.[ORDERS_ANNOTATION as never];
    assert.equal(orders(), undefined, 'another life was meant');
    const killing = all.kill(0, process.id);
    await seen(() => orders()?.startsWith('kill ') === true);
    server.put(PODS_PATH, 'mysql-0', running('b', 1));
    await killing;
  }));

test('what a rebuild set aside is known until it is dropped, also to a successor', () =>
  members(async (server, all, seen) => {
    await all.apply();
    const discard = '7b3f8a60-0000-4000-8000-000000000000';
    server.put(PODS_PATH, 'mysql-0', running('a'));
    server.put(CLAIMS_PATH, 'data-mysql-0', {
      metadata: { annotations: { 'baton.dev/aside': JSON.stringify({ serverUuid: discard, rows: `${discard}:1-5` }) } },
    });
    await seen(() => kind(all) === 'running' && all.list()[0]?.aside !== null);
    assert.deepEqual(all.list()[0]?.aside, { serverUuid: discard, rows: `${discard}:1-5` });
    await all.dropAside(0);
    await seen(() => all.list()[0]?.aside === null);
    const annotations = server.read(PODS_PATH, 'mysql-0')?.metadata['annotations'] as Record<string, string>;
    assert.equal(annotations[ORDERS_ANNOTATION], `drop ${discard}\n`);
  }));

test('a rebuild that was ordered of a Pod which is replaced is over: it is for the next one to show what it has', () =>
  members(async (server, all, seen) => {
    await all.apply();
    const discard = '7b3f8a60-0000-4000-8000-000000000000';
    server.put(PODS_PATH, 'mysql-0', running('a'));
    server.put(CLAIMS_PATH, 'data-mysql-0', {});
    await seen(() => kind(all) === 'running');
    const rebuilding = all.rebuild(0, discard, `${discard}:1-5`, '');
    const orders = (): string | undefined =>
      server.read(PODS_PATH, 'mysql-0')?.metadata['annotations']?.[ORDERS_ANNOTATION as never];
    await seen(() => orders()?.startsWith(`rebuild ${discard}`) === true);
    server.remove(PODS_PATH, 'mysql-0');
    server.put(PODS_PATH, 'mysql-0', running('b'));
    await assert.rejects(rebuilding, /its Pod was replaced/);
  }));

test('a Pod that is scheduled nowhere says why, and which claim of which class has no volume', () =>
  members(async (server, all, seen) => {
    await all.apply();
    server.put(CLAIMS_PATH, 'data-mysql-0', {
      spec: { storageClassName: 'fast', resources: { requests: { storage: '3Gi' } } },
      status: { phase: 'Pending' },
    });
    const message = 'pod has unbound immediate PersistentVolumeClaims';
    server.put(PODS_PATH, 'mysql-0', {
      status: { conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] },
    });
    await seen(
      () => all.list()[0]?.trouble === `Unschedulable: ${message} (data-mysql-0, 3Gi, class "fast", has no volume)`,
    );
  }));

// ── Where Services lead ─────────────────────────────────────────────────────────────────────────────────────────────

/** On every address of this machine: a server that lets everybody in, and says OK to everything. */
async function mysqld(): Promise<{ port: number; die: () => void } & AsyncDisposable> {
  const packet = (sequence: number, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from([body.length, 0, 0, sequence]), body]);
  const numbers = [1, 0, 0, 0, ...Buffer.from('12345678\0'), 0x0f, 0xaa, 45, 2, 0, 8, 0, 21, ...Buffer.alloc(10)];
  const [version, rest] = [Buffer.from('8.4.3\0'), Buffer.from('123456789012\0mysql_native_password\0')];
  const greeting = Buffer.concat([Buffer.from([10]), version, Buffer.from(numbers), rest]);
  const ok = Buffer.from([0, 0, 0, 2, 0, 0, 0]);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('data', (asked: Buffer) => socket.write(packet((asked[3] ?? 0) + 1, ok)));
    socket.write(packet(0, greeting));
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  const die = (): void => sockets.forEach((socket) => void socket.destroy());
  return {
    port: (server.address() as AddressInfo).port,
    die,
    [Symbol.asyncDispose]: async () => {
      die();
      server.close();
      await once(server, 'close');
    },
  };
}

const withAddress = (podIP: string) => ({ spec: { nodeName: 'node1' }, status: { podIP } });
const open = (all: PodMembers, host: string, port: number) =>
  all.open(0, { host, port, user: 'somebody', password: '' }, AbortSignal.timeout(5000));

test('a Service leads nowhere for a Pod without an address, and to a Pod that has one', () =>
  members(async (server, all, seen) => {
    server.put(PODS_PATH, 'mysql-0', { status: {} });
    assert.equal(all.target(0), null);
    server.put(PODS_PATH, 'mysql-0', withAddress('127.0.0.1'));
    await seen(() => all.target(0) !== null);
    const uid = server.read(PODS_PATH, 'mysql-0')?.metadata.uid;
    assert.deepEqual(all.target(0), { ordinal: 0, ip: '127.0.0.1', podUid: uid, node: 'node1' });
  }));

test('a Service stays with whoever answers, also once its Pod is deleted and the next one has an address', () =>
  members(async (server, all, seen, later) => {
    await using mysql = await mysqld();
    server.put(PODS_PATH, 'mysql-0', withAddress('127.0.0.1'));
    await seen(() => all.target(0) !== null);
    const before = all.target(0);
    const session = await open(all, '127.0.0.1', mysql.port);
    server.remove(PODS_PATH, 'mysql-0');
    server.put(PODS_PATH, 'mysql-0', withAddress('127.0.0.2'));
    await seen(() => all.address(0)?.host === '127.0.0.2');
    later(60_000);
    assert.deepEqual(all.target(0), before);
    let over = false;
    session.onBroken(() => (over = true));
    mysql.die();
    await seen(() => over);
    assert.deepEqual(all.target(0), before, 'it may be back in a moment, or somebody else is chosen first');
    later(6000);
    assert.equal(all.target(0)?.ip, '127.0.0.2');
  }));

test('a Service leads to the next Pod as soon as that answers', () =>
  members(async (server, all, seen) => {
    await using mysql = await mysqld();
    server.put(PODS_PATH, 'mysql-0', withAddress('127.0.0.1'));
    await seen(() => all.target(0) !== null);
    await open(all, '127.0.0.1', mysql.port);
    server.put(PODS_PATH, 'mysql-0', withAddress('127.0.0.2'));
    await seen(() => all.address(0)?.host === '127.0.0.2');
    assert.equal(all.target(0)?.ip, '127.0.0.1');
    await open(all, '127.0.0.2', mysql.port);
    assert.equal(all.target(0)?.ip, '127.0.0.2');
  }));
