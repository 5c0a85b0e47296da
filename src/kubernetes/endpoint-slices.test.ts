import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { defaultCluster } from '../spec/parse.ts';
import { ApiClient } from './api/client.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { EndpointSlices } from './endpoint-slices.ts';
import { UNOWNED } from './objects/object.ts';

const PATH = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
const NOBODY = { epoch: 0, members: [], reason: '', hold: false };
const to = (epoch: number, ...members: number[]) => ({ epoch, members, reason: '', hold: false });

async function pointing(
  work: (server: FakeApiServer, make: (term: number) => EndpointSlices) => Promise<void>,
): Promise<void> {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 200 });
  const made: EndpointSlices[] = [];
  const cluster = defaultCluster('mysql');
  await work(server, (term) => {
    const endpoints = new EndpointSlices({
      client,
      cluster: () => cluster,
      ownership: UNOWNED,
      target: (ordinal) => ({ ordinal, ip: `10.0.0.${ordinal}`, podUid: `uid-${ordinal}`, node: 'node1' }),
      term: () => term,
      log: () => undefined,
    });
    made.push(endpoints);
    return endpoints;
  });
  for (const endpoints of made) endpoints.close();
  client.close();
}

const leads = (server: FakeApiServer, name = 'mysql-primary'): string =>
  ((server.read(PATH, name)?.['endpoints'] as { addresses: string[] }[] | undefined) ?? [])
    .flatMap(({ addresses }) => addresses)
    .join();
const writes = (server: FakeApiServer): number => server.requests.filter((line) => line.startsWith('PATCH')).length;

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (condition()) return;
    await wait(5);
  }
  assert.fail('it did not come true in time');
}

test('a failover moves the primary’s Service in one write, without emptying it first', () =>
  pointing(async (server, make) => {
    const endpoints = make(1);
    endpoints.point(to(1, 0), NOBODY);
    await until(() => leads(server) === '10.0.0.0');
    endpoints.point(NOBODY, NOBODY);
    await wait(100);
    endpoints.point(to(2, 1), NOBODY);
    await until(() => leads(server) === '10.0.0.1');
    await wait(1100);
    assert.equal(leads(server), '10.0.0.1');
    assert.equal(writes(server), 3, 'two of the primary’s, one that empties the other');
  }));

test('a primary that nobody follows for long is led to no more', () =>
  pointing(async (server, make) => {
    const endpoints = make(1);
    endpoints.point(to(1, 0), NOBODY);
    await until(() => leads(server) === '10.0.0.0');
    endpoints.point(NOBODY, NOBODY);
    await until(() => leads(server) === '');
  }));

test('a switchover that drains leaves the Service where it is', () =>
  pointing(async (server, make) => {
    const endpoints = make(1);
    endpoints.point(to(1, 0), NOBODY);
    await until(() => leads(server) === '10.0.0.0');
    endpoints.point({ ...to(1, 0), hold: true }, NOBODY);
    endpoints.point(to(2, 1), NOBODY);
    await until(() => leads(server) === '10.0.0.1');
  }));

test('a brain that was followed by another moves nothing back', () =>
  pointing(async (server, make) => {
    const old = make(1);
    old.point(to(1, 0), NOBODY);
    await until(() => leads(server) === '10.0.0.0');
    make(2).point(to(2, 1), NOBODY);
    await until(() => leads(server) === '10.0.0.1');
    old.point(to(1, 2), NOBODY);
    await wait(100);
    assert.equal(leads(server), '10.0.0.1');
  }));

test('while the primary is about to move, the read Service waits: kube-proxy would carry its change out first', () =>
  pointing(async (server, make) => {
    const endpoints = make(1);
    endpoints.point(to(1, 0), to(1, 1, 2));
    await until(() => leads(server, 'mysql-read') === '10.0.0.1,10.0.0.2');
    endpoints.point(NOBODY, to(1, 2));
    await wait(200);
    assert.equal(leads(server, 'mysql-read'), '10.0.0.1,10.0.0.2');
    endpoints.point(to(2, 1), to(2, 2));
    await until(() => leads(server, 'mysql-read') === '10.0.0.2');
    const order = server.requests.filter((line) => line.startsWith('PATCH')).map((line) => /mysql-\w+/.exec(line)?.[0]);
    assert.deepEqual(order.slice(-2), ['mysql-primary', 'mysql-read']);
  }));
