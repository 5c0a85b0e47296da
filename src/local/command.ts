import { spawn, type ChildProcess } from 'node:child_process';

export type CommandOutcome = {
  /** null: it could not be started at all, or a signal ended it. */
  exitCode: number | null;
  stdout: string;
  stderr: string;
};

export type CommandOptions = {
  env?: NodeJS.ProcessEnv | undefined;
  cwd?: string | undefined;
  /** The command is killed then, and the outcome says so in stderr. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  /** Hears what it complains of as it says it, and may send it a signal. */
  onStderr?: ((text: string, program: Pick<ChildProcess, 'kill'>) => void) | undefined;
};

// The last part is what explains a failure; a program gone mad must not fill our memory.
const outputLimitChars = 4_000_000;
const killGraceMs = 1_000;

/**
 * Runs a program to its end and returns what it said; a failure is an outcome, not an exception.
 * Throws only the reason of an aborted `signal`, and only after the program is gone, so that its files can be removed.
 */
export async function runCommand(argv: readonly string[], options: CommandOptions): Promise<CommandOutcome> {
  const { env, cwd, timeoutMs, signal, onStderr } = options;
  signal?.throwIfAborted();
  const [program, ...args] = argv;
  if (program === undefined) throw new TypeError('runCommand needs a program to run');

  const child = spawn(program, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(-outputLimitChars)));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-outputLimitChars);
    onStderr?.(text, child);
  });

  let killTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    child.kill('SIGTERM');
    killTimer ??= setTimeout(() => {
      child.kill('SIGKILL');
      // A child of its own may hold the pipes open and would be waited for.
      child.stdout.destroy();
      child.stderr.destroy();
    }, killGraceMs);
  };
  const deadline = setTimeout(() => {
    stderr += `\nit did not end within ${timeoutMs / 1000} s`;
    stop();
  }, timeoutMs);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const exitCode = await new Promise<number | null>((resolve) => {
      child.once('close', (code) => resolve(code));
      child.once('error', (error) => {
        stderr += error.message;
        // A program that could not be started never closes; one that could does, and is waited for.
        if (child.pid === undefined) resolve(null);
      });
    });
    signal?.throwIfAborted();
    return { exitCode, stdout, stderr };
  } finally {
    clearTimeout(deadline);
    clearTimeout(killTimer);
    signal?.removeEventListener('abort', stop);
  }
}

/** The last lines of a program's complaint, on one line, short enough for an error message. */
export function lastWords(text: string, lines = 3): string {
  return text.trim().split('\n').slice(-lines).join(' | ').slice(-600);
}
