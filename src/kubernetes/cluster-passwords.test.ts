import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../spec/parse.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { ApiClient } from './api/client.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { ClusterPasswords, SecretMissingError } from './cluster-passwords.ts';
import { UNOWNED } from './objects/object.ts';

const SECRETS_PATH = '/api/v1/namespaces/default/secrets';
const cluster = defaultCluster('mysql');
const named: MySQLCluster = {
  ...cluster,
  spec: { ...cluster.spec, credentials: { ...cluster.spec.credentials, secretName: 'mine' } },
};

async function having(
  work: (server: FakeApiServer, passwords: (cluster: MySQLCluster) => ClusterPasswords) => Promise<void>,
): Promise<void> {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 500 });
  try {
    await work(server, (which) => new ClusterPasswords(client, () => which, UNOWNED));
  } finally {
    client.close();
  }
}

const edit = (server: FakeApiServer, name: string, values: Record<string, string>): void => {
  const before = (server.read(SECRETS_PATH, name)?.['data'] ?? {}) as Record<string, string>;
  const data = Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  server.put(SECRETS_PATH, name, { data: { ...before, ...(Object.fromEntries(data) as Record<string, string>) } });
};

test('passwords are made once; another operator finds the same', () =>
  having(async (_, passwords) => {
    const made = await passwords(cluster).make();
    assert.equal(new Set(Object.values(made)).size, 5);
    assert.deepEqual(await passwords(cluster).make(), made);
    assert.equal(await passwords(cluster).changed(), null);
  }));

test('a password that somebody changed in the Secret is due to be changed in MySQL, also after another start', () =>
  having(async (server, passwords) => {
    const made = await passwords(cluster).make();
    edit(server, 'mysql-credentials', { applicationPassword: 'another' });
    const again = passwords(cluster);
    assert.deepEqual(await again.make(), made, 'MySQL has the former ones still');
    const changed = await again.changed();
    assert.deepEqual(changed, { ...made, application: 'another' });
    assert.ok(changed);
    await again.adopt(changed);
    assert.equal(await again.changed(), null);
    assert.equal((await passwords(cluster).make()).application, 'another');
  }));

test('a Secret of the user’s has to be there at first; later its absence changes nothing', () =>
  having(async (server, passwords) => {
    await assert.rejects(passwords(named).make(), SecretMissingError);
    edit(server, 'mine', { rootPassword: 'r', applicationPassword: 'a' });
    const made = await passwords(named).make();
    assert.equal(made.root, 'r');
    server.remove(SECRETS_PATH, 'mine');
    assert.equal(await passwords(named).changed(), null);
    assert.deepEqual(await passwords(named).make(), made);
  }));
