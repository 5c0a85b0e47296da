/** At the end, when nobody writes any more: what was promised is on every member, and all members are equal. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Books } from './books.ts';
import type { Stage } from './stage.ts';

const EQUAL_MS = 30_000;

export async function verify(stage: Stage, books: Books): Promise<void> {
  const status = await stage.status();
  if (status === null) return books.violate('there is no daemon at the end');
  const ordinals = status.members.map(({ ordinal }) => ordinal);
  await equalSets(stage, books, ordinals);
  const contents = new Map<number, string>();
  const writable: number[] = [];
  for (const ordinal of ordinals) {
    const root = await stage.root(ordinal);
    try {
      await lookUp(root, books, ordinal);
      contents.set(ordinal, await checksums(root));
      const [[row]] = await root.query<RowDataPacket[]>('SELECT @@global.super_read_only AS closed');
      if (Number(row?.['closed']) === 0) writable.push(ordinal);
    } finally {
      root.destroy();
    }
  }
  if (new Set(contents.values()).size > 1) {
    books.violate(`members differ:\n${[...contents].map(([ordinal, text]) => `${ordinal}: ${text}`).join('\n')}`);
  }
  if (writable.length !== 1 || writable[0] !== status.primary) {
    books.violate(`members ${writable.join(', ')} are writable, and the primary is ${String(status.primary)}`);
  }
}

/** The controller's own writes may still come. */
async function equalSets(stage: Stage, books: Books, ordinals: readonly number[]): Promise<void> {
  const deadlineMs = performance.now() + EQUAL_MS;
  for (;;) {
    const sets = await Promise.all(ordinals.map((ordinal) => executed(stage, ordinal)));
    if (new Set(sets).size === 1) return;
    if (performance.now() > deadlineMs) {
      return books.violate(`gtid_executed differs:\n${sets.map((set, at) => `${ordinals[at]}: ${set}`).join('\n')}`);
    }
    await sleep(200);
  }
}

async function executed(stage: Stage, ordinal: number): Promise<string> {
  const root = await stage.root(ordinal);
  try {
    const [[row]] = await root.query<RowDataPacket[]>('SELECT @@global.gtid_executed AS executed');
    return String(row?.['executed']);
  } finally {
    root.destroy();
  }
}

async function lookUp(root: Connection, books: Books, ordinal: number): Promise<void> {
  for (const [writer, numbers] of books.rows) {
    const [rows] = await root.query<RowDataPacket[]>('SELECT n FROM chaos.entries WHERE writer = ?', [writer]);
    const found = new Set(rows.map((row) => Number(row['n'])));
    const missing = [...numbers].filter((n) => !found.has(n));
    if (missing.length > 0) {
      const some = missing.slice(0, 20).join(', ');
      books.violate(`lost on member ${ordinal}: ${missing.length} rows of writer ${writer}: ${some}`);
    }
  }
  const [[row]] = await root.query<RowDataPacket[]>('SELECT n FROM chaos.register WHERE id = 1');
  books.registerRead(Number(row?.['n']), books.registerFloor);
  const [[bank]] = await root.query<RowDataPacket[]>('SELECT COUNT(*) AS c, SUM(balance) AS s FROM chaos.accounts');
  books.bankRead('primary', Number(bank?.['c']), Number(bank?.['s']));
  const [names] = await root.query<RowDataPacket[]>(
    `SELECT CONCAT('chaos.', TABLE_NAME) AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'chaos'
     UNION ALL SELECT User FROM mysql.user WHERE User LIKE 'chaos%'`,
  );
  const there = new Set(names.map((one) => String(one['name'])));
  for (const [name, wanted] of books.objects) {
    if (there.has(name) !== (wanted === 'there')) {
      books.violate(`${name} was to be ${wanted} on member ${ordinal}, and is ${there.has(name) ? 'there' : 'gone'}`);
    }
  }
}

/** Of every table but the system's. */
async function checksums(root: Connection): Promise<string> {
  const [tables] = await root.query<RowDataPacket[]>(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'
      AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') ORDER BY 1, 2`,
  );
  const list = tables.map((table) => `\`${String(table['s'])}\`.\`${String(table['t'])}\``).join(', ');
  const [rows] = await root.query<RowDataPacket[]>(`CHECKSUM TABLE ${list}`);
  return rows.map((row) => `${String(row['Table'])} ${String(row['Checksum'])}`).join(', ');
}
