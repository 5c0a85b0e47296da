/** How a command ends: codes that scripts may rely on, and errors as a line and a hint. */
import type { Failure } from '../local/failure.ts';

export const EXIT = {
  ok: 0,
  failed: 1,
  badInput: 2,
  notRunning: 3,
  timedOut: 4,
  interrupted: 130,
} as const;

export const EXIT_HELP = `Exit codes:
  0    it is done
  1    it failed, or was refused; nothing was left half done
  2    the input is wrong (options, a resource, a name); nothing was changed
  3    there is no such cluster, or it is not running
  4    it was not done in time (--timeout); it goes on
  130  interrupted (Ctrl-C)`;

/** What a person is told, and the code that the command ends with. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: string;
  readonly hint: string | null;
  readonly exitCode: number;
  constructor(exitCode: number, code: string, message: string, hint: string | null = null, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
    this.code = code;
    this.hint = hint;
  }
}

export const badInput = (message: string, hint: string | null = null): CommandError =>
  new CommandError(EXIT.badInput, 'BAD_INPUT', message, hint);

/** Codes of errors from further in that say that the input was wrong. */
const BAD_INPUT: ReadonlySet<string> = new Set([
  'YAML_SYNTAX',
  'NOT_A_RESOURCE',
  'UNKNOWN_FIELD',
  'DUPLICATE_FIELD',
  'INVALID_FIELD',
  'REFUSED_VARIABLE',
  'UNKNOWN_MEMBER',
  'BASEDIR_WITHOUT_MYSQLD',
  'MARIADB',
  'MYSQL_TOO_OLD',
  'MYSQL_TOO_NEW',
  'OTHER_VERSION',
  'CHANGE_REFUSED',
  'KUBERNETES_ACCESS',
]);

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommandError) return error.exitCode;
  const { code } = error as { code?: unknown };
  if (code === 'DAEMON_GONE') return EXIT.notRunning;
  return typeof code === 'string' && BAD_INPUT.has(code) ? EXIT.badInput : EXIT.failed;
}

/** The lines for a person: what is wrong, then what to do; with `debug`, where it came from. */
export function errorText({ message, hint, stack }: Failure, debug: boolean): string {
  const lines = [`baton: ${message}`];
  if (hint !== null) lines.push(`  ${hint}`);
  if (debug && stack !== null) lines.push(stack);
  return `${lines.join('\n')}\n`;
}
