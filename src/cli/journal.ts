/** `explain` and `logs`: what happened, from the files where it is written. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';

import type { JournalEntry } from '../control/port.ts';
import { readJournal } from '../local/journal-file.ts';
import { isNews } from '../control/journal-news.ts';
import { followLines } from '../local/journal-follow.ts';
import { dataDirectory } from '../local/known-cluster.ts';
import { Context, type CommonOptions } from './context.ts';
import { badInput, CommandError, EXIT } from './exit.ts';
import type { ClusterInKubernetes } from './kubernetes-cluster.ts';
import { ordinalOf } from './operate.ts';
import { eventLine } from './status-text.ts';

interface Tail extends CommonOptions {
  readonly follow?: boolean;
  readonly lines: string;
  readonly operatorNamespace?: string;
}

/** As src/kubernetes/install.ts has it, which this need not load. */
const OPERATOR_NAMESPACE = 'baton-system';
const readLimit = 100_000;

export async function explain(options: Tail & { all?: boolean }, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const count = countOf(options.lines);
  const told = (entry: JournalEntry): boolean => options.all === true || isNews(entry);
  const show = (entry: JournalEntry): void =>
    context.print(context.json ? JSON.stringify(entry) : eventLine(entry, context.colours));
  const there = await context.inKubernetes();
  const source = there === null ? await journalHere(context) : journalThere(there, options, interrupted);
  const entries = (await source.before()).filter(told).slice(-count);
  if (entries.length === 0 && !context.json) context.print('Nothing has happened so far.');
  entries.forEach(show);
  if (options.follow !== true) return;
  for await (const entry of source.following()) if (told(entry)) show(entry);
}

interface JournalSource {
  readonly before: () => Promise<readonly JournalEntry[]>;
  readonly following: () => AsyncIterable<JournalEntry>;
}

async function journalHere(context: Context): Promise<JournalSource> {
  await context.mustExist();
  const path = context.directories.journal;
  async function* following(): AsyncGenerator<JournalEntry> {
    for await (const line of followLines(path, context.interrupted)) {
      const entry = parsed(line);
      if (entry !== null) yield entry;
    }
  }
  return { before: () => readJournal(path, readLimit), following };
}

/** News is in Events; each step is in the operator's log alone. */
function journalThere(
  there: ClusterInKubernetes,
  { all = false, operatorNamespace = OPERATOR_NAMESPACE }: Tail & { all?: boolean },
  signal: AbortSignal,
): JournalSource {
  if (!all) return { before: () => there.events(), following: () => there.eventsFromNow(signal) };
  const read = (tail: number, follow: boolean) => there.operatorJournal(operatorNamespace, { tail, follow, signal });
  const before = async (): Promise<JournalEntry[]> => {
    const entries: JournalEntry[] = [];
    for await (const entry of read(readLimit, false)) entries.push(entry);
    return entries;
  };
  return { before, following: () => read(0, true) };
}

function parsed(line: string): JournalEntry | null {
  try {
    return JSON.parse(line) as JournalEntry;
  } catch {
    return null;
  }
}

export async function logs(member: string | undefined, options: Tail, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const count = countOf(options.lines);
  const show = (line: string): void => context.print(context.json ? JSON.stringify({ line }) : line);
  const there = await context.inKubernetes();
  if (there !== null) {
    const { follow = false, operatorNamespace = OPERATOR_NAMESPACE } = options;
    const tail = { tail: count, follow, signal: interrupted };
    const lines =
      member === undefined ? there.operatorLog(operatorNamespace, tail) : there.memberLog(ordinalOf(member), tail);
    for await (const line of lines) show(line);
    return;
  }
  const stored = await context.mustExist();
  const path = member === undefined ? context.directories.daemonLog : await memberLog(context, stored, member);
  const text = await lastText(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new CommandError(EXIT.failed, 'NO_LOG', `there is no log yet at ${path}`);
  });
  text.trimEnd().split('\n').slice(-count).forEach(show);
  if (options.follow !== true) return;
  for await (const line of followLines(path, interrupted)) show(line);
}

async function memberLog(context: Context, stored: string, member: string): Promise<string> {
  const ordinal = ordinalOf(member);
  const { parseCluster } = await import('../spec/parse.ts');
  const { cluster } = parseCluster(stored, context.directories.resource);
  const { replicas } = cluster.spec;
  if (ordinal >= replicas) {
    const members = Array.from({ length: replicas }, (_, index) => index).join(', ');
    throw badInput(`there is no member ${ordinal}`, `The members are ${members}.`);
  }
  return join(dataDirectory(context.directories, cluster), `member-${ordinal}`, 'mysqld.log');
}

const tailBytes = 1024 ** 2;

async function lastText(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - tailBytes);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

function countOf(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count > 0) return Math.min(count, readLimit);
  throw badInput(`expected a number of lines, found ${JSON.stringify(text)}`);
}
