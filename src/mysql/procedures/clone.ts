/** Fill an empty member from a donor. */
import { CLONE_USER } from '../names.ts';
import { SessionBrokenError, StatementError, type Session } from '../session.ts';
import { stopReplica, type Source } from './follow.ts';
import { ProcedureRefusedError } from './refused.ts';

/**
 * CLONE ends in a restart of the server, so success is a broken session or error 3707 (no supervisor to restart it:
 * the platform does). Whether it was completed is seen afterwards, in performance_schema.clone_status.
 */
export async function clone(session: Session, donor: Source, password: string, signal: AbortSignal): Promise<void> {
  if (!(await isEmpty(session, signal))) throw new ProcedureRefusedError(NOT_EMPTY);
  // What is seen to be empty once it is stopped stays so.
  await stopReplica(session, signal);
  if (!(await isEmpty(session, signal))) {
    await session.query('START REPLICA', [], signal);
    throw new ProcedureRefusedError(NOT_EMPTY);
  }
  await session.query('SET GLOBAL clone_valid_donor_list = ?', [`${donor.host}:${donor.port}`], signal);
  // CLONE is refused under super_read_only; read_only stays, and the restart that ends it closes the member again.
  await session.query('SET GLOBAL super_read_only = OFF', [], signal);
  try {
    await session.query(
      // Whose certificate is trusted is in clone_ssl_ca, in my.cnf.
      `CLONE INSTANCE FROM '${CLONE_USER}'@?:${Math.trunc(donor.port)} IDENTIFIED BY ?${donor.ca === undefined ? '' : ' REQUIRE SSL'}`,
      [donor.host, password],
      signal,
    );
  } catch (error) {
    if (error instanceof SessionBrokenError && !signal.aborted) return;
    if (error instanceof StatementError && error.errno === 3707) return;
    if (error instanceof StatementError) await session.query('SET GLOBAL super_read_only = ON', [], signal);
    throw error;
  }
}

const NOT_EMPTY = 'it is not empty: only an empty member is filled';

async function isEmpty(session: Session, signal: AbortSignal): Promise<boolean> {
  const [row] = await session.query('SELECT @@global.gtid_executed AS executed', [], signal);
  return row?.['executed'] === '';
}
