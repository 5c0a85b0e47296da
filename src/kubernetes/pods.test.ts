import assert from 'node:assert/strict';
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
  work: (server: FakeApiServer, members: PodMembers, seen: (check: () => boolean) => Promise<void>) => Promise<void>,
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
  const all = new PodMembers({
    client,
    namespace: 'default',
    cluster: () => cluster,
    ownership: UNOWNED,
    pods,
    claims,
    nowMs: () => performance.now(),
  });
  const seen = async (check: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 200; tries++) {
      if (check()) return;
      await wait(5);
    }
    assert.fail(`not seen: ${JSON.stringify(all.list())}`);
  };
  try {
    await work(server, all, seen);
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
