/** New passwords for the accounts that people and applications use. */
import type { Session } from '../session.ts';

export interface NewPasswords {
  readonly root: string;
  readonly application: string;
  readonly applicationUser: string;
}

/**
 * On the open primary, as anybody may who is allowed to: logged, so that every member has them, and acknowledged. Sessions
 * that are there stay. Done twice, it is as done once; a session that breaks leaves it open whether it was done.
 */
export async function changePasswords(
  session: Session,
  { root, application, applicationUser }: NewPasswords,
  signal: AbortSignal,
): Promise<void> {
  await session.query('SET SESSION sql_log_bin = 1, lock_wait_timeout = 2', [], signal);
  // One statement: both are changed, or none.
  await session.query(
    `ALTER USER IF EXISTS 'root'@'localhost' IDENTIFIED BY ?, ?@'%' IDENTIFIED BY ?`,
    [root, applicationUser, application],
    signal,
  );
}
