/**
 * Saves the transactions that only a discarded data directory has, so that nothing which somebody once wrote vanishes
 * unread (docs/clustering.md, invariant 8).
 */
import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { GtidSet } from '../gtid/gtid-set.ts';
import { lastWords } from './command.ts';
import { syncDirectory } from './durable-file.ts';
import { MemberError } from './member-error.ts';

export interface ErrantOptions {
  /** Null: this MySQL came without mysqlbinlog. */
  readonly binlogCommand: readonly string[] | null;
  /** Of a server that does not run. */
  readonly dataDir: string;
  /** GTID text. */
  readonly errant: string;
  /** Where to: `<saveAs>.sql` to read, `<saveAs>.replay.sql` to apply again. Both mode 0600. */
  readonly saveAs: string;
  readonly member: string;
  readonly timeoutMs: number;
}

export interface SavedErrant {
  readonly readable: string;
  readonly replay: string;
  readonly found: GtidSet;
  /** What was asked for and is in no binlog or relay log of this data directory. */
  readonly missing: GtidSet;
}

/**
 * Writes what of `errant` the data directory's binlogs and relay logs hold. Rejects with ERRANT_NOT_SAVED if a log can't
 * be read and something is missing; what the logs never held or hold no more is only reported.
 */
export async function saveErrant(options: ErrantOptions): Promise<SavedErrant> {
  const { binlogCommand, dataDir, saveAs } = options;
  const wanted = GtidSet.parse(options.errant);
  if (binlogCommand === null) throw notSaved(options, 'this MySQL came without mysqlbinlog');
  await mkdir(dirname(saveAs), { recursive: true, mode: 0o700 });
  const readable = `${saveAs}.sql`;
  const replay = `${saveAs}.replay.sql`;

  const body = `${readable}.draft`;
  const replayDraft = `${replay}.draft`;
  let found = GtidSet.EMPTY;
  const complaints: string[] = [];
  const [bodyFile, replayFile] = [await openDraft(body), await openDraft(replayDraft)];
  try {
    await replayFile.write(
      `-- Transactions of ${options.member} that the cluster does not have, as row events. To apply them again, under new\n` +
        `-- GTIDs, feed this file to the mysql client on the primary, as a user with BINLOG_ADMIN or SUPER.\n`,
    );
    // Binlogs come first: what is there was applied. A relay log adds what was only received.
    for (const log of await logFiles(dataDir)) {
      const rest = wanted.subtract(found);
      if (rest.isEmpty) break;
      const run = (args: string[], into: FileHandle): Promise<string | null> =>
        readLog(
          [...binlogCommand, '--no-defaults', `--include-gtids=${rest.toString()}`, ...args, log],
          into,
          options.timeoutMs,
        );
      const complaint = await run(['-v', '--base64-output=decode-rows'], bodyFile);
      if (complaint !== null) complaints.push(complaint);
      found = (await gtidsIn(body)).intersect(wanted);
      if (!found.intersect(rest).isEmpty) await run(['--skip-gtids'], replayFile);
    }
    const missing = wanted.subtract(found);
    if (!missing.isEmpty && complaints.length > 0) {
      throw notSaved(options, `${missing.toString()} was not found, and a log can't be read: ${complaints.join('; ')}`);
    }
    await finish(readable, header(options, found, missing, complaints), body, bodyFile);
    await replayFile.sync();
    await rename(replayDraft, replay);
    await syncDirectory(dirname(saveAs));
    return { readable, replay, found, missing };
  } finally {
    await bodyFile.close();
    await replayFile.close();
    await rm(body, { force: true });
    await rm(replayDraft, { force: true });
  }
}

async function openDraft(path: string): Promise<FileHandle> {
  await rm(path, { force: true });
  return open(path, 'ax+', 0o600);
}

/** Puts the header, which is known last, before the body. */
async function finish(path: string, header: string, body: string, bodyFile: FileHandle): Promise<void> {
  const draft = `${path}.whole`;
  await rm(draft, { force: true });
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.write(header);
    for await (const chunk of createReadStream(body)) await file.write(chunk as Buffer);
    await file.sync();
  } finally {
    await file.close();
  }
  await bodyFile.truncate(0);
  await rename(draft, path);
}

function header(options: ErrantOptions, found: GtidSet, missing: GtidSet, complaints: readonly string[]): string {
  const lines = [
    `Transactions of ${options.member} that the cluster's primary does not have, saved before its data was discarded.`,
    `Each row is shown as a comment (### INSERT INTO ...), in order; @1, @2 ... are the columns.`,
    `To apply them again see the file beside this one, ${options.saveAs.slice(dirname(options.saveAs).length + 1)}.replay.sql.`,
    `Saved: ${found.isEmpty ? 'none' : found.toString()}`,
    ...(missing.isEmpty ? [] : [`In no log of the old data, so not saved: ${missing.toString()}`]),
    ...complaints.map((complaint) => `mysqlbinlog said: ${complaint}`),
  ];
  return `${lines.map((line) => `-- ${line}\n`).join('')}\n`;
}

/** Appends what mysqlbinlog makes of a log. Returns its complaint if it could not read to the end. */
async function readLog(argv: readonly string[], into: FileHandle, timeoutMs: number): Promise<string | null> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, {
    stdio: ['ignore', into.fd, 'pipe'],
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-10_000)));
  const exit = await new Promise<string | null>((done) => {
    child.once('error', (error) => done(error.message));
    child.once('close', (code, signal) => done(code === 0 ? null : (signal ?? `exit code ${code}`)));
  });
  return exit === null ? null : `${lastWords(stderr, 2) || 'no reason given'} (${exit})`;
}

async function gtidsIn(path: string): Promise<GtidSet> {
  const texts: string[] = [];
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    const gtid = /^SET @@SESSION\.GTID_NEXT= '([^']+)'/.exec(line)?.[1];
    if (gtid !== undefined && /:\d+$/.test(gtid)) texts.push(gtid);
  }
  return GtidSet.parse(texts.join(','));
}

/** Every binlog, then every relay log, each in order, as the server's own index files name them. */
async function logFiles(dataDir: string): Promise<string[]> {
  const indexes = (await readdir(dataDir)).filter((name) => name.endsWith('.index')).sort();
  const listed = await Promise.all(
    indexes.map(async (index) => {
      const names = (await readFile(join(dataDir, index), 'utf8')).split('\n').filter((name) => name !== '');
      return names.map((name) => resolve(dataDir, name));
    }),
  );
  const files = listed.flat();
  const relay = (path: string): boolean => /relay/.test(path.slice(dirname(path).length));
  const present = await Promise.all(files.map(isLog));
  const existing = files.filter((_, i) => present[i]);
  return [...existing.filter((path) => !relay(path)), ...existing.filter(relay)];
}

/** Whether it is a file with more than the four bytes that every binlog begins with. */
async function isLog(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile() && found.size > 4,
    () => false,
  );
}

function notSaved(options: ErrantOptions, why: string): MemberError {
  return new MemberError(
    'ERRANT_NOT_SAVED',
    `Transactions that only ${options.member} has could not be saved, so its data stays: ${why}`,
    `Look at ${options.dataDir} with mysqlbinlog, or move the directory away yourself: the member is then made anew.`,
  );
}
