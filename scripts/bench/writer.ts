/** One client that writes all the while, one row after the other, and connects again whenever it has to. */
import { createConnection, type Connection } from 'mysql2/promise';
import type { Credentials } from '../../src/local/api-client.ts';
import { until, wallMs } from './bench.ts';

/** Where to write now; may keep the writer waiting until there is such a place. */
export type Locate = () => Promise<Credentials>;

/** Bounds the wait for a connection: an endpoint answers within its own 10 s. */
const CONNECT_MS = 20_000;

export interface Gap {
  readonly ms: number;
  /** When the first write after it was acknowledged, as the clock on the wall has it. */
  readonly endedAtMs: number;
}

export async function makeTable(session: Connection): Promise<void> {
  await session.query('CREATE DATABASE IF NOT EXISTS bench');
  await session.query(
    'CREATE TABLE IF NOT EXISTS bench.gap (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DOUBLE NOT NULL)',
  );
}

export async function connectAs({ host, port, user, password }: Credentials): Promise<Connection> {
  const connection = await createConnection({ host, port, user, password, connectTimeout: CONNECT_MS });
  connection.on('error', () => undefined);
  return connection;
}

export class Writer implements AsyncDisposable {
  readonly #locate: Locate;
  readonly #running: Promise<void>;
  #stopping = false;
  #connection: Connection | null = null;
  #lastMs = wallMs();
  #count = 0;
  #longest: Gap = { ms: 0, endedAtMs: 0 };

  constructor(locate: Locate) {
    this.#locate = locate;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        this.#connection ??= await connectAs(await this.#locate());
        await this.#connection.query('INSERT INTO bench.gap (at) VALUES (?)', [wallMs()]);
        this.#acknowledged();
      } catch {
        this.#connection?.destroy();
        this.#connection = null;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }
    this.#connection?.destroy();
  }

  #acknowledged(): void {
    const nowMs = wallMs();
    const ms = nowMs - this.#lastMs;
    if (this.#count > 0 && ms > this.#longest.ms) this.#longest = { ms, endedAtMs: nowMs };
    this.#lastMs = nowMs;
    this.#count += 1;
  }

  /** Resolves when `writes` more were acknowledged. */
  async goesOn(writes: number, signal: AbortSignal): Promise<void> {
    const from = this.#count;
    await until('writes go on', () => this.#count >= from + writes, signal, { timeoutMs: 30_000, everyMs: 5 });
  }

  /** Forgets the gaps there were. */
  reset(): void {
    this.#longest = { ms: 0, endedAtMs: 0 };
  }

  /** The longest time between two writes acknowledged one after the other. */
  get longestGap(): Gap {
    return this.#longest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    const late = setTimeout(() => this.#connection?.destroy(), 5000);
    await this.#running;
    clearTimeout(late);
  }
}
