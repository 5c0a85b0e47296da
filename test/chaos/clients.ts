/** Clients of every kind. Each runs until it is told to stop, tells the books what it was told, and takes no error amiss. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Random } from '../simulation/random.ts';
import { BANK, type Books } from './books.ts';
import { MOST_MEMBERS, type Stage } from './stage.ts';

const SCHEMA = [
  'CREATE DATABASE chaos',
  'CREATE TABLE chaos.entries (writer INT, n INT, at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6), PRIMARY KEY (writer, n))',
  'CREATE TABLE chaos.register (id INT PRIMARY KEY, n BIGINT NOT NULL)',
  'INSERT INTO chaos.register VALUES (1, 0)',
  'CREATE TABLE chaos.accounts (id INT PRIMARY KEY, balance INT NOT NULL)',
  `INSERT INTO chaos.accounts VALUES ${Array.from({ length: BANK.accounts }, (_, id) => `(${id}, ${BANK.each})`).join(', ')}`,
];

export const INSERT = 'INSERT INTO chaos.entries (writer, n) VALUES (?, ?)';
/** The writers that a member is written to with, past the endpoints: this and its ordinal. */
const DIRECT = 100;
/** A statement that nobody answers is given up. */
const PATIENCE_MS = 30_000;
const GENTLE = 20;
/** A member that does not run, or does not exist, is asked again after this. */
const NOBODY_MS = 250;

export class Clients {
  readonly #stage: Stage;
  readonly #books: Books;
  readonly #random: Random;
  readonly #connections = new Set<Connection>();
  readonly #running: Promise<void>[] = [];
  /** A machine that is too busy, or a slow disk, would lag for ever: with less to do, what still lags is stuck. */
  gentle = false;
  #stopping = false;
  #objects = 0;

  private constructor(stage: Stage, books: Books, random: Random) {
    this.#stage = stage;
    this.#books = books;
    this.#random = random;
  }

