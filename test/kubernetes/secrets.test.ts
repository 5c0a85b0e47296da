/** Certificates and passwords: on by default, and changed while a client writes. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { certificateAuthority, certificateFor } from '../../src/kubernetes/certificates.ts';
import { Writer, verify } from './ledger.ts';
import { Scene, onKubernetes } from './scene.ts';

const HOUR_MS = 3_600_000;

test(
  'replication and the operator’s sessions are encrypted; a certificate that is given is taken up without a restart; so are passwords',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 } });
    const writer = await Writer.begin(scene);
    const asRoot = (pod: string, sql: string): Promise<string> =>
      scene.kubectl([
        'exec',
        pod,
        '-c',
        'mysql',
        '--',
        'bash',
        '-c',
        `mysql --defaults-file=/etc/baton-internal/client.cnf -BNe "${sql}"`,
      ]);
    const primary = await scene.primary();
    const pods = ['mysql-0', 'mysql-1', 'mysql-2'];
    for (const pod of pods) {
      // Over the network, all of Baton's accounts: operator, receivers.
      const plain = await asRoot(
        pod,
        `SELECT t.PROCESSLIST_USER FROM performance_schema.threads t
           JOIN performance_schema.status_by_thread s ON s.THREAD_ID = t.THREAD_ID AND s.VARIABLE_NAME = 'Ssl_version'
           WHERE t.PROCESSLIST_USER LIKE 'baton%' AND t.CONNECTION_TYPE <> 'Socket' AND s.VARIABLE_VALUE = ''`,
      );
      assert.equal(plain, '', pod);
      if (pod === primary) continue;
      const trusted = await asRoot(
        pod,
        'SELECT SSL_ALLOWED, SSL_CA_FILE FROM performance_schema.replication_connection_configuration',
      );
      assert.equal(trusted, 'YES\t/etc/baton-tls/ca.crt');
    }
    const dumps = await asRoot(
      primary,
      `SELECT COUNT(*) FROM performance_schema.threads WHERE PROCESSLIST_COMMAND LIKE 'Binlog Dump%' AND CONNECTION_TYPE = 'SSL/TLS'`,
    );
    assert.equal(dumps, '2');

    // As cert-manager makes one.
    const validity = { from: new Date(Date.now() - HOUR_MS), until: new Date(Date.now() + 100 * HOUR_MS) };
    const authority = await certificateAuthority('a company’s', validity);
    const given = await certificateFor(['*.mysql.svc', 'mysql-primary'], authority, validity);
    const text = { 'ca.crt': authority.certificate, 'tls.crt': given.certificate, 'tls.key': given.key };
    const secret = (stringData: Record<string, string>): string =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'given' },
        type: 'kubernetes.io/tls',
        stringData,
      });
    const lives = async (): Promise<string[]> =>
      Promise.all(
        pods.map((pod) =>
          asRoot(
            pod,
            "SELECT VARIABLE_VALUE FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Uptime'",
          ).then((up) => String(Math.round(Date.now() / 1000 - Number(up)))),
        ),
      );
    const before = await lives();
    await scene.kubectl(
      ['apply', '-f', '-'],
      secret({ ...text, 'tls.key': (await certificateFor(['x'], authority, validity)).key }),
    );
    await scene.apply({ replicas: 3, tls: { secretName: 'given' } });
    await scene.until(
      () => scene.lines.some(({ text = '' }) => text.includes('tls.key is not the key of tls.crt')),
      30_000,
    );
    await scene.kubectl(['apply', '-f', '-'], secret(text));
    const { fingerprint256 } = new X509Certificate(given.certificate);
    const begunMs = performance.now();
    const shown = async (pod: string): Promise<string> => {
      const host = await scene.kubectl(['get', 'pod', pod, '-o', 'jsonpath={.status.podIP}']);
      const password = await scene.password('applicationPassword');
      // Whom it trusts is what is shown.
      const connection = await createConnection({
        host,
        user: 'app',
        password,
        ssl: { ca: authority.certificate },
      }).catch(() => null);
      connection?.destroy();
      return connection === null ? '' : fingerprint256;
    };
    await scene.until(async () => (await Promise.all(pods.map(shown))).every((one) => one === fingerprint256), 180_000);
    t.diagnostic(
      `another authority's certificate everywhere after ${Math.round((performance.now() - begunMs) / 1000)} s`,
    );
    const after = await lives();
    for (const [at, since] of before.entries()) assert.ok(Math.abs(Number(since) - Number(after[at])) <= 3);
    await scene.kubectl(['delete', 'pod', await scene.primary(), '--wait=false']);
    await scene.until(async () => (await scene.primary()) !== primary, 30_000);
    await scene.healthy(120_000);

    const patch = JSON.stringify({ stringData: { applicationPassword: 'another one', rootPassword: "ro'ot" } });
    await scene.kubectl(['patch', 'secret', 'mysql-credentials', '-p', patch]);
    await scene.until(() => scene.lines.some(({ text = '' }) => text.startsWith('other passwords')), 60_000);
    scene.forgetPassword();
    for (const pod of pods) {
      const [row] = await scene.query(pod, 'SELECT CURRENT_USER() AS who');
      assert.equal(row?.['who'], 'app@%');
      assert.equal(
        await scene.kubectl(['exec', pod, '-c', 'mysql', '--', 'bash', '-c', `mysql -uroot -p"ro'ot" -BNe 'SELECT 1'`]),
        '1',
      );
    }
    const stopped = once(scene.operators[0] ?? assert.fail(), 'exit');
    scene.operators[0]?.kill('SIGTERM');
    await stopped;
    scene.startOperator();
    await writer.writesAgain();
    await verify(scene, writer);
  },
);
