import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { defaultCluster } from '../spec/parse.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { ApiClient } from './api/client.ts';
import { FakeApiServer } from './api/fake-api-server.ts';
import { certificateAuthority, certificateFor } from './certificates.ts';
import { ClusterTls, GivenTlsError } from './cluster-tls.ts';
import { UNOWNED } from './objects/object.ts';

const SECRETS_PATH = '/api/v1/namespaces/default/secrets';
const own = defaultCluster('mysql');
const given: MySQLCluster = { ...own, spec: { ...own.spec, tls: { secretName: 'given' } } };
const DAY_MS = 86_400_000;
const validity = { from: new Date(Date.now() - 1000), until: new Date(Date.now() + 10 * DAY_MS) };

async function keeping(
  work: (server: FakeApiServer, tls: (cluster: MySQLCluster, nowMs?: () => number) => ClusterTls) => Promise<void>,
): Promise<void> {
  await using server = await FakeApiServer.start();
  const client = new ApiClient(server.access, { answerMs: 500 });
  try {
    await work(server, (cluster, nowMs) => new ClusterTls(client, () => cluster, UNOWNED, nowMs));
  } finally {
    client.close();
  }
}

const put = (server: FakeApiServer, values: Record<string, string>) => {
  const data = Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  server.put(SECRETS_PATH, 'given', { data: Object.fromEntries(data) as Record<string, string> });
};

const read = (server: FakeApiServer, name: string, key: string): string => {
  const data = server.read(SECRETS_PATH, name)?.['data'] as Record<string, string> | undefined;
  return Buffer.from(data?.[key] ?? '', 'base64').toString();
};

test('a cluster gets an authority of its own and a certificate, and keeps both; the authority’s key is not the members’', () =>
  keeping(async (server, tls) => {
    const first = tls(own);
    await first.keep();
    const ca = new X509Certificate(read(server, 'mysql-tls', 'ca.crt'));
    const certificate = read(server, 'mysql-tls', 'tls.crt');
    assert.equal(new X509Certificate(certificate).verify(ca.publicKey), true);
    assert.equal(first.trusted().ca, read(server, 'mysql-ca', 'ca.crt'));
    assert.equal(server.read(SECRETS_PATH, 'mysql-tls')?.['type'], 'kubernetes.io/tls');
    assert.equal(read(server, 'mysql-tls', 'ca.key'), '');
    const trusted = first.trusted();
    const successor = tls(own);
    for (const one of [first, successor]) await one.keep();
    assert.equal(read(server, 'mysql-tls', 'tls.crt'), certificate);
    assert.equal(first.trusted(), trusted, 'the same object: sessions are resumed by it');
    assert.equal(successor.trusted().ca, trusted.ca);
  }));

test('a Secret that is given is taken over as it is, a chain of authorities too', () =>
  keeping(async (server, tls) => {
    const root = await certificateAuthority('root', validity);
    const { certificate, key } = await certificateFor(['mysql'], root, validity);
    put(server, { 'ca.crt': root.certificate, 'tls.crt': certificate, 'tls.key': key });
    await tls(given).keep();
    assert.equal(read(server, 'mysql-tls', 'tls.crt'), certificate);
    assert.equal(server.read(SECRETS_PATH, 'mysql-ca'), undefined);
  }));

test('a Secret that would part members from each other is refused, and what they have stays', () =>
  keeping(async (server, tls) => {
    const kept = tls(own);
    await kept.keep();
    const before = read(server, 'mysql-tls', 'tls.crt');
    const [root, other] = [await certificateAuthority('root', validity), await certificateAuthority('other', validity)];
    const good = await certificateFor(['mysql'], root, validity);
    const past = { from: new Date(0), until: new Date(1000) };
    const old = await certificateFor(['mysql'], root, past);
    for (const [why, values] of [
      [/found none/, {}],
      [/is not signed by ca.crt/, { 'ca.crt': other.certificate, 'tls.crt': good.certificate, 'tls.key': good.key }],
      [/not the key of/, { 'ca.crt': root.certificate, 'tls.crt': good.certificate, 'tls.key': other.key }],
      [/ends on/, { 'ca.crt': root.certificate, 'tls.crt': old.certificate, 'tls.key': old.key }],
      [/./, { 'ca.crt': 'x', 'tls.crt': 'y', 'tls.key': 'z' }],
    ] as const) {
      put(server, values);
      const successor = tls(given);
      await assert.rejects(successor.keep(), (error) => error instanceof GivenTlsError && why.test(error.message));
      assert.equal(successor.trusted().ca, kept.trusted().ca);
    }
    assert.equal(read(server, 'mysql-tls', 'tls.crt'), before);
  }));

test('one that was given and is not renewed a day before its end is replaced by the cluster’s own', () =>
  keeping(async (server, tls) => {
    const root = await certificateAuthority('root', { ...validity, until: new Date(Date.now() + 1000 * DAY_MS) });
    const { certificate, key } = await certificateFor(['mysql'], root, validity);
    put(server, { 'ca.crt': root.certificate, 'tls.crt': certificate, 'tls.key': key });
    let nowMs = Date.now();
    const kept = tls(given, () => nowMs);
    await kept.keep();
    assert.equal(read(server, 'mysql-tls', 'tls.crt'), certificate);
    nowMs = validity.until.getTime() - DAY_MS / 2;
    let refused = 0;
    for (let minute = 0; minute < 10; minute++) {
      await kept.keep().catch((error: unknown) => {
        assert.ok(error instanceof GivenTlsError);
        refused++;
      });
      nowMs += 60_000;
    }
    assert.ok(refused > 0, 'that it should be renewed is still said');
    const shown = new X509Certificate(read(server, 'mysql-tls', 'tls.crt'));
    assert.equal(shown.verify(new X509Certificate(read(server, 'mysql-ca', 'ca.crt')).publicKey), true);
    assert.equal(kept.trusted().ca, read(server, 'mysql-tls', 'ca.crt'));
    // Renewed after all.
    const later = await certificateFor(['mysql'], root, { ...validity, until: new Date(nowMs + 100 * DAY_MS) });
    put(server, { 'ca.crt': root.certificate, 'tls.crt': later.certificate, 'tls.key': later.key });
    for (let minute = 0; minute < 10; minute++) {
      await kept.keep();
      nowMs += 60_000;
    }
    assert.equal(read(server, 'mysql-tls', 'tls.crt'), later.certificate);
  }));
