import type { JournalEntry } from './port.ts';

const NEWS: ReadonlySet<string> = new Set(['state', 'record', 'request', 'failed', 'lost']);

/** Whether an entry tells of a change, a decision, a request or a failure; the others are each step in between. */
export function isNews({ kind }: JournalEntry): boolean {
  return NEWS.has(kind);
}
