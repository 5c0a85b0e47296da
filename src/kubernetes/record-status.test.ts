import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newClusterRecord } from '../cluster/record.ts';
import { ApiClient } from './api/client.ts';
import { ApiUnreachableError } from './api/errors.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { ClusterGoneError, RecordUnreadableError, StatusRecord } from './record-status.ts';

const PATH = '/apis/baton.dev/v1alpha1/namespaces/default/mysqlclusters';
const record = (term: number) => ({ ...newClusterRecord('c', 'quorum'), term });

async function keeping(work: (server: FakeApiServer, records: StatusRecord) => Promise<void>): Promise<void> {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 1000 });
  const { metadata } = server.put(PATH, 'mysql', { spec: { replicas: 3 } });
  await work(server, new StatusRecord({ client, namespace: 'default', name: 'mysql', uid: metadata.uid }));
  client.close();
}

test('a record is read as it was written, and only the expected one is replaced', () =>
  keeping(async (_server, records) => {
    assert.equal(await records.read(), null);
    assert.equal(await records.swap(0, record(1)), 'written');
    assert.equal(await records.swap(0, record(2)), 'conflict');
    const full = {
      ...record(2),
      epoch: 1,
      primary: { ordinal: 0, serverUuid: '7b3f8a60-0000-4000-8000-000000000000' },
      ackers: [{ ordinal: 1, serverUuid: '7b3f8a60-0000-4000-8000-000000000001', bootId: 'b' }],
    };
    assert.equal(await records.swap(1, full), 'written');
    assert.deepEqual(await records.read(), { version: 2, record: full });
  }));

test('a change of the spec or of the rest of the status is in nobody’s way, and stays', () =>
  keeping(async (server, records) => {
    await records.swap(0, record(1));
    let writes = 0;
    server.fault = (method) => {
      const before = server.read(PATH, 'mysql');
      if (method === 'PATCH' && writes++ < 3) server.put(PATH, 'mysql', { ...before, spec: { replicas: 3 + writes } });
      return null;
    };
    assert.equal(await records.swap(1, record(2)), 'written');
    assert.deepEqual(server.read(PATH, 'mysql')?.['spec'], { replicas: 6 });
  }));

test('another brain that swaps between our look and our write wins', () =>
  keeping(async (server, records) => {
    await records.swap(0, record(1));
    let once = true;
    server.fault = (method) => {
      const before = server.read(PATH, 'mysql');
      const theirs = { ...before, status: { record: { ...record(9), primary: undefined, version: 2 } } };
      if (method === 'PATCH' && once) {
        once = false;
        server.put(PATH, 'mysql', JSON.parse(JSON.stringify(theirs)) as Record<string, unknown>);
      }
      return null;
    };
    assert.equal(await records.swap(1, record(2)), 'conflict');
    assert.equal((await records.read())?.record.term, 9);
  }));

test('a write that got no answer rejects: it is not known', () =>
  keeping(async (server, records) => {
    server.fault = (method) => (method === 'PATCH' ? 'lose' : null);
    await assert.rejects(records.swap(0, record(1)), ApiUnreachableError);
    server.fault = () => null;
    assert.equal((await records.read())?.record.term, 1);
  }));

test('what is no record is told, not guessed; and another cluster of the same name has none of ours', () =>
  keeping(async (server, records) => {
    const before = server.read(PATH, 'mysql');
    server.put(PATH, 'mysql', { ...before, status: { record: { version: 1, term: 'x' } } });
    await assert.rejects(records.read(), RecordUnreadableError);
    server.remove(PATH, 'mysql');
    server.put(PATH, 'mysql', {});
    await assert.rejects(records.read(), ClusterGoneError);
  }));
