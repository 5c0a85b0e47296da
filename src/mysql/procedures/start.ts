/** Start replication threads. */
import { StatementError, type Session } from '../session.ts';

/** ER_REPLICA_RLI_INIT_REPOSITORY: failed to initialize applier metadata structure from the repository. */
const NO_APPLIER_METADATA = 1872;

/**
 * A CHANGE REPLICATION SOURCE that sets a channel up and is killed half-way, as by the brain that takes over, leaves it
 * without applier metadata: it never received anything, and can't be started. Another CHANGE doesn't mend that; RESET
 * REPLICA does, and keeps the source (docs/mysql.md).
 */
export async function startReplica(
  session: Session,
  signal: AbortSignal,
  thread: 'IO_THREAD' | 'SQL_THREAD',
): Promise<void> {
  const start = `START REPLICA ${thread}`;
  try {
    await session.query(start, [], signal);
  } catch (error) {
    if (!(error instanceof StatementError && error.errno === NO_APPLIER_METADATA)) throw error;
    const metadata = await session.query(
      `SELECT Channel_name FROM mysql.slave_relay_log_info WHERE Channel_name = ''`,
      [],
      signal,
    );
    // Where there is metadata, there may be something received and not yet applied.
    if (metadata.length > 0) throw error;
    await session.run(['RESET REPLICA', start], signal);
  }
}
