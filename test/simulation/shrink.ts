/**
 * Fewest faults: takes away what a failure does not need, by halves and then one by one, as long as it still fails alike.
 * What each chance is drawn from is the seed's, whatever is left of the faults.
 */
import type { Planned } from './faults.ts';
import { runHistory, type HistoryOptions, type Outcome } from './history.ts';

/** What is let happen after the last fault, before all is mended. */
const AFTER_MS = 30_000;

export interface ShrinkOptions {
  /** Histories at most. */
  readonly tries: number;
  /** Told of each smaller one. */
  readonly onLess?: (faults: readonly Planned[]) => void;
  readonly run?: (options: HistoryOptions) => Promise<Outcome>;
}

/** What failed, without when and with whom. */
export function kindOf(failure: string): string {
  return failure
    .replace(/^at [\d.]+ s: /, '')
    .replaceAll(/[0-9a-f-]{8,}|\d+/g, '#')
    .slice(0, 24);
}

export async function shrink(outcome: Outcome, options: ShrinkOptions): Promise<Outcome> {
  const { seed, failure } = outcome;
  if (failure === null) return outcome;
  const { onLess, run = runHistory } = options;
  const kind = kindOf(failure);
  let least = outcome;
  let tried = 0;
  const without = async (from: number, to: number): Promise<boolean> => {
    tried++;
    const faults = [...least.faults.slice(0, from), ...least.faults.slice(to)];
    const last = Math.max(0, ...faults.map(({ atMs }) => atMs));
    const less = await run({ seed, faults, stormMs: Math.min(least.stormMs, last + AFTER_MS) });
    if (less.failure === null || kindOf(less.failure) !== kind) return false;
    least = less;
    onLess?.(faults);
    return true;
  };
  const round = async (size: number): Promise<boolean> => {
    const before = least;
    for (let at = 0; at < least.faults.length && tried < options.tries;) {
      if (!(await without(at, at + size))) at += size;
    }
    return least !== before;
  };
  for (let size = Math.ceil(least.faults.length / 2); size > 1; size = Math.ceil(size / 2)) await round(size);
  // What was needed before others went may be needed no more.
  while (tried < options.tries && (await round(1)));
  return least;
}
