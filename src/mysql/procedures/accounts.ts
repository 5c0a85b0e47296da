/** Who may replicate from this server: accounts are opened and closed here alone, unlogged, one by one. */
import { replicationUser } from '../names.ts';
import { StatementError, type Row, type Session } from '../session.ts';

export async function unlockAccounts(
  session: Session,
  ordinals: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  if (ordinals.length === 0) return;
  const users = ordinals.map((ordinal) => `'${replicationUser(ordinal)}'@'%'`);
  await session.query(`ALTER USER ${users.join(', ')} ACCOUNT UNLOCK`, [], signal);
}

/**
 * Cuts members off: LOCK alone lets a connection acknowledge on, KILL alone is back in 40 ms; so lock, kill, and see
 * every connection gone, those included that were still logging in when the lock came.
 */
export async function lockOut(session: Session, ordinals: readonly number[], signal: AbortSignal): Promise<void> {
  if (ordinals.length === 0) return;
  const users = ordinals.map((ordinal) => `'${replicationUser(ordinal)}'`);
  await session.query(`ALTER USER ${users.map((user) => `${user}@'%'`).join(', ')} ACCOUNT LOCK`, [], signal);
  const [row] = await session.query('SELECT MAX(ID) AS last FROM performance_schema.processlist', [], signal);
  const last = Number(row?.['last'] ?? 0);
  const suspects = `SELECT ID, USER FROM performance_schema.processlist WHERE USER IN (${users.join(', ')})
     OR (USER = 'unauthenticated user' AND ID <= ${last})`;
  while (true) {
    const connections = await session.query(suspects, [], signal);
    if (connections.length === 0) return;
    for (const connection of connections) await kill(session, connection, signal);
    await session.query('DO SLEEP(0.005)', [], signal);
  }
}

async function kill(session: Session, connection: Row, signal: AbortSignal): Promise<void> {
  if (connection['USER'] === 'unauthenticated user') return;
  try {
    await session.query(`KILL CONNECTION ${Number(connection['ID'])}`, [], signal);
  } catch (error) {
    if (!(error instanceof StatementError && error.errno === 1094)) throw error;
  }
}
