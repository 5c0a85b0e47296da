/** Who may replicate from this server: accounts are opened and closed here alone, unlogged, one by one. */
import { replicationUser } from '../names.ts';
import { StatementError, type Session } from '../session.ts';

export async function unlockAccounts(
  session: Session,
  ordinals: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  if (ordinals.length === 0) return;
  const users = ordinals.map((ordinal) => `'${replicationUser(ordinal)}'@'%'`);
  await session.query(`ALTER USER ${users.join(', ')} ACCOUNT UNLOCK`, [], signal);
}

const LOGGING_IN = 'unauthenticated user';
/** A login is over within milliseconds. Who connects and says nothing would be waited for as long as connect_timeout. */
const LOGIN_ROUNDS = 20;

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
     OR (USER = '${LOGGING_IN}' AND ID <= ${last})`;
  for (let round = 0; ; round++) {
    const connections = await session.query(suspects, [], signal);
    if (connections.length === 0) return;
    for (const connection of connections) {
      if (connection['USER'] !== LOGGING_IN || round >= LOGIN_ROUNDS)
        await kill(session, Number(connection['ID']), signal);
    }
    await session.query('DO SLEEP(0.005)', [], signal);
  }
}

/** One that is gone already is no error. */
export async function kill(session: Session, id: number, signal: AbortSignal): Promise<void> {
  try {
    await session.query(`KILL CONNECTION ${id}`, [], signal);
  } catch (error) {
    if (!(error instanceof StatementError && error.errno === 1094)) throw error;
  }
}
