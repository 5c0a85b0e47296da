/** Seal a replica: its receiver is stopped, so it acknowledges nothing more; what it received can be read afterwards. */
import type { Session } from '../session.ts';
import { startReplica } from './start.ts';

/** Returns once the receiver is seen stopped: 0.05 s while it reads, 2 s while it connects (docs/mysql.md). */
export async function seal(session: Session, signal: AbortSignal): Promise<void> {
  // The applier goes on: what was received has to be applied before anything else is done with this member.
  await session.query('STOP REPLICA IO_THREAD', [], signal);
}

/** Apply what a sealed replica received. */
export async function apply(session: Session, signal: AbortSignal): Promise<void> {
  await startReplica(session, signal, 'SQL_THREAD');
}
