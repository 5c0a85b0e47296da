/** Runs ./baton as a user does, in a home of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { defaultCacheDir } from '../../src/local/distribution.ts';
import type { Status } from '../../src/local/status.ts';

const program = fileURLToPath(new URL('../../baton', import.meta.url));

export interface Outcome {
  /** Null if a signal ended it. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Home extends AsyncDisposable {
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  run(...args: string[]): Promise<Outcome>;
  /** Rejects with what it said if it fails. */
  ok(...args: string[]): Promise<string>;
  start(args: readonly string[], change?: { env?: NodeJS.ProcessEnv; input?: string }): Started;
  status(name?: string): Promise<Status>;
  /** Pids of processes that were started from this home: daemons and members. */
  processes(): Promise<number[]>;
  /** Every file and directory in it. */
  files(): Promise<string[]>;
}

export interface Started {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** Resolves when standard error matches. */
  said(what: RegExp): Promise<void>;
}

/** MySQL and its template are the ones that other tests use; everything else is in a temporary directory. */
export async function makeHome(): Promise<Home> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-cli-'));
  // The Node that the machine has, where it has one: what is tested is the bundle on whatever users have.
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((entry) => !entry.includes('node_modules'));
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: path.join(delimiter),
    XDG_DATA_HOME: join(directory, 'data'),
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_CACHE_HOME: join(defaultCacheDir(process.env), '..'),
    XDG_RUNTIME_DIR: undefined,
    NODE_OPTIONS: undefined,
    NODE_TEST_CONTEXT: undefined,
    BATON_COMMAND: 'baton',
  };
  const start: Home['start'] = (args, change = {}) => {
    const child = spawn(program, args, { env: { ...env, ...change.env }, stdio: 'pipe' });
    child.stdin.on('error', () => {});
    child.stdin.end(change.input ?? '');
    let [stdout, stderr] = ['', ''];
    const listeners = new Set<() => void>();
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      for (const listener of listeners) listener();
    });
    const outcome = new Promise<Outcome>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, stdout, stderr }));
    });
    const said = (what: RegExp): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (what.test(stderr)) resolve();
        };
        listeners.add(look);
        look();
        child.once('close', () => reject(new Error(`it never said ${String(what)}: ${stderr}`)));
      });
    return { child, outcome, said };
  };
  const run: Home['run'] = (...args) => start(args).outcome;
  const home: Home = {
    directory,
    env,
    run,
    start,
    async ok(...args) {
      const { code, stdout, stderr } = await run(...args);
      if (code !== 0) throw new Error(`baton ${args.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
      return stdout;
    },
    async status(name = 'mysql') {
      return JSON.parse((await run('status', '--json', '--name', name)).stdout) as Status;
    },
    async processes() {
      const found: number[] = [];
      for (const pid of (await readdir('/proc')).map(Number).filter(Number.isInteger)) {
        if (pid === process.pid) continue;
        const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
        if (environment.includes(`XDG_STATE_HOME=${join(directory, 'state')}\0`)) found.push(pid);
      }
      return found;
    },
    files: async () => (await readdir(directory, { recursive: true })).sort(),
    async [Symbol.asyncDispose]() {
      for (const pid of await home.processes()) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended meanwhile.
        }
      }
      await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
  return home;
}
