/**
 * MySQL's variables as users may set them: names normalised, and those that Baton sets refused with why.
 *
 * mysqld reads a dash and an underscore in an option's name alike, older names (slave, master) beside newer ones, and
 * the prefixes loose, skip, disable, enable and maximum, even nested (MySQL manual, "Program Option Modifiers"; tried).
 * So a variable is judged by the bare name that all of these come down to.
 */
import type { z } from 'zod';

export type VariableValue = string | number | boolean;

/** What Baton sets itself (`*` stands for any ending), and why it is not the user's to set. */
export const OWNED_VARIABLES: readonly { readonly names: readonly string[]; readonly why: string }[] = [
  owned('every decision rests on GTID sets', 'gtid_mode enforce_gtid_consistency gtid_purged gtid_executed gtid_next'),
  owned(
    'it is how members and their acknowledgements are told apart',
    'server_id server_id_bits server_uuid replicate_same_server_id',
  ),
  owned(
    'Baton opens the primary and keeps every other member closed',
    'super_read_only read_only offline_mode innodb_read_only transaction_read_only',
  ),
  owned('a member starts closed, and follows when Baton says so', 'skip_replica_start'),
  owned('spec.durability decides what a commit waits for', 'rpl_semi_sync_* rpl_stop_replica_timeout'),
  owned('spec.durability.powerLoss decides', 'sync_relay_log sync_relay_log_info'),
  owned('a commit that was acknowledged must be on disk', 'sync_binlog innodb_flush_log_at_trx_commit'),
  owned(
    'every member has a binary log of all it executed, so that any can become the primary',
    'log_bin log_bin_index log_bin_basename sql_log_bin log_replica_updates binlog_error_action binlogging_impossible_mode',
  ),
  owned('replicas repeat rows, not statements, so that members stay equal', 'binlog_format'),
  owned(
    'a filtered replica lacks rows, so it could not become the primary without losing them',
    'replicate_* binlog_do_db binlog_ignore_db',
  ),
  owned('Baton purges binary logs, never one that a member still needs', 'binlog_expire_logs_* expire_logs_days'),
  owned('members commit in one order', 'binlog_order_commits replica_preserve_commit_order replica_parallel_type'),
  owned(
    'what a replica received and acknowledged must be there after a restart',
    'relay_log relay_log_* source_info_* sync_source_info',
  ),
  owned(
    'it would make members differ',
    'replica_skip_errors sql_replica_skip_counter replica_exec_mode init_replica init_file',
  ),
  owned('spec.detection decides how soon silence is noticed', 'replica_net_timeout source_retry_count'),
  owned(
    'Baton gives members their addresses; spec.endpoints holds the ones for clients',
    'port port_open_timeout socket bind_address admin_address admin_port create_admin_listener_thread skip_networking report_*',
  ),
  owned(
    'Baton gives each member a directory of its own; spec.storage says where',
    'datadir innodb_data_home_dir innodb_log_group_home_dir innodb_undo_directory innodb_directories innodb_doublewrite_dir innodb_temp_tablespaces_dir pid_file log_error',
  ),
  owned(
    'it is how Baton starts mysqld; spec.mysql says which',
    'basedir plugin_dir lc_messages_dir character_sets_dir user chroot daemonize defaults_* no_defaults initialize initialize_insecure upgrade help verbose validate_config print_defaults console gdb install install_manual remove local_service standalone keyring_migration_*',
  ),
  owned('what was persisted by hand would win over the resource', 'persisted_globals_load persist_only_*'),
  owned('it keeps the application out of the schemas of MySQL and Baton', 'partial_revokes'),
  owned(
    'Baton and the replicas must be able to log in, and nobody without a password',
    'skip_grant_tables require_secure_transport',
  ),
  owned(
    'Baton loads the plugins that the cluster needs; plugin_load_add adds to them',
    'plugin_load clone clone_valid_donor_list group_replication group_replication_* ndbcluster',
  ),
  owned("the endpoints speak MySQL's classic protocol only", 'mysqlx mysqlx_*'),
  owned('Baton observes members through it', 'performance_schema terminology_use_previous'),
  owned(
    'it gives up rows that were acknowledged; a broken member is rebuilt instead',
    'innodb_force_recovery innodb_force_load_corrupted tc_heuristic_recover',
  ),
];

function owned(why: string, names: string): { names: string[]; why: string } {
  return { why, names: names.split(' ') };
}

