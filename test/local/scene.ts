/** A real cluster for one test: in a directory of its own, stopped and gone at the end, whatever happened. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import type { JournalEntry } from '../../src/control/port.ts';
import { LocalCluster } from '../../src/local/cluster.ts';
import { defaultCacheDir, findDistribution, type Distribution } from '../../src/local/distribution.ts';
import { ensureTemplate } from '../../src/local/template.ts';
import { parseCluster } from '../../src/spec/parse.ts';
import type { MemberView, ServerView } from '../../src/cluster/view.ts';
import { connect } from '../connection.ts';

/** No test takes so long; what still waits then waits for ever, and is ended with its servers. */
const LIMIT_MS = 240_000;

export interface SceneOptions {
  /** Called with the directory that the members' homes, `member-N`, are to be in, before anything is made. */
  readonly prepare?: (dataDir: string) => Promise<void>;
}

/** What ends a controller in the middle of what it does, as kill -9 would. */
class Crash extends Error {}

export class Scene implements AsyncDisposable {
  cluster: LocalCluster;
  readonly directory: string;
  readonly entries: JournalEntry[] = [];
  /** How the controllers ended that are no more; null: as they were told to. */
  readonly ends: (Error | null)[] = [];
  /** The test is at its end: writers stop. */
  over = false;
  readonly #abandoned: LocalCluster[] = [];
  readonly #undo: (() => void)[] = [];
  #spec: string;
  #others = 0;
  #crash: { readonly at: RegExp; readonly crashed: () => void } | null = null;
  readonly #limit = setTimeout(() => this.#giveUp(), LIMIT_MS);

  private constructor(directory: string, spec: string, cluster: LocalCluster) {
    this.directory = directory;
    this.#spec = spec;
    this.cluster = cluster;
  }

  /** `spec`: the resource's spec as YAML flow text, such as `{replicas: 2}`. Resolves once the cluster is healthy. */
  static async begin(spec: string, options: SceneOptions = {}): Promise<Scene> {
    const directory = await mkdtemp(join(tmpdir(), 'baton-test-'));
    await mkdir(join(directory, 'data'), { mode: 0o700 });
    await options.prepare?.(join(directory, 'data'));
    await writeFile(join(directory, 'mysqld'), SERVER);
    await chmod(join(directory, 'mysqld'), 0o755);
    const scene = new Scene(directory, spec, await openCluster(directory, 'state', spec));
    try {
      scene.#start();
      await scene.until('healthy', 60_000);
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
    return scene;
  }

  #start(): void {
    const { cluster } = this;
    const { journal } = cluster;
    const write = journal.write.bind(journal);
    journal.write = (entry) => {
      this.entries.push(entry);
      if (process.env['BATON_TEST_JOURNAL'] !== undefined) {
        console.log(`${entry.at.slice(17)} ${entry.kind.padEnd(7)} ${entry.text} ${entry.ms ?? ''}`);
      }
      write(entry);
      if (cluster === this.cluster) this.#crashMaybe(entry);
    };
    cluster.start((error) => {
      this.ends.push(error);
      if (process.env['BATON_TEST_JOURNAL'] !== undefined) console.log(`a controller ended: ${String(error)}`);
      if (error !== null && !(error instanceof Crash) && !this.#abandoned.includes(cluster)) console.error(error);
    });
  }

  #crashMaybe({ kind, text }: JournalEntry): void {
    const crash = this.#crash;
    if (crash?.at.test(`${kind} ${text}`) !== true) return;
    this.#crash = null;
    crash.crashed();
    // What an act has come to is told beside the loop: there, whoever asked for the crash ends the controller.
    if (kind !== 'done' && kind !== 'failed') throw new Crash(`${kind} ${text}`);
  }

  get state(): string {
    return this.cluster.loop.latest?.decision.state ?? 'none';
  }

  get reason(): string {
    return this.cluster.loop.latest?.decision.reason ?? '';
  }

  get epoch(): number {
    return this.cluster.loop.latest?.view.record.epoch ?? -1;
  }

  /** The ordinal of the recorded primary. */
  get primary(): number {
    return this.cluster.loop.latest?.view.record.primary?.ordinal ?? -1;
  }

