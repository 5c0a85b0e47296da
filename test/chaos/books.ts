/** What clients were told and what they read, and every rule that this may break. Knows nothing of servers. */
import type { JournalEntry } from '../../src/control/port.ts';

export const BANK = { accounts: 10, each: 100 } as const;

interface DirectOk {
  readonly ordinal: number;
  /** By the wall clock, in milliseconds. */
  readonly sentMs: number;
  readonly gotMs: number;
}

export class Books {
  readonly violations: string[] = [];
  readonly errors = new Map<string, number>();
  /** By writer: rows that must be there at the end, acknowledged or read through the primary endpoint. */
  readonly rows = new Map<number, Set<number>>();
  /** Tables and accounts: whether each must be there at the end; one whose statement was not answered is in neither. */
  readonly objects = new Map<string, 'there' | 'gone'>();
  readonly counts = { acknowledged: 0, direct: 0, reads: 0 };
  readonly #onViolation: (text: string) => void;
  readonly #directOks: DirectOk[] = [];
  readonly #registerValues = new Set<number>();
  #registerFloor = 0;
  #lastOkMs = performance.now();
  readonly #pauses: { readonly fromMs: number; readonly toMs: number }[] = [];

  constructor(onViolation: (text: string) => void = () => {}) {
    this.#onViolation = onViolation;
  }

  violate(text: string): void {
    this.violations.push(text);
    this.#onViolation(text);
  }

  /** An expected kind of trouble, counted by its words. */
  failed(what: string, error: unknown): void {
    const { message, code } = error as { message?: string; code?: string };
    const text = `${what}: ${(message || code || String(error)).replaceAll(/\d{2,}/g, 'N').slice(0, 100)}`;
    this.errors.set(text, (this.errors.get(text) ?? 0) + 1);
    if (code === 'ER_DUP_ENTRY') this.violate(`a row that was written once is there already: ${text}`);
  }

  // ── Writes ────────────────────────────────────────────────────────────────────────────────────────────────────────

  acknowledged(writer: number, ...numbers: number[]): void {
    this.counts.acknowledged += numbers.length;
    this.#keep(writer, numbers);
  }

  /** By one of the clients that write all the time: between two of these writes stood still. */
  ok(): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastOkMs > PAUSE_MS) this.#pauses.push({ fromMs: this.#lastOkMs, toMs: nowMs });
    this.#lastOkMs = nowMs;
  }

  /** The longest that writes stood still, among the times that touch the given one; all by performance.now(). */
  longestPauseMs(fromMs: number, toMs: number): number {
    const open = { fromMs: this.#lastOkMs, toMs: performance.now() };
    const touching = [...this.#pauses, open].filter((pause) => pause.toMs > fromMs && pause.fromMs < toMs);
    return Math.max(0, ...touching.map((pause) => pause.toMs - pause.fromMs));
  }

  seen(writer: number, numbers: readonly number[]): void {
    this.#keep(writer, numbers);
  }

  #keep(writer: number, numbers: readonly number[]): void {
    const known = this.rows.get(writer) ?? new Set<number>();
    this.rows.set(writer, known);
    for (const n of numbers) known.add(n);
  }

  /** A member itself was written to, past the endpoints, and said OK. */
  directOk(ok: DirectOk): void {
    this.counts.direct++;
    this.#directOks.push(ok);
  }

  // ── A register: a number that only grows ──────────────────────────────────────────────────────────────────────────

  /** To be asked before a read begins: what it reads may not be less. */
  get registerFloor(): number {
    return this.#registerFloor;
  }

  registerWritten(value: number, floor: number): void {
    if (this.#registerValues.has(value))
      this.violate(`two writes of the register were told that they made it ${value}`);
    if (value <= floor) this.violate(`the register was ${floor}, and a write that began later made it ${value}`);
    this.#registerValues.add(value);
    this.#registerFloor = Math.max(this.#registerFloor, value);
  }

  registerRead(value: number, floor: number): void {
    this.counts.reads++;
    if (value < floor)
      this.violate(`reads went back: the register was ${floor}, and a read that began later found ${value}`);
    this.#registerFloor = Math.max(this.#registerFloor, value);
  }

  // ── A bank: what is in it stays the same ──────────────────────────────────────────────────────────────────────────

  /** @param count accounts seen; a replica that is being filled may have none yet. */
  bankRead(where: string, count: number, sum: number): void {
    this.counts.reads++;
    if (count === 0 && where !== 'primary') return;
    if (count === BANK.accounts && sum === BANK.accounts * BANK.each) return;
    this.violate(`the bank held ${sum} in ${count} accounts, read at ${where}`);
  }

  // ── At the end ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** None but the primary said OK: judged by the records in the journal, once that is whole. */
  judgeDirectOks(entries: readonly JournalEntry[]): void {
    const epochs = epochsOf(entries);
    for (const { ordinal, sentMs, gotMs } of this.#directOks) {
      const served = epochs.some(
        ({ primary, fromMs, untilMs }) => (primary ?? ordinal) === ordinal && sentMs <= untilMs && gotMs >= fromMs,
      );
      if (served) continue;
      const at = new Date(gotMs).toISOString();
      this.violate(`member ${ordinal} said OK at ${at} (sent ${gotMs - sentMs} ms before), and was not the primary`);
    }
  }
}

/** Shorter ones are no pauses. */
const PAUSE_MS = 20;

interface Epoch {
  /** Null: its record is not in the journal. It may have been any member's. */
  readonly primary: number | null;
  readonly fromMs: number;
  readonly untilMs: number;
}

/**
 * When each member was the recorded primary. A record's line is written right after the record, so an epoch lasts until the
 * next one's line. The line is missing if the daemon was killed in between; that there was such an epoch is told by others.
 */
export function epochsOf(entries: readonly JournalEntry[]): Epoch[] {
  const known: { readonly epoch: number; readonly primary: number | null; readonly atMs: number }[] = [];
  for (const { at, epoch, text } of entries) {
    if (epoch <= (known.at(-1)?.epoch ?? 0)) continue;
    const named = /\[epoch (\d+), primary (\d+),/.exec(text);
    const primary = named !== null && Number(named[1]) === epoch ? Number(named[2]) : null;
    known.push({ epoch, primary, atMs: Date.parse(at) });
  }
  return known.flatMap(({ epoch, primary, atMs }, at) => {
    const before = known[at - 1];
    const untilMs = known[at + 1]?.atMs ?? Infinity;
    const sinceMs = before?.atMs ?? -Infinity;
    // It began, or one that nobody tells of did, some time before this line.
    const unknown = { primary: null, fromMs: sinceMs, untilMs: primary === null ? untilMs : atMs };
    const missing = primary === null || (before?.epoch ?? 0) !== epoch - 1;
    return [...(missing ? [unknown] : []), ...(primary === null ? [] : [{ primary, fromMs: atMs, untilMs }])];
  });
}
