import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ApiClient } from './api/client.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { PODS, type Pod } from './api/resources.ts';
import { Reflector } from './reflector.ts';

const PATH = '/api/v1/namespaces/default/pods';

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (condition()) return;
    await wait(5);
  }
  assert.fail('it did not come true in time');
}

async function reflecting(work: (server: FakeApiServer, pods: Reflector<Pod>) => Promise<void>): Promise<void> {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 200 });
  const stop = new AbortController();
  const pods = new Reflector<Pod>({
    client,
    resource: PODS,
    namespaces: [],
    log: () => undefined,
    backoffMs: { first: 5, most: 20 },
  });
  server.put(PATH, 'first', {});
  const running = pods.run(stop.signal);
  try {
    await pods.listed;
    await until(() => server.watching === 1);
    await work(server, pods);
  } finally {
    stop.abort();
    await running;
    client.close();
  }
}

const names = (pods: Reflector<Pod>): string[] =>
  pods
    .all()
    .map(({ metadata }) => metadata.name)
    .sort();
const lists = (server: FakeApiServer): number => server.requests.filter((line) => !line.includes('watch=')).length;

test('what is there is known, what changes and what goes is heard of', () =>
  reflecting(async (server, pods) => {
    const heard: string[] = [];
    pods.onChange((key, now) => heard.push(`${key} ${now === null ? 'gone' : 'here'}`));
    assert.deepEqual(names(pods), ['first']);
    server.put(PATH, 'second', {});
    await until(() => pods.get('default', 'second') !== null);
    server.remove(PATH, 'first');
    await until(() => pods.get('default', 'first') === null);
    assert.deepEqual(heard, ['default/second here', 'default/first gone']);
  }));

test('a watch that ends goes on where it was: nothing is missed, nothing is listed again', () =>
  reflecting(async (server, pods) => {
    server.bookmark();
    await wait(20);
    server.cutWatches();
    server.put(PATH, 'second', {});
    await until(() => pods.get('default', 'second') !== null);
    assert.equal(lists(server), 1);
  }));

test('a place that is no longer kept: everything is listed again, and what is gone is found to be', () =>
  reflecting(async (server, pods) => {
    server.fault = (_method, path) => (path.endsWith('/pods') ? 'cut' : null);
    server.cutWatches();
    server.remove(PATH, 'first');
    server.put(PATH, 'second', {});
    server.expireWatches();
    server.fault = () => null;
    await until(() => names(pods).join() === 'second');
    assert.equal(lists(server) >= 2, true);
  }));

test('an API server that is away for a while, or slow, is asked again until it is back', () =>
  reflecting(async (server, pods) => {
    server.fault = () => 'lose';
    server.cutWatches();
    await wait(50);
    server.put(PATH, 'second', {});
    server.fault = () => ({ status: 503, reason: 'ServiceUnavailable' });
    server.cutWatches();
    await wait(50);
    server.fault = () => null;
    server.cutWatches();
    await until(() => pods.get('default', 'second') !== null);
    assert.deepEqual(names(pods), ['first', 'second']);
  }));
