import { createConnection, type FieldPacket, type QueryError, type ResultSetHeader } from 'mysql2';

import type { Credentials } from '../local/api-client.ts';
import { CommandError, EXIT } from './exit.ts';

/** One statement's outcome. */
export type Result =
  | { readonly kind: 'rows'; readonly names: readonly string[]; readonly rows: readonly (readonly unknown[])[] }
  | { readonly kind: 'done'; readonly affectedRows: number; readonly insertId: number | string };

/** Runs statements in a connection of their own and hands each result on, in order. */
export async function run(
  login: Credentials,
  database: string | null,
  statements: string,
  interrupted: AbortSignal,
  onResult: (result: Result) => void,
): Promise<void> {
  const { host, port, user, password, socket } = login;
  const connection = createConnection({
    ...(socket === null ? { host, port } : { socketPath: socket }),
    user,
    password,
    ...(database === null ? {} : { database }),
    multipleStatements: true,
    rowsAsArray: true,
    dateStrings: true,
    supportBigNumbers: true,
    bigNumberStrings: true,
    // The endpoint answers in its own time, with a reason.
    connectTimeout: 120_000,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      const interrupt = (): void => reject(new CommandError(EXIT.interrupted, 'INTERRUPTED', 'interrupted'));
      if (interrupted.aborted) return interrupt();
      interrupted.addEventListener('abort', interrupt);
      connection.on('error', (error: QueryError) => reject(asCommandError(error)));
      connection.query(statements, (error: QueryError | null, results: unknown, fields: unknown) => {
        if (error === null) {
          resultsOf(results, fields).forEach(onResult);
          return resolve();
        }
        reject(asCommandError(error));
      });
    });
  } finally {
    connection.destroy();
  }
}

/** One result for one statement, a list for several: told apart by the list of columns. */
function resultsOf(results: unknown, fields: unknown): Result[] {
  const several = Array.isArray(fields) && fields.some((one) => Array.isArray(one) || one === undefined);
  const all = several ? (results as unknown[]) : [results];
  const columns = several ? (fields as (FieldPacket[] | undefined)[]) : [fields as FieldPacket[] | undefined];
  return all.map((one, at) => {
    const names = columns[at]?.map(({ name }) => name);
    if (names !== undefined && Array.isArray(one)) return { kind: 'rows', names, rows: one as unknown[][] };
    const { affectedRows = 0, insertId = 0 } = one as Partial<ResultSetHeader>;
    return { kind: 'done', affectedRows, insertId };
  });
}

function asCommandError(error: QueryError): CommandError {
  const { errno, sqlState, message, code } = error;
  const server = typeof errno === 'number' && errno > 0;
  const said = server ? `MySQL error ${errno}${sqlState ? ` (${sqlState})` : ''}: ${message}` : message || code;
  const hint =
    errno === 1290 && message.includes('read-only')
      ? 'That member is a replica: writes go through the primary endpoint.'
      : null;
  return new CommandError(EXIT.failed, 'SQL_FAILED', said, hint, { cause: error });
}
