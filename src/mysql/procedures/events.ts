/** Events that came by replication lie disabled; on a primary they run, for those who made them. */
import type { Session } from '../session.ts';

/** Enables them here alone, keeping each one's definer. */
export async function enableEvents(session: Session, signal: AbortSignal): Promise<void> {
  const events = await session.query(
    `SELECT EVENT_SCHEMA AS s, EVENT_NAME AS n, DEFINER AS definer FROM information_schema.EVENTS
      WHERE STATUS IN ('SLAVESIDE_DISABLED', 'REPLICA_SIDE_DISABLED')`,
    [],
    signal,
  );
  for (const event of events) {
    const [user, host] = split(String(event['definer']));
    await session.query(
      `ALTER DEFINER = ?@? EVENT ${name(event['s'])}.${name(event['n'])} ENABLE`,
      [user, host],
      signal,
    );
  }
}

function split(definer: string): [string, string] {
  const at = definer.lastIndexOf('@');
  return [definer.slice(0, at), definer.slice(at + 1)];
}

function name(value: unknown): string {
  return `\`${String(value).replaceAll('`', '``')}\``;
}
