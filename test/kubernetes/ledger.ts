/** A client that writes all the while through the primary's Service, and a ledger of what it was told is done. */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { RowDataPacket } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import type { Scene } from './scene.ts';

/** What an application has to bring: a server that went away without a word is noticed by nobody else. */
const ANSWER_MS = 1000;

export class Writer {
  readonly acknowledged = new Set<number>();
  readonly #scene: Scene;
  #next = 0;
  #stopping = false;
  #running: Promise<void> = Promise.resolve();
  #lastMs = 0;
  #longestMs = 0;
  #lastError = '';

  private constructor(scene: Scene) {
    this.#scene = scene;
  }

  static async begin(scene: Scene): Promise<Writer> {
    // kube-proxy may be a second behind.
    await scene.until(async () => {
      (await scene.connect()).destroy();
      return true;
    }, 20_000);
    const setup = await scene.connect();
    await setup.query('CREATE DATABASE IF NOT EXISTS ledger');
    await setup.query('CREATE TABLE IF NOT EXISTS ledger.entries (n INT PRIMARY KEY)');
    setup.destroy();
    const writer = new Writer(scene);
    writer.#lastMs = performance.now();
    writer.#running = writer.#run();
    await scene.until(() => writer.acknowledged.size > 20, 10_000);
    return writer;
  }

  async #run(): Promise<void> {
    let connection: Connection | null = null;
    while (!this.#stopping && !this.#scene.over) {
      try {
        connection ??= await this.#scene.connect();
        const n = ++this.#next;
        await within(ANSWER_MS, connection.query('INSERT INTO ledger.entries VALUES (?)', [n]));
        const now = performance.now();
        this.#longestMs = Math.max(this.#longestMs, now - this.#lastMs);
        this.#lastMs = now;
        this.acknowledged.add(n);
        await wait(5);
      } catch (error) {
        this.#lastError =
          error instanceof Error ? error.message || String((error as { code?: string }).code) : String(error);
        connection?.destroy();
        connection = null;
        await wait(5);
      }
    }
    connection?.destroy();
  }

  /** The longest pause between two acknowledged writes since the last call, and the last error. */
  takeGap(): { readonly ms: number; readonly lastError: string } {
    const gap = { ms: Math.round(this.#longestMs), lastError: this.#lastError };
    this.#longestMs = 0;
    this.#lastError = '';
    return gap;
  }

  /** Resolves when a write was acknowledged that was sent after this call. */
  async writesAgain(timeoutMs = 30_000): Promise<void> {
    const from = this.#next + 1;
    await this.#scene.until(() => [...this.acknowledged].some((n) => n > from), timeoutMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = wait(ms, undefined, { signal: late.signal }).then(() => {
    throw new Error('no answer in time');
  });
  timer.catch(() => undefined);
  try {
    return await Promise.race([work, timer]);
  } finally {
    late.abort();
    work.catch(() => undefined);
  }
}

/** At the end of every test: whole again, nothing acknowledged lost on any member, and all members equal. */
export async function verify(scene: Scene, writer: Writer): Promise<void> {
  await writer.stop();
  await scene.healthy(120_000);
  assert.deepEqual(
    scene.behindPrimary.filter((pods) => pods.length > 1),
    [],
    'two Pods were behind the Service of the primary',
  );
  assert.ok(scene.behindPrimary.length > 0);
  // The status may still show one that has just left.
  const pods = Array.from({ length: await scene.replicas() }, (_, ordinal) => `mysql-${ordinal}`);
  const executed = async (): Promise<Set<string>> => {
    const all = pods.map(async (pod) => String((await scene.query(pod, 'SELECT @@gtid_executed AS s'))[0]?.['s']));
    return new Set(await Promise.all(all));
  };
  // A status is half a second old at most: who is shown as healthy may just have been deleted.
  await scene.until(async () => (await executed()).size === 1, 60_000);
  for (const pod of pods) {
    const rows: RowDataPacket[] = await scene.query(pod, 'SELECT n FROM ledger.entries');
    const found = new Set(rows.map((row) => Number(row['n'])));
    assert.deepEqual(
      [...writer.acknowledged].filter((n) => !found.has(n)),
      [],
      `lost on ${pod}`,
    );
  }
}
