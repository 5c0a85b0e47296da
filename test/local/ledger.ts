/** Clients that write all the while, and a ledger of what they were told is done. */
import assert from 'node:assert/strict';
import type { Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import type { Scene } from './scene.ts';

export interface Gap {
  readonly ms: number;
  readonly lastError: string;
}

const INSERT = 'INSERT INTO ledger.entries VALUES (?, ?)';

export class Writer {
  readonly acknowledged = new Set<number>();
  readonly errors = new Map<string, number>();
  readonly #scene: Scene;
  readonly #name: number;
  readonly #pauseMs: number;
  #next = 0;
  #stopping = false;
  #resting = false;
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
    while (!this.#stopping && !this.#resting && !this.#scene.over) {
      try {
        this.#connection ??= await this.#scene.connect();
        const n = ++this.#next;
        await this.#connection.query(INSERT, [this.#name, n]);
        this.#acknowledge(n);
        if (this.#pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.#pauseMs));
      } catch (error) {
        this.#lastError = words(error);
        this.errors.set(this.#lastError, (this.errors.get(this.#lastError) ?? 0) + 1);
        this.#connection?.destroy();
        this.#connection = null;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    if (!this.#resting) this.#connection?.destroy();
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

  /** No more writes of its own accord. */
  async rest(): Promise<void> {
    this.#resting = true;
    await this.#ended();
  }

  goOn(): void {
    this.#resting = false;
    this.#lastMs = performance.now();
    this.#running = this.#run();
  }

  /** One write, over a connection of the caller's. Resolves to 'OK', which then is in the ledger, or to the error. */
  async write(connection: Connection): Promise<string> {
    const n = ++this.#next;
    try {
      await connection.query(INSERT, [this.#name, n]);
    } catch (error) {
      return words(error);
    }
    this.acknowledged.add(n);
    return 'OK';
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended();
  }

  /** A write that nobody answers is given up. */
  async #ended(): Promise<void> {
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

function words(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || String((error as { code?: string }).code);
}

/** At the end of every test: whole again, nothing acknowledged lost on any member, and all members equal. */
export async function verify(
  scene: Scene,
  writers: readonly Writer[],
  members = scene.cluster.resource.spec.replicas,
): Promise<void> {
  await Promise.all(writers.map((writer) => writer.stop()));
  await scene.until('healthy', 60_000);
  const ordinals = Array.from({ length: members }, (_, ordinal) => ordinal);
  const sets = async (): Promise<string[]> => Promise.all(ordinals.map((ordinal) => executed(scene, ordinal)));
  // The controller's own writes may still come.
  await scene
    .until(async () => new Set(await sets()).size === 1, 20_000)
    .catch(async (error: Error) => {
      assert.fail(`gtid_executed differs: ${(await sets()).join('\n')}\n${error.message}`);
    });
  const contents: string[] = [];
  const writable: number[] = [];
  for (const ordinal of ordinals) {
    const root = await scene.root(ordinal);
    try {
      for (const writer of writers) assert.deepEqual(await writer.missingOn(root), [], `lost on member ${ordinal}`);
      contents.push(await checksums(root));
      const [[row]] = await root.query<RowDataPacket[]>('SELECT @@global.super_read_only AS closed');
      if (Number(row?.['closed']) === 0) writable.push(ordinal);
    } finally {
      root.destroy();
    }
  }
  assert.equal(new Set(contents).size, 1, `members differ:\n${contents.join('\n')}`);
  assert.deepEqual(writable, [scene.primary], 'only the primary is writable');
}

async function executed(scene: Scene, ordinal: number): Promise<string> {
  const [row] = await scene.sql(ordinal, 'SELECT @@global.gtid_executed AS executed');
  return String(row?.['executed']);
}

/** Of every table but the system's. */
async function checksums(root: Connection): Promise<string> {
  const [tables] = await root.query<RowDataPacket[]>(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'
      AND TABLE_SCHEMA NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema') ORDER BY 1, 2`,
  );
  const list = tables.map((table) => `\`${String(table['s'])}\`.\`${String(table['t'])}\``).join(', ');
  const [rows] = await root.query<RowDataPacket[]>(`CHECKSUM TABLE ${list}`);
  return JSON.stringify(rows);
}

/**
 * Told apart here is what stands still, until somebody's patience ends, from what is slow, as everything is on a machine
 * that others keep busy: how long writes do stop, `npm run bench` says.
 */
export const STANDSTILL_MS = 5000;
