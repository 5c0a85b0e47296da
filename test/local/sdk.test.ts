/** The API for other people's tests, on real clusters. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { connectDaemon } from '../../src/local/daemon-start.ts';
import { clusterDirectories, listClusters } from '../../src/local/directories.ts';
import { startCluster, WaitTimeoutError } from '../../src/sdk/index.ts';

test('a test kills, freezes, moves and scales a cluster of its own, and reads its status', async () => {
  await using cluster = await startCluster({ replicas: 2, spec: { credentials: { database: 'app' } } });
  const write = async (n: number): Promise<void> => {
    const connection = await createConnection({ ...cluster.primary });
    await connection.query('CREATE TABLE IF NOT EXISTS t (n INT PRIMARY KEY)');
    await connection.query('INSERT INTO t VALUES (?)', [n]);
    await connection.end();
  };
  await write(1);

  await cluster.scale(3);
  const before = await cluster.waitFor('healthy');
  assert.equal(before.members.length, 3);
  const target = before.members.find(({ role }) => role === 'replica')?.ordinal ?? -1;
  const moved = await cluster.switchover(target);
  assert.equal(moved.primary, target);
  await write(2);

  const frozen = await cluster.freeze('primary');
  await cluster.waitFor(({ primary, state }) => primary !== frozen && state !== 'failing-over');
  await write(3);
  await cluster.thaw(frozen);
  await cluster.waitFor('healthy');

  await cluster.kill('replica');
  await cluster.waitFor('healthy');
  for (let ordinal = 0; ordinal < 3; ordinal++) {
    const connection = await createConnection({ ...(await cluster.member(ordinal)) });
    await cluster.waitFor(({ members }) =>
      members.every(({ lagSeconds, role }) => role === 'primary' || lagSeconds === 0),
    );
    const [rows] = await connection.query<RowDataPacket[]>('SELECT n FROM t ORDER BY n');
    assert.deepEqual(
      rows.map(({ n }) => Number(n)),
      [1, 2, 3],
      `member ${ordinal}`,
    );
    await connection.end();
  }
});

test('what does not come about is told with the state of the cluster', async () => {
  await using cluster = await startCluster({ replicas: 1 });
  await assert.rejects(
    cluster.waitFor('blocked', 100),
    (error: unknown) =>
      error instanceof WaitTimeoutError && /not blocked within 100 ms: the cluster is healthy/.test(error.message),
  );
  await assert.rejects(cluster.switchover(), /no replica/);
  await assert.rejects(cluster.scale(0), /1 to 15/);
});

test('a program that is killed leaves no cluster behind', async () => {
  const sdk = fileURLToPath(new URL('../../src/sdk/index.ts', import.meta.url));
  const program = `
    const { startCluster } = await import(${JSON.stringify(sdk)});
    const cluster = await startCluster({ replicas: 1 });
    console.log(cluster.name);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const name = line.toString().trim();
  assert.ok((await listClusters(process.env)).includes(name));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const deadline = performance.now() + 20_000;
  while ((await listClusters(process.env)).includes(name) && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.ok(!(await listClusters(process.env)).includes(name), `${name} is still there`);
  assert.equal(await connectDaemon(clusterDirectories(name, process.env)), null);
});
