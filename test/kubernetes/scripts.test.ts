import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, it as test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2/promise';
import { ordersText, NO_ORDERS } from '../../src/kubernetes/objects/orders.ts';
import { CONTROLLER_USER } from '../../src/mysql/names.ts';
import { MemberPod } from './member-script.ts';

const OPEN = ['SET GLOBAL super_read_only = OFF', 'SET GLOBAL read_only = OFF'];

/** What the brain does to open a primary whose commits wait for an acknowledgement that never comes. */
async function openWithWaiting(pod: MemberPod): Promise<{ client: Connection; answer: Promise<string> }> {
  await pod.control(...OPEN, 'SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1');
  const client = await pod.connect('app', 'application');
  await client.query('CREATE DATABASE shop');
  await client.query('CREATE TABLE shop.orders (id INT PRIMARY KEY)');
  await pod.control('SET GLOBAL rpl_semi_sync_source_enabled = ON');
  const answer = client.query('INSERT INTO shop.orders VALUES (1)').then(
    () => 'OK',
    (error: Error) => error.message,
  );
  await pod.until(
    'the commit waits',
    async () =>
      (await pod.one(
        `SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_wait_sessions'`,
      )) === '1',
  );
  return { client, answer };
}

const followSql = ({ port }: MemberPod, ordinal: number): string =>
  `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = ${port}, SOURCE_USER = 'baton_replica_${ordinal}',
     SOURCE_PASSWORD = 'replication', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1`;

