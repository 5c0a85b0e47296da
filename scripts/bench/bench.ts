/** What every part of the benchmark works with. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Distribution } from '../../src/local/distribution.ts';
import type { Findings } from './result.ts';

export interface Bench {
  /** The repository. */
  readonly root: string;
  /** A directory of this run's own, removed at its end. */
  readonly directory: string;
  readonly distribution: Distribution;
  /** An initialised data directory. */
  readonly template: string;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** How often to measure: what was asked for, else `usual`. */
  rounds(usual: number): number;
  /** One line that tells how far things are. */
  progress(text: string): void;
}

export interface Part {
  readonly title: string;
  /** Heavy: only when asked for by name. */
  readonly onlyByName?: boolean;
  run(bench: Bench): Promise<Findings | Skipped>;
}

/** A part that can't be measured here and now. */
export interface Skipped {
  readonly skipped: string;
}

/** Rejects when the run was interrupted. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal });
}

/** Looks again and again until it holds; rejects after `timeoutMs`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  signal: AbortSignal,
  { timeoutMs = 60_000, everyMs = 20 } = {},
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not so within ${timeoutMs / 1000} s: ${what}`);
    await sleep(everyMs, signal);
  }
}

/** The time of day, as other processes write it, to a fraction of a millisecond. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
