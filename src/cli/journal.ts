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
import { ordinalOf } from './operate.ts';
import { eventLine } from './status-text.ts';

interface Tail extends CommonOptions {
  readonly follow?: boolean;
  readonly lines: string;
}

const readLimit = 100_000;

export async function explain(options: Tail & { all?: boolean }, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const count = countOf(options.lines);
  await context.mustExist();
  const told = (entry: JournalEntry): boolean => options.all === true || isNews(entry);
  const show = (entry: JournalEntry): void =>
    context.print(context.json ? JSON.stringify(entry) : eventLine(entry, context.colours));
  const path = context.directories.journal;
  const entries = (await readJournal(path, readLimit)).filter(told).slice(-count);
  if (entries.length === 0 && !context.json) context.print('Nothing has happened so far.');
  entries.forEach(show);
  if (options.follow !== true) return;
  for await (const line of followLines(path, interrupted)) {
    const entry = parsed(line);
    if (entry !== null && told(entry)) show(entry);
  }
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
  const stored = await context.mustExist();
  const path = member === undefined ? context.directories.daemonLog : await memberLog(context, stored, member);
  const text = await lastText(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new CommandError(EXIT.failed, 'NO_LOG', `there is no log yet at ${path}`);
  });
  const show = (line: string): void => context.print(context.json ? JSON.stringify({ line }) : line);
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