  static async begin(stage: Stage, books: Books, random: Random): Promise<Clients> {
    const clients = new Clients(stage, books, random);
    const connection = await clients.#open(() => stage.connect());
    for (const statement of SCHEMA) await connection.query(statement);
    clients.#close(connection);
    books.ok();
    const primary = (): Promise<Connection> => stage.connect();
    for (const name of [1, 2, 3]) clients.#run('write', primary, clients.#writer(name), 4);
    clients.#run('long transaction', primary, clients.#longTransaction(10), 500);
    for (const _ of [1, 2]) clients.#run('register write', primary, (one) => clients.#writeRegister(one), 15);
    for (const _ of [1, 2]) clients.#run('register read', primary, (one) => clients.#readRegister(one), 8);
    for (const _ of [1, 2]) clients.#run('transfer', primary, (one) => clients.#transfer(one), 15);
    clients.#run('bank read', primary, (one) => clients.#readBank('primary', one), 15);
    clients.#run(
      'bank read',
      () => stage.connect('read'),
      (one) => clients.#readBank('the read endpoint', one),
      25,
    );
    clients.#run('rows read', primary, (one) => clients.#readRows(one), 100);
    clients.#run('definition', primary, (one) => clients.#define(one), 700);
    clients.#run('account', primary, (one) => clients.#account(one), 900);
    for (let ordinal = 0; ordinal < MOST_MEMBERS; ordinal++) {
      const member = (): Promise<Connection> => stage.member(ordinal);
      clients.#run('direct write', member, clients.#directWriter(ordinal), 40);
      clients.#run('direct read', member, (one) => clients.#readBank(`member ${ordinal}`, one), 150);
    }
    return clients;
  }

  /** Many at once, for a while. */
  async burst(count: number, forMs: number): Promise<number> {
    const opened = await Promise.allSettled(
      Array.from({ length: count }, () => this.#open(() => this.#stage.connect())),
    );
    await sleep(forMs);
    const connections = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    for (const connection of connections) this.#close(connection);
    return connections.length;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const late = setTimeout(() => this.cutOff(), 15_000);
    await Promise.all(this.#running);
    clearTimeout(late);
    this.cutOff();
  }

  /** At once, whatever they wait for. */
  cutOff(): void {
    this.#stopping = true;
    for (const connection of this.#connections) connection.destroy();
  }

  #run(
    what: string,
    connect: () => Promise<Connection>,
    step: (one: Connection) => Promise<void>,
    pauseMs: number,
  ): void {
    this.#running.push(this.#loop(what, connect, step, pauseMs));
  }

  async #loop(
    what: string,
    connect: () => Promise<Connection>,
    step: (one: Connection) => Promise<void>,
    pauseMs: number,
  ): Promise<void> {
    let connection: Connection | null = null;
    while (!this.#stopping) {
      try {
        connection ??= await this.#open(connect);
        await this.#inTime(connection, step);
        // A pool gives up connections now and then.
        if (this.#random.chance(0.01)) connection = this.#close(connection);
      } catch (error) {
        this.#books.failed(what, error);
        const refused = (error as { errno?: number }).errno;
        // A refusal is an answer: the connection is good.
        if (connection === null) await sleep(what.startsWith('direct') ? NOBODY_MS : pauseMs);
        else if (refused !== 1290 && refused !== 1213) connection = this.#close(connection);
      }
      await sleep(pauseMs * (this.gentle ? GENTLE : 1) * this.#random.between(0.5, 1.5));
    }
    if (connection !== null) this.#close(connection);
  }

  async #inTime(connection: Connection, step: (one: Connection) => Promise<void>): Promise<void> {
    const late = setTimeout(() => connection.destroy(), PATIENCE_MS);
    try {
      await step(connection);
    } finally {
      clearTimeout(late);
    }
  }

  async #open(connect: () => Promise<Connection>): Promise<Connection> {
    const connection = await connect();
    this.#connections.add(connection);
    if (this.#stopping) connection.destroy();
    return connection;
  }

  #close(connection: Connection): null {
    this.#connections.delete(connection);
    connection.destroy();
    return null;
  }

  // ── Rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #writer(name: number): (one: Connection) => Promise<void> {
    let next = 0;
    return async (one) => {
      const numbers = this.#random.chance(0.1) ? [++next, ++next, ++next] : [++next];
      if (numbers.length === 1) {
        await one.query(INSERT, [name, numbers[0]]);
      } else {
        await one.query('START TRANSACTION');
        for (const n of numbers) await one.query(INSERT, [name, n]);
        await one.query('COMMIT');
      }
      this.#books.acknowledged(name, ...numbers);
      this.#books.ok();
    };
  }

  #longTransaction(name: number): (one: Connection) => Promise<void> {
    let next = 0;
    return async (one) => {
      const numbers: number[] = [];
      await one.query('START TRANSACTION');
      const steps = 2 + this.#random.int(8);
      for (let step = 0; step < steps && !this.#stopping; step++) {
        numbers.push(++next);
        await one.query(INSERT, [name, next]);
        await sleep(this.#random.between(20, 900));
      }
      await one.query('COMMIT');
      this.#books.acknowledged(name, ...numbers);
    };
  }

  /** None but the primary may say OK. */
  #directWriter(ordinal: number): (one: Connection) => Promise<void> {
    let next = 0;
    return async (one) => {
      const n = ++next;
      const sentMs = Date.now();
      await one.query(INSERT, [DIRECT + ordinal, n]);
      this.#books.directOk({ ordinal, sentMs, gotMs: Date.now() });
      this.#books.acknowledged(DIRECT + ordinal, n);
    };
  }

  /** What somebody has read through the primary endpoint stays. */
  async #readRows(one: Connection): Promise<void> {
    const writer = this.#random.pick([1, 2, 3, 10, DIRECT, DIRECT + 1, DIRECT + 2]);
    const [rows] = await one.query<RowDataPacket[]>(
      'SELECT n FROM chaos.entries WHERE writer = ? ORDER BY n DESC LIMIT 50',
      [writer],
    );
    this.#books.seen(
      writer,
      rows.map((row) => Number(row['n'])),
    );
  }

  // ── Register and bank ─────────────────────────────────────────────────────────────────────────────────────────────

  async #writeRegister(one: Connection): Promise<void> {
    const floor = this.#books.registerFloor;
    const [{ insertId }] = await one.query<ResultSetHeader>(
      'UPDATE chaos.register SET n = LAST_INSERT_ID(n + 1) WHERE id = 1',
    );
    this.#books.registerWritten(insertId, floor);
  }

  async #readRegister(one: Connection): Promise<void> {
    const floor = this.#books.registerFloor;
    const [[row]] = await one.query<RowDataPacket[]>('SELECT n FROM chaos.register WHERE id = 1');
    this.#books.registerRead(Number(row?.['n'] ?? -1), floor);
  }

  async #transfer(one: Connection): Promise<void> {
    const from = this.#random.int(BANK.accounts);
    const to = (from + 1 + this.#random.int(BANK.accounts - 1)) % BANK.accounts;
    const amount = 1 + this.#random.int(20);
    await one.query('START TRANSACTION');
    await one.query('UPDATE chaos.accounts SET balance = balance - ? WHERE id = ?', [amount, from]);
    await one.query('UPDATE chaos.accounts SET balance = balance + ? WHERE id = ?', [amount, to]);
    await one.query('COMMIT');
  }

  async #readBank(where: string, one: Connection): Promise<void> {
    const [[row]] = await one.query<RowDataPacket[]>(
      'SELECT COUNT(*) AS count, COALESCE(SUM(balance), 0) AS sum FROM chaos.accounts',
    );
    this.#books.bankRead(where, Number(row?.['count']), Number(row?.['sum']));
  }

  // ── Definitions and accounts ──────────────────────────────────────────────────────────────────────────────────────

  async #define(one: Connection): Promise<void> {
    const table = `chaos.t${++this.#objects}`;
    await this.#object(one, table, `CREATE TABLE ${table} (id INT PRIMARY KEY, what VARCHAR(20))`, 'there');
    await one.query(`INSERT INTO ${table} VALUES (1, 'one'), (2, 'two')`);
    await one.query(`ALTER TABLE ${table} ADD COLUMN more INT DEFAULT 3, ADD INDEX (what)`);
    if (this.#random.chance(0.5)) await this.#object(one, table, `DROP TABLE ${table}`, 'gone');
  }

  async #account(one: Connection): Promise<void> {
    const user = `chaos_${++this.#objects}`;
    await this.#object(one, user, `CREATE USER ${user} IDENTIFIED BY 'not-a-secret'`, 'there');
    if (this.#random.chance(0.5)) await this.#object(one, user, `DROP USER ${user}`, 'gone');
  }

  /** Until it is answered, nobody knows. */
  async #object(one: Connection, name: string, sql: string, after: 'there' | 'gone'): Promise<void> {
    this.#books.objects.delete(name);
    await one.query(sql);
    this.#books.objects.set(name, after);
  }
}
