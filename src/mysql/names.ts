/** The names under which Baton is at home in a MySQL server. */

/** The schema that holds the controller's two rows. */
export const SCHEMA = 'baton';
/** The named lock that a brain holds in one session of each member. */
export const LOCK = 'baton.controller';
export const CONTROLLER_USER = 'baton_controller';
export const CLONE_USER = 'baton_clone';
const REPLICATION_USER_PREFIX = 'baton_replica_';
/** As many members as a resource may ask for. */
export const MAX_MEMBERS = 15;

/** Each member replicates by an account of its own, so that it can be cut off alone. */
export function replicationUser(ordinal: number): string {
  return `${REPLICATION_USER_PREFIX}${ordinal}`;
}

export function ordinalOfReplicationUser(user: string): number | null {
  if (!user.startsWith(REPLICATION_USER_PREFIX)) return null;
  const ordinal = user.slice(REPLICATION_USER_PREFIX.length);
  return /^\d+$/.test(ordinal) ? Number(ordinal) : null;
}
