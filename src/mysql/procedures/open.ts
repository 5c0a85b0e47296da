/** Open a prepared member for writes, and close it again. */
import type { Session } from '../session.ts';
import { StatementError } from '../session.ts';
import { ProcedureRefusedError } from './refused.ts';
import { refuseUnlessWaiting, waitForEver } from './required.ts';

/** In the very session that prepared it: a restart in between takes the session along. */
export async function open(session: Session, required: number, signal: AbortSignal): Promise<void> {
  await waitForEver(session, signal);
  await refuseUnlessWaiting(session, required, signal);
  await session.run(
    [
      // A brain that died while it prepared the member may have left it so.
      'SET GLOBAL offline_mode = OFF',
      'SET GLOBAL super_read_only = OFF',
      'SET GLOBAL read_only = OFF',
      'SET GLOBAL event_scheduler = ON',
    ],
    signal,
  );
}

/**
 * Close a living primary for a switchover. It holds only when the SET returned and both variables read 1. Bounded by
 * the session's lock_wait_timeout; `killer`, another session, ends what clients run that stands in its way.
 */
export async function close(session: Session, killer: Session, signal: AbortSignal): Promise<void> {
  const closing = session.query('SET GLOBAL super_read_only = ON', [], signal);
  // Ends with the killer's session at the latest, which is when the closing is over.
  endWriters(killer, signal).catch(() => undefined);
  await closing.finally(() => killer.destroy());
  await session.query('SET GLOBAL event_scheduler = OFF', [], signal);
  const [row] = await session.query(
    'SELECT @@global.super_read_only AS super, @@global.read_only AS plain',
    [],
    signal,
  );
  if (Number(row?.['super']) !== 1 || Number(row?.['plain']) !== 1) {
    throw new ProcedureRefusedError('it did not stay read-only');
  }
  // Whoever is still connected would meet a read-only server: it meets the new primary instead.
  await killAll(session, `SELECT ID FROM performance_schema.processlist WHERE ${CLIENTS}`, signal);
}

export async function reopen(session: Session, signal: AbortSignal): Promise<void> {
  await session.run(
    ['SET GLOBAL super_read_only = OFF', 'SET GLOBAL read_only = OFF', 'SET GLOBAL event_scheduler = ON'],
    signal,
  );
}

/**
 * A closed primary is drained: closing it waits for every commit, and none can begin after; so switching this off says OK
 * to nobody. It takes up to a second: MySQL's thread for acknowledgements looks up as often as that.
 */
export async function disarm(session: Session, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(
    'SELECT @@global.super_read_only AS super, @@global.read_only AS plain',
    [],
    signal,
  );
  if (Number(row?.['super']) !== 1 || Number(row?.['plain']) !== 1) throw new ProcedureRefusedError('it is not closed');
  await session.query('SET GLOBAL rpl_semi_sync_source_enabled = OFF', [], signal);
}

const CLIENTS = `USER IS NOT NULL AND USER NOT LIKE 'baton\\_%' AND USER NOT IN ('system user', 'event_scheduler', 'unauthenticated user')`;

/**
 * What stands in the way is a running statement that writes, or LOCK TABLES: each holds the lock that the SET asks for.
 * (information_schema.innodb_trx would not do: it shows nothing new to who asks more often than every 0.1 s.) A commit
 * that waits for an acknowledgement holds it too, but no KILL ends that: its client would be cut off for nothing.
 */
const IN_THE_WAY = `SELECT ID FROM performance_schema.processlist WHERE ${CLIENTS}
   AND NOT (STATE LIKE 'Waiting for semi-sync ACK%' OR STATE = 'waiting for handler commit')
   AND ID IN (SELECT t.PROCESSLIST_ID FROM performance_schema.metadata_locks m
     JOIN performance_schema.threads t ON t.THREAD_ID = m.OWNER_THREAD_ID
     WHERE m.OBJECT_TYPE IN ('GLOBAL', 'COMMIT') AND m.LOCK_TYPE = 'INTENTION_EXCLUSIVE' AND m.LOCK_STATUS = 'GRANTED')`;

async function endWriters(killer: Session, signal: AbortSignal): Promise<void> {
  while (true) {
    // First a moment for those that end by themselves.
    await killer.query('DO SLEEP(0.02)', [], signal);
    await killAll(killer, IN_THE_WAY, signal);
  }
}

async function killAll(killer: Session, select: string, signal: AbortSignal): Promise<void> {
  for (const row of await killer.query(select, [], signal)) {
    try {
      await killer.query(`KILL CONNECTION ${Number(row['ID'])}`, [], signal);
    } catch (error) {
      if (!(error instanceof StatementError && error.errno === 1094)) throw error;
    }
  }
}
