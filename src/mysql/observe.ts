/** Everything that the brain wants to know of a server, in one round trip. */
import { GtidSet } from '../gtid/gtid-set.ts';
import { LOCK, SCHEMA, ordinalOfReplicationUser } from './names.ts';
import { StatementError, type Session } from './session.ts';

export interface ServerObservation {
  readonly serverUuid: string;
  readonly version: string;
  readonly locked: boolean;
  readonly executed: GtidSet;
  readonly purged: GtidSet;
  readonly access: 'closed' | 'ajar' | 'open';
  readonly offline: boolean;
  readonly source: {
    readonly enabled: boolean;
    readonly active: boolean;
    readonly required: number;
    readonly waiting: number;
    readonly unlocked: readonly number[];
    readonly connected: readonly number[];
  };
  readonly replica: {
    readonly sourceHost: string;
    readonly sourcePort: number;
    readonly sourceUuid: string;
    readonly receiver: 'on' | 'connecting' | 'off';
    readonly receiverError: string;
    readonly heardSecondsAgo: number | null;
    readonly received: GtidSet;
    readonly applier: 'on' | 'off';
    readonly applierError: string;
    readonly acking: boolean;
    readonly donating: boolean;
  } | null;
  readonly epochRow: { readonly clusterId: string; readonly epoch: number; readonly term: number } | null;
  readonly clone: {
    readonly state: 'running' | 'completed' | 'failed';
    readonly bytesDone: number;
    readonly bytesTotal: number;
    readonly error: string;
  } | null;
  readonly lagSeconds: number | null;
  readonly oldestTransactionSeconds: number;
  readonly waitsForRoom: boolean;
}

const EPOCH = `(SELECT JSON_OBJECT('clusterId', cluster, 'epoch', epoch, 'term', term) FROM ${SCHEMA}.epoch WHERE id = 1)`;

