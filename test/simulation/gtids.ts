/** A GTID set that grows in place. The brain's own is immutable and proven by itself; this one serves the simulated servers. */
import type { Transaction } from './transaction.ts';

export class Gtids {
  /** By server_uuid, ascending edges: at an even index a run begins, at the odd one after it, it has ended. */
  readonly #runs = new Map<string, number[]>();
  #text: string | null = '';
  /** What of the text is the same as before: the runs of servers that did not write since. */
  readonly #texts = new Map<string, string>();

  /** Reads what `toString` prints. */
  static parse(text: string): Gtids {
    const set = new Gtids();
    for (const part of text === '' ? [] : text.split(',')) {
      const [uuid = '', ...runs] = part.split(':');
      for (const run of runs) {
        const [from = '', to = from] = run.split('-');
        set.#addRun(uuid, Number(from), Number(to) + 1);
      }
    }
    return set;
  }

  add({ uuid, number }: Pick<Transaction, 'uuid' | 'number'>): void {
    this.#addRun(uuid, number, number + 1);
  }

  #addRun(uuid: string, from: number, to: number): void {
    this.#text = null;
    this.#texts.delete(uuid);
    const runs = this.#runs.get(uuid);
    if (runs === undefined) {
      this.#runs.set(uuid, [from, to]);
      return;
    }
    const end = runs[runs.length - 1] as number;
    if (from === end) {
      runs[runs.length - 1] = to;
      return;
    }
    if (from > end) {
      runs.push(from, to);
      return;
    }
    const pairs: [number, number][] = [[from, to]];
    for (let i = 0; i < runs.length; i += 2) pairs.push([runs[i] as number, runs[i + 1] as number]);
    pairs.sort((a, b) => a[0] - b[0]);
    runs.length = 0;
    for (const [first, last] of pairs) {
      const open = runs[runs.length - 1];
      if (open === undefined || first > open) runs.push(first, last);
      else if (last > open) runs[runs.length - 1] = last;
    }
  }

  addAll(other: Gtids): void {
    for (const [uuid, runs] of other.#runs) {
      for (let i = 0; i < runs.length; i += 2) this.#addRun(uuid, runs[i] as number, runs[i + 1] as number);
    }
  }

  has({ uuid, number }: Pick<Transaction, 'uuid' | 'number'>): boolean {
    const runs = this.#runs.get(uuid);
    if (runs === undefined) return false;
    for (let i = runs.length - 2; i >= 0; i -= 2) {
      if (number >= (runs[i] as number)) return number < (runs[i + 1] as number);
    }
    return false;
  }

  contains(other: Gtids): boolean {
    for (const [uuid, runs] of other.#runs) {
      const mine = this.#runs.get(uuid);
      if (mine === undefined) return false;
      for (let i = 0; i < runs.length; i += 2) {
        const [from, to] = [runs[i] as number, runs[i + 1] as number];
        let covered = false;
        for (let j = 0; j < mine.length && !covered; j += 2)
          covered = (mine[j] as number) <= from && to <= (mine[j + 1] as number);
        if (!covered) return false;
      }
    }
    return true;
  }

  /** The highest number of this server's, 0 if there is none. */
  lastOf(uuid: string): number {
    return (this.#runs.get(uuid)?.at(-1) ?? 1) - 1;
  }

  *each(): Iterable<Pick<Transaction, 'uuid' | 'number'>> {
    for (const [uuid, runs] of this.#runs) {
      for (let i = 0; i < runs.length; i += 2) {
        for (let number = runs[i] as number; number < (runs[i + 1] as number); number++) yield { uuid, number };
      }
    }
  }

  get isEmpty(): boolean {
    return this.#runs.size === 0;
  }

  copy(): Gtids {
    const copy = new Gtids();
    for (const [uuid, runs] of this.#runs) copy.#runs.set(uuid, [...runs]);
    for (const [uuid, text] of this.#texts) copy.#texts.set(uuid, text);
    copy.#text = this.#text;
    return copy;
  }

  clear(): void {
    this.#runs.clear();
    this.#texts.clear();
    this.#text = '';
  }

  toString(): string {
    if (this.#text !== null) return this.#text;
    for (const [uuid, runs] of this.#runs) if (!this.#texts.has(uuid)) this.#texts.set(uuid, uuid + printRuns(runs));
    return (this.#text = [...this.#texts.values()].sort().join(','));
  }
}

function printRuns(runs: readonly number[]): string {
  let text = '';
  for (let i = 0; i < runs.length; i += 2) {
    const [from, to] = [runs[i] as number, runs[i + 1] as number];
    text += to === from + 1 ? `:${from}` : `:${from}-${to - 1}`;
  }
  return text;
}
