/** The tutorial's own check, on real servers: the first thing that has to work. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowDataPacket } from 'mysql2';
import { Scene } from './scene.ts';

test('two members replicate, the replica refuses writes, and a third member that is added has the data', async () => {
  await using scene = await Scene.begin('{replicas: 2}');
  const replica = scene.primary === 0 ? 1 : 0;

  const root = await scene.root(replica);
  const [[status]] = await root.query<RowDataPacket[]>('SHOW REPLICA STATUS');
  assert.equal(status?.['Replica_IO_Running'], 'Yes');
  assert.equal(status['Replica_SQL_Running'], 'Yes');
  assert.equal(status['Last_Errno'], 0);
  assert.equal(status['Last_IO_Errno'], 0);

  const primary = await scene.connect('primary');
  await primary.query('CREATE DATABASE test');
  await primary.query('CREATE TABLE test.counter (c INT PRIMARY KEY)');
  await primary.query('INSERT INTO test.counter VALUES (123)');

  const read = await scene.connect('read');
  await scene.until(async () => {
    const [rows] = await read
      .query<RowDataPacket[]>("SHOW TABLES FROM test LIKE 'counter'")
      .catch(() => [[]] as [RowDataPacket[]]);
    return rows.length > 0 && (await read.query<RowDataPacket[]>('SELECT c FROM test.counter'))[0].length > 0;
  });
  const [rows] = await read.query<RowDataPacket[]>('SELECT c, @@server_id AS id FROM test.counter');
  assert.deepEqual(
    rows.map(({ c, id }) => ({ c, id })),
    [{ c: 123, id: 100 + replica }],
  );
  await assert.rejects(read.query('INSERT INTO test.counter VALUES (124)'), /--read-only/);
  await root.query('SET SESSION sql_log_bin = 1');
  await assert.rejects(root.query('INSERT INTO test.counter VALUES (125)'), /super-read-only/);

  scene.apply('{replicas: 3}');
  await scene.until(() => scene.state === 'healthy' && scene.cluster.members.list().length === 3, 60_000);
  const third = await scene.member(2);
  const [copied] = await third.query<RowDataPacket[]>('SELECT c FROM test.counter');
  assert.deepEqual(
    copied.map(({ c }) => ({ c })),
    [{ c: 123 }],
  );
  await Promise.all([root, primary, read, third].map((connection) => connection.end()));
});