const observation = (epoch: string): string => `SELECT JSON_OBJECT(
  'uuid', @@server_uuid, 'version', @@version,
  'locked', IFNULL(IS_USED_LOCK('${LOCK}') = ?, 0),
  'executed', @@global.gtid_executed, 'purged', @@global.gtid_purged,
  'readOnly', @@global.super_read_only, 'anyReadOnly', @@global.read_only, 'offline', @@global.offline_mode,
  'enabled', @@global.rpl_semi_sync_source_enabled, 'required', @@global.rpl_semi_sync_source_wait_for_replica_count,
  'status', (SELECT JSON_OBJECTAGG(variable_name, variable_value) FROM performance_schema.global_status
     WHERE variable_name IN ('Rpl_semi_sync_source_status', 'Rpl_semi_sync_source_wait_sessions', 'Rpl_semi_sync_replica_status')),
  'applierWaits', (SELECT COUNT(*) FROM performance_schema.processlist
     WHERE USER = 'system user' AND STATE LIKE 'Waiting for semi-sync ACK%'),
  'waitsForRoom', (SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE = 'Waiting for disk space'),
  'donating', (SELECT COUNT(*) FROM performance_schema.processlist WHERE STATE = 'clone (page copy)'),
  'unlocked', (SELECT JSON_ARRAYAGG(User) FROM mysql.user WHERE User LIKE 'baton\\_replica\\_%' AND account_locked = 'N'),
  'connected', (SELECT JSON_ARRAYAGG(USER) FROM performance_schema.processlist WHERE USER LIKE 'baton\\_replica\\_%'),
  'receiver', (SELECT JSON_OBJECT('host', c.HOST, 'port', c.PORT, 'uuid', s.SOURCE_UUID, 'state', s.SERVICE_STATE,
     'error', IF(s.LAST_ERROR_NUMBER = 0, '', CONCAT(s.LAST_ERROR_NUMBER, ': ', s.LAST_ERROR_MESSAGE)),
     'received', s.RECEIVED_TRANSACTION_SET,
     'heard', IF(s.QUEUEING_TRANSACTION <> '', 0, TIMESTAMPDIFF(MICROSECOND, GREATEST(s.LAST_HEARTBEAT_TIMESTAMP,
       s.LAST_QUEUED_TRANSACTION_END_QUEUE_TIMESTAMP, '1970-01-02'), NOW(6)) / 1e6))
     FROM performance_schema.replication_connection_configuration c
     JOIN performance_schema.replication_connection_status s USING (CHANNEL_NAME) WHERE c.CHANNEL_NAME = ''),
  'applier', (SELECT SERVICE_STATE FROM performance_schema.replication_applier_status WHERE CHANNEL_NAME = ''),
  'applierErrors', (SELECT JSON_ARRAYAGG(e.message) FROM (
     SELECT CONCAT(LAST_ERROR_NUMBER, ': ', LAST_ERROR_MESSAGE) AS message FROM performance_schema.replication_applier_status_by_worker
       WHERE CHANNEL_NAME = '' AND LAST_ERROR_NUMBER <> 0
     UNION ALL SELECT CONCAT(LAST_ERROR_NUMBER, ': ', LAST_ERROR_MESSAGE) FROM performance_schema.replication_applier_status_by_coordinator
       WHERE CHANNEL_NAME = '' AND LAST_ERROR_NUMBER NOT IN (0, ${STOPPED_AMID})) e),
  'behind', (SELECT TIMESTAMPDIFF(MICROSECOND, MIN(w.applying), NOW(6)) / 1e6 FROM (
     SELECT APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP AS applying FROM performance_schema.replication_applier_status_by_worker
       WHERE CHANNEL_NAME = '' AND APPLYING_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP > '1970-01-02') w),
  'lastApplied', (SELECT TIMESTAMPDIFF(MICROSECOND, MAX(w.applied), NOW(6)) / 1e6 FROM (
     SELECT LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP AS applied FROM performance_schema.replication_applier_status_by_worker
       WHERE CHANNEL_NAME = '' AND LAST_APPLIED_TRANSACTION_ORIGINAL_COMMIT_TIMESTAMP > '1970-01-02') w),
  'epoch', ${epoch},
  'transaction', (SELECT MAX(TIMESTAMPDIFF(SECOND, t.trx_started, NOW())) FROM information_schema.innodb_trx t
     JOIN performance_schema.processlist p ON p.ID = t.trx_mysql_thread_id
     WHERE p.USER NOT LIKE 'baton\\_%' AND p.USER NOT IN ('system user', 'event_scheduler')),
  'clone', (SELECT JSON_OBJECT('state', STATE, 'error', ERROR_MESSAGE) FROM performance_schema.clone_status LIMIT 1),
  'cloneBytes', (SELECT JSON_OBJECT('done', SUM(DATA), 'total', SUM(ESTIMATE)) FROM performance_schema.clone_progress)
) AS seen`;

/**
 * ER_MTA_INCONSISTENT_DATA: an applier was stopped in the middle of a transaction, which was rolled back, and goes on when it
 * is started. What a worker can't apply is said by the worker.
 */
const STOPPED_AMID = 1756;

const OBSERVE = observation(EPOCH);
const OBSERVE_WITHOUT_EPOCH = observation('NULL');
/** Unknown database, no such table. */
const NOT_THERE = new Set([1049, 1146]);

interface Seen {
  uuid: string;
  version: string;
  locked: number;
  executed: string;
  purged: string;
  readOnly: number;
  anyReadOnly: number;
  offline: number;
  enabled: number;
  required: number;
  status: Record<string, string>;
  applierWaits?: number;
  donating?: number;
  waitsForRoom?: number;
  unlocked: string[] | null;
  connected: string[] | null;
  receiver: {
    host: string;
    port: number;
    uuid: string;
    state: string;
    error: string;
    received: string;
    heard?: number;
  } | null;
  applier: string | null;
  applierErrors: string[] | null;
  behind: number | null;
  lastApplied: number | null;
  transaction: number | null;
  epoch: { clusterId: string; epoch: number; term: number } | null;
  clone: { state: string; error: string } | null;
  cloneBytes: { done: number | null; total: number | null };
}

