import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ApiClient } from './api/client.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { Operator } from './operator.ts';

const CLUSTERS = '/apis/baton.dev/v1alpha1/namespaces/default/mysqlclusters';
const at = (group: string, plural: string): string =>
  `/${group === '' ? 'api' : `apis/${group}`}/v1/namespaces/default/${plural}`;

interface Told {
  readonly record?: { readonly term: number; readonly clusterId: string };
  readonly state?: string;
  readonly switchover?: { readonly id: string; readonly done: boolean; readonly reason: string };
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

interface Said {
  readonly event?: unknown;
  readonly text?: unknown;
}

/** `said`: what the operator has logged so far. */
async function operating(
  work: (server: FakeApiServer, operator: Operator, said: readonly Said[]) => Promise<void>,
  before: (server: FakeApiServer) => void = () => undefined,
): Promise<void> {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 500 });
  const said: Said[] = [];
  const log = (event: Said): void => void said.push(event);
  const operator = new Operator({ client, namespaces: [], operatorNamespace: 'baton-system', log });
  before(server);
  const stop = new AbortController();
  const running = Promise.all([operator.inform(stop.signal), operator.lead(stop.signal)]);
  try {
    await work(server, operator, said);
  } finally {
    stop.abort();
    await running;
    client.close();
  }
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000; tries++) {
    if (condition()) return;
    await wait(5);
  }
  assert.fail('it did not come true in time');
}

const status = (server: FakeApiServer): Told => server.read(CLUSTERS, 'mysql')?.['status'] ?? {};
const condition = (server: FakeApiServer, type: string) => status(server).conditions?.find((one) => one.type === type);

test('a MySQLCluster gets its objects, its passwords and a record, and is told to be in the making', () =>
  operating(async (server) => {
    server.put(CLUSTERS, 'mysql', { spec: { replicas: 3 }, metadata: { generation: 1 } });
    await until(() => status(server).record?.term === 1 && status(server).state === 'creating');
    for (const [group, plural, name] of [
      ['apps', 'statefulsets', 'mysql'],
      ['', 'services', 'mysql-primary'],
      ['', 'services', 'mysql-read'],
      ['', 'configmaps', 'mysql'],
      ['', 'secrets', 'mysql-internal'],
      ['', 'secrets', 'mysql-credentials'],
      ['policy', 'poddisruptionbudgets', 'mysql'],
    ] as const) {
      assert.ok(server.read(at(group, plural), name), `${plural} ${name}`);
    }
    assert.equal(condition(server, 'Progressing')?.status, 'True');
    assert.equal(condition(server, 'Ready')?.status, 'False');
  }));

test('the passwords and the record that are there are kept: a successor is another term of the same cluster', () =>
  operating(async (server, operator) => {
    server.put(CLUSTERS, 'mysql', { spec: {}, metadata: { generation: 1 } });
    await until(() => status(server).record?.term === 1);
    const secret = server.read(at('', 'secrets'), 'mysql-internal')?.['data'];
    const before = status(server).record?.clusterId;
    operator.cared[0]?.stop();
    const stop = new AbortController();
    const client = new ApiClient(server.access);
    const next = new Operator({
      client,
      namespaces: ['default'],
      operatorNamespace: 'baton-system',
      log: () => undefined,
    });
    const running = Promise.all([next.inform(stop.signal), next.lead(stop.signal)]);
    await until(() => status(server).record?.term === 2);
    assert.deepEqual(server.read(at('', 'secrets'), 'mysql-internal')?.['data'], secret);
    assert.equal(status(server).record?.clusterId, before);
    stop.abort();
    await running;
    client.close();
  }));

test('a spec that makes no sense is told, with its field; a Secret that is missing, by its name', () =>
  operating(async (server) => {
    server.put(CLUSTERS, 'mysql', { spec: { replicas: 0 }, metadata: { generation: 1 } });
    await until(() => condition(server, 'Blocked')?.reason === 'InvalidSpec');
    assert.match(condition(server, 'Blocked')?.message ?? '', /spec\.replicas/);
    const before = server.read(CLUSTERS, 'mysql');
    const spec = { replicas: 2, credentials: { secretName: 'mine' } };
    server.put(CLUSTERS, 'mysql', { ...before, spec, metadata: { ...before?.metadata, generation: 2 } });
    await until(() => condition(server, 'Blocked')?.reason === 'SecretMissing');
    assert.match(condition(server, 'Blocked')?.message ?? '', /mine/);
    server.put(at('', 'secrets'), 'mine', { data: { rootPassword: btoa('r'), applicationPassword: btoa('a') } });
    await until(() => status(server).record?.term === 1);
    assert.equal(server.read(at('', 'secrets'), 'mysql-credentials'), undefined, 'a user’s own is not ours to write');
  }));

test('a switchover that is asked for is answered once, one that came too late without being done', () =>
  operating(async (server) => {
    const asked = JSON.stringify({ id: 'r1', epoch: 0, to: null, untilMs: Date.now() - 1 });
    server.put(CLUSTERS, 'mysql', {
      spec: {},
      metadata: { generation: 1, annotations: { 'baton.dev/switchover': asked } },
    });
    await until(() => status(server).switchover !== undefined);
    const { id, done } = status(server).switchover ?? {};
    assert.deepEqual([id, done], ['r1', false]);
  }));

test('a switchover that cannot be had is answered by its own id, and why, as long as somebody waits', () =>
  operating(async (server) => {
    const asked = JSON.stringify({ id: 'r2', epoch: 0, to: null, untilMs: Date.now() + 1000 });
    server.put(CLUSTERS, 'mysql', {
      spec: {},
      metadata: { generation: 1, annotations: { 'baton.dev/switchover': asked } },
    });
    await until(() => status(server).switchover !== undefined);
    const { id, done, reason } = status(server).switchover ?? {};
    assert.deepEqual([id, done, typeof reason], ['r2', false, 'string']);
  }));

test('a primary whose Pod was going already when an operator took over is to be followed by another', () =>
  operating(
    async (server, _, said) => {
      await until(() => said.some(({ event, text }) => event === 'request' && text === 'a switchover'));
      assert.equal(status(server).record?.term, 2);
      assert.equal(server.read(at('apps', 'statefulsets'), 'mysql') !== undefined, true);
    },
    (server) => {
      const serverUuid = '7b3f8a60-0000-4000-8000-000000000000';
      const record = {
        version: 1,
        clusterId: 'c',
        term: 1,
        epoch: 1,
        primary: { ordinal: 0, serverUuid },
        floor: '',
        ackers: [],
        required: 0,
        mode: 'adaptive',
      };
      server.put(CLUSTERS, 'mysql', { spec: {}, metadata: { generation: 1 }, status: { record } });
      server.put(at('apps', 'statefulsets'), 'mysql', { spec: { replicas: 3 } });
      const labels = { 'app.kubernetes.io/name': 'mysql', 'app.kubernetes.io/managed-by': 'baton' };
      server.put(at('', 'pods'), 'mysql-0', { metadata: { labels, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    },
  ));

test('a MySQLCluster that is deleted is let go', () =>
  operating(async (server, operator) => {
    server.put(CLUSTERS, 'mysql', { spec: {}, metadata: { generation: 1 } });
    await until(() => status(server).record?.term === 1);
    server.remove(CLUSTERS, 'mysql');
    await until(() => operator.cared.length === 0);
  }));
