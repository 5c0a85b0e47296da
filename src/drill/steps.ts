/** What of a change of primaries has happened so far, read from the journal. */
import type { JournalEntry } from '../control/port.ts';

export const STEPS = ['detect', 'drain', 'close', 'seal', 'apply', 'choose', 'promote', 'endpoint'] as const;

export interface Step {
  readonly step: (typeof STEPS)[number];
  /** Since the fault, in milliseconds. */
  readonly atMs: number;
  /** Since the step before, in milliseconds. */
  readonly ms: number;
  readonly text: string;
}

/** Both clocks may be a little apart, where the journal is written on another machine. */
const SKEW_MS = 1000;

export class Steps {
  readonly done: Step[] = [];
  readonly #faultAtMs: number;
  /** Seals that count are those before the choice; the last of them ends the step. */
  #sealed: { readonly atMs: number; readonly members: readonly string[] } | null = null;
  #applying: string | null = null;
  #opened = false;
  #written = false;

  /** @param faultAtMs by the wall clock, as in Date.now(). */
  constructor(faultAtMs: number) {
    this.#faultAtMs = faultAtMs;
  }

  /** Whether the endpoint leads to a primary again. */
  get over(): boolean {
    return this.done.at(-1)?.step === 'endpoint';
  }

  /** The steps that ended with this entry. */
  take({ at, kind, text }: JournalEntry): readonly Step[] {
    const atMs = Date.parse(at) - this.#faultAtMs;
    if (atMs < -SKEW_MS || this.over) return [];
    const before = this.done.length;
    this.#look(kind, text, Math.max(0, atMs));
    return this.done.slice(before);
  }

  #look(kind: string, text: string, atMs: number): void {
    const chosen = this.#has('choose');
    if (kind === 'state') this.#state(text, atMs);
    else if (kind === 'record' && /^(failover|switchover):/.test(text)) this.#choose(text, atMs);
    else if (kind === 'done' && !chosen && text.startsWith('seal ')) {
      this.#sealed = { atMs, members: [...(this.#sealed?.members ?? []), text.slice('seal '.length)] };
    } else if (kind === 'done' && !chosen && text.startsWith('close ')) this.#end('close', atMs, text);
    else if (kind === 'done' && text.startsWith('open ') && !this.#opened) {
      this.#opened = true;
      this.#end('promote', atMs, `${text.slice('open '.length)} is open`);
    } else if (kind === 'done' && text.startsWith('write-epoch ')) this.#written = this.#opened;
  }

  #state(text: string, atMs: number): void {
    const [state, reason] = split(text);
    if (!this.#has('detect') && !this.#has('drain')) {
      if (state === 'failing-over' || state === 'lost') this.#end('detect', atMs, reason.replace(/: sealing.*/, ''));
      // Nobody has to notice it.
      else if (state === 'switching') this.#end('drain', atMs, 'new connections wait');
    }
    if (reason.endsWith(' applies what it received') || reason.endsWith(' catches up')) this.#applying ??= reason;
    // Endpoints lead to a primary whenever the state is one of these.
    if (this.#written && (state === 'degraded' || state === 'healthy')) {
      this.#end('endpoint', atMs, 'its first write is acknowledged; the endpoint leads there');
    }
  }

  #choose(text: string, atMs: number): void {
    if (this.#has('choose')) return;
    const { members = [], atMs: sealedAtMs = 0 } = this.#sealed ?? {};
    if (members.length > 0) this.#end('seal', sealedAtMs, members.join(', '));
    if (this.#applying !== null) this.#end('apply', atMs, this.#applying.replace(/^.*: /, ''));
    const epoch = /\[epoch (\d+), primary (\d+)/.exec(text);
    this.#end('choose', atMs, epoch === null ? text : `member ${epoch[2]}, epoch ${epoch[1]}`);
  }

  #has(step: Step['step']): boolean {
    return this.done.some((one) => one.step === step);
  }

  #end(step: Step['step'], atMs: number, text: string): void {
    const beforeMs = this.done.at(-1)?.atMs ?? 0;
    this.done.push({ step, atMs, ms: Math.max(0, atMs - beforeMs), text });
  }
}

function split(text: string): [string, string] {
  const at = text.indexOf(': ');
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 2)];
}
