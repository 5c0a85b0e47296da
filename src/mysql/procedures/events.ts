/** Events that came by replication lie disabled; on a primary they run, for those who made them. */
import { StatementError, type Session } from '../session.ts';
import { ProcedureRefusedError } from './refused.ts';

const OFF = `STATUS IN ('SLAVESIDE_DISABLED', 'REPLICA_SIDE_DISABLED')`;
/** Ended by its time limit; where that is the wait for the accounts' lock, MySQL 9 says that access is denied. */
const TIMED_OUT = new Set([3024, 1045]);

/**
 * How many there are. Null if that can't be told in time: information_schema.EVENTS takes the lock of the accounts, which
 * an account statement keeps while it waits for its acknowledgement (docs/mysql.md).
 */
export async function countEventsOff(session: Session, signal: AbortSignal): Promise<number | null> {
  try {
    const [row] = await session.query(
      `SELECT /*+ MAX_EXECUTION_TIME(100) */ COUNT(*) AS n FROM information_schema.EVENTS WHERE ${OFF}`,
      [],
      signal,
    );
    return Number(row?.['n']);
  } catch (error) {
    if (error instanceof StatementError && TIMED_OUT.has(error.errno)) return null;
    throw error;
  }
}

/** Enables them here alone, keeping each one's definer. */
export async function enableEvents(session: Session, signal: AbortSignal): Promise<void> {
  const events = await session.query(
    `SELECT EVENT_SCHEMA AS s, EVENT_NAME AS n, DEFINER AS definer FROM information_schema.EVENTS WHERE ${OFF}`,
    [],
    signal,
  );
  const refusals: string[] = [];
  for (const event of events) {
    const [user, host] = split(String(event['definer']));
    const named = `${name(event['s'])}.${name(event['n'])}`;
    try {
      await session.query(`ALTER DEFINER = ?@? EVENT ${named} ENABLE`, [user, host], signal);
    } catch (error) {
      // One that cannot be enabled does not keep the others from running.
      if (!(error instanceof StatementError)) throw error;
      refusals.push(`${named}: ${error.message}`);
    }
  }
  if (refusals.length > 0) throw new ProcedureRefusedError(`events stay disabled: ${refusals.join('; ')}`);
}

function split(definer: string): [string, string] {
  const at = definer.lastIndexOf('@');
  return [definer.slice(0, at), definer.slice(at + 1)];
}

function name(value: unknown): string {
  return `\`${String(value).replaceAll('`', '``')}\``;
}
