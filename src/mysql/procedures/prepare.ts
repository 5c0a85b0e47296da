/** Make a closed member ready to be opened: no source any more, its ackers known, commits that will wait for them. */
import { MAX_MEMBERS } from '../names.ts';
import type { Session } from '../session.ts';
import { lockOut, unlockAccounts } from './accounts.ts';
import { stopReplica } from './follow.ts';
import { setRequired } from './required.ts';

/**
 * Account statements are refused under super_read_only, so for a moment read_only alone holds, with offline_mode to
 * keep everybody out who could write in spite of it. Whatever fails leaves the member closed, at worst offline too,
 * which is seen, and the next attempt goes through all of it again.
 */
export async function prepare(
  session: Session,
  required: number,
  unlocked: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  await stopReplica(session, signal);
  await session.query('RESET REPLICA ALL', [], signal);
  await session.query('SET GLOBAL rpl_semi_sync_replica_enabled = OFF', [], signal);
  await session.query('SET GLOBAL super_read_only = ON', [], signal);
  await rearm(session, signal);
  // Before anybody could write: from here on a commit waits.
  await setRequired(session, required, signal);
  const others = Array.from({ length: MAX_MEMBERS }, (_, ordinal) => ordinal).filter(
    (ordinal) => !unlocked.includes(ordinal),
  );
  await session.query('SET GLOBAL offline_mode = ON', [], signal);
  await session.query('SET GLOBAL super_read_only = OFF', [], signal);
  await lockOut(session, others, signal);
  await unlockAccounts(session, unlocked, signal);
  await session.query('SET GLOBAL super_read_only = ON', [], signal);
  await session.query('SET GLOBAL offline_mode = OFF', [], signal);
}

/** One that was primary, followed, and is chosen again before it was disarmed waits no more, and only OFF and ON change that. */
async function rearm(session: Session, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(
    `SELECT @@global.rpl_semi_sync_source_enabled AS enabled,
       (SELECT variable_value FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_status') AS status`,
    [],
    signal,
  );
  if (Number(row?.['enabled']) === 1 && row?.['status'] !== 'ON')
    await session.query('SET GLOBAL rpl_semi_sync_source_enabled = OFF', [], signal);
}
