/** A command of this project's, run as a user would. */
import { spawn } from 'node:child_process';
import type { Bench } from './bench.ts';

const LIMIT_MS = 300_000;

/** Resolves with what it took and said; rejects if it fails. Not ended by the run's signal unless told. */
export function timeCommand(
  argv: readonly string[],
  { env = process.env, signal }: { readonly env?: NodeJS.ProcessEnv; readonly signal?: AbortSignal } = {},
): Promise<{ readonly ms: number; readonly said: string }> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = argv;
    const sinceMs = performance.now();
    const child = spawn(program, args, {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      ...(signal === undefined ? {} : { signal }),
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve({ ms: performance.now() - sinceMs, said });
      else reject(new Error(`${argv.join(' ')} ended with ${code}: ${said.slice(-1000)}`));
    });
  });
}

/** As it is started from a clone. */
export function batonCommand(bench: Bench, ...args: string[]): string[] {
  return [`${bench.root}/baton`, ...args];
}
