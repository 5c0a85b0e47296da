/** What tests measure: shown, and kept in the file that BATON_TEST_RESULTS names, from which a page is made. */
import { appendFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { TestContext } from 'node:test';

export interface Measurement {
  /** One line of the table. */
  readonly what: string;
  readonly unit: 'ms' | 'MB' | '%';
  readonly values: readonly number[];
}

/** As kept: the machine's load beside it, the average of the last five minutes. */
export interface Kept extends Measurement {
  readonly load: number;
}

export function measured(t: TestContext, { what, unit, values }: Measurement): void {
  const sorted = values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  t.diagnostic(
    sorted.length === 1
      ? `${what}: ${median} ${unit}`
      : `${what}: median ${median} ${unit}, worst ${sorted.at(-1)} ${unit} of ${sorted.length} (${values.join(', ')})`,
  );
  const file = process.env['BATON_TEST_RESULTS'];
  if (file !== undefined)
    appendFileSync(file, `${JSON.stringify({ what, unit, values, load: loadavg()[1] ?? 0 } satisfies Kept)}\n`);
}
