/** What a part of the benchmark has found: what the tables, the page and the plots are made of. */

export type Unit = 'ms' | 'µs' | 's' | '/s' | 'MB' | '%';

export interface Series {
  readonly label: string;
  readonly unit: Unit;
  /** Every measurement, in the order in which it was made. */
  readonly values: readonly number[];
}

/** A row of the table of targets. */
export interface Verdict {
  readonly what: string;
  readonly baseline: string;
  readonly measured: string;
  readonly target: string;
  /** Null: there is no target, or it could not be judged. */
  readonly met: boolean | null;
}

/** How the milliseconds of one thing come about: steps in order, each with what it took in every round. */
export interface Breakdown {
  readonly title: string;
  readonly steps: readonly Series[];
}

export interface Plot {
  /** The file's name, without `.svg`. */
  readonly name: string;
  readonly title: string;
  readonly kind: 'cumulative' | 'bars';
  readonly series: readonly Series[];
  /** A line to compare with: a target, in the series' unit. */
  readonly mark?: { readonly label: string; readonly value: number };
}

export interface Findings {
  readonly series: readonly Series[];
  readonly verdicts: readonly Verdict[];
  readonly breakdowns?: readonly Breakdown[];
  readonly plots: readonly Plot[];
  /** How it was measured, in a few sentences. */
  readonly method: string;
}

/** Part of a result's file: which program, on which machine, when. */
export interface Setting {
  readonly at: string;
  readonly commit: string;
  readonly machine: string;
  readonly versions: string;
  /** The load average when it began: another's work on the same processors. */
  readonly loadBefore: number;
}

export interface Result {
  readonly title: string;
  readonly setting: Setting;
  readonly findings: Findings;
}
