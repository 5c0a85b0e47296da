/** A connection as the server sees it: one statement after the other, until it ends, is killed, or its client is gone. */
import type { Connection } from './network.ts';
import type { Failure, Server } from './server.ts';
import { execute, type Row } from './sql.ts';

export type Answer = { readonly rows: readonly Row[] } | Failure;

interface Statement {
  readonly sql: string;
  readonly values: readonly unknown[];
  readonly reply: (answer: Answer) => void;
}

export class ServerSession {
  readonly server: Server;
  readonly id: number;
  readonly connection: Connection;
  /** Empty until it is authenticated. */
  user = '';
  logged = true;
  lockWaitMs = 50_000_000;
  killed = false;
  /** Since when a statement of its waits to be committed, or null: nothing ends that but the commit. */
  committingSinceMs: number | null = null;
  /** Ends the wait of the present statement, where KILL can. */
  interrupt: (() => void) | null = null;
  /** Called once when the session is over. */
  onEnd: () => void = () => undefined;
  readonly #queue: Statement[] = [];
  #running = false;
  #clientGone = false;
  #ended = false;

  constructor(server: Server, id: number, connection: Connection) {
    this.server = server;
    this.id = id;
    this.connection = connection;
  }

  get isController(): boolean {
    return this.user === 'baton_controller';
  }

  run(sql: string, values: readonly unknown[], reply: Statement['reply']): void {
    if (this.killed || this.#ended) return;
    this.#queue.push({ sql, values, reply });
    this.#next();
  }

  #next(): void {
    if (this.#running) return;
    const statement = this.#queue.shift();
    if (statement === undefined) {
      if (this.#clientGone) this.end();
      return;
    }
    this.#running = true;
    const { trouble, world } = this.server;
    const chance = trouble !== null && this.isController ? world.random.unit() : 1;
    if (trouble !== null && chance < trouble.fails) {
      this.#answer(statement, { errno: 1205, message: 'Lock wait timeout exceeded' });
      return;
    }
    execute(this, statement.sql, statement.values, (answer) => {
      if (trouble !== null && chance < trouble.fails + trouble.lost) this.kill();
      this.#answer(statement, answer);
    });
  }

  #answer(statement: Statement, answer: Answer): void {
    this.interrupt = null;
    this.#running = false;
    // Half a statement's time is on this side of the answer.
    this.connection.toClient(() => statement.reply(answer), this.server.world.random.between(0.03, 0.15));
    if (this.killed) this.end();
    else this.#next();
  }

  /** Read from the socket after all that the client sent; noticed when no statement runs. */
  clientGone(): void {
    this.#clientGone = true;
    this.#next();
  }

  /** KILL CONNECTION: the client hears it at once; a commit that waits goes on waiting, with its locks. */
  kill(): void {
    if (this.killed) return;
    this.killed = true;
    this.#queue.length = 0;
    this.connection.closeByServer();
    this.interrupt?.();
    if (!this.#running) this.end();
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.connection.closeByServer();
    this.server.sessions.delete(this.id);
    this.server.freeLocks(this);
    this.onEnd();
  }
}
