/** Says in one line why a mysqld that ended did so, from what it wrote to its error log. */
import { open, stat } from 'node:fs/promises';

/** An error log tells the cause in its first errors; more than this of one start is repetition. */
const readLimitBytes = 256 * 1024;
const lineLimitChars = 300;

/** Message numbers are MySQL's own (Error Message Reference, "Error Log"); texts catch what has several numbers. */
const causes: readonly { readonly found: RegExp; readonly say: (match: RegExpMatchArray) => string }[] = [
  {
    found: /unable to lock (\S+?)[,;]? error:? ?11|MY-012574\D.*?(\.?\/\S+)|another mysqld process using the same/i,
    say: () => 'its data is in use: another process holds the lock on its InnoDB files',
  },
  {
    found: /no space left on device|disk is full|errno: ?28\b|error number:? 28\b|error:? 28\b/i,
    say: () => 'the disk is full',
  },
  { found: /disk quota exceeded|errno: ?122\b/i, say: () => 'the disk quota of this user is used up' },
  {
    found: /read-only file system|errno: ?30\b|error number:? 30\b/i,
    say: () => 'the file system is read-only',
  },
  {
    found:
      /(?:cannot downgrade from|data directory built by version|data dictionary version) '?(\d+)'?.*?(?:to|server version)? ?'?(\d{5,6})?/i,
    say: (match) =>
      `its data is of MySQL ${versionWords(match[1])}, newer than this server; start that version or newer`,
  },
  {
    found:
      /can't start server ?: ?bind on (?:tcp\/ip|unix) .*?(?:: (.*))?$|do you already have another (?:mysqld )?server running on (?:port|socket):? ?(\S+)/im,
    say: () => 'its address is used by another program',
  },
  {
    found: /unknown (?:variable|option) '([^']*)'/i,
    say: (match) => `this MySQL does not know the setting '${match[1] ?? ''}'`,
  },
  {
    found:
      /(?:could not|can't|cannot|failed to|unable to) \w+ .*?['"]?(\/[^'" ]+)?['"]?.*?(?:permission denied|errno: ?13\b|os errno 13\b)/i,
    say: (match) => `it has no permission for ${match[1] ?? 'its files'}`,
  },
  { found: /permission denied|error number:? 13\b/i, say: () => 'it has no permission for its files' },
  {
    found: /cannot allocate memory|out of memory/i,
    say: () => 'there is not enough memory (see innodb_buffer_pool_size)',
  },
];

/** A server that starts on a copy, or was killed, has no list of what was in its buffer pool, and calls that an error. */
const harmless = /\[MY-011947\]/;

/** Null if the log shows no error. */
export function explainLog(text: string): string | null {
  const errors = text.split('\n').filter((line) => /\[ERROR\]|^mysqld: /.test(line) && !harmless.test(line));
  // A cause that has a name goes before the order of lines: what follows it is often only its consequence.
  for (const { found, say } of causes) {
    const match = errors.map((line) => line.match(found)).find((match) => match !== null);
    if (match !== undefined && match !== null) return say(match);
  }
  // "Aborting" says nothing; the first error is nearest to the cause.
  const first = errors.map(messageOf).find((message) => message !== '' && !/^aborting$/i.test(message));
  return first === undefined ? null : first.slice(0, lineLimitChars);
}

/** `2026-11-24T06:17:00.1Z 0 [ERROR] [MY-010119] [Server] Aborting` → `Aborting (MY-010119)`. */
function messageOf(line: string): string {
  const match = /\[ERROR\] (?:\[(MY-\d+)\] )?(?:\[\w+\] )?(.*)$/.exec(line);
  if (match === null) return line.replace(/^mysqld: /, '').trim();
  const text = (match[2] ?? '').trim();
  return match[1] === undefined || /^aborting$/i.test(text) ? text : `${text} (${match[1]})`;
}

/** 90704 → 9.7.4 */
function versionWords(number: string | undefined): string {
  const value = Number(number);
  return Number.isInteger(value) && value >= 10_000
    ? `${Math.floor(value / 10_000)}.${Math.floor(value / 100) % 100}.${value % 100}`
    : 'another version';
}

export async function fileSizeBytes(path: string): Promise<number> {
  return stat(path).then(
    (found) => found.size,
    () => 0,
  );
}

/** What was appended to a log since it had this size. */
export async function readLogFrom(path: string, offsetBytes: number): Promise<string> {
  const size = await fileSizeBytes(path);
  const length = Math.min(readLimitBytes, Math.max(0, size - offsetBytes));
  if (length === 0) return '';
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offsetBytes);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
