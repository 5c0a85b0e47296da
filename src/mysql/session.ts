/**
 * One connection to one server, over mysql2, past its traps: a query's time-out there leaves the connection half-read,
 * and destroy() never settles what was under way. Here a query ends with its AbortSignal, and then the session is over.
 */
import { createConnection, type Connection } from 'mysql2';

export interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** PEM of the authorities of which one has to have signed the server's certificate. Left out: no TLS. */
  readonly tls?: { readonly ca: string };
}

export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, unknown>>;

/** The session broke, or was given up: whether the last statement was carried out is not known. */
export class SessionBrokenError extends Error {
  readonly code = 'SESSION_BROKEN';
}

/** The server answered with an error. `errno` is MySQL's number, or 0. */
export class StatementError extends Error {
  readonly code = 'STATEMENT_FAILED';
  readonly errno: number;
  constructor(message: string, errno: number) {
    super(message);
    this.errno = errno;
  }
}

/** Refusals that prove a living server: too many connections, access denied, host blocked (traps.md in docs). */
const REFUSALS = new Set([1040, 1045, 1129, 1130, 1203, 1226, 3032, 3118, 3159]);

export function isRefusal(error: unknown): boolean {
  return error instanceof StatementError && REFUSALS.has(error.errno);
}

function asError(error: unknown): Error {
  const { message, errno, code, sqlState } = error as {
    message?: string;
    errno?: number;
    code?: string;
    sqlState?: string;
  };
  const said = message || code || String(error);
  // A server's own errors carry an SQLSTATE; those of sockets carry a negative errno.
  if (sqlState !== undefined && typeof errno === 'number' && errno > 0) return new StatementError(said, errno);
  return new SessionBrokenError(said);
}

export class Session {
  readonly #connection: Connection;
  readonly #broken: ((error: Error) => void)[] = [];
  #over: Error | null = null;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Rejects with StatementError if the server refuses, with SessionBrokenError if it can't be reached or `signal` aborts. */
  static open(target: Target, signal: AbortSignal): Promise<Session> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new SessionBrokenError('given up before connecting'));
      const { tls, ...login } = target;
      const connection = createConnection({
        ...login,
        // Members go by addresses, so no name is compared. The same object again takes up a former session's keys.
        ...(tls === undefined ? {} : { ssl: tls }),
        connectTimeout: 0x7fff_ffff,
        bigNumberStrings: true,
        supportBigNumbers: true,
        dateStrings: true,
        multipleStatements: false,
        enableKeepAlive: true,
        // None is prepared here, and the default sets half a megabyte aside for them.
        maxPreparedStatements: 1,
      });
      const session = new Session(connection);
      const giveUp = (): void => session.#end(new SessionBrokenError('no answer in time'));
      signal.addEventListener('abort', giveUp, { once: true });
      session.#broken.push(reject);
      connection.on('error', (error) => session.#end(asError(error)));
      connection.on('end', () => session.#end(new SessionBrokenError('the server closed the connection')));
      connection.once('connect', () => {
        signal.removeEventListener('abort', giveUp);
        session.#broken.length = 0;
        resolve(session);
      });
    });
  }

  /** The server's number for this connection. */
  get id(): number {
    return this.#connection.threadId ?? 0;
  }

  /** Called once when the session ends, by whatever cause; at once if it has. */
  onBroken(listener: (error: Error) => void): void {
    if (this.#over === null) this.#broken.push(listener);
    else listener(this.#over);
  }

  /** Rows of a query, or an empty list. After an abort the session is over. */
  query(sql: string, values: readonly SqlValue[], signal: AbortSignal): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      if (this.#over !== null) return reject(this.#over);
      if (signal.aborted) {
        this.#end(new SessionBrokenError('given up'));
        return reject(new SessionBrokenError('given up'));
      }
      const settle = (finish: () => void): void => {
        signal.removeEventListener('abort', giveUp);
        const at = this.#broken.indexOf(onOver);
        if (at >= 0) this.#broken.splice(at, 1);
        finish();
      };
      const giveUp = (): void => this.#end(new SessionBrokenError('no answer in time'));
      const onOver = (error: Error): void => settle(() => reject(error));
      signal.addEventListener('abort', giveUp, { once: true });
      this.#broken.push(onOver);
      this.#connection.query(sql, [...values], (error: Error | null, rows: unknown) => {
        // Once the session is over, onOver has answered already.
        if (this.#over !== null) return;
        settle(() => (error === null ? resolve(Array.isArray(rows) ? (rows as Row[]) : []) : reject(asError(error))));
      });
    });
  }

  /** Statements in order, each on its own round trip. */
  async run(statements: readonly string[], signal: AbortSignal): Promise<void> {
    for (const statement of statements) await this.query(statement, [], signal);
  }

  destroy(): void {
    this.#end(new SessionBrokenError('closed'));
  }

  #end(error: Error): void {
    if (this.#over !== null) return;
    this.#over = error;
    this.#connection.destroy();
    for (const listener of this.#broken.splice(0)) listener(error);
  }
}