  /** Every other member of the resource, ascending. */
  get replicas(): number[] {
    const { replicas } = this.cluster.resource.spec;
    return Array.from({ length: replicas }, (_, ordinal) => ordinal).filter((ordinal) => ordinal !== this.primary);
  }

  /** S and k, as recorded. */
  get ackers(): number[] {
    return (this.cluster.loop.latest?.view.record.ackers ?? []).map(({ ordinal }) => ordinal).sort((a, b) => a - b);
  }

  get required(): number {
    return this.cluster.loop.latest?.view.record.required ?? -1;
  }

  /** What the controller last saw of a member. */
  view(ordinal: number): MemberView | undefined {
    return this.cluster.loop.latest?.view.members.find((member) => member.ordinal === ordinal);
  }

  /** What a member last answered; null if it does not answer now. */
  server(ordinal: number): ServerView | null {
    const contact = this.view(ordinal)?.contact;
    return contact?.kind === 'answers' ? contact.server : null;
  }

  /** What the status says of a member. */
  report(ordinal: number): string {
    const report = this.cluster.loop.latest?.decision.members.find((member) => member.ordinal === ordinal);
    return report === undefined ? '' : `${report.state}: ${report.reason}`;
  }

  /** The journal's lines since an earlier `entries.length`, each `kind text`. */
  lines(since = 0): string[] {
    return this.entries.slice(since).map(({ kind, text }) => `${kind} ${text}`);
  }

