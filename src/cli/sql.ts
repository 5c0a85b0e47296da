/** `sql`: statements through an endpoint or at a member, and their results. */
import { text } from 'node:stream/consumers';

import { Context, type CommonOptions } from './context.ts';
import { badInput } from './exit.ts';
import { ordinalOf } from './operate.ts';
import type { Result } from './run-sql.ts';
import { widthOf } from './terminal.ts';

export interface SqlOptions extends CommonOptions {
  readonly execute?: readonly string[];
  readonly read?: boolean;
  readonly member?: string;
  readonly root?: boolean;
  readonly database?: string;
  readonly format?: string;
}

const FORMATS = ['table', 'tsv', 'json'] as const;
type Format = (typeof FORMATS)[number];

export async function sql(options: SqlOptions, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const format = formatOf(options);
  const { read = false, root = false } = options;
  const member = options.member === undefined ? undefined : ordinalOf(options.member);
  if (read && member !== undefined) throw badInput('--read and --member name two places: give one of them');
  if (root && member === undefined) {
    throw badInput('root can log in at a member only, not through an endpoint', 'Name one: --root --member 0');
  }
  const client = await context.cluster();
  const login = await client.credentials({ read, root, ...(member === undefined ? {} : { member }) });
  const statements = await statementsOf(context, options);
  if (statements.trim() === '') throw badInput('expected SQL, found nothing', 'Give it with -e, or on standard input.');
  // Loaded only now: mysql2 is large.
  const { run } = await import('./run-sql.ts');
  await run(login, options.database ?? login.database, statements, interrupted, (result) => {
    const written = resultText(result, format);
    if (written !== '') process.stdout.write(written);
  });
}

function formatOf(options: SqlOptions): Format {
  const asked = options.json === true ? 'json' : (options.format ?? (process.stdout.isTTY ? 'table' : 'tsv'));
  const format = FORMATS.find((one) => one === asked);
  if (format !== undefined) return format;
  throw badInput(`expected --format to be one of ${FORMATS.join(', ')}, found ${JSON.stringify(asked)}`);
}

async function statementsOf(context: Context, { execute }: SqlOptions): Promise<string> {
  if (execute !== undefined) return execute.join(';\n');
  if (process.stdin.isTTY) {
    const example = context.command('sql -e "select 1"');
    throw badInput('expected SQL in -e or on standard input, found neither', `Such as: ${example}`);
  }
  return text(process.stdin);
}

function resultText(result: Result, format: Format): string {
  switch (format) {
    case 'json':
      return `${JSON.stringify(jsonOf(result))}\n`;
    case 'tsv':
      return result.kind === 'rows' ? tsvOf(result) : '';
    case 'table':
      return result.kind === 'rows' ? tableOf(result) : `${result.affectedRows} rows affected\n`;
    default:
      return format satisfies never;
  }
}

function jsonOf(result: Result): unknown {
  if (result.kind === 'done') return { affectedRows: result.affectedRows, insertId: result.insertId };
  return result.rows.map((row) => Object.fromEntries(result.names.map((name, at) => [name, jsonValue(row[at])])));
}

function jsonValue(value: unknown): unknown {
  return Buffer.isBuffer(value) ? value.toString('base64') : value;
}

/** As the mysql client's batch mode: a line of names, tabs, and `\t`, `\n`, `\\` in values escaped. */
export function tsvOf({ names, rows }: Extract<Result, { kind: 'rows' }>): string {
  const escape = (value: string): string =>
    value.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\0', '\\0');
  return [names, ...rows.map((row) => row.map(shown))]
    .map((row) => `${row.map((cell) => escape(cell)).join('\t')}\n`)
    .join('');
}

export function tableOf({ names, rows }: Extract<Result, { kind: 'rows' }>): string {
  if (rows.length === 0) return 'no rows\n';
  const cells = rows.map((row) => row.map((value) => shown(value).replaceAll(/[\r\n\t]/g, ' ')));
  const right = names.map((_, at) => rows.every((row) => row[at] === null || typeof row[at] === 'number'));
  const widths = names.map((name, at) => Math.max(widthOf(name), ...cells.map((row) => widthOf(row[at] ?? ''))));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => {
        const pad = ' '.repeat(Math.max(0, (widths[at] ?? 0) - widthOf(cell)));
        return right[at] === true ? pad + cell : cell + pad;
      })
      .join(' │ ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('─┼─');
  return `${[line(names), rule, ...cells.map(line)].join('\n')}\n`;
}

function shown(value: unknown): string {
  if (value === null || value === undefined) return 'NULL';
  if (Buffer.isBuffer(value)) {
    const decoded = value.toString('utf8');
    return Buffer.from(decoded, 'utf8').equals(value) ? decoded : `0x${value.toString('hex').toUpperCase()}`;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}
