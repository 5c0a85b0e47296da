/** Follow a source by auto-position, acknowledging what is received. */
import { replicationUser } from '../names.ts';
import type { Session } from '../session.ts';
import { kill } from './accounts.ts';
import { ProcedureRefusedError } from './refused.ts';
import { startReplica } from './start.ts';

export interface Source {
  readonly host: string;
  readonly port: number;
  /** A file on the replica: whom it trusts to have signed the source's certificate. Left out: no TLS. */
  readonly ca?: string;
}

/**
 * Turns a replica to another source, and does not start it. CHANGE REPLICATION SOURCE with both threads stopped destroys
 * what was received and not applied, without a warning; so it is refused while there is any.
 */
export async function turn(
  session: Session,
  ordinal: number,
  source: Source,
  password: string,
  heartbeatSeconds: number,
  signal: AbortSignal,
): Promise<void> {
  await stopReplica(session, signal);
  await session.query(
    'CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?, ' +
      'SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 4294967295, ' +
      `SOURCE_HEARTBEAT_PERIOD = ?${source.ca === undefined ? '' : ', SOURCE_SSL = 1, SOURCE_SSL_CA = ?'}`,
    [
      source.host,
      source.port,
      replicationUser(ordinal),
      password,
      heartbeatSeconds,
      ...(source.ca === undefined ? [] : [source.ca]),
    ],
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
  if (await refuseSource(session, signal)) {
    // Nobody is told OK by a server that is closed: its applier need not wait until it no longer waits like a primary.
    await session.query('SET GLOBAL rpl_semi_sync_source_timeout = 1', [], signal);
  }
  // The same source as before: what is received and not yet applied stays where it is.
  if (await isTurnedTo(session, ordinal, source, signal)) await session.query('STOP REPLICA IO_THREAD', [], signal);
  else await turn(session, ordinal, source, password, heartbeatSeconds, signal);
  await session.run(
    [
      // A brain that died while it prepared the member may have left it so.
      'SET GLOBAL offline_mode = OFF',
      // Read when the receiver starts.
      'SET GLOBAL rpl_semi_sync_replica_enabled = ON',
    ],
    signal,
  );
  // The receiver first: writes may wait for what it acknowledges, and starting an applier syncs several files.
  await startReplica(session, signal, 'IO_THREAD');
  await startReplica(session, signal, 'SQL_THREAD');
}

/** By its own account, too: a clone brings its donor's along, and who may acknowledge goes by accounts. */
async function isTurnedTo(session: Session, ordinal: number, source: Source, signal: AbortSignal): Promise<boolean> {
  const [row] = await session.query(
    `SELECT HOST AS host, PORT AS port, USER AS user
       FROM performance_schema.replication_connection_configuration WHERE CHANNEL_NAME = '' AND SSL_CA_FILE = ?`,
    [source.ca ?? ''],
    signal,
  );
  const { host, port } = source;
  return row?.['host'] === host && Number(row['port']) === port && row['user'] === replicationUser(ordinal);
}

/**
 * Stops both threads, refused while something received is not yet applied. A source that dies may have sent part of a
 * transaction: told to stop, the applier would wait 60 s for the rest. Nobody acknowledged that transaction here, and if it
 * exists it is sent again, whole; so, with everything before it applied, the applier is killed, which rolls it back.
 */
export async function stopReplica(session: Session, signal: AbortSignal): Promise<void> {
  await session.query('STOP REPLICA IO_THREAD', [], signal);
  const [row] = await session.query(
    `SELECT GTID_SUBTRACT(RECEIVED_TRANSACTION_SET, @@global.gtid_executed) AS unapplied,
       (SELECT t.PROCESSLIST_ID FROM performance_schema.replication_applier_status_by_coordinator c
          JOIN performance_schema.threads t ON t.THREAD_ID = c.THREAD_ID
          WHERE c.CHANNEL_NAME = '' AND (c.PROCESSING_TRANSACTION <> '' OR s.QUEUEING_TRANSACTION <> '')) AS amid
       FROM performance_schema.replication_connection_status s WHERE s.CHANNEL_NAME = ''`,
    [],
    signal,
  );
  const unapplied = typeof row?.['unapplied'] === 'string' ? row['unapplied'] : '';
  if (unapplied !== '') {
    // Not a step further: let it apply them first.
    await session.query('START REPLICA SQL_THREAD', [], signal);
    throw new ProcedureRefusedError(`received and not yet applied: ${unapplied}`);
  }
  const amid = row?.['amid'];
  if (amid !== null && amid !== undefined) await killApplier(session, Number(amid), signal);
  await session.query('STOP REPLICA', [], signal);
}

/** Returns once it is seen stopped: told to stop before it noticed the KILL, it would wait all the same. */
async function killApplier(session: Session, id: number, signal: AbortSignal): Promise<void> {
  await kill(session, id, signal);
  while (true) {
    const [row] = await session.query(
      `SELECT SERVICE_STATE AS state FROM performance_schema.replication_applier_status WHERE CHANNEL_NAME = ''`,
      [],
      signal,
    );
    if (row?.['state'] !== 'ON') return;
    await session.query('DO SLEEP(0.002)', [], signal);
  }
}

/**
 * A member on which commits could still wait is no replica yet: a former primary is closed first, or killed. One that was
 * closed may acknowledge already while its semi-synchronous replication as a source is still to be switched off: then true.
 */
async function refuseSource(session: Session, signal: AbortSignal): Promise<boolean> {
  const [row] = await session.query(
    'SELECT @@global.rpl_semi_sync_source_enabled AS enabled, @@global.super_read_only AS super, @@global.read_only AS plain',
    [],
    signal,
  );
  const closed = Number(row?.['super']) === 1 && Number(row?.['plain']) === 1;
  const waits = Number(row?.['enabled']) !== 0;
  if (waits && !closed) throw new ProcedureRefusedError('commits may still wait on it');
  return waits;
}
