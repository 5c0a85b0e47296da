/** A real cluster for chaos: its own daemon, as users have it, in a directory of its own; gone at the end, whatever happened. */
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import type { Connection } from 'mysql2/promise';
import type { ProcessId } from '../../src/cluster/view.ts';
import type { JournalEntry } from '../../src/control/port.ts';
import { ApiClient, type Credentials } from '../../src/local/api-client.ts';
import { runningDaemon } from '../../src/local/daemon-lock.ts';
import { startDaemon } from '../../src/local/daemon-start.ts';
import { defaultCacheDir } from '../../src/local/distribution.ts';
import { clusterDirectories, type ClusterDirectories } from '../../src/local/directories.ts';
import { readJournal } from '../../src/local/journal-file.ts';
import { runningMembers, stopUnattended, type RunningMember } from '../../src/local/known-cluster.ts';
import { readMemberState } from '../../src/local/member-state.ts';
import { processOf, signalProcess } from '../../src/local/process-identity.ts';
import { isSettled, type Status } from '../../src/local/status.ts';
import { validateCluster } from '../../src/spec/parse.ts';
import { API_VERSION, KIND, type MySQLCluster, type MySQLClusterInput } from '../../src/spec/resource.ts';
import { connect } from '../connection.ts';
import { Links } from './links.ts';

export const NAME = 'chaos';
/** More members than this there never are. */
export const MOST_MEMBERS = 6;
const DISK_BYTES = 640 * 1024 ** 2;
const UP_MS = 120_000;
const journalLimit = 1_000_000;

export type Spec = NonNullable<MySQLClusterInput['spec']>;

export interface StageOptions {
  readonly spec: Spec;
  /** Whether the last member gets a small file system of its own, if root may make one here. */
  readonly smallDisk: boolean;
  readonly tell: (text: string) => void;
  readonly signal: AbortSignal;
}

export class Stage implements AsyncDisposable {
  readonly directory: string;
  readonly directories: ClusterDirectories;
  readonly links: Links;
  /** Whose disk can be filled; null: nobody's. */
  diskOf: number | null = null;
  spec: Spec;
  #logins: { primary: Credentials; read: Credentials } | null = null;
  readonly #roots = new Map<number, Credentials>();
  #passwords: { root: string; application: string } | null = null;
  readonly #undo: (() => void)[] = [];
  #over = false;

  private constructor(directory: string, links: Links, spec: Spec) {
    this.directory = directory;
    this.directories = clusterDirectories(NAME, process.env);
    this.links = links;
    this.spec = spec;
  }

