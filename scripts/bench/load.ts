/**
 * A load on a server, in a process of its own, so that it shares no event loop with what it measures. Told what to do by
 * its parent; answers once. Ends with its parent.
 */
import type { Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import type { Credentials } from '../../src/local/api-client.ts';
import { connectAs } from './writer.ts';

export type Mix = 'insert' | 'select' | 'oltp';

export type Order =
  /** As many as can be done in a time, by several connections. */
  | {
      readonly kind: 'rate';
      readonly mix: Mix;
      readonly target: Credentials;
      readonly connections: number;
      readonly seconds: number;
    }
  /** One connection to each target, in turn, one statement at a time. */
  | { readonly kind: 'latency'; readonly mix: Mix; readonly targets: readonly Credentials[]; readonly times: number };

export interface Answer {
  /** Of a rate: operations a second. */
  readonly rate: number;
  /** Of a latency: microseconds, by target. */
  readonly latenciesUs: readonly (readonly number[])[];
}

/** As sysbench's oltp_read_write has them, in one table. */
export const ROWS = 10_000;
const POINTS = 10;
const RANGES = 4;
const RANGE_ROWS = 100;

const anyRow = (): number => 1 + Math.floor(Math.random() * ROWS);
const filler = (): string => Math.random().toString(36).repeat(12).slice(0, 119);

const OPERATIONS: Readonly<Record<Mix, (connection: Connection) => Promise<unknown>>> = {
  insert: (connection) => connection.query('INSERT INTO bench.inserted (k, c) VALUES (?, ?)', [anyRow(), filler()]),
  select: (connection) => connection.query('SELECT c FROM bench.rows WHERE id = ?', [anyRow()]),
  oltp,
};

async function oltp(connection: Connection): Promise<void> {
  await connection.query('BEGIN');
  for (let i = 0; i < POINTS; i++) await connection.query('SELECT c FROM bench.rows WHERE id = ?', [anyRow()]);
  for (let i = 0; i < RANGES; i++) {
    const from = anyRow();
    await connection.query('SELECT SUM(k) FROM bench.rows WHERE id BETWEEN ? AND ?', [from, from + RANGE_ROWS]);
  }
  await connection.query('UPDATE bench.rows SET k = k + 1 WHERE id = ?', [anyRow()]);
  await connection.query('UPDATE bench.rows SET c = ? WHERE id = ?', [filler(), anyRow()]);
  const row = anyRow();
  await connection.query('DELETE FROM bench.rows WHERE id = ?', [row]);
  await connection.query('INSERT INTO bench.rows (id, k, c) VALUES (?, ?, ?)', [row, anyRow(), filler()]);
  await connection.query('COMMIT');
}

/** A deadlock of two transactions is part of the mix: the loser's does not count. */
const DEADLOCKS = new Set([1213, 1205, 1062]);

async function operate(connection: Connection, mix: Mix): Promise<boolean> {
  try {
    await OPERATIONS[mix](connection);
    return true;
  } catch (error) {
    if (!DEADLOCKS.has((error as { errno?: number }).errno ?? 0)) throw error;
    await connection.query('ROLLBACK');
    return false;
  }
}

async function measureRate(order: Extract<Order, { kind: 'rate' }>): Promise<number> {
  const connections = await Promise.all(Array.from({ length: order.connections }, () => connectAs(order.target)));
  for (const connection of connections) await operate(connection, order.mix);
  const beginMs = performance.now();
  const endMs = beginMs + order.seconds * 1000;
  let done = 0;
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < endMs) if (await operate(connection, order.mix)) done += 1;
    }),
  );
  const seconds = (performance.now() - beginMs) / 1000;
  for (const connection of connections) connection.destroy();
  return done / seconds;
}

async function measureLatencies(order: Extract<Order, { kind: 'latency' }>): Promise<number[][]> {
  const connections = await Promise.all(order.targets.map((target) => connectAs(target)));
  const latencies = connections.map((): number[] => []);
  const warmUps = Math.min(500, order.times);
  for (let time = -warmUps; time < order.times; time++) {
    for (const [at, connection] of connections.entries()) {
      const sinceMs = performance.now();
      await operate(connection, order.mix);
      if (time >= 0) latencies[at]?.push((performance.now() - sinceMs) * 1000);
    }
  }
  for (const connection of connections) connection.destroy();
  return latencies;
}

/** Makes and fills the tables. */
export async function makeTables(target: Credentials): Promise<void> {
  const connection = await connectAs(target);
  try {
    await connection.query('CREATE DATABASE IF NOT EXISTS bench');
    const columns = 'id INT AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL';
    await connection.query(`CREATE TABLE IF NOT EXISTS bench.inserted (${columns})`);
    await connection.query(`CREATE TABLE IF NOT EXISTS bench.rows (${columns})`);
    const [found] = await connection.query<RowDataPacket[]>('SELECT COUNT(*) AS n FROM bench.rows');
    for (let id = Number(found[0]?.['n']) + 1; id <= ROWS; id += 1000) {
      const rows = Array.from({ length: 1000 }, (_, at) => [id + at, anyRow(), filler()]);
      await connection.query('INSERT INTO bench.rows (id, k, c) VALUES ?', [rows]);
    }
  } finally {
    connection.destroy();
  }
}

if (import.meta.main && process.send !== undefined) {
  process.once('disconnect', () => process.exit(1));
  process.once('message', (order: Order) => void answer(order));
}

async function answer(order: Order): Promise<void> {
  const found: Answer =
    order.kind === 'rate'
      ? { rate: await measureRate(order), latenciesUs: [] }
      : { rate: 0, latenciesUs: await measureLatencies(order) };
  process.send?.(found, () => process.exit(0));
}
