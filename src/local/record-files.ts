/**
 * The cluster's record as files: `record.<version>`, each written once and never changed. Making the next version is a
 * hard link, which the file system grants to one of several processes only; so a swap is atomic between processes, and a
 * record is never half written.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { ClusterRecord } from '../cluster/record.ts';
import type { RecordStore, VersionedRecord } from '../control/port.ts';
import { recordShape } from '../control/record-shape.ts';
import { syncDirectory, writeSynced } from './durable-file.ts';

/** The newest record can't be made sense of. An older one is not used in its place: it would not be the truth. */
export class RecordUnreadableError extends Error {
  override readonly name = 'RecordUnreadableError';
  readonly code = 'RECORD_UNREADABLE';
  readonly hint: string;

  constructor(path: string, found: string, options?: ErrorOptions) {
    super(`expected the cluster's record in ${path}, found ${found}`, options);
    this.hint = `Move ${path} away: if every member can be seen, the record is made again from what they show.`;
  }
}

/** Others replaced the record so often meanwhile that it can't be told whether ours ever was the newest. */
export class RecordOvertakenError extends Error {
  override readonly name = 'RecordOvertakenError';
  readonly code = 'RECORD_OVERTAKEN';
  readonly hint = 'Another daemon works on the same cluster; read the record again.';

  constructor(version: number) {
    super(`expected version ${version} of the cluster's record to be the newest, found it overtaken several times`);
  }
}

/** For people to look at, and so that a swap can tell that it was not late. */
const keptVersions = 8;
/** A draft older than this is of a process that was killed. */
const abandonedAfterMs = 60_000;
/** Reading races with a writer that removes old versions; each retry means that somebody else got further. */
const maxReads = 100;

export class RecordFiles implements RecordStore {
  readonly #dir: string;

  /** @param dir is made, private, if it does not exist. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  async read(): Promise<VersionedRecord | null> {
    for (let reads = 0; reads < maxReads; reads++) {
      const version = (await this.#versions()).at(-1);
      if (version === undefined) return null;
      let text: string;
      try {
        text = await readFile(this.#path(version), 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        throw new RecordUnreadableError(this.#path(version), `no way to read it: ${(error as Error).message}`, {
          cause: error,
        });
      }
      return { version, record: parseRecord(this.#path(version), text) };
    }
    throw new Error(`expected the record in ${this.#dir} to hold still, found it replaced ${maxReads} times`);
  }

  /** Version 0 stands for no record. Rejects when it isn't known whether the record was written. */
  async swap(expectedVersion: number, record: ClusterRecord): Promise<'written' | 'conflict'> {
    const next = expectedVersion + 1;
    await mkdir(this.#dir, { recursive: true, mode: 0o700 });
    if (((await this.#versions()).at(-1) ?? 0) !== expectedVersion) return 'conflict';
    const draft = join(this.#dir, `draft.${process.pid}-${randomBytes(6).toString('hex')}`);
    try {
      await writeSynced(draft, `${JSON.stringify(recordShape.parse(record), null, 2)}\n`);
      await link(draft, this.#path(next));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return 'conflict';
      throw error;
    } finally {
      await rm(draft, { force: true });
    }
    const versions = await this.#versions();
    // The name was free because nobody had made it yet, or because it was made, overtaken and removed meanwhile. Removal
    // goes upwards: while the version before it is still there, it was not removed.
    if (versions.at(-1) !== next && !versions.includes(expectedVersion)) {
      await rm(this.#path(next), { force: true });
      throw new RecordOvertakenError(next);
    }
    await syncDirectory(this.#dir);
    await this.#forget(versions.filter((version) => version <= next - keptVersions));
    return 'written';
  }

  /** What can't be removed is left for the next swap, and all after it: see `swap`. */
  async #forget(ascending: readonly number[]): Promise<void> {
    try {
      for (const version of ascending) await rm(this.#path(version), { force: true });
      for (const name of await readdir(this.#dir)) {
        const path = join(this.#dir, name);
        if (name.startsWith('draft.') && Date.now() - (await stat(path)).mtimeMs > abandonedAfterMs) await rm(path);
      }
    } catch {
      // It is only tidying; the record is written.
    }
  }

  /** Ascending. */
  async #versions(): Promise<number[]> {
    const names = await readdir(this.#dir).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw error;
    });
    return names
      .map((name) => /^record\.([1-9]\d{0,14})$/.exec(name)?.[1])
      .filter((version) => version !== undefined)
      .map(Number)
      .sort((a, b) => a - b);
  }

  #path(version: number): string {
    return join(this.#dir, `record.${version}`);
  }
}

function parseRecord(path: string, text: string): ClusterRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RecordUnreadableError(path, text.trim() === '' ? 'an empty file' : 'no JSON', { cause: error });
  }
  const parsed = recordShape.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new RecordUnreadableError(
    path,
    `${issue?.message ?? 'another shape'} at ${issue?.path.join('.') || 'the top'}`,
  );
}
