/** Clients that write all the while, and a ledger of what they were told is done. */
import assert from 'node:assert/strict';
import { createConnection, type Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import type { Scene } from './scene.ts';

export interface Gap {
  readonly ms: number;
  readonly lastError: string;
}

export class Writer {
  readonly acknowledged = new Set<number>();
  readonly errors = new Map<string, number>();
  readonly #scene: Scene;
  readonly #name: number;
  readonly #pauseMs: number;
  #next = 0;
  #stopping = false;
  #running: Promise<void> = Promise.resolve();
  #lastMs = 0;
  #longest: Gap = { ms: 0, lastError: '' };
  #lastError = '';
  #connection: Connection | null = null;

  private constructor(scene: Scene, name: number, pauseMs: number) {
    this.#scene = scene;
    this.#name = name;
    this.#pauseMs = pauseMs;
  }

  /** Makes the table and begins to write through the primary endpoint; each writer has numbers of its own. */
  static async begin(scene: Scene, { name = 1, pauseMs = 1 } = {}): Promise<Writer> {
    const setup = await scene.connect();
    await setup.query('CREATE DATABASE IF NOT EXISTS ledger');
    await setup.query('CREATE TABLE IF NOT EXISTS ledger.entries (writer INT, n INT, PRIMARY KEY (writer, n))');
    await setup.end();
    const writer = new Writer(scene, name, pauseMs);
    writer.#lastMs = performance.now();
    writer.#running = writer.#run();
    await scene.until(() => writer.acknowledged.size > 5, 10_000);
    return writer;
  }

  async #run(): Promise<void> {
    const { endpoints, passwords } = this.#scene.cluster;
    const { host, port } = endpoints.primary;
    while (!this.#stopping) {
      try {
        this.#connection ??= await connectQuietly({ host, port, user: 'app', password: passwords.application });
        const n = ++this.#next;
        await this.#connection.query('INSERT INTO ledger.entries VALUES (?, ?)', [this.#name, n]);
        this.#acknowledge(n);
        if (this.#pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
      } catch (error) {
        this.#lastError =
          error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
        this.errors.set(this.#lastError, (this.errors.get(this.#lastError) ?? 0) + 1);
        this.#connection?.destroy();
        this.#connection = null;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    this.#connection?.destroy();
  }

  #acknowledge(n: number): void {
    const now = performance.now();
    const ms = now - this.#lastMs;
    if (ms > this.#longest.ms) this.#longest = { ms, lastError: this.#lastError };
    this.#lastMs = now;
    this.acknowledged.add(n);
  }

  /** The longest pause between two acknowledged writes since the last call. */
  takeLongestGap(): Gap {
    const gap = this.#longest;
    this.#longest = { ms: 0, lastError: '' };
    return gap;
  }

  /** Resolves when a write was acknowledged that was sent after this call. */
  async writesAgain(timeoutMs = 20_000): Promise<void> {
    const from = this.#next;
    await this.#scene.until(() => [...this.acknowledged].some((n) => n > from), timeoutMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const timer = setTimeout(() => this.#connection?.destroy(), 15_000);
    await this.#running;
    clearTimeout(timer);
  }

  /** Nothing acknowledged is lost: looked up on the given member. */
  async missingOn(connection: Connection): Promise<number[]> {
    const [rows] = await connection.query<RowDataPacket[]>('SELECT n FROM ledger.entries WHERE writer = ?', [
      this.#name,
    ]);
    const found = new Set(rows.map((row) => Number(row['n'])));
    return [...this.acknowledged].filter((n) => !found.has(n));
  }
}

function connectQuietly(target: { host: string; port: number; user: string; password: string }): Promise<Connection> {
  return createConnection({ ...target, connectTimeout: 20_000 }).then((connection) => {
    connection.on('error', () => undefined);
    return connection;
  });
}

/** At the end of every test: whole again, nothing acknowledged lost on any member, and all members equal. */
export async function verify(scene: Scene, writers: readonly Writer[], members: number): Promise<void> {
  await Promise.all(writers.map((writer) => writer.stop()));
  await scene.until('healthy', 60_000);
  const checksums: string[] = [];
  const sets: string[] = [];
  const [first] = await gtids(scene, scene.primary);
  for (let ordinal = 0; ordinal < members; ordinal++) {
    const root = await scene.root(ordinal);
    try {
      await root.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 20)', [first]);
      for (const writer of writers) assert.deepEqual(await writer.missingOn(root), [], `lost on member ${ordinal}`);
      const [rows] = await root.query<RowDataPacket[]>('CHECKSUM TABLE ledger.entries, baton.epoch, baton.barrier');
      checksums.push(JSON.stringify(rows));
      sets.push((await gtids(scene, ordinal)).join());
    } finally {
      await root.end();
    }
  }
  assert.equal(new Set(checksums).size, 1, `members differ: ${checksums.join('\n')}`);
  assert.equal(new Set(sets).size, 1, `gtid_executed differs: ${sets.join('\n')}`);
}

async function gtids(scene: Scene, ordinal: number): Promise<string[]> {
  const root = await scene.root(ordinal);
  try {
    const [[row]] = await root.query<RowDataPacket[]>('SELECT @@global.gtid_executed AS executed');
    return [String(row?.['executed'])];
  } finally {
    await root.end();
  }
}
