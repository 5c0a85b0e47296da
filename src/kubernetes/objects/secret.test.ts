import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import type { MySQLCluster } from '../../spec/resource.ts';
import { UNOWNED } from './object.ts';
import { credentialsName, credentialsSecret, internalSecret, passwordsFrom } from './secret.ts';

const cluster = defaultCluster('mysql');
const given: MySQLCluster = {
  ...cluster,
  spec: { ...cluster.spec, credentials: { ...cluster.spec.credentials, secretName: 'mysql-secret' } },
};

function counter(): () => string {
  let count = 0;
  return () => `generated-${++count}`;
}

function decoded(secret: { readonly [field: string]: unknown } | null): Record<string, string> {
  const data = (secret?.['data'] ?? {}) as Record<string, string>;
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

test("a user's Secret is read and never written", () => {
  const passwords = passwordsFrom({ rootPassword: 'r', applicationPassword: 'a' }, null, counter());
  assert.equal(credentialsName(given), 'mysql-secret');
  assert.equal(credentialsSecret(given, passwords, UNOWNED), null);
  assert.equal(passwords.root, 'r');
  assert.equal(passwords.application, 'a');
});

test("a tutorial's key, and a line break at the end, are understood", () => {
  assert.equal(passwordsFrom({ password: '123456' }, null, counter()).root, '123456');
  assert.equal(passwordsFrom({ rootPassword: 'secret\n' }, null, counter()).root, 'secret');
  assert.equal(passwordsFrom({ rootPassword: '' }, null, counter()).root, 'generated-1');
});

test('what was generated once is kept', () => {
  const first = passwordsFrom(null, null, counter());
  assert.equal(new Set(Object.values(first)).size, 5, 'each is another one');
  const internal = decoded(internalSecret(cluster, first, UNOWNED));
  const fail = (): string => assert.fail('generated again');
  assert.deepEqual(passwordsFrom(decoded(credentialsSecret(cluster, first, UNOWNED)), internal, fail), first);
  assert.deepEqual(passwordsFrom(null, internal, fail), first);
});

test('an application finds all that it needs in one Secret, and none of the passwords of Baton', () => {
  const passwords = passwordsFrom(null, null, counter());
  const credentials = decoded(credentialsSecret(cluster, passwords, UNOWNED));
  assert.deepEqual(Object.keys(credentials).sort(), [
    'applicationPassword',
    'applicationUser',
    'host',
    'readHost',
    'rootPassword',
  ]);
  assert.equal(credentials['host'], 'mysql-primary');
});

test('the accounts of members are made from the same passwords', () => {
  const passwords = passwordsFrom(null, null, counter());
  const internal = decoded(internalSecret(cluster, passwords, UNOWNED));
  for (const password of Object.values(passwords))
    assert.match(internal['accounts.sql'] ?? '', new RegExp(`'${password}'`));
  assert.match(internal['client.cnf'] ?? '', new RegExp(`password="${passwords.controller}"`));
});