/** Cannot be changed while mysqld runs (9.x, tried one by one), so not with the role. Owned ones are not repeated here. */
const STATIC = new RegExp(
  `^(${[
    'auto_generate_certs|back_log|binlog_(gtid_simple_recovery|rotate_encryption_master_key_at_startup|row_event_max_size)',
    '(caching_)?sha(2|256)_password_(auto_generate_rsa_keys|private_key_path|public_key_path)|container_aware|core_file',
    'disabled_storage_engines|disconnect_on_expired_password|ft_(max_word_len|min_word_len|query_expansion_limit|stopword_file)',
    'innodb_(adaptive_hash_index_parts|api_.*|autoinc_lock_mode|buffer_pool_(chunk_size|instances|load_at_startup)|data_file_path)',
    'innodb_(dedicated_server|doublewrite_(batch_size|files|pages)|flush_method|log_file_size|log_files_in_group|native_foreign_keys)',
    'innodb_ft_(cache_size|max_token_size|min_token_size|sort_pll_degree|total_cache_size)|innodb_numa_interleave|innodb_open_files',
    'innodb_(page_cleaners|page_size|purge_threads|read_io_threads|rollback_on_timeout|sort_buffer_size|sync_array_size)',
    'innodb_(temp_data_file_path|use_native_aio|validate_tablespace_paths|write_io_threads)|large_pages|lower_case_table_names',
    'max_digest_length|myisam_(mmap_size|recover_options)|ngram_token_size|open_files_limit|performance_schema_(max_.*|.*_size)',
    'persist_sensitive_variables_in_plaintext|plugin_load_add|early_plugin_load|replica_load_tmpdir|secure_file_priv|server_memory',
    'external_locking|name_resolve|show_database|ssl_fips_mode|table_open_cache_instances|thread_handling|thread_stack',
    'tls_certificates_enforced_validation|tmpdir|default_time_zone',
  ].join('|')})$`,
);

/** `skip-log-bin` → `skip_log_bin`: one spelling for one option. */
const normaliseName = (name: string): string => name.toLowerCase().replaceAll('-', '_');

/** `loose_skip_slave_start` → `replica_start`: what all spellings of a variable have in common. */
function bareName(name: string): string {
  let bare = normaliseName(name);
  for (let previous = ''; previous !== bare;) {
    previous = bare;
    bare = bare.replace(/^(loose|skip|disable|enable|maximum)_(?=.)/, '');
  }
  return bare.replaceAll('slave', 'replica').replaceAll('master', 'source');
}

const OWNED = OWNED_VARIABLES.flatMap(({ names, why }) => names.map((name) => ({ bare: bareName(name), why })));

/** Why Baton sets a variable itself, or undefined if it is the user's. */
export function whyOwned(name: string): string | undefined {
  const wanted = bareName(name);
  return OWNED.find(({ bare }) => (bare.endsWith('*') ? wanted.startsWith(bare.slice(0, -1)) : wanted === bare))?.why;
}

/** Whether mysqld reads a variable only when it starts. */
export const isStatic = (name: string): boolean => STATIC.test(bareName(name));

const NAME = /^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$/;

/** A check of a map of variables; `roleSpecific` for one that changes when the member's role does. */
export const checkVariables =
  (roleSpecific: boolean) =>
  (config: Record<string, VariableValue>, context: z.core.$RefinementCtx<Record<string, VariableValue>>): void => {
    const seen = new Map<string, string>();
    for (const [name, value] of Object.entries(config)) {
      const message = refusal(name, value, roleSpecific) ?? repeated(name, seen);
      if (message !== undefined) {
        context.addIssue({ code: 'custom', path: [name], message, params: { refused: true }, input: value });
      }
    }
  };

function refusal(name: string, value: VariableValue, roleSpecific: boolean): string | undefined {
  if (!NAME.test(normaliseName(name)) || name.length > 128)
    return 'not the name of a MySQL variable; write one, such as max_connections';
  const why = whyOwned(name);
  if (why !== undefined) return `Baton sets this itself: ${why}; remove it`;
  if (roleSpecific && isStatic(name))
    return 'mysqld reads this only when it starts, but roles change while it runs; move it to spec.mysql.config';
  // oxlint-disable-next-line no-control-regex -- a line break would smuggle another option into the file
  if (typeof value === 'string' && /[\0-\x08\n-\x1f\x7f]/.test(value))
    return 'a value is one line of text; remove the line breaks and control characters';
  if (typeof value === 'string' && value.length > 4096) return 'a value has at most 4096 characters; shorten it';
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
    return 'too large to be read as an exact number; write it in quotes';
  return undefined;
}

function repeated(name: string, seen: Map<string, string>): string | undefined {
  const normal = normaliseName(name).replace(/^loose_/, '');
  const former = seen.get(normal);
  seen.set(normal, name);
  return former === undefined ? undefined : `the same variable as "${former}"; keep one of them`;
}

/** Names as mysqld's own documentation of system variables writes them, with underscores. */
export const normaliseNames = (config: Record<string, VariableValue>): Record<string, VariableValue> =>
  Object.fromEntries(Object.entries(config).map(([name, value]) => [normaliseName(name), value]));
