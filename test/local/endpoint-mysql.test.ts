/** The endpoint in front of real servers, with real clients. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';

import { runCommand } from '../../src/local/command.ts';
import { defaultCacheDir, findDistribution, type Distribution } from '../../src/local/distribution.ts';
import { Endpoint, type Backend } from '../../src/local/endpoint.ts';
import { chooseFreePort } from '../../src/local/free-ports.ts';
import { copyTemplate, ensureTemplate } from '../../src/local/template.ts';

const host = '127.0.0.1';
const account = { user: 'app', password: 'not-a-secret' };
const tls = { ssl: { rejectUnauthorized: false } };

interface RunningServer {
  backend: Backend;
  process: ChildProcess;
}

let directory = '';
let distribution: Distribution;
let endpoint: Endpoint;
let epoch = 0;
const servers: RunningServer[] = [];

before(async () => {
  const cacheDir = defaultCacheDir(process.env);
  distribution = await findDistribution({ basedir: process.env['BATON_TEST_BASEDIR'], cacheDir });
  const template = await ensureTemplate({ distribution, cacheDir });
  directory = await mkdtemp(join(tmpdir(), 'baton-endpoint-'));
  for (const ordinal of [0, 1]) servers.push(await start(ordinal, template));
  endpoint = await Endpoint.listen({ host, port: 0, name: 'primary', waitMs: 10_000 });
  await leadTo(0);
});

after(async () => {
  await endpoint?.close();
  for (const { process } of servers) {
    if (process.exitCode !== null || process.signalCode !== null) continue;
    process.kill('SIGKILL');
    await once(process, 'exit');
  }
  if (directory !== '') await rm(directory, { recursive: true, force: true });
});

async function start(ordinal: number, template: string): Promise<RunningServer> {
  const home = join(directory, `${ordinal}`);
  await copyTemplate(template, home);
  const init = join(directory, `init-${ordinal}.sql`);
  await writeFile(
    init,
    `CREATE USER '${account.user}'@'%' IDENTIFIED BY '${account.password}';\nGRANT ALL ON *.* TO '${account.user}'@'%';\n` +
      'CREATE DATABASE shop;\nCREATE TABLE shop.orders (id INT PRIMARY KEY);\n',
    { mode: 0o600 },
  );
  const port = await chooseFreePort(new Set(servers.map(({ backend }) => backend.port)));
  const [command = '', ...loader] = distribution.serverCommand;
  const process = spawn(
    command,
    [
      ...loader,
      '--no-defaults',
      ...distribution.serverOptions,
      `--datadir=${home}`,
      `--socket=${join(directory, `${ordinal}.sock`)}`,
      `--log-error=${join(directory, `${ordinal}.log`)}`,
      `--bind-address=${host}`,
      `--port=${port}`,
      `--server-id=${ordinal + 1}`,
      `--init-file=${init}`,
      '--mysqlx=OFF',
      '--skip-name-resolve',
      '--performance-schema=OFF',
      '--innodb-buffer-pool-size=32M',
      ...(globalThis.process.getuid?.() === 0 ? ['--user=root'] : []),
    ],
    { stdio: 'ignore' },
  );
  return { backend: { ordinal, host, port }, process };
}

function server(ordinal: number): RunningServer {
  const found = servers[ordinal];
  assert.ok(found);
  return found;
}

/** Leads to a server in a new epoch and waits until it serves, at its first start above all. */
async function leadTo(ordinal: number): Promise<void> {
  const { backend } = server(ordinal);
  const deadline = performance.now() + 60_000;
  for (;;) {
    const direct = await mysql.createConnection({ ...account, host, port: backend.port }).catch(() => null);
    direct?.destroy();
    if (direct !== null) break;
    assert.ok(performance.now() < deadline, `member ${ordinal} does not start`);
    await sleep(50);
  }
  endpoint.point({ epoch: ++epoch, backends: [backend] });
}

function open(options: mysql.ConnectionOptions = {}): Promise<Connection> {
  return mysql.createConnection({ ...account, host, port: endpoint.port, ...options });
}

async function serverIdOf(connection: Connection): Promise<unknown> {
  const [rows] = await connection.query<RowDataPacket[]>('SELECT @@server_id AS id');
  return rows[0]?.['id'];
}

for (const [how, options] of [
  ['in the clear', {}],
  ['with TLS', tls],
  ['compressed', { compress: true }],
] as const) {
  test(`logins, statements and results of megabytes pass ${how}`, async () => {
    const connection = await open(options);
    try {
      const [rows] = await connection.query<RowDataPacket[]>("SELECT REPEAT('baton', 1000000) AS text");
      assert.equal(rows[0]?.['text'], 'baton'.repeat(1_000_000));
      const [sent] = await connection.query<RowDataPacket[]>('SELECT LENGTH(?) AS n', ['x'.repeat(3_000_000)]);
      assert.equal(sent[0]?.['n'], 3_000_000);
      const [prepared] = await connection.execute<RowDataPacket[]>('SELECT ? + 1 AS n', [1]);
      assert.equal(Number(prepared[0]?.['n']), 2);
    } finally {
      await connection.end();
    }
  });
}