/** `holder`: the connection id of the session that should hold the lock. Fails on a server that is none of ours. */
export async function observe(session: Session, holder: number, signal: AbortSignal): Promise<ServerObservation> {
  const [row] = await session.query(OBSERVE, [holder], signal).catch((error: unknown) => {
    // A clone drops every schema first; while it runs, and after it failed, there is no table.
    if (!(error instanceof StatementError && NOT_THERE.has(error.errno))) throw error;
    return session.query(OBSERVE_WITHOUT_EPOCH, [holder], signal);
  });
  const seen = (typeof row?.['seen'] === 'string' ? JSON.parse(row['seen']) : row?.['seen']) as Seen;
  const executed = GtidSet.parse(seen.executed);
  const replica = replicaOf(seen);
  return {
    serverUuid: seen.uuid,
    version: seen.version,
    locked: seen.locked === 1,
    executed,
    purged: GtidSet.parse(seen.purged),
    // A pending SET reads super_read_only 1 and read_only 0: it holds when both read 1.
    access: seen.readOnly !== seen.anyReadOnly ? 'ajar' : seen.readOnly === 1 ? 'closed' : 'open',
    offline: seen.offline === 1,
    source: {
      enabled: seen.enabled === 1,
      active: seen.status['Rpl_semi_sync_source_status'] === 'ON',
      required: seen.required,
      waiting: waitingOf(seen),
      unlocked: ordinals(seen.unlocked),
      connected: ordinals(seen.connected),
    },
    replica,
    epochRow: seen.epoch,
    clone: cloneOf(seen),
    lagSeconds: lagOf(seen, replica, executed),
    oldestTransactionSeconds: seen.transaction ?? 0,
    waitsForRoom: (seen.waitsForRoom ?? 0) > 0,
  };
}

/** Of clients. On a former primary that follows and is not disarmed yet, its own applier waits, too. */
function waitingOf({ status, applierWaits }: Seen): number {
  return Math.max(0, Number(status['Rpl_semi_sync_source_wait_sessions'] ?? 0) - (applierWaits ?? 0));
}

function ordinals(users: readonly string[] | null): number[] {
  if (users === null) return [];
  const found = new Set<number>();
  for (const user of users) {
    const ordinal = ordinalOfReplicationUser(user);
    if (ordinal !== null) found.add(ordinal);
  }
  return [...found].sort((a, b) => a - b);
}

function replicaOf(seen: Seen): ServerObservation['replica'] {
  // RESET REPLICA ALL leaves the channel with an empty host behind until the next restart.
  if (seen.receiver === null || seen.receiver.host === '') return null;
  return {
    sourceHost: seen.receiver.host,
    sourcePort: seen.receiver.port,
    sourceUuid: seen.receiver.uuid,
    receiver: seen.receiver.state === 'ON' ? 'on' : seen.receiver.state === 'CONNECTING' ? 'connecting' : 'off',
    receiverError: seen.receiver.error,
    heardSecondsAgo: seen.receiver.heard ?? null,
    received: GtidSet.parse(seen.receiver.received),
    applier: seen.applier === 'ON' ? 'on' : 'off',
    applierError: seen.applierErrors?.[0] ?? '',
    acking: seen.status['Rpl_semi_sync_replica_status'] === 'ON',
    donating: (seen.donating ?? 0) > 0,
  };
}

function cloneOf(seen: Seen): ServerObservation['clone'] {
  if (seen.clone === null) return null;
  const state = seen.clone.state === 'Completed' ? 'completed' : seen.clone.state === 'Failed' ? 'failed' : 'running';
  return {
    state,
    bytesDone: seen.cloneBytes.done ?? 0,
    bytesTotal: seen.cloneBytes.total ?? 0,
    error: seen.clone.error,
  };
}

/** All applied: 0. Else the age of the oldest transaction being applied, else of the last one applied. */
function lagOf(seen: Seen, replica: ServerObservation['replica'], executed: GtidSet): number | null {
  if (replica === null) return null;
  if (executed.contains(replica.received)) return replica.receiver === 'on' ? 0 : null;
  return seen.behind ?? seen.lastApplied;
}