  /** Another life of the controller over the same members, as after a kill -9 of the daemon. */
  async restartController(): Promise<void> {
    await this.cluster.release();
    this.cluster = await openCluster(this.directory, 'state', this.#spec);
    this.#start();
  }

  /** A second controller takes over while the first goes on as if it were alone; it has endpoints of its own. */
  async secondController(): Promise<void> {
    const state = await this.#otherState();
    // On one machine one daemon alone starts processes: that is the platform's promise, not the brain's.
    this.cluster.members.close();
    this.#abandoned.push(this.cluster);
    this.cluster = await openCluster(this.directory, state, this.#spec);
    this.#start();
  }

  /** A controller in a process of its own, which can be paused in the middle of what it does. It takes over at once. */
  async controllerProcess(): Promise<ControllerProcess> {
    const state = await this.#otherState();
    this.cluster.members.close();
    const life = join(import.meta.dirname, 'controller-life.ts');
    const child = spawn(process.execPath, [life, this.directory, state, this.#spec], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.atEnd(() => void child.kill('SIGKILL'));
    const controller = new ControllerProcess(child);
    await controller.line(/^record term \d+ begins/);
    return controller;
  }

  /** The same record, but other endpoints. */
  async #otherState(): Promise<string> {
    const name = `state-${++this.#others}`;
    const [first, state] = [join(this.directory, 'state'), join(this.directory, name)];
    await mkdir(state, { mode: 0o700 });
    await symlink(join(first, 'record'), join(state, 'record'));
    const secrets = JSON.parse(await readFile(join(first, 'secrets.json'), 'utf8')) as { ports: object };
    const ports = { primary: 0, read: 0 };
    await writeFile(join(state, 'secrets.json'), JSON.stringify({ ...secrets, ports }), { mode: 0o600 });
    return name;
  }

  /** Resolves when the controller was ended by the journal's line, `kind text`; to go on, restart it. */
  crashAt(at: RegExp, timeoutMs = 20_000): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.#crash = null;
        reject(new Error(`not in the journal within ${timeoutMs} ms: ${at.source}\n${this.#recent()}`));
      }, timeoutMs);
      this.#crash = {
        at,
        crashed: () => {
          clearTimeout(late);
          resolve();
        },
      };
    });
  }

  async apply(spec: string): Promise<void> {
    this.#spec = spec;
    await this.cluster.apply(resourceOf(spec));
  }

  switchover(to: number | null, timeoutMs = 20_000): Promise<{ done: boolean; reason: string }> {
    return this.cluster.loop.switchover(to, AbortSignal.timeout(timeoutMs));
  }

  /** Waits for a state, or for a condition, which does not hold while it throws; rejects with what the cluster says of itself. */
  async until(what: string | (() => boolean | Promise<boolean>), timeoutMs = 30_000): Promise<void> {
    const holds = typeof what === 'string' ? () => this.state === what : what;
    const deadline = performance.now() + timeoutMs;
    let cause: unknown;
    while (performance.now() < deadline) {
      try {
        if (await holds()) return;
      } catch (error) {
        cause = error;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const wanted = typeof what === 'string' ? what : what.toString();
    const told = `not so within ${timeoutMs} ms: ${wanted}; it is ${this.state}: ${this.reason}\n${this.#recent()}`;
    throw new Error(told, { cause });
  }

  #recent(): string {
    const entries = this.entries.slice(-30).map((entry) => `${entry.at.slice(17)} ${entry.kind} ${entry.text}`);
    return entries.join('\n');
  }

  /** Whoever waits for a server, the test or the end of it, has an error for an answer. */
  #giveUp(): void {
    console.error(`a test takes longer than ${LIMIT_MS} ms: ${this.state}: ${this.reason}\n${this.#recent()}`);
    this.over = true;
    for (const { process: host } of this.cluster.members.list()) {
      if (host.kind === 'running') process.kill(host.id.pid, 'SIGKILL');
    }
  }

  /** A connection through an endpoint, as the application. */
  connect(endpoint: 'primary' | 'read' = 'primary'): Promise<Connection> {
    const { host, port } = this.cluster.endpoints[endpoint];
    return this.#connect(host, port);
  }

  /** A connection straight to a member, as the application. */
  member(ordinal: number): Promise<Connection> {
    const layout = this.#layout(ordinal);
    return this.#connect(layout.host, layout.port);
  }

  /** A connection straight to a member, as root, over its socket. */
  async root(ordinal: number): Promise<Connection> {
    const { socket: socketPath } = this.#layout(ordinal);
    const { root: password } = this.cluster.passwords;
    return connect({ socketPath, user: 'root', password, multipleStatements: true });
  }

  /** The rows of the last statement, each run as root on a member, unlogged and read-only or not. */
  async sql(ordinal: number, ...statements: string[]): Promise<RowDataPacket[]> {
    const root = await this.root(ordinal);
    try {
      let rows: RowDataPacket[] = [];
      for (const statement of statements) [rows] = await root.query<RowDataPacket[]>(statement);
      return rows;
    } finally {
      root.destroy();
    }
  }

  /** Statements on a replica that is read-only, as by mistake: they must bear repetition, since it may be killed for them. */
  async writeAnyway(ordinal: number, ...statements: string[]): Promise<void> {
    const all = ['SET GLOBAL super_read_only = OFF', ...statements, 'SET GLOBAL super_read_only = ON'].join(';');
    await this.until(async () => {
      const root = await this.root(ordinal).catch(() => null);
      const done = await root?.query(all).then(
        () => true,
        () => false,
      );
      root?.destroy();
      return done === true;
    });
  }

  async uuid(ordinal: number): Promise<string> {
    const [row] = await this.sql(ordinal, 'SELECT @@server_uuid AS uuid');
    return String(row?.['uuid']);
  }

  #layout(ordinal: number): NonNullable<ReturnType<LocalCluster['members']['layout']>> {
    const layout = this.cluster.members.layout(ordinal);
    if (layout === null) throw new Error(`there is no member ${ordinal}`);
    return layout;
  }

  #connect(host: string, port: number): Promise<Connection> {
    const { applicationUser: user } = this.cluster.resource.spec.credentials;
    const { application: password } = this.cluster.passwords;
    return connect({ host, port, user, password, connectTimeout: 20_000 });
  }

  pid(ordinal: number): number {
    const host = this.cluster.members.list().find((one) => one.ordinal === ordinal);
    return host?.process.kind === 'running' ? host.process.id.pid : -1;
  }

  /** Where a member lives: `data`, and what was set aside or saved. */
  home(ordinal: number): string {
    return join(this.directory, 'data', `member-${ordinal}`);
  }

  /** What was saved of a member's errant transactions, as text for people; empty if nothing was. */
  async saved(ordinal: number): Promise<string> {
    const directory = join(this.home(ordinal), 'saved');
    const names = (await readdir(directory).catch(() => [])).filter((name) => !name.includes('replay'));
    return (await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')))).join('\n');
  }

  /** kill -9, by whoever it may be. */
  kill(ordinal: number): void {
    this.signal(ordinal, 'SIGKILL');
  }

  signal(ordinal: number, signal: NodeJS.Signals): void {
    const pid = this.pid(ordinal);
    if (pid > 0) process.kill(pid, signal);
  }

  /** SIGSTOP. Resolves when the last of its threads stands still. */
  async freeze(...ordinals: number[]): Promise<void> {
    for (const ordinal of ordinals) this.signal(ordinal, 'SIGSTOP');
    for (const ordinal of ordinals) await this.until(() => standsStill(this.pid(ordinal)));
  }

  thaw(...ordinals: number[]): void {
    for (const ordinal of ordinals) this.signal(ordinal, 'SIGCONT');
  }

  /** kill -9, and it does not come back before `back`. */
  async down(...ordinals: number[]): Promise<void> {
    for (const ordinal of ordinals) await writeFile(`${this.home(ordinal)}.down`, '');
    for (const ordinal of ordinals) this.kill(ordinal);
  }

  async back(...ordinals: number[]): Promise<void> {
    for (const ordinal of ordinals) await rm(`${this.home(ordinal)}.down`, { force: true });
  }

  /** Its disk is no more: at once, also for the process that runs on it. */
  async loseDisk(ordinal: number): Promise<void> {
    const gone = join(this.directory, `lost-${ordinal}-${this.entries.length}`);
    await rename(this.home(ordinal), gone);
    await rm(gone, { recursive: true });
  }

  /** To be done when every member has stopped, before the directory goes. */
  atEnd(undo: () => void): void {
    this.#undo.push(undo);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.over = true;
    try {
      for (const cluster of this.#abandoned) await cluster.release();
      await this.cluster.stopAll();
    } finally {
      clearTimeout(this.#limit);
      for (const undo of this.#undo) undo();
      await rm(this.directory, { recursive: true, force: true });
    }
  }
}

/** Its journal's lines, `kind text`, and at last `ended` with the error's code, or nothing. */
export class ControllerProcess {
  readonly lines: string[] = [];
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  #awaited: { readonly line: RegExp; readonly seen: () => void } | null = null;

  constructor(child: ChildProcess & { readonly stdout: Readable }) {
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.lines.push(line);
      if (process.env['BATON_TEST_JOURNAL'] !== undefined) console.log(`${' '.repeat(20)}| ${line}`);
      if (this.#awaited?.line.test(line) === true) this.#awaited.seen();
    });
    this.ended = once(child, 'close').then(() => this.lines.at(-1) ?? '');
  }

  /** Resolves when the line is said, or was before. */
  async line(line: RegExp, timeoutMs = 20_000): Promise<void> {
    if (this.lines.some((said) => line.test(said))) return;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`not said: ${line.source}\n${this.lines.join('\n')}`)), timeoutMs);
      const seen = (): void => {
        this.#awaited = null;
        clearTimeout(late);
        resolve();
      };
      this.#awaited = { line, seen };
    });
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }
}