for (const [how, options] of [
  ['in the clear', {}],
  ['with TLS', tls],
] as const) {
  test(`mysql2 reads why there is no primary, ${how}`, async () => {
    await using empty = await Endpoint.listen({ host, port: 0, name: 'primary', waitMs: 100 });
    empty.point({ epoch: 1, backends: [], reason: 'failing over, sealed 1 of 2' });
    await assert.rejects(open({ port: empty.port, ...options }), {
      errno: 1053,
      code: 'ER_SERVER_SHUTDOWN',
      message: 'Baton: no primary within 0.1 s: failing over, sealed 1 of 2',
    });
  });
}

test('the mysql client reads why there is no primary, in the clear and with TLS', async (t) => {
  const client = distribution.clientCommand;
  if (client === null) return t.skip('this MySQL came without its client');
  await using empty = await Endpoint.listen({ host, port: 0, name: 'primary', waitMs: 100 });
  empty.point({ epoch: 1, backends: [], reason: 'failing over, sealed 1 of 2' });
  for (const mode of ['DISABLED', 'REQUIRED']) {
    const args = ['--no-defaults', `--host=${host}`, `--port=${empty.port}`, `--ssl-mode=${mode}`, '-e', 'SELECT 1'];
    const { stderr } = await runCommand([...client, ...args], { timeoutMs: 10_000 });
    assert.match(stderr, /ERROR 1053 .*: Baton: no primary within 0\.1 s: failing over, sealed 1 of 2/);
  }
});

// The order of the following matters: the last one leaves member 0 dead.
test('a switchover: a transaction under way commits, idle pooled connections are replaced unnoticed, new ones wait', async () => {
  const pool = mysql.createPool({ ...account, host, port: endpoint.port, connectionLimit: 4 });
  const writer = await open();
  try {
    await Promise.all(Array.from({ length: 4 }, () => pool.query('SELECT SLEEP(0.05)')));
    await sleep(100);
    await writer.query('START TRANSACTION');
    await writer.query('INSERT INTO shop.orders VALUES (1)');

    endpoint.hold('switching over to member 1');
    const drained = endpoint.drain(2_000);
    const waiting = open();
    await writer.query('INSERT INTO shop.orders VALUES (2)');
    await writer.query('COMMIT');
    assert.deepEqual(await drained, { closed: 5 });
    await sleep(20); // the pool hears of it
    const pooled = pool.query<RowDataPacket[]>('SELECT @@server_id AS id');
    await leadTo(1);
    const [rows] = await pooled;
    assert.equal(rows[0]?.['id'], 2);
    const late = await waiting;
    assert.equal(await serverIdOf(late), 2);
    await late.end();
  } finally {
    writer.destroy();
    await pool.end();
  }
  const direct = await mysql.createConnection({ ...account, host, port: server(0).backend.port });
  const [kept] = await direct.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM shop.orders');
  await direct.end();
  assert.equal(kept[0]?.['n'], 2);
});

test('a frozen primary: those who connect meanwhile are served by the next one, the old one hears nothing more', async () => {
  await leadTo(0);
  const before = await open();
  server(0).process.kill('SIGSTOP');
  try {
    const meanwhile = Array.from({ length: 5 }, () => open());
    const lost = assert.rejects(before.query('INSERT INTO shop.orders VALUES (99)'), {
      code: 'PROTOCOL_CONNECTION_LOST',
    });
    await sleep(100);
    await leadTo(1);
    await lost;
    for (const connection of await Promise.all(meanwhile)) {
      assert.equal(await serverIdOf(connection), 2);
      await connection.end();
    }
  } finally {
    server(0).process.kill('SIGCONT');
    before.destroy();
  }
});

test('kill -9 of the primary: whoever connects from then on sees no error, only the next primary', async () => {
  await leadTo(0);
  const before = await open();
  const lost = assert.rejects(before.query('SELECT SLEEP(60)'), { code: 'PROTOCOL_CONNECTION_LOST' });
  await sleep(50);
  server(0).process.kill('SIGKILL');
  const since = performance.now();
  const connecting: Promise<Connection>[] = [];
  const next = sleep(200).then(() => leadTo(1));
  while (performance.now() - since < 400) {
    // One that was greeted in the last instant is lost with the server; it isn't what this test is about.
    if (connecting.length > 0 || server(0).process.signalCode !== null)
      connecting.push(open(connecting.length % 2 ? tls : {}));
    await sleep(10);
  }
  await next;
  await lost;
  assert.ok(connecting.length > 2);
  for (const connection of await Promise.all(connecting)) {
    assert.equal(await serverIdOf(connection), 2);
    await connection.end();
  }
  before.destroy();
});
