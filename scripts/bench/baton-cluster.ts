/** A cluster under the real daemon, in directories of this run's own. It ends with this process, whatever ends that. */
import { spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JournalEntry } from '../../src/control/port.ts';
import { ApiClient, type Credentials } from '../../src/local/api-client.ts';
import { clusterDirectories, makeClusterDirectories, type ClusterDirectories } from '../../src/local/directories.ts';
import { processOf } from '../../src/local/process-identity.ts';
import { isSettled, type MemberStatus, type Status } from '../../src/local/status.ts';
import { parseCluster } from '../../src/spec/parse.ts';
import { sleep, until, type Bench } from './bench.ts';

/** A daemon's environment with everything in `directory` but the cache, which is shared. */
export function environment(directory: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    XDG_DATA_HOME: join(directory, 'data'),
    XDG_STATE_HOME: join(directory, 'state'),
    XDG_RUNTIME_DIR: join(directory, 'run'),
    NO_COLOR: '1',
  };
}

export class BatonCluster implements AsyncDisposable {
  readonly client: ApiClient;
  readonly daemonPid: number;
  readonly #bench: Bench;
  readonly #directories: ClusterDirectories;

  private constructor(bench: Bench, directories: ClusterDirectories, daemonPid: number) {
    this.#bench = bench;
    this.#directories = directories;
    this.daemonPid = daemonPid;
    this.client = new ApiClient(directories.socket);
  }

  /** `spec` as YAML flow text, such as `{replicas: 3}`. Resolves once everything is there. */
  static async start(bench: Bench, name: string, spec = '{}'): Promise<BatonCluster> {
    const env = environment(join(bench.directory, name));
    const directories = clusterDirectories(name, env);
    await mkdir(join(bench.directory, name), { recursive: true, mode: 0o700 });
    await makeClusterDirectories(directories);
    const resource = parseCluster(
      `apiVersion: baton.dev/v1alpha1\nkind: MySQLCluster\nmetadata: {name: ${name}}\nspec: ${spec}\n`,
    ).cluster;
    const log = await open(directories.daemonLog, 'a', 0o600);
    const daemon = spawn(process.execPath, [join(bench.root, 'dist/daemon.js'), name], {
      cwd: '/',
      env,
      detached: true,
      stdio: ['pipe', 'ignore', log.fd],
    });
    daemon.stdin?.on('error', () => undefined);
    daemon.stdin?.end(JSON.stringify({ resource, owner: processOf(process.pid), deleteAfterOwner: true }));
    daemon.unref();
    await log.close();
    const cluster = new BatonCluster(bench, directories, daemon.pid ?? 0);
    try {
      await cluster.settled();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      const said = await readFile(directories.daemonLog, 'utf8').catch(() => '');
      throw new Error(`the cluster did not come up; its daemon's log ends:\n${said.slice(-1000)}`, { cause: error });
    }
    return cluster;
  }

  status(): Promise<Status> {
    return this.client.status(this.#bench.signal);
  }

  async settled(timeoutMs = 60_000): Promise<Status> {
    let last: Status | null = null;
    await until(
      'the cluster is healthy',
      async () => {
        last = await this.status().catch(() => null);
        return last !== null && isSettled(last);
      },
      this.#bench.signal,
      { timeoutMs },
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${last?.state ?? 'not there'}: ${last?.reason ?? ''}`, { cause: error });
    });
    return await this.status();
  }

  async primary(): Promise<MemberStatus & { readonly pid: number }> {
    const { members } = await this.status();
    const found = members.find(({ role }) => role === 'primary');
    if (found === undefined || found.pid === null) throw new Error('expected a primary that runs, found none');
    return { ...found, pid: found.pid };
  }

  /** The application's account at the primary endpoint. */
  endpoint(): Promise<Credentials> {
    return this.client.credentials();
  }

  /** The application's account straight at the primary's own port. */
  async straight(): Promise<Credentials> {
    return this.client.credentials({ member: (await this.primary()).ordinal });
  }

  async journal(): Promise<JournalEntry[]> {
    const text = await readFile(this.#directories.journal, 'utf8');
    const lines = text.trim().split('\n').slice(-500);
    return lines.map((line) => JSON.parse(line) as JournalEntry);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.stop({ delete: true }).catch(() => undefined);
    // Not by the run's signal: that may have aborted.
    const never = new AbortController().signal;
    for (let tries = 0; tries < 500 && processOf(this.daemonPid) !== null; tries++) await sleep(20, never);
  }
}