async function standsStill(pid: number): Promise<boolean> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stats = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/stat`, 'utf8').catch(() => '')),
  );
  return stats.every((stat) => stat === '' || /\) [Tt] /.test(stat));
}

/** In place of mysqld: a member that is to be down waits here, as if its machine had yet to boot. */
const SERVER = `#!/bin/sh
for argument; do
  case $argument in --defaults-file=*) home=\${argument#*=}; home=\${home%/my.cnf} ;; esac
done
while [ -e "$home.down" ]; do sleep 0.05; done
exec "$@"
`;

function resourceOf(spec: string): ReturnType<typeof parseCluster>['cluster'] {
  return parseCluster(`apiVersion: baton.dev/v1alpha1\nkind: MySQLCluster\nmetadata: {name: test}\nspec: ${spec}\n`)
    .cluster;
}

export async function openCluster(directory: string, state: string, spec: string): Promise<LocalCluster> {
  const cacheDir = defaultCacheDir(process.env);
  const found = await findDistribution({ cacheDir });
  const template = await ensureTemplate({ distribution: found, cacheDir });
  const distribution: Distribution = { ...found, serverCommand: [join(directory, 'mysqld'), ...found.serverCommand] };
  return LocalCluster.open({
    resource: resourceOf(spec),
    distribution,
    template,
    dataDir: join(directory, 'data'),
    stateDir: join(directory, state),
    log: process.env['BATON_TEST_LOG'] === undefined ? () => undefined : (event) => console.log(event),
  });
}
