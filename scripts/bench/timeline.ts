/** Where milliseconds go: what a journal tells of the steps of one thing. */
import type { JournalEntry } from '../../src/control/port.ts';
import type { Breakdown, Series } from './result.ts';
import { median } from './statistics.ts';

/** Steps by name, in order, each with when it was over, in milliseconds since the beginning. */
export type Timeline = readonly (readonly [string, number])[];

/** A name; a line of the journal, `kind text`, that says it is over; which of several counts (default: the last). */
export type Step = readonly [string, RegExp, 'first'?];

/** Ends with the first write that was acknowledged to the client. A step that did not come took no time. */
export function timelineOf(
  journal: readonly JournalEntry[],
  steps: readonly Step[],
  beganAtMs: number,
  endedAtMs: number,
): Timeline {
  const timeline: (readonly [string, number])[] = [];
  const during = journal.filter(({ at }) => Date.parse(at) >= beganAtMs - 1 && Date.parse(at) <= endedAtMs + 1);
  for (const [name, line, which] of steps) {
    const matches = ({ kind, text }: JournalEntry): boolean => line.test(`${kind} ${text}`);
    const found = which === 'first' ? during.find(matches) : during.findLast(matches);
    const before = timeline.at(-1)?.[1] ?? 0;
    timeline.push([name, found === undefined ? before : Math.max(before, Date.parse(found.at) - beganAtMs)]);
  }
  return [...timeline, ['first write acknowledged', endedAtMs - beganAtMs]];
}

export function breakdown(title: string, timelines: readonly Timeline[]): Breakdown {
  const names = timelines[0]?.map(([name]) => name) ?? [];
  const steps = names.map((label, at): Series => {
    return { label, unit: 'ms', values: timelines.map((timeline) => timeline[at]?.[1] ?? 0) };
  });
  return { title, steps };
}

/** How long each step took after the one before, in the middle. */
export function durations(timelines: readonly Timeline[]): Series[] {
  const names = timelines[0]?.map(([name]) => name) ?? [];
  return names.map((label, at) => {
    const values = timelines.map((timeline) => (timeline[at]?.[1] ?? 0) - (timeline[at - 1]?.[1] ?? 0));
    return { label, unit: 'ms', values: [median(values)] };
  });
}
