/** Drop the binlogs that every member has. */
import { GtidSet } from '../../gtid/gtid-set.ts';
import type { Session } from '../session.ts';

/** Purges the oldest files whose every transaction is in `held`; never the file in use. Returns how many. */
export async function purge(session: Session, held: GtidSet, signal: AbortSignal): Promise<number> {
  const files = (await session.query('SHOW BINARY LOGS', [], signal)).map((row) => String(row['Log_name']));
  let first: string | undefined;
  let dropped = 0;
  // A file may go when all before its successor is held; the sets only grow, so the first that is not ends it.
  for (const next of files.slice(1)) {
    const before = await previousGtids(session, next, signal);
    if (before === null || !held.contains(before)) break;
    first = next;
    dropped += 1;
  }
  if (first !== undefined) await session.query('PURGE BINARY LOGS TO ?', [first], signal);
  return dropped;
}

async function previousGtids(session: Session, file: string, signal: AbortSignal): Promise<GtidSet | null> {
  for (const event of await session.query('SHOW BINLOG EVENTS IN ? LIMIT 3', [file], signal)) {
    if (event['Event_type'] === 'Previous_gtids') return GtidSet.parse(String(event['Info']));
  }
  return null;
}