describe('member.sh', { timeout: 300_000 }, () => {
  after(() => MemberPod.removeTemplate());

  test('makes an empty data directory of its own identity once, and reports which', async () => {
    await using pod = await MemberPod.make('mysql-3');
    const made = await pod.prepare();
    assert.equal(made.ordinal, 3);
    assert.match(made.serverUuid, /^[0-9a-f-]{36}$/);
    assert.equal(made.bootId, (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim());
    assert.deepEqual(await pod.prepare(), made);
    await pod.run();
    assert.equal(await pod.one('SELECT @@server_uuid'), made.serverUuid);
    assert.equal(await pod.one('SELECT @@gtid_executed'), '');
    assert.equal(await pod.one('SELECT @@super_read_only + @@read_only'), '2');
    assert.equal(
      await pod.one('SELECT @@server_id'),
      String(Number.parseInt(made.serverUuid.slice(0, 7), 16) * 16 + 3),
    );
    assert.equal(await pod.one('SELECT @@report_host'), 'mysql-3');
    (await pod.connect('app', 'application')).destroy();
    await pod.asRoot('SELECT 1');
    assert.equal(await pod.command('alive'), 0);
  });

  test('starts a killed mysqld again, and one that restarts itself at the end of a clone', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    process.kill(await pod.pid(), 'SIGKILL');
    await pod.until('the connection is refused', () =>
      pod.one('SELECT 1').then(
        () => false,
        () => true,
      ),
    );
    await pod.answers();
    assert.match(pod.output, /mysqld ended, exit code 137/);
    const before = await pod.pid();
    await pod.asRoot('RESTART').catch(() => undefined);
    await pod.until('another process answers', async () => (await pod.pid().catch(() => before)) !== before);
    await pod.answers();
    assert.match(pod.output, /mysqld ended, exit code 16/);
  });

  test('lets no commit that waits for an acknowledgement be answered OK when its Pod is stopped', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    const { client, answer } = await openWithWaiting(pod);
    pod.signal('SIGTERM');
    assert.equal(await pod.ended(), 0);
    assert.match(await answer, /lost|closed/i);
    client.destroy();
    assert.match(pod.output, /it is killed/);
    assert.doesNotMatch(pod.output, /Shutdown complete/);
  });

  test('stops a closed member in an orderly way, at once', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    const began = Date.now();
    pod.signal('SIGTERM');
    assert.equal(await pod.ended(), 0);
    assert.ok(Date.now() - began < 10_000, 'it took longer than ten seconds');
    assert.match(pod.output, /closed: it is stopped in an orderly way/);
    assert.match(pod.output, /Shutdown complete/);
  });

  test('stays for a moment once its mysqld has ended, so that whoever connects is refused and need not wait', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    const mysqld = await pod.pid();
    const there = (): boolean => {
      try {
        return process.kill(mysqld, 0);
      } catch {
        return false;
      }
    };
    pod.signal('SIGTERM');
    while (there()) await sleep(10);
    const gone = Date.now();
    assert.equal(await pod.ended(), 0);
    assert.ok(Date.now() - gone > 500, `${Date.now() - gone} ms`);
  });

  test('shows a certificate that was renewed on the disk, to whoever connects anew, without a restart', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    const before = await pod.pid();
    const ca = await pod.certify();
    const shows = async (): Promise<boolean> => {
      const options = { host: '127.0.0.1', port: pod.adminPort, user: CONTROLLER_USER, password: 'controller' };
      const connection = await createConnection({ ...options, ssl: { ca } }).catch(() => null);
      connection?.destroy();
      return connection !== null;
    };
    assert.equal(await shows(), false);
    const deadline = Date.now() + 15_000;
    while (!(await shows())) {
      assert.ok(Date.now() < deadline, pod.output);
      await sleep(500);
    }
    assert.equal(await pod.pid(), before);
  });

  test('kills a frozen mysqld when its Pod is stopped', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    process.kill(await pod.pid(), 'SIGSTOP');
    const began = Date.now();
    pod.signal('SIGTERM');
    assert.equal(await pod.ended(), 0);
    assert.ok(Date.now() - began < 10_000, 'it took longer than ten seconds');
  });

  test('kills the mysqld that an order means, and none that was started later', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    const first = await pod.pid();
    const seen = Math.trunc(Number(await pod.one('SELECT UNIX_TIMESTAMP(NOW(3)) * 1000')));
    await pod.order(ordersText({ ...NO_ORDERS, killStartedBefore: seen }));
    await pod.until('another process answers', async () => (await pod.pid().catch(() => first)) !== first);
    await pod.answers();
    const second = await pod.pid();
    await sleep(1000);
    assert.equal(await pod.pid(), second);
  });

  test('gives up exactly the data that an order names: saves its logs, keeps it beside, and starts anew', async () => {
    await using pod = await MemberPod.prepared();
    await pod.run();
    const serverUuid = await pod.one('SELECT @@server_uuid');
    const { client } = await openWithWaiting(pod);
    client.destroy();
    const other = { discard: '00000000-1111-2222-3333-444444444444', attempt: 1, errant: '' };
    await pod.order(ordersText({ ...NO_ORDERS, rebuild: other }));
    await sleep(500);
    assert.equal(await pod.one('SELECT @@server_uuid'), serverUuid);

    const errant = `${serverUuid}:3`;
    await pod.order(ordersText({ ...NO_ORDERS, rebuild: { discard: serverUuid, attempt: 1, errant } }));
    await pod.answers(serverUuid);
    assert.equal(await pod.one('SELECT @@gtid_executed'), '');
    assert.deepEqual(await readdir(join(pod.directory, 'volume/aside')), [serverUuid]);
    const [saved = ''] = await readdir(join(pod.directory, 'volume/saved'));
    assert.match(saved, new RegExp(`-${serverUuid}$`));
    assert.match(await pod.file(`volume/saved/${saved}/errant.sql`), /### INSERT INTO `shop`.`orders`/);
    assert.ok((await readdir(join(pod.directory, 'volume/saved', saved))).some((name) => /^binlog\.\d+$/.test(name)));

    await pod.order(ordersText({ ...NO_ORDERS, drop: [serverUuid] }));
    await pod.until('it is dropped', async () => (await readdir(join(pod.directory, 'volume/aside'))).length === 0);
  });

  test('ends where mysqld does not start, once, so that the Pod shows why', async () => {
    await using pod = await MemberPod.prepared();
    await pod.configure('no_such_variable = 1\n');
    await pod.prepare();
    assert.equal(await pod.runToItsEnd(), 1);
    assert.match(pod.output, /unknown variable 'no_such_variable=1'/);
  });

  test('drains at once where nobody follows or it answers nothing, so that it holds nothing up', async () => {
    await using pod = await MemberPod.prepared();
    assert.equal(await pod.command('drain', '30'), 0);
    await pod.run();
    const began = Date.now();
    assert.equal(await pod.command('drain', '30'), 0);
    assert.ok(Date.now() - began < 8000, 'it took longer than eight seconds');
  });

  test('drains for as long as it is a primary that another could follow on, until it follows that one', async () => {
    await using old = await MemberPod.prepared('mysql-0');
    await using next = await MemberPod.prepared('mysql-1');
    await Promise.all([old.run(), next.run()]);
    await old.control(...OPEN, `ALTER USER baton_replica_1 ACCOUNT UNLOCK`);
    await next.control(followSql(old, 1), 'START REPLICA');
    const followers = `SELECT COUNT(*) FROM performance_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%'`;
    await old.until('it is followed', async () => (await old.one(followers)) === '1');
    let drained = false;
    const draining = old.command('drain', '30').then(() => (drained = true));
    await sleep(4000);
    assert.equal(drained, false);
    await old.control('SET GLOBAL super_read_only = ON', followSql(next, 0));
    const began = Date.now();
    await draining;
    assert.ok(Date.now() - began < 3000, 'it took longer than three seconds');
  });
});
