/** How a program's own tests use Baton: a real cluster, a real failure. Run with `node --test`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPool, type RowDataPacket } from 'mysql2/promise';
import { startCluster } from '../src/sdk/index.ts'; // in your program: from 'baton-mysql'

test('orders survive the death of the primary', async () => {
  await using cluster = await startCluster({ replicas: 3, spec: { credentials: { database: 'shop' } } });
  const pool = createPool({ ...cluster.primary, connectionLimit: 4 });
  pool.on('connection', (connection) => connection.on('error', () => {}));
  try {
    await pool.query('CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, item VARCHAR(40))');
    await pool.query("INSERT INTO orders (item) VALUES ('before')");

    const old = await cluster.kill('primary');
    // A connection that died in the pool fails once; a new one waits at the endpoint until there is a primary again.
    await pool.query("INSERT INTO orders (item) VALUES ('after')").catch(async () => {
      await pool.query("INSERT INTO orders (item) VALUES ('after')");
    });

    const [rows] = await pool.query<RowDataPacket[]>('SELECT item FROM orders ORDER BY id');
    assert.deepEqual(
      rows.map(({ item }) => String(item)),
      ['before', 'after'],
    );
    const status = await cluster.waitFor('healthy');
    assert.notEqual(status.primary, old);
  } finally {
    await pool.end();
  }
});
