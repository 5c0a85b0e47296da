import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ApiClient } from '../kubernetes/api/client.ts';
import { FakeApiServer } from '../kubernetes/api/fake-api-server.ts';
import { ClusterInKubernetes } from './kubernetes-cluster.ts';
import { logged, merged } from './kubernetes-journal.ts';
import { kubernetesPlace } from './platform.ts';

const CLUSTERS = '/apis/baton.dev/v1alpha1/namespaces/shop/mysqlclusters';
const EVENTS = '/api/v1/namespaces/shop/events';
const PODS = '/api/v1/namespaces/shop/pods';

const RESOURCE = {
  apiVersion: 'baton.dev/v1alpha1',
  kind: 'MySQLCluster',
  metadata: { generation: 1, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { replicas: 3 },
};
const STATUS = {
  observedGeneration: 1,
  state: 'healthy',
  reason: 'all 3 members are well',
  primary: 'mysql-1',
  version: '8.4.6',
  epoch: 4,
  durability: { mode: 'quorum', required: 1 },
  members: [
    { name: 'mysql-0', ordinal: 0, role: 'replica', state: 'following', detail: '', lagSeconds: 0 },
    { name: 'mysql-1', ordinal: 1, role: 'primary', state: 'writable', detail: '' },
    { name: 'mysql-2', ordinal: 2, role: 'replica', state: 'down', detail: 'ImagePullBackOff' },
  ],
  record: { term: 7, epoch: 4, primary: { ordinal: 1 }, ackers: [{ ordinal: 2 }, { ordinal: 0 }] },
};

async function using(work: (server: FakeApiServer, cluster: ClusterInKubernetes) => Promise<void>): Promise<void> {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 500 });
  try {
    await work(server, new ClusterInKubernetes(client, 'shop', 'mysql', (rest) => `baton ${rest} -n shop`));
  } finally {
    client.close();
  }
}

const annotations = (server: FakeApiServer) =>
  (server.read(CLUSTERS, 'mysql')?.metadata['annotations'] ?? {}) as Record<string, string>;

async function requested(server: FakeApiServer, name: string): Promise<Record<string, unknown>> {
  for (let tries = 0; tries < 500; tries++) {
    const text = annotations(server)[`baton.dev/${name}`];
    if (text !== undefined) return JSON.parse(text) as Record<string, unknown>;
    await wait(5);
  }
  assert.fail('nothing was asked for');
}

/** As the operator writes it. */
function answer(server: FakeApiServer, status: object): void {
  const object = server.read(CLUSTERS, 'mysql') ?? {};
  server.put(CLUSTERS, 'mysql', { ...object, status: { ...STATUS, ...status } });
}

test('the status has the fields that it has on one machine', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', { ...RESOURCE, status: STATUS });
    const status = await cluster.status();
    assert.deepEqual(
      { ...status, members: status.members.map(({ ordinal, state, reason }) => [ordinal, state, reason]) },
      {
        name: 'mysql',
        state: 'healthy',
        reason: 'all 3 members are well',
        epoch: 4,
        term: 7,
        primary: 1,
        durability: { mode: 'quorum', required: 1, ackers: [0, 2] },
        endpoints: {
          primary: { host: 'mysql-primary.shop.svc', port: 3306 },
          read: { host: 'mysql-read.shop.svc', port: 3306 },
        },
        members: [
          [0, 'following', ''],
          [1, 'writable', ''],
          [2, 'down', 'ImagePullBackOff'],
        ],
        mysql: { version: '8.4.6' },
        daemon: null,
        restarting: [],
        replicas: 3,
        lastEvents: [],
        progress: null,
      },
    );
  }));

test('a cluster that no operator has seen is said to be unattended', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', RESOURCE);
    const { state, reason } = await cluster.status();
    assert.equal(state, 'unattended');
    assert.match(reason, /no operator/);
  }));

test('a cluster that does not exist is told, with those that do', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'orders', RESOURCE);
    await assert.rejects(cluster.status(), { code: 'NO_SUCH_CLUSTER', exitCode: 3, message: /shop; .*orders/ });
  }));

test('a Kubernetes that has never heard of Baton is told from one without clusters', () =>
  using(async (server, cluster) => {
    server.fault = () => ({ status: 404, reason: 'NotFound' });
    await assert.rejects(cluster.names(), { code: 'NOT_INSTALLED', exitCode: 3 });
  }));

test('a switchover is asked for in the epoch that is, and its answer comes back; then nothing is asked for', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', { ...RESOURCE, status: STATUS });
    const asked = cluster.switchover(2);
    const { id, epoch, to } = await requested(server, 'switchover');
    assert.deepEqual([epoch, to], [4, 2]);
    server.cutWatches();
    const record = { ...STATUS.record, epoch: 5, primary: { ordinal: 2 } };
    answer(server, { switchover: { id, done: true, reason: 'member 2', ms: 123 }, record });
    assert.deepEqual(await asked, { primary: 2, reason: 'member 2', ms: 123 });
    assert.deepEqual(annotations(server), {});
  }));

test('a switchover that is refused says why; one to a member that there is not is not asked for', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', { ...RESOURCE, status: STATUS });
    await assert.rejects(cluster.switchover(3), { code: 'UNKNOWN_MEMBER', exitCode: 2 });
    const asked = cluster.switchover(null);
    const { id } = await requested(server, 'switchover');
    answer(server, { switchover: { id, done: false, reason: 'member 2 lags', ms: 1 } });
    await assert.rejects(asked, { code: 'SWITCHOVER_REFUSED', message: 'no switchover: member 2 lags' });
  }));

