import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { ApiClient } from './api/client.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { Leader, microTime } from './lease.ts';

const PATH = '/apis/coordination.k8s.io/v1/namespaces/baton-system/leases';

/** A candidate that runs until it is stopped; `stop(true)` as a process that died. */
function candidate(server: FakeApiServer, identity: string, durationSeconds = 0.2) {
  const client = new ApiClient(server.access, { answerMs: 100 });
  const over = new AbortController();
  const leader = new Leader({
    client,
    namespace: 'baton-system',
    name: 'baton',
    identity,
    durationSeconds,
    log: () => undefined,
  });
  const running = leader.run(
    over.signal,
    (signal) => new Promise((done) => signal.addEventListener('abort', () => done())),
  );
  const stop = async (): Promise<void> => {
    over.abort();
    await running;
    client.close();
  };
  return { leader, stop };
}

async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    if (condition()) return;
    await wait(5);
  }
  assert.fail('it did not come true in time');
}

test('one of two leads; when it stops, the other does at once', async () => {
  await using server = await FakeApiServer.start();
  const a = candidate(server, 'a', 4);
  await until(() => a.leader.leading);
  const b = candidate(server, 'b', 4);
  await wait(50);
  assert.equal(b.leader.leading, false);
  await a.stop();
  await until(() => b.leader.leading);
  await b.stop();
});

test('a leader that died is followed when its Lease has run out, by the clock of who waits', async () => {
  await using server = await FakeApiServer.start();
  server.put(PATH, 'baton', {
    spec: { holderIdentity: 'dead', leaseDurationSeconds: 0.2, renewTime: '2100-01-01T00:00:00.000000Z' },
  });
  const b = candidate(server, 'b');
  await wait(80);
  assert.equal(b.leader.leading, false);
  await until(() => b.leader.leading);
  await b.stop();
});

test('an API server that does not answer ends no leadership; another holder does', async () => {
  await using server = await FakeApiServer.start();
  const a = candidate(server, 'a');
  await until(() => a.leader.leading);
  server.fault = () => 'cut';
  await wait(500);
  assert.equal(a.leader.leading, true);
  server.put(PATH, 'baton', { spec: { holderIdentity: 'b', leaseDurationSeconds: 100 } });
  server.fault = () => null;
  await until(() => !a.leader.leading);
  await a.stop();
});

test('who leads asks for nothing but the renewal', async () => {
  await using server = await FakeApiServer.start();
  const a = candidate(server, 'a');
  await until(() => a.leader.leading);
  const from = server.requests.length;
  await until(() => server.requests.length > from + 3);
  assert.deepEqual([...new Set(server.requests.slice(from).map((line) => line.split(' ')[0]))], ['PUT']);
  await a.stop();
});

test('times have the six digits that Kubernetes wants', () => {
  assert.equal(microTime(new Date('2026-11-24T01:02:03.004Z')), '2026-11-24T01:02:03.004000Z');
});
