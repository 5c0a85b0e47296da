/** Fewest faults: takes away what a failure does not need, by halves and then one by one, as long as it still fails alike. */
import type { Planned } from './faults.ts';
import { runHistory, type Outcome } from './history.ts';

/** What failed, without when and with whom. */
export function kindOf(failure: string): string {
  return failure
    .replace(/^at [\d.]+ s: /, '')
    .replaceAll(/[0-9a-f-]{8,}|\d+/g, '#')
    .slice(0, 24);
}

/** Tries at most `tries` histories. `onLess` is told of each smaller one. */
export async function shrink(
  outcome: Outcome,
  tries: number,
  onLess: (faults: readonly Planned[]) => void,
): Promise<Outcome> {
  const { seed, failure } = outcome;
  if (failure === null) return outcome;
  const kind = kindOf(failure);
  let least = outcome;
  let left = tries;
  for (let size = Math.ceil(least.faults.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < least.faults.length && left > 0; left--) {
      const faults = [...least.faults.slice(0, at), ...least.faults.slice(at + size)];
      const last = Math.max(0, ...faults.map(({ atMs }) => atMs));
      const stormMs = Math.min(least.stormMs, last + 30_000);
      const less = await runHistory({ seed, faults, stormMs });
      if (less.failure !== null && kindOf(less.failure) === kind) {
        least = less;
        onLess(faults);
      } else {
        at += size;
      }
    }
  }
  return least;
}
