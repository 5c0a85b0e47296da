import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { certificateAuthority, certificateFor } from './certificates.ts';

const DAY_MS = 86_400_000;
const days = (count: number, fromMs = Date.now()) => ({
  from: new Date(fromMs),
  until: new Date(fromMs + count * DAY_MS),
});

test('a member’s certificate names its authority, is signed by it, and is good for its names until its end', async () => {
  const authority = await certificateAuthority('baton shop/mysql', days(3650));
  const ca = new X509Certificate(authority.certificate);
  assert.equal(ca.ca, true);
  assert.equal(ca.verify(ca.publicKey), true);
  const validity = days(90);
  const { certificate } = await certificateFor(['*.mysql.shop.svc', 'mysql-primary', '127.0.0.1'], authority, validity);
  const leaf = new X509Certificate(certificate);
  assert.equal(leaf.ca, false);
  assert.equal(leaf.checkIssued(ca), true);
  assert.equal(leaf.verify(ca.publicKey), true);
  assert.equal(leaf.checkHost('mysql-2.mysql.shop.svc'), '*.mysql.shop.svc');
  assert.equal(leaf.checkHost('mysql-2.other.shop.svc'), undefined);
  assert.equal(leaf.checkIP('127.0.0.1'), '127.0.0.1');
  assert.equal(Date.parse(leaf.validTo), Math.floor(validity.until.getTime() / 1000) * 1000);
  assert.equal(
    leaf.verify(new X509Certificate((await certificateAuthority('other', days(1))).certificate).publicKey),
    false,
  );
});

test('an authority renewed with its key is good for what was signed before, and the former one for what is signed after', async () => {
  const former = await certificateAuthority('baton', days(10));
  const renewed = await certificateAuthority('baton', days(3650), former);
  const before = new X509Certificate((await certificateFor(['a'], former, days(1))).certificate);
  const after = new X509Certificate((await certificateFor(['a'], renewed, days(1))).certificate);
  for (const authority of [former, renewed].map(({ certificate }) => new X509Certificate(certificate))) {
    for (const leaf of [before, after])
      assert.equal(leaf.checkIssued(authority) && leaf.verify(authority.publicKey), true);
  }
});

test('an authority may have any name', async () => {
  const authority = await certificateAuthority('Müller, Söhne + "Co" #1', days(10));
  const ca = new X509Certificate(authority.certificate);
  const leaf = new X509Certificate((await certificateFor(['a'], authority, days(1))).certificate);
  assert.equal(leaf.checkIssued(ca) && leaf.verify(ca.publicKey), true);
});

test('OpenSSL takes them, those that end after 2049 too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'baton-certificates-'));
  try {
    const authority = await certificateAuthority('baton', days(365 * 40));
    const leaf = await certificateFor(['mysql-0.mysql'], authority, days(365 * 30));
    await writeFile(join(directory, 'ca.pem'), authority.certificate);
    await writeFile(join(directory, 'leaf.pem'), leaf.certificate);
    const verify = (...options: string[]): string =>
      execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', 'ca.pem', ...options, 'leaf.pem'], {
        cwd: directory,
      }).toString();
    assert.match(verify('-purpose', 'sslserver', '-verify_hostname', 'mysql-0.mysql'), /: OK/);
    assert.match(verify('-purpose', 'sslclient'), /: OK/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a TLS client that knows the authority connects; one that knows another does not', async () => {
  const authority = await certificateAuthority('baton', days(10));
  const { certificate, key } = await certificateFor(['localhost'], authority, days(5));
  const server = createServer({ cert: certificate, key }, (socket) => socket.end('hello')).listen(0);
  server.on('tlsClientError', () => undefined);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const other = await certificateAuthority('baton', days(10));
  try {
    const [data] = await once(connect({ port, host: 'localhost', ca: authority.certificate }), 'data');
    assert.equal(String(data), 'hello');
    await assert.rejects(once(connect({ port, host: 'localhost', ca: other.certificate }), 'secureConnect'));
  } finally {
    server.close();
  }
});