  /** Resolves once the cluster is healthy. Sets variables of this process's environment: there is one stage in a process. */
  static async open({ spec, smallDisk, tell, signal }: StageOptions): Promise<Stage> {
    const directory = await mkdtemp(join(tmpdir(), 'baton-chaos-'));
    const cache = join(defaultCacheDir(process.env), '..');
    const links = await Links.listen(join(directory, 'data', 'baton', NAME), MOST_MEMBERS);
    Object.assign(process.env, {
      XDG_DATA_HOME: join(directory, 'data'),
      XDG_STATE_HOME: join(directory, 'state'),
      XDG_CACHE_HOME: cache,
      BATON_CHAOS_PORTS: links.ports.join(','),
      NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'links-preload.ts')).href}`,
    });
    delete process.env['XDG_RUNTIME_DIR'];
    const stage = new Stage(directory, links, spec);
    try {
      const client = await stage.#comeUp(smallDisk, tell, signal);
      stage.#logins = { primary: await client.credentials(), read: await client.credentials({ read: true }) };
      const secrets = JSON.parse(await readFile(stage.directories.secrets, 'utf8')) as {
        passwords: { root: string; application: string };
      };
      stage.#passwords = secrets.passwords;
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #comeUp(smallDisk: boolean, tell: (text: string) => void, signal: AbortSignal): Promise<ApiClient> {
    const { replicas = 3 } = this.spec;
    // Data that is there before there is a record would be refused: the last member comes later.
    if (smallDisk) this.spec = { ...this.spec, replicas: replicas - 1 };
    await this.startDaemon(this.#resource());
    const client = await this.client();
    if (client === null) throw new Error('its daemon is gone');
    // What keeps it from coming up is thrown here.
    for await (const status of client.watch({
      claim: true,
      signal: AbortSignal.any([signal, AbortSignal.timeout(UP_MS)]),
    })) {
      if (status.state === 'healthy') break;
    }
    if (smallDisk) {
      await this.#giveDisk(replicas - 1, tell);
      await this.apply({ ...this.spec, replicas });
    }
    const up = await this.settles(UP_MS, signal);
    signal.throwIfAborted();
    if (!up) throw new Error(`it did not come up: ${await this.words()}`);
    return client;
  }

  async #giveDisk(ordinal: number, tell: (text: string) => void): Promise<void> {
    const home = this.home(ordinal);
    const image = join(this.directory, 'disk');
    try {
      if (process.getuid?.() !== 0) throw new Error('this user is not root');
      await mkdir(home, { recursive: true, mode: 0o700 });
      await writeFile(image, '');
      await truncate(image, DISK_BYTES);
      execFileSync('mkfs.ext4', ['-q', image], { stdio: 'ignore' });
      execFileSync('mount', ['-o', 'loop', image, home], { stdio: 'ignore' });
    } catch (error) {
      await rm(home, { recursive: true, force: true });
      tell(`no disk will be filled: no file system can be made here (${(error as Error).message.split('\n')[0]})`);
      return;
    }
    this.diskOf = ordinal;
    this.#undo.push(() => execFileSync('umount', ['--lazy', home], { stdio: 'ignore' }));
  }

  #resource(): MySQLCluster {
    return validateCluster({ apiVersion: API_VERSION, kind: KIND, metadata: { name: NAME }, spec: this.spec });
  }

  async apply(spec: Spec): Promise<readonly string[]> {
    const client = await this.client();
    if (client === null) throw new Error('there is no daemon');
    const before = this.spec;
    this.spec = spec;
    try {
      return (await client.apply(this.#resource())).changes;
    } catch (error) {
      this.spec = before;
      throw error;
    }
  }

  // ── The daemon ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** It takes up what an earlier one left; when this process is gone, it ends and deletes everything. */
  async startDaemon(resource: MySQLCluster | null = null): Promise<void> {
    if (this.#over) return;
    const owner = processOf(process.pid);
    await startDaemon(NAME, this.directories, { resource, owner, deleteAfterOwner: true });
  }

  daemon(): Promise<ProcessId | null> {
    return runningDaemon(this.directories);
  }

  async client(): Promise<ApiClient | null> {
    const daemon = await runningDaemon(this.directories);
    return daemon === null ? null : new ApiClient(daemon.socket);
  }

  /** Null while nobody answers. */
  async status(): Promise<Status | null> {
    const client = await this.client();
    return client?.status(AbortSignal.timeout(2000)).catch(() => null) ?? null;
  }

  async words(): Promise<string> {
    const status = await this.status();
    if (status === null) return 'no daemon answers';
    const members = status.members.map(({ ordinal, state, reason }) => `${ordinal} ${state} ${reason}`.trim());
    return `${status.state}: ${status.reason}; members: ${members.join(', ')}`;
  }

  /** Whether all that is asked for is there within the time; looked at twice, for what was just asked for shows late. */
  async settles(limitMs: number, signal?: AbortSignal): Promise<boolean> {
    const deadlineMs = performance.now() + limitMs;
    for (let times = 0; times < 2;) {
      const status = await this.status();
      times = status !== null && isSettled(status) ? times + 1 : 0;
      if (performance.now() > deadlineMs || signal?.aborted === true) return false;
      await sleep(100);
    }
    return true;
  }

  /** Of everything so far, the oldest first. */
  journal(): Promise<JournalEntry[]> {
    return readJournal(this.directories.journal, journalLimit);
  }

  // ── Members ───────────────────────────────────────────────────────────────────────────────────────────────────────

  members(): Promise<RunningMember[]> {
    return runningMembers(this.directories.data);
  }

  home(ordinal: number): string {
    return join(this.directory, 'data', 'baton', NAME, `member-${ordinal}`);
  }

  async process(ordinal: number): Promise<ProcessId | null> {
    return (await this.members()).find((member) => member.ordinal === ordinal)?.process ?? null;
  }

  /** Of the data that it was given last; null if none. */
  async serverUuid(ordinal: number): Promise<string | null> {
    const file = join(this.directories.data, `member-${ordinal}.json`);
    return (await readMemberState(file).catch(() => null))?.serverUuid ?? null;
  }

  /** Resolves with the process that got it; null if none runs. */
  async signal(ordinal: number, signal: NodeJS.Signals): Promise<ProcessId | null> {
    const process = await this.process(ordinal);
    return process !== null && signalProcess(process, signal) ? process : null;
  }

  /** Its directory is gone at once, also for the process that runs on it. */
  async loseData(ordinal: number): Promise<void> {
    const gone = join(this.directory, `lost-${ordinal}-${Date.now()}`);
    await rename(this.home(ordinal), gone);
    // Its process may still make files there.
    await rm(gone, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }

  // ── Connections ───────────────────────────────────────────────────────────────────────────────────────────────────

  connect(endpoint: 'primary' | 'read' = 'primary'): Promise<Connection> {
    if (this.#logins === null) throw new Error('it is not up yet');
    const { host, port, user, password } = this.#logins[endpoint];
    return connect({ host, port, user, password, connectTimeout: 15_000 });
  }

  /** As the application, past the endpoints. */
  async member(ordinal: number): Promise<Connection> {
    const port = (await this.members()).find((member) => member.ordinal === ordinal)?.port;
    if (port === undefined) throw new Error(`member ${ordinal} does not run`);
    const password = this.#passwords?.application ?? '';
    return connect({ host: '127.0.0.1', port, user: 'app', password, connectTimeout: 5000 });
  }

  async root(ordinal: number): Promise<Connection> {
    const client = await this.client();
    const known = (await client?.credentials({ member: ordinal, root: true })) ?? this.#roots.get(ordinal);
    if (known === undefined) throw new Error(`nobody knows how to reach member ${ordinal}`);
    this.#roots.set(ordinal, known);
    return connect({ socketPath: known.socket ?? '', user: 'root', password: known.password });
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over = true;
    try {
      await this.#stop();
    } finally {
      for (const undo of this.#undo) undo();
      await this.links[Symbol.asyncDispose]();
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  async #stop(): Promise<void> {
    const daemon = await this.daemon();
    if (daemon !== null) signalProcess(daemon, 'SIGCONT');
    for (const { process } of await this.members()) signalProcess(process, 'SIGCONT');
    const client = await this.client();
    await client?.stop({ delete: false }).catch(() => {});
    const deadlineMs = performance.now() + 15_000;
    while ((await this.daemon()) !== null && performance.now() < deadlineMs) await sleep(20);
    const left = await this.daemon();
    if (left !== null) signalProcess(left, 'SIGKILL');
    if ((await this.members()).length > 0) await stopUnattended(this.directories, this.directories.data);
  }
}
