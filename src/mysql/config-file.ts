/** my.cnf of one member: what the protocol rests on (docs/clustering.md, "MySQL, set up for this"), then the user's. */

export type Setting = string | number | boolean;

export interface MemberConfig {
  readonly ordinal: number;
  /** Another one for every incarnation: MySQL remembers acknowledgements by server_id. */
  readonly serverId: number;
  readonly bindAddress: string;
  readonly port: number;
  readonly adminPort: number;
  readonly dataDir: string;
  readonly socket: string;
  readonly tmpDir: string | null;
  /** Receipts outlive power loss, for half the write rate. */
  readonly powerLoss: boolean;
  /** How soon a replica notices that its source is silent, in seconds. */
  readonly replicaNetTimeoutSeconds: number;
  /** From the resource: for all members, then for this member's role at its start; the later wins. */
  readonly settings: readonly Readonly<Record<string, Setting>>[];
}

/** 4294967295 ms, the longest that rpl_semi_sync_source_timeout takes: a commit waits rather than go unacknowledged. */
export const LONGEST_TIMEOUT_MS = 4_294_967_295;

const PLUGINS = 'semisync_source.so;semisync_replica.so;mysql_clone.so';

function owned(config: MemberConfig): Record<string, Setting> {
  return {
    server_id: config.serverId,
    bind_address: config.bindAddress,
    port: config.port,
    admin_address: config.bindAddress,
    admin_port: config.adminPort,
    create_admin_listener_thread: 'ON',
    mysqlx: 'OFF',
    datadir: config.dataDir,
    socket: config.socket,
    ...(config.tmpDir === null ? {} : { tmpdir: config.tmpDir }),
    pid_file: 'mysqld.pid',
    clone: 'FORCE_PLUS_PERMANENT',
    // The application may use every schema but Baton's and the system's (accounts.ts).
    partial_revokes: 'ON',
    // What was persisted by hand would win against this file, at every start.
    persisted_globals_load: 'OFF',
    // Closed at birth: only the brain opens (invariant 3).
    super_read_only: 'ON',
    skip_replica_start: 'ON',
    event_scheduler: 'OFF',
    rpl_semi_sync_source_enabled: 'OFF',
    rpl_semi_sync_replica_enabled: 'OFF',
    rpl_semi_sync_source_timeout: LONGEST_TIMEOUT_MS,
    rpl_semi_sync_source_wait_no_replica: 'ON',
    rpl_semi_sync_source_wait_point: 'AFTER_SYNC',
    gtid_mode: 'ON',
    enforce_gtid_consistency: 'ON',
    log_bin: 'binlog',
    relay_log: 'relay',
    log_replica_updates: 'ON',
    binlog_format: 'ROW',
    sync_binlog: 1,
    innodb_flush_log_at_trx_commit: 1,
    // Never by age: the controller purges what every member has.
    binlog_expire_logs_seconds: 0,
    // ON would throw away what was acknowledged and not yet applied.
    relay_log_recovery: 'OFF',
    sync_relay_log: config.powerLoss ? 1 : 10_000,
    replica_preserve_commit_order: 'ON',
    replica_net_timeout: config.replicaNetTimeoutSeconds,
    report_host: `baton-${config.ordinal}`,
  };
}

/** What a small server is content with; a resource may say otherwise. */
const DEFAULTS: Readonly<Record<string, Setting>> = {
  skip_name_resolve: 'ON',
  // Rows are logged, so a trigger or a function cannot make members differ; the application may create them.
  loose_log_bin_trust_function_creators: 'ON',
  loose_innodb_redo_log_capacity: '64M',
  innodb_buffer_pool_size: '128M',
  replica_parallel_workers: 4,
  max_connections: 500,
  back_log: 500,
  loose_innodb_use_native_aio: 'OFF',
  log_error_verbosity: 2,
  max_allowed_packet: '64M',
  innodb_flush_neighbors: 0,
  // A tenth of what MySQL sets aside for looking back: 100 MB less a member, and a killed one is gone the sooner.
  performance_schema_digests_size: 1000,
  performance_schema_events_statements_history_long_size: 100,
  performance_schema_events_waits_history_long_size: 100,
  performance_schema_events_stages_history_long_size: 100,
  performance_schema_events_transactions_history_long_size: 100,
  // A member that was killed has to shut and open its files quickly.
  innodb_fast_shutdown: 1,
};

function line(name: string, value: Setting): string {
  const shown = typeof value === 'boolean' ? (value ? 'ON' : 'OFF') : String(value);
  if (/[\r\n]/.test(shown) || !/^[a-z0-9_.-]+$/i.test(name)) throw new Error(`not a MySQL setting: ${name}`);
  return `${name} = ${shown}\n`;
}

/** Settings by their canonical name: dashes and underscores are the same to MySQL. */
function canonical(settings: Readonly<Record<string, Setting>>): Record<string, Setting> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name.replaceAll('-', '_'), value]));
}

export function configFile(config: MemberConfig): string {
  const chosen: Record<string, Setting> = {};
  for (const settings of [DEFAULTS, ...config.settings.map(canonical), owned(config)]) Object.assign(chosen, settings);
  // Those of the resource are loaded beside ours.
  const plugins = config.settings.map((settings) => canonical(settings)['plugin_load_add'] ?? '');
  chosen['plugin_load_add'] = [PLUGINS, ...plugins].filter((names) => names !== '').join(';');
  const lines = Object.entries(chosen).map(([name, value]) => line(name, value));
  return `# Written by Baton at every start of this member; change the resource instead.\n[mysqld]\n${lines.join('')}`;
}
