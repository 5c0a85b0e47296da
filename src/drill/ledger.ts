/** Clients that write through the primary endpoint, and a ledger of what they were told is done. */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise';

import type { Login } from './cluster.ts';

const clientCount = 4;
/** Between two writes of a client: enough to meet every moment, and no load to speak of. */
const pauseMs = 4;
const retryMs = 2;
/** The endpoint answers in its own time, with a reason. */
const connectMs = 60_000;
const statementMs = 15_000;

export interface Verdict {
  readonly acknowledged: number;
  /** Acknowledged, and not there any more. */
  readonly lost: number;
  /** Sent, and never answered with an OK: such a write may be there or not. */
  readonly unanswered: number;
}

export class Ledger {
  /** What to drop, should the drill not get to it; as in `DROP …`. */
  readonly place: string;
  readonly #table: string;
  readonly #login: () => Promise<Login>;
  readonly #clients: Client[];

  private constructor(place: string, table: string, login: () => Promise<Login>) {
    this.place = place;
    this.#table = table;
    this.#login = login;
    this.#clients = Array.from({ length: clientCount }, (_, index) => new Client(index, table, login));
  }

  /** Makes a database of its own; a table in the application's where its account may make none. */
  static async create(login: () => Promise<Login>): Promise<Ledger> {
    const { database } = await login();
    const name = `baton_drill_${randomBytes(4).toString('hex')}`;
    const table = database === null ? `\`${name}\`.\`writes\`` : `\`${database}\`.\`${name}\``;
    const place = database === null ? `DATABASE \`${name}\`` : `TABLE ${table}`;
    const ledger = new Ledger(place, table, login);
    try {
      if (database === null) await ledger.#run(`CREATE DATABASE \`${name}\``);
      await ledger.#run(`CREATE TABLE ${table} (client INT, n INT, PRIMARY KEY (client, n))`);
    } catch (error) {
      await ledger.drop().catch(() => {});
      throw error;
    }
    return ledger;
  }

  start(): void {
    for (const client of this.#clients) client.start();
  }

  /** From now on gaps count. */
  markGap(): void {
    for (const client of this.#clients) client.markGap();
  }

  /** From now on writes count. */
  markWrites(): void {
    for (const client of this.#clients) client.markWrites();
  }

  /** Since `markGap`, the longest that any client was without an OK. */
  longestGapMs(): number {
    return Math.max(...this.#clients.map((client) => client.longestGapMs()));
  }

  /** Whether every client had an OK for a write that it sent since `markWrites`. */
  get allWrite(): boolean {
    return this.#clients.every((client) => client.writes);
  }

  get acknowledged(): number {
    return this.#clients.reduce((sum, client) => sum + client.acknowledged.size, 0);
  }

  /** What clients were told last, where they were told an error. */
  get lastError(): string {
    return this.#clients.map(({ lastError }) => lastError).find((error) => error !== '') ?? '';
  }

  /** No more writes; those without an answer are given up. */
  async stop(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.stop()));
  }

  /** Looks every acknowledged write up. */
  async verdict(): Promise<Verdict> {
    const rows = await this.#run(`SELECT client, n FROM ${this.#table}`);
    const found = new Set(rows.map((row) => `${String(row['client'])} ${String(row['n'])}`));
    let [acknowledged, lost, unanswered] = [0, 0, 0];
    for (const client of this.#clients) {
      acknowledged += client.acknowledged.size;
      unanswered += client.sent - client.acknowledged.size;
      for (const n of client.acknowledged) if (!found.has(`${client.index} ${n}`)) lost++;
    }
    return { acknowledged, lost, unanswered };
  }

  async drop(): Promise<void> {
    await this.#run(`DROP ${this.place.replace(' ', ' IF EXISTS ')}`);
  }

  /** What earlier drills left, that did not get to their end, or that are under way. */
  async others(): Promise<readonly string[]> {
    const rows = await this.#run(
      `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'baton\\_drill\\_%'`,
    );
    return rows.map((row) => `DATABASE \`${String(row['name'])}\``).filter((place) => place !== this.place);
  }

  async #run(sql: string): Promise<RowDataPacket[]> {
    const connection = await connect(await this.#login());
    try {
      const [rows] = await connection.query<RowDataPacket[]>({ sql, timeout: statementMs });
      return rows;
    } finally {
      connection.destroy();
    }
  }
}

class Client {
  readonly index: number;
  readonly acknowledged = new Set<number>();
  sent = 0;
  lastError = '';
  readonly #insert: string;
  readonly #login: () => Promise<Login>;
  #connection: Connection | null = null;
  #stopping = false;
  #running: Promise<void> = Promise.resolve();
  #okAtMs = 0;
  #longestMs = 0;
  #sentAtMark = 0;
  #newestOk = 0;

  constructor(index: number, table: string, login: () => Promise<Login>) {
    this.index = index;
    this.#insert = `INSERT INTO ${table} VALUES (?, ?)`;
    this.#login = login;
  }

  start(): void {
    this.#okAtMs = performance.now();
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        this.#connection ??= await connect(await this.#login());
        const n = ++this.sent;
        await this.#connection.query(this.#insert, [this.index, n]);
        this.#ok(n);
        await sleep(pauseMs);
      } catch (error) {
        const { message, code } = error as { message?: string; code?: string };
        this.lastError = message || code || String(error);
        this.#connection?.destroy();
        this.#connection = null;
        await sleep(retryMs);
      }
    }
    this.#connection?.destroy();
  }

  #ok(n: number): void {
    const nowMs = performance.now();
    this.#longestMs = Math.max(this.#longestMs, nowMs - this.#okAtMs);
    this.#okAtMs = nowMs;
    this.#newestOk = n;
    this.lastError = '';
    this.acknowledged.add(n);
  }

  markGap(): void {
    this.#longestMs = 0;
  }

  markWrites(): void {
    this.#sentAtMark = this.sent;
  }

  get writes(): boolean {
    return this.#newestOk > this.#sentAtMark;
  }

  longestGapMs(): number {
    return Math.max(this.#longestMs, performance.now() - this.#okAtMs);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const late = setTimeout(() => this.#connection?.destroy(), 1000);
    await this.#running;
    clearTimeout(late);
  }
}

async function connect({ host, port, user, password }: Login): Promise<Connection> {
  const connection = await createConnection({ host, port, user, password, connectTimeout: connectMs });
  // It is noticed by the statement that fails.
  connection.on('error', () => {});
  return connection;
}