test('a switchover that is interrupted is taken back, and one that another replaced is told', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', { ...RESOURCE, status: STATUS });
    const interruption = new AbortController();
    const asked = cluster.switchover(null, interruption.signal);
    await requested(server, 'switchover');
    interruption.abort();
    await assert.rejects(asked);
    assert.deepEqual(annotations(server), {});

    const mine = cluster.switchover(null);
    await requested(server, 'switchover');
    const other = JSON.stringify({ id: 'other', epoch: 4, to: null, untilMs: 1 });
    const object = server.read(CLUSTERS, 'mysql') ?? {};
    server.put(CLUSTERS, 'mysql', { ...object, metadata: { annotations: { 'baton.dev/switchover': other } } });
    await assert.rejects(mine, { code: 'SWITCHOVER_REFUSED', message: /another/ });
    assert.equal((await requested(server, 'switchover'))['id'], 'other');
  }));

test('a restart names the very Pods, those of an earlier request that are still to come included', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', {
      ...RESOURCE,
      metadata: { annotations: { 'baton.dev/restart': '{"mysql-0":"u0","mysql-2":"gone"}' } },
      status: STATUS,
    });
    for (const at of [0, 1, 2]) server.put(PODS, `mysql-${at}`, { metadata: { uid: `u${at}` } });
    const asked = cluster.restart([1]);
    while ((await requested(server, 'restart'))['mysql-1'] === undefined) await wait(5);
    assert.deepEqual(await requested(server, 'restart'), { 'mysql-0': 'u0', 'mysql-1': 'u1' });
    answer(server, { restarting: [0, 1] });
    assert.deepEqual(await asked, { restarting: [1] });
  }));

test('scale changes the number that the resource asks for, and nothing where it is that already', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', { ...RESOURCE, status: STATUS });
    assert.deepEqual(await cluster.scale(3), { changes: [] });
    assert.equal((await cluster.scale(5)).changes.length, 1);
    assert.ok(server.requests.some((line) => line.startsWith(`PATCH ${CLUSTERS}/mysql/scale`)));
    assert.equal((await cluster.resource()).spec.replicas, 5);
  }));

test('Events are the journal’s news, in their order, other Events aside', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', { ...RESOURCE, status: STATUS });
    const event = (name: string, eventTime: string, message: string, kind?: string) =>
      server.put(EVENTS, name, {
        eventTime,
        message,
        metadata: { annotations: kind === undefined ? {} : { 'baton.dev/kind': kind, 'baton.dev/epoch': '4' } },
      });
    event('b', '2026-01-01T00:00:02.000000Z', 'healthy: fine', 'state');
    event('a', '2026-01-01T00:00:01.000000Z', 'failover: x', 'record');
    event('c', '2026-01-01T00:00:03.000000Z', 'Pulled');
    const told = (await cluster.events()).map(({ kind, text }) => `${kind} ${text}`);
    assert.deepEqual(told, ['record failover: x', 'state healthy: fine']);
    assert.deepEqual((await cluster.status()).lastEvents.length, 2);
  }));

test('Events are followed from now on, also when the API server has forgotten where that was', () =>
  using(async (server, cluster) => {
    server.put(CLUSTERS, 'mysql', { ...RESOURCE, status: STATUS });
    const event = (name: string): void => {
      const annotations = { 'baton.dev/kind': 'state' };
      server.put(EVENTS, name, { eventTime: '2026-01-01T00:00:00Z', message: name, metadata: { annotations } });
    };
    const watched = async (times: number): Promise<void> => {
      while (server.requests.filter((line) => line.includes('watch=true')).length < times) await wait(5);
    };
    event('before');
    const following = cluster.eventsFromNow(AbortSignal.timeout(5000));
    const first = following.next();
    await watched(1);
    event('one');
    assert.equal((await first).value?.text, 'one');
    const second = following.next();
    server.expireWatches();
    await watched(2);
    event('two');
    assert.equal((await second).value?.text, 'two');
    await following.return(undefined);
  }));

test('of the operators’ log a cluster’s journal are the lines that are its own', () => {
  const line = {
    at: '2026-01-01T00:00:00.000Z',
    cluster: 'shop/mysql',
    event: 'done',
    text: 'open',
    epoch: 1,
    term: 2,
  };
  const { cluster: _, event: kind, ...rest } = line;
  assert.deepEqual(logged(JSON.stringify(line), 'shop/mysql'), { ...rest, kind });
  assert.equal(logged(JSON.stringify({ ...line, cluster: 'shop/mysql2' }), 'shop/mysql'), null);
  assert.equal(logged(JSON.stringify({ ...line, text: undefined }), 'shop/mysql'), null);
  assert.equal(logged('shop/mysql is no JSON', 'shop/mysql'), null);
});

test('several logs are followed at once, each until its end', async () => {
  async function* counting(from: number, pauseMs: number): AsyncGenerator<number> {
    for (let at = from; at < from + 3; at++) {
      await wait(pauseMs);
      yield at;
    }
  }
  const seen: number[] = [];
  for await (const one of merged([counting(0, 5), counting(10, 1)])) seen.push(one);
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    [0, 1, 2, 10, 11, 12],
  );
});

test('a Kubernetes is meant where an option or the setting says so, and else this machine', () => {
  assert.equal(kubernetesPlace({}, {}), null);
  assert.equal(kubernetesPlace({}, { BATON_PLATFORM: 'local' }), null);
  assert.deepEqual(kubernetesPlace({ namespace: 'shop' }, {}), { namespace: 'shop' });
  assert.deepEqual(kubernetesPlace({}, { BATON_PLATFORM: 'kubernetes' }), {});
  assert.throws(() => kubernetesPlace({}, { BATON_PLATFORM: 'mars' }), /BATON_PLATFORM/);
});
