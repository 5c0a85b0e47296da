/**
 * A brain holds each member's named lock in the one session that it acts through. Taking it ends the former holder's
 * session, so that no statement of its can land later.
 */
import { LOCK } from './names.ts';
import { StatementError, type Session } from './session.ts';

/** The former holder's statement still runs: it waits for something that KILL doesn't end. */
export class LockHeldError extends Error {
  readonly code = 'LOCK_HELD';
}

/**
 * Whatever the server's defaults are: nothing that a session of ours writes enters a binlog, nothing that it does waits
 * for long, and it is not cut off for being idle.
 */
export async function settle(session: Session, signal: AbortSignal): Promise<void> {
  await session.query(
    `SET SESSION sql_log_bin = 0, lock_wait_timeout = 2, wait_timeout = 31536000, net_read_timeout = 3600,
       net_write_timeout = 3600, autocommit = 1, max_execution_time = 0, time_zone = '+00:00', sql_mode = '',
       transaction_isolation = 'READ-COMMITTED'`,
    [],
    signal,
  );
}

export async function takeLock(session: Session, signal: AbortSignal): Promise<void> {
  await settle(session, signal);
  for (let attempt = 0; attempt < 3; attempt++) {
    const [row] = await session.query(
      `SELECT GET_LOCK('${LOCK}', ${attempt === 0 ? 0 : 1}) AS got, IS_USED_LOCK('${LOCK}') AS holder`,
      [],
      signal,
    );
    if (Number(row?.['got']) === 1) return;
    const holder = row?.['holder'];
    if (holder === null || holder === undefined) continue;
    try {
      await session.query(`KILL CONNECTION ${Number(holder)}`, [], signal);
    } catch (error) {
      // 1094: it is gone already.
      if (!(error instanceof StatementError && error.errno === 1094)) throw error;
    }
  }
  throw new LockHeldError(`another session holds ${LOCK} and does not end`);
}
