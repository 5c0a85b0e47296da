/** The journal as a file: one JSON object a line, the newest last. */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import type { Journal, JournalEntry } from '../control/port.ts';

export interface JournalFileOptions {
  /** When the file is longer it becomes `<path>.1`, and a former one of that name is gone. Default: 8 MiB. */
  readonly limitBytes?: number;
  /** Told when entries can't be written, once until they can again. Default: nobody. */
  readonly onTrouble?: (error: Error) => void;
}

const defaultLimitBytes = 8 * 1024 ** 2;
/** A disk that hangs must not fill our memory with what can't be written. */
const maxPending = 10_000;

/** Writing never blocks and never throws: a full or hanging disk is no reason to stop controlling. */
export class JournalFile implements Journal {
  readonly #path: string;
  readonly #limitBytes: number;
  readonly #onTrouble: (error: Error) => void;
  #pending: string[] = [];
  #lost = 0;
  #troubled = false;
  #writing: Promise<void> | null = null;

  constructor(path: string, options: JournalFileOptions = {}) {
    this.#path = path;
    this.#limitBytes = options.limitBytes ?? defaultLimitBytes;
    this.#onTrouble = options.onTrouble ?? (() => {});
  }

  write(entry: JournalEntry): void {
    if (this.#pending.length >= maxPending) {
      this.#lost++;
      return;
    }
    if (this.#lost > 0) {
      const text = `${this.#lost} entries were lost: the journal could not be written`;
      this.#pending.push(line({ ...entry, kind: 'lost', text }));
      this.#lost = 0;
    }
    this.#pending.push(line(entry));
    this.#writing ??= this.#drain();
  }

  /** Resolves when everything written so far is in the file, or could not be. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    // Entries of one moment go in one write.
    await Promise.resolve();
    try {
      while (this.#pending.length > 0) {
        const lines = this.#pending;
        this.#pending = [];
        await this.#append(lines);
      }
    } finally {
      this.#writing = null;
    }
  }

  async #append(lines: readonly string[]): Promise<void> {
    try {
      await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
      const file = await open(this.#path, 'a+', 0o600);
      let sizeBytes: number;
      try {
        await endLastLine(file);
        await file.appendFile(lines.join(''));
        sizeBytes = (await file.stat()).size;
      } finally {
        await file.close();
      }
      if (sizeBytes > this.#limitBytes) await rename(this.#path, `${this.#path}.1`);
      this.#troubled = false;
    } catch (error) {
      this.#lost += lines.length;
      if (!this.#troubled) this.#onTrouble(error as Error);
      this.#troubled = true;
    }
  }
}

/** A writer that was killed, or ran out of disk, may have left half a line: that one is lost, the next is not. */
async function endLastLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat();
  if (size === 0) return;
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
  if (buffer.toString() !== '\n') await file.appendFile('\n');
}

/** The last entries, oldest first, from before the rotation too. Lines that are no entries are passed over. */
export async function readJournal(path: string, limit: number): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = [];
  for (const file of [path, `${path}.1`]) {
    if (entries.length >= limit) break;
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
    const found = lines.map(parseLine).filter((entry) => entry !== null);
    entries.unshift(...found.slice(-(limit - entries.length)));
  }
  return entries;
}

function line(entry: JournalEntry): string {
  return `${JSON.stringify(entry)}\n`;
}

function parseLine(text: string): JournalEntry | null {
  try {
    const entry = JSON.parse(text) as Partial<JournalEntry> | null;
    return typeof entry?.at === 'string' && typeof entry.kind === 'string' ? (entry as JournalEntry) : null;
  } catch {
    return null;
  }
}
