import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { defaultCluster } from '../spec/parse.ts';
import { certificatesOf, dueAuthority, issuedBy, nextTls, type Tls, type TlsNow } from './tls.ts';

const cluster = defaultCluster('mysql');
const DAY_MS = 86_400_000;
const BEGUN_MS = Date.parse('2026-01-01T00:00:00Z');
const MINUTE_MS = 60_000;

const own = async (nowMs = BEGUN_MS): Promise<Tls> =>
  issuedBy(await dueAuthority(cluster, null, nowMs), cluster, null, nowMs);

test('a member’s certificate is good for its name, and for both Services’', async () => {
  const certificate = new X509Certificate((await own()).certificate);
  for (const name of [
    'mysql-2.mysql.default.svc',
    'mysql-0.mysql',
    'mysql-primary',
    'mysql-read.default.svc',
    'localhost',
  ]) {
    assert.notEqual(certificate.checkHost(name), undefined, name);
  }
});

test('certificate and authority stay as they are while they are good for long, and are renewed long before they end', async () => {
  let authority = await dueAuthority(cluster, null, BEGUN_MS);
  let now = await issuedBy(authority, cluster, null, BEGUN_MS);
  const endsOf = (pem: string): number => Date.parse(new X509Certificate(pem).validTo);
  let renewals = 0;
  for (let day = 1; day < 30 * 365; day += 10) {
    const nowMs = BEGUN_MS + day * DAY_MS;
    authority = await dueAuthority(cluster, authority, nowMs);
    const next = await issuedBy(authority, cluster, now, nowMs);
    if (next.certificate !== now.certificate) renewals++;
    now = next;
    assert.ok(endsOf(now.certificate) - nowMs >= 100 * DAY_MS);
    assert.ok(endsOf(authority.certificate) > endsOf(now.certificate));
  }
  assert.ok(renewals > 30 && renewals < 60, String(renewals));
});

test('another authority comes in three steps, each when the one before is everywhere: whoever trusts one never meets only the other', async () => {
  const [before, after] = [await own(), await own()];
  let now: TlsNow = nextTls(null, before, BEGUN_MS) ?? assert.fail();
  assert.equal(nextTls(now, before, BEGUN_MS + DAY_MS), null);
  const steps: Tls[] = [now];
  for (let minute = 0; minute < 20; minute++) {
    const next = nextTls(now, after, BEGUN_MS + DAY_MS + minute * MINUTE_MS);
    if (next !== null) steps.push((now = next));
  }
  assert.equal(steps.length, 4);
  const trusts = ({ ca }: Tls, { certificate }: Tls): boolean =>
    certificatesOf(ca).some((authority) => new X509Certificate(certificate).verify(authority.publicKey));
  for (const [at, step] of steps.entries()) {
    for (const other of steps.slice(Math.max(0, at - 1), at + 2)) assert.ok(trusts(step, other));
  }
  assert.deepEqual(steps.at(-1), { ...after, changedMs: now.changedMs });
});

test('a certificate renewed under the same authority is shown at once', async () => {
  const authority = await dueAuthority(cluster, null, BEGUN_MS);
  const before = await issuedBy(authority, cluster, null, BEGUN_MS);
  const laterMs = BEGUN_MS + 300 * DAY_MS;
  const after = await issuedBy(authority, cluster, before, laterMs);
  const now = nextTls(null, before, BEGUN_MS);
  assert.equal(nextTls(now, after, laterMs)?.certificate, after.certificate);
});
