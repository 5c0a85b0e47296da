/** Open a prepared member for writes, and close it again. */
import { LONGEST_TIMEOUT_MS } from '../config-file.ts';
import type { Session } from '../session.ts';
import { kill } from './accounts.ts';
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

/** As it was before it was closed: one that has followed since does not wait for acknowledgements as it did. */
export async function reopen(session: Session, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(
    'SELECT @@global.rpl_semi_sync_source_enabled AS enabled, @@global.rpl_semi_sync_source_timeout AS timeoutMs',
    [],
    signal,
  );
  if (Number(row?.['enabled']) !== 0 && Number(row?.['timeoutMs']) !== LONGEST_TIMEOUT_MS)
    throw new ProcedureRefusedError('it has followed since it was closed');
  await session.run(
    ['SET GLOBAL super_read_only = OFF', 'SET GLOBAL read_only = OFF', 'SET GLOBAL event_scheduler = ON'],
    signal,
  );
}

/**
 * A closed primary is drained: closing it waits for every commit, and none can begin after; so switching this off says OK
 * to nobody. It takes up to a second, for which nobody can log in: MySQL's thread for acknowledgements looks up as often
 * as that. So it is done just before the thread looks up.
 */
export async function disarm(session: Session, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(
    'SELECT @@global.super_read_only AS super, @@global.read_only AS plain',
    [],
    signal,
  );
  if (Number(row?.['super']) !== 1 || Number(row?.['plain']) !== 1) throw new ProcedureRefusedError('it is not closed');
  await untilItLooksUp(session, signal);
  await session.query('SET GLOBAL rpl_semi_sync_source_enabled = OFF', [], signal);
}

const REPLICAS = `SELECT ID FROM performance_schema.processlist WHERE USER LIKE 'baton\\_replica\\_%'`;
/** Often enough, and seldom enough to be felt by nobody: the first writes of the new primary are under way. */
const LOOKS_UP_ROUNDS = 45;

/**
 * A connection of a replica's that is killed is let go by that thread when it looks up next: when it is gone, there is most
 * of a second left. Who follows a former primary still has to turn to another anyhow. Without any, it is not known.
 */
async function untilItLooksUp(session: Session, signal: AbortSignal): Promise<void> {
  const ids = (await session.query(REPLICAS, [], signal)).map((row) => Number(row['ID']));
  if (ids.length === 0) return;
  for (const id of ids) await kill(session, id, signal);
  for (let round = 0; round < LOOKS_UP_ROUNDS; round++) {
    const left = await session.query(REPLICAS, [], signal);
    if (!left.some((row) => ids.includes(Number(row['ID'])))) break;
    await session.query('DO SLEEP(0.025)', [], signal);
  }
  await session.query('DO SLEEP(0.9)', [], signal);
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
    await kill(killer, Number(row['ID']), signal);
  }
}
