/** Follow a source by auto-position, acknowledging what is received. */
import { replicationUser } from '../names.ts';
import type { Session } from '../session.ts';
import { ProcedureRefusedError } from './refused.ts';

export interface Source {
  readonly host: string;
  readonly port: number;
}

/**
 * Turns a stopped replica to another source, and does not start it. CHANGE REPLICATION SOURCE with both threads stopped
 * destroys what was received and not applied, without a warning; so it is refused while there is any.
 */
export async function turn(
  session: Session,
  ordinal: number,
  source: Source,
  password: string,
  heartbeatSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  await session.query('STOP REPLICA', [], signal);
  await refuseUnapplied(session, signal);
  await session.query(
    'CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?, ' +
      'SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 4294967295, ' +
      'SOURCE_HEARTBEAT_PERIOD = ?',
    [source.host, source.port, replicationUser(ordinal), password, heartbeatSeconds],
    signal,
  );
}

/** Follows: turned to the source if it is not yet, then started, acknowledging. */
export async function follow(
  session: Session,
  ordinal: number,
  source: Source,
  password: string,
  heartbeatSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  await refuseSource(session, signal);
  // The same source as before: what is received and not yet applied stays where it is.
  if (await isTurnedTo(session, source, signal)) await session.query('STOP REPLICA IO_THREAD', [], signal);
  else await turn(session, ordinal, source, password, heartbeatSeconds, signal);
  await session.run(
    [
      // A brain that died while it prepared the member may have left it so.
      'SET GLOBAL offline_mode = OFF',
      // Read when the receiver starts.
      'SET GLOBAL rpl_semi_sync_replica_enabled = ON',
      'START REPLICA',
    ],
    signal,
  );
}

async function isTurnedTo(session: Session, source: Source, signal: AbortSignal): Promise<boolean> {
  const [row] = await session.query(
    `SELECT HOST AS host, PORT AS port FROM performance_schema.replication_connection_configuration WHERE CHANNEL_NAME = ''`,
    [],
    signal,
  );
  return row?.['host'] === source.host && Number(row['port']) === source.port;
}

export async function refuseUnapplied(session: Session, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(
    `SELECT GTID_SUBTRACT(RECEIVED_TRANSACTION_SET, @@global.gtid_executed) AS unapplied
       FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = ''`,
    [],
    signal,
  );
  const unapplied = typeof row?.['unapplied'] === 'string' ? row['unapplied'] : '';
  if (unapplied === '') return;
  // Not a step further: let it apply them first.
  await session.query('START REPLICA SQL_THREAD', [], signal);
  throw new ProcedureRefusedError(`received and not yet applied: ${unapplied}`);
}

/**
 * A member on which commits could still wait is no replica yet: a former primary is closed first, or killed. One that was
 * closed may acknowledge already while its semi-synchronous replication as a source is still being switched off.
 */
async function refuseSource(session: Session, signal: AbortSignal): Promise<void> {
  const [row] = await session.query(
    'SELECT @@global.rpl_semi_sync_source_enabled AS enabled, @@global.super_read_only AS super, @@global.read_only AS plain',
    [],
    signal,
  );
  const closed = Number(row?.['super']) === 1 && Number(row?.['plain']) === 1;
  if (Number(row?.['enabled']) !== 0 && !closed) throw new ProcedureRefusedError('commits may still wait on it');
}
