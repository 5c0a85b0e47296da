/** A real cluster for one test: in a directory of its own, stopped and gone at the end, whatever happened. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection, type Connection } from 'mysql2/promise';
import type { JournalEntry } from '../../src/control/port.ts';
import { LocalCluster } from '../../src/local/cluster.ts';
import { defaultCacheDir, findDistribution } from '../../src/local/distribution.ts';
import { ensureTemplate } from '../../src/local/template.ts';
import { parseCluster } from '../../src/spec/parse.ts';

export class Scene implements AsyncDisposable {
  cluster: LocalCluster;
  readonly directory: string;
  readonly entries: JournalEntry[] = [];
  readonly #spec: string;

  private constructor(directory: string, spec: string, cluster: LocalCluster) {
    this.directory = directory;
    this.#spec = spec;
    this.cluster = cluster;
  }

  /** `spec`: the resource's spec as YAML flow text, such as `{replicas: 2}`. */
  static async begin(spec: string): Promise<Scene> {
    const directory = await mkdtemp(join(tmpdir(), 'baton-test-'));
    const scene = new Scene(directory, spec, await openCluster(directory, spec));
    scene.#start();
    await scene.until('healthy', 60_000);
    return scene;
  }

  #start(): void {
    const { journal } = this.cluster;
    const write = journal.write.bind(journal);
    journal.write = (entry) => {
      this.entries.push(entry);
      if (process.env['BATON_TEST_JOURNAL'] !== undefined) {
        console.log(`${entry.at.slice(17)} ${entry.kind.padEnd(7)} ${entry.text} ${entry.ms ?? ''}`);
      }
      write(entry);
    };
    this.cluster.start((error) => {
      if (error !== null) console.error(error);
    });
  }

  get state(): string {
    return this.cluster.loop.latest?.decision.state ?? 'none';
  }

  get reason(): string {
    return this.cluster.loop.latest?.decision.reason ?? '';
  }

  /** The ordinal of the recorded primary. */
  get primary(): number {
    return this.cluster.loop.latest?.view.record.primary?.ordinal ?? -1;
  }

  /** Another life of the controller over the same members, as after a kill -9 of the daemon. */
  async restartController(): Promise<void> {
    await this.cluster.release();
    this.cluster = await openCluster(this.directory, this.#spec);
    this.#start();
  }

  apply(spec: string): void {
    this.cluster.apply(resourceOf(spec));
  }

  /** Waits for a state, or for a condition; rejects with what the cluster says of itself. */
  async until(what: string | (() => boolean | Promise<boolean>), timeoutMs = 30_000): Promise<void> {
    const holds = typeof what === 'string' ? () => this.state === what : what;
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline) {
      if (await holds()) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(
      `not so within ${timeoutMs} ms: ${typeof what === 'string' ? what : what.toString()}; it is ${this.state}: ${this.reason}\n` +
        this.entries
          .slice(-30)
          .map((entry) => `${entry.at} ${entry.kind} ${entry.text}`)
          .join('\n'),
    );
  }

  /** A connection through an endpoint, as the application. */
  connect(endpoint: 'primary' | 'read' = 'primary'): Promise<Connection> {
    const { host, port } = this.cluster.endpoints[endpoint];
    return this.#connect(
      host,
      port,
      this.cluster.resource.spec.credentials.applicationUser,
      this.cluster.passwords.application,
    );
  }

  /** A connection straight to a member, as the application. */
  member(ordinal: number): Promise<Connection> {
    const layout = this.#layout(ordinal);
    return this.#connect(
      layout.host,
      layout.port,
      this.cluster.resource.spec.credentials.applicationUser,
      this.cluster.passwords.application,
    );
  }

  /** A connection straight to a member, as root, over its socket. */
  async root(ordinal: number): Promise<Connection> {
    const layout = this.#layout(ordinal);
    return createConnection({
      socketPath: layout.socket,
      user: 'root',
      password: this.cluster.passwords.root,
      supportBigNumbers: true,
    });
  }

  #layout(ordinal: number): NonNullable<ReturnType<LocalCluster['members']['layout']>> {
    const layout = this.cluster.members.layout(ordinal);
    if (layout === null) throw new Error(`there is no member ${ordinal}`);
    return layout;
  }

  #connect(host: string, port: number, user: string, password: string): Promise<Connection> {
    return createConnection({ host, port, user, password, supportBigNumbers: true, connectTimeout: 20_000 });
  }

  pid(ordinal: number): number {
    const host = this.cluster.members.list().find((one) => one.ordinal === ordinal);
    return host?.process.kind === 'running' ? host.process.id.pid : -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stopAll();
    await rm(this.directory, { recursive: true, force: true });
  }
}

function resourceOf(spec: string): ReturnType<typeof parseCluster>['cluster'] {
  return parseCluster(`apiVersion: baton.dev/v1alpha1\nkind: MySQLCluster\nmetadata: {name: test}\nspec: ${spec}\n`)
    .cluster;
}

async function openCluster(directory: string, spec: string): Promise<LocalCluster> {
  const cacheDir = defaultCacheDir(process.env);
  const distribution = await findDistribution({ cacheDir });
  const template = await ensureTemplate({ distribution, cacheDir });
  return LocalCluster.open({
    resource: resourceOf(spec),
    distribution,
    template,
    dataDir: join(directory, 'data'),
    stateDir: join(directory, 'state'),
    log: () => undefined,
  });
}
