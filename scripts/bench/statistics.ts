/** What is said of a series of measurements. */

export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly median: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Of at least one value. Percentiles are measured values (nearest rank), never made up between two. */
export function summarise(values: readonly number[]): Summary {
  if (values.length === 0) throw new RangeError('expected measurements, found none');
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { count: sorted.length, min: at(0), median: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

export function median(values: readonly number[]): number {
  return summarise(values).median;
}
