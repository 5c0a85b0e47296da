/** A drill is held only where it can't cost anything but a moment. */
import type { DrillStatus } from './cluster.ts';

export const FAULTS = ['kill', 'freeze', 'switchover'] as const;
/** What is done to the primary. */
export type Fault = (typeof FAULTS)[number];

/** Nothing was done. */
export class DrillRefusedError extends Error {
  override readonly name = 'DrillRefusedError';
  readonly code = 'DRILL_REFUSED';
  readonly hint: string;
  constructor(why: string, hint: string) {
    super(`no drill: ${why}`);
    this.hint = hint;
  }
}

/** @throws DrillRefusedError */
export function refuseUnsafe(status: DrillStatus, fault: Fault): void {
  const { state, reason, restarting, replicas, members, durability, primary } = status;
  if (state !== 'healthy' || primary === null || durability === null) {
    throw new DrillRefusedError(
      `expected a healthy cluster, found it ${state}: ${reason}`,
      'With something missing already, one thing more may be too many. Wait until it is healthy: baton status --watch',
    );
  }
  if (replicas < 2) {
    throw new DrillRefusedError(
      'expected at least 2 members, found 1: nobody could take over',
      'Give it replicas first: baton scale 3',
    );
  }
  if (restarting.length > 0 || members.length !== replicas) {
    const busy = restarting.length > 0 ? `members ${restarting.join(', ')} are to be restarted` : 'it is being scaled';
    throw new DrillRefusedError(`expected a cluster at rest, and ${busy}`, 'Wait until that is over: baton up');
  }
  if (durability.mode === 'asynchronous' && fault !== 'switchover') {
    throw new DrillRefusedError(
      'in mode asynchronous the newest writes are lost with the primary, and not only those of the drill',
      'Choose another spec.durability.mode, or try it without a loss: baton drill --switchover',
    );
  }
}
