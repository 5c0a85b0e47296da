/** The controller's own rows. Each may wait for an acknowledgement, so it is written in a session of its own. */
import { SCHEMA } from '../names.ts';
import type { Session } from '../session.ts';

const LOGGED = 'SET SESSION sql_log_bin = 1, lock_wait_timeout = 5, innodb_lock_wait_timeout = 5';

/** The epoch's first write: what tells a later brain which epoch this data has seen. */
export async function writeEpoch(
  session: Session,
  row: { clusterId: string; epoch: number; term: number },
  signal: AbortSignal,
): Promise<void> {
  await session.query(LOGGED, [], signal);
  await session.query(
    `REPLACE INTO ${SCHEMA}.epoch (id, cluster, epoch, term) VALUES (1, ?, ?, ?)`,
    [row.clusterId, row.epoch, row.term],
    signal,
  );
}

/** Rows that barriers are written to, by turns. */
const BARRIERS = 120;

/**
 * What a barrier has passed, has passed: acknowledged by as many as a commit waits for now. One that waits keeps its row
 * locked, and if its acknowledgement was lost, the next is what releases it: so that one is written to another row.
 */
export async function writeBarrier(session: Session, signal: AbortSignal): Promise<void> {
  await session.query(LOGGED, [], signal);
  await session.query(
    `INSERT INTO ${SCHEMA}.barrier (id, passed) VALUES (?, 1) ON DUPLICATE KEY UPDATE passed = passed + 1`,
    [1 + (session.id % BARRIERS)],
    signal,
  );
}
