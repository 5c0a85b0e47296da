/** How many acknowledgements a commit waits for. */
import { LONGEST_TIMEOUT_MS } from '../config-file.ts';
import type { Session } from '../session.ts';
import { ProcedureRefusedError } from './refused.ts';

/** MySQL has no 0: none means that semi-synchronous replication is off, which answers waiting commits with OK. */
export async function setRequired(session: Session, required: number, signal: AbortSignal): Promise<void> {
  if (required === 0) {
    await session.query('SET GLOBAL rpl_semi_sync_source_enabled = OFF', [], signal);
    return;
  }
  await waitForEver(session, signal);
  await session.run(
    [
      `SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = ${Math.trunc(required)}`,
      'SET GLOBAL rpl_semi_sync_source_enabled = ON',
    ],
    signal,
  );
  await refuseUnlessWaiting(session, required, signal);
}

/** Somebody may have set it otherwise at any time. */
export function waitForEver(session: Session, signal: AbortSignal): Promise<unknown> {
  return session.query(`SET GLOBAL rpl_semi_sync_source_timeout = ${LONGEST_TIMEOUT_MS}`, [], signal);
}

/** Reads back what an acknowledged write rests on. */
export async function refuseUnlessWaiting(session: Session, required: number, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(
    `SELECT @@global.rpl_semi_sync_source_enabled AS enabled, @@global.rpl_semi_sync_source_wait_for_replica_count AS required,
       @@global.rpl_semi_sync_source_timeout AS timeoutMs, @@global.rpl_semi_sync_source_wait_no_replica AS patient, @@global.rpl_semi_sync_source_wait_point AS point,
       @@global.sync_binlog AS syncBinlog, @@global.innodb_flush_log_at_trx_commit AS flush,
       (SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_status') AS status`,
    [],
    signal,
  );
  if (Number(row?.['syncBinlog']) !== 1 || Number(row?.['flush']) !== 1) {
    throw new ProcedureRefusedError('sync_binlog and innodb_flush_log_at_trx_commit are not both 1');
  }
  if (required === 0) return;
  const waits =
    Number(row?.['enabled']) === 1 &&
    Number(row?.['required']) === required &&
    Number(row?.['timeoutMs']) === LONGEST_TIMEOUT_MS &&
    Number(row?.['patient']) === 1 &&
    row?.['point'] === 'AFTER_SYNC' &&
    row['status'] === 'ON';
  if (!waits)
    throw new ProcedureRefusedError(`commits do not wait for ${required} acknowledgements: ${JSON.stringify(row)}`);
}
