/**
 * A cluster on a real Kubernetes for one test, in a namespace of its own; operators are processes beside the test, which it
 * can kill. KUBECONFIG says which Kubernetes; lab/kube starts one where there is none.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import { customResourceDefinition } from '../../src/kubernetes/crd.ts';
import { localStorageClass, localVolume, onLocalStorage } from '../../src/kubernetes/objects/persistent-volume.ts';
import { toYaml } from '../../src/kubernetes/render.ts';
import { validateCluster } from '../../src/spec/parse.ts';

/** On the lab's nodes; another Kubernetes may have another. */
const IMAGE = process.env['BATON_TEST_IMAGE'] ?? 'docker.io/local/mysql:9.7';
/** For tests: skipped where there is no Kubernetes. */
export const onKubernetes =
  process.env['KUBECONFIG'] === undefined ? { skip: 'needs a Kubernetes: npm run test:kubernetes' } : {};

const NODES = ['node1', 'node2', 'node3'];
const LAB = join(import.meta.dirname, 'lab', 'kube');

interface Member {
  readonly name: string;
  readonly ordinal: number;
  readonly role: string;
  readonly state: string;
  readonly detail: string;
}

interface Status {
  readonly state?: string;
  readonly reason?: string;
  readonly primary?: string;
  readonly ready?: string;
  readonly epoch?: number;
  readonly members?: readonly Member[];
  readonly conditions?: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly message: string;
  }[];
}

export interface LogLine {
  readonly at: string;
  readonly event: string;
  readonly text?: string;
  readonly error?: string;
  readonly ms?: number;
}

export interface SceneOptions {
  /** Of the resource; the image is set, and the class of its volumes. */
  readonly spec: Readonly<Record<string, unknown>>;
  /** Default: 1. */
  readonly operators?: number;
  /** Members that there are volumes for. Default: 3. */
  readonly volumes?: number;
}

let scenes = 0;

export class Scene implements AsyncDisposable {
  readonly namespace: string;
  readonly lines: LogLine[] = [];
  readonly operators: ChildProcess[] = [];
  /** The operator that leads. */
  leader: ChildProcess | null = null;
  over = false;
  readonly #options: SceneOptions;
  readonly #directory: string;
  #address = '';
  #password = '';

  private constructor(namespace: string, directory: string, options: SceneOptions) {
    this.namespace = namespace;
    this.#directory = directory;
    this.#options = options;
  }

  /** Resolves once every member is as it should be. */
  static async begin(options: SceneOptions): Promise<Scene> {
    const namespace = `baton-test-${process.pid}-${++scenes}`;
    const scene = new Scene(namespace, await mkdtemp(join(tmpdir(), 'baton-volumes-')), options);
    try {
      await scene.#prepare();
      for (let at = 0; at < (options.operators ?? 1); at++) scene.startOperator();
      await scene.apply(options.spec);
      await scene.healthy(120_000);
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
    return scene;
  }

  async #prepare(): Promise<void> {
    const system = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'baton-system' } };
    const own = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } };
    const cluster = onLocalStorage(this.#resource(this.#options.spec));
    const volumes = await Promise.all(
      Array.from({ length: this.#options.volumes ?? 3 }, async (_, index) => {
        const path = join(this.#directory, String(index));
        await mkdir(path, { mode: 0o777 });
        return localVolume(cluster, index, { node: NODES[index % NODES.length] ?? '', path });
      }),
    );
    const all = [customResourceDefinition(), system, own, localStorageClass(cluster), ...volumes];
    await this.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], toYaml(all));
    await this.kubectl(['wait', '--for=condition=Established', 'crd/mysqlclusters.baton.dev', '--timeout=20s']);
  }

  #resource(spec: Readonly<Record<string, unknown>>) {
    const storage = { size: '3Gi', className: `local-${this.namespace}` };
    return validateCluster({
      apiVersion: 'baton.dev/v1alpha1',
      kind: 'MySQLCluster',
      metadata: { name: 'mysql', namespace: this.namespace },
      spec: { storage, ...spec, mysql: { image: IMAGE, ...(spec['mysql'] as object | undefined) } },
    });
  }

  /** Asks for this from now on. */
  async apply(spec: Readonly<Record<string, unknown>>): Promise<void> {
    await this.kubectl(
      ['apply', '--server-side', '--force-conflicts', '-f', '-'],
      JSON.stringify(this.#resource(spec)),
    );
  }

  startOperator(): ChildProcess {
    const program = join(import.meta.dirname, 'operator-process.ts');
    const child = spawn(process.execPath, [program, '0', this.namespace], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.operators.push(child);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const file = process.env['BATON_TEST_LOG'];
      if (file !== undefined) appendFileSync(file, `${line}\n`);
      try {
        const entry = JSON.parse(line) as LogLine;
        this.lines.push(entry);
        if (entry.event === 'leader' && entry.text?.endsWith(' leads') === true) this.leader = child;
      } catch {
        console.error(line);
      }
    });
    return child;
  }

  /** `kubectl` in the scene's namespace. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    return run('kubectl', ['-n', this.namespace, ...args], input);
  }

  async status(): Promise<Status> {
    const object = JSON.parse(await this.kubectl(['get', 'mysqlcluster', 'mysql', '-o', 'json'])) as {
      status?: Status;
    };
    return object.status ?? {};
  }

  /** Polls; on failure tells where things stood. */
  async until(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (performance.now() < deadline) {
      if (await condition()) return;
      await wait(100);
    }
    const last = this.lines.slice(-30).map(({ event, text, error }) => `  ${event} ${text ?? ''} ${error ?? ''}`);
    throw new Error(
      `not in ${timeoutMs} ms; status ${JSON.stringify(await this.status(), null, 1)}\n${last.join('\n')}`,
    );
  }

  /** All members that are asked for are there and well. */
  async healthy(timeoutMs = 60_000): Promise<void> {
    await this.until(async () => {
      const { state, ready = '' } = await this.status();
      const wanted = await this.kubectl(['get', 'mysqlcluster', 'mysql', '-o', 'jsonpath={.spec.replicas}']);
      return state === 'healthy' && ready === `${wanted}/${wanted}`;
    }, timeoutMs);
  }

  /** The Pod of the primary, as the status has it. */
  async primary(): Promise<string> {
    return (await this.status()).primary ?? '';
  }

  async nodeOf(pod: string): Promise<string> {
    return this.kubectl(['get', 'pod', pod, '-o', 'jsonpath={.spec.nodeName}']);
  }

  /** Through the primary's Service, as the application's account. */
  async connect(): Promise<Connection> {
    this.#address ||= await this.kubectl(['get', 'service', 'mysql-primary', '-o', 'jsonpath={.spec.clusterIP}']);
    return this.#open(this.#address);
  }

  /** A member by its Pod's address, as the application's account. */
  async member(pod: string): Promise<Connection> {
    return this.#open(await this.kubectl(['get', 'pod', pod, '-o', 'jsonpath={.status.podIP}']));
  }

  async query(pod: string, sql: string): Promise<RowDataPacket[]> {
    const connection = await this.member(pod);
    try {
      const [rows] = await connection.query<RowDataPacket[]>(sql);
      return rows;
    } finally {
      connection.destroy();
    }
  }

  async #open(host: string): Promise<Connection> {
    this.#password ||= Buffer.from(
      await this.kubectl(['get', 'secret', 'mysql-credentials', '-o', 'jsonpath={.data.applicationPassword}']),
      'base64',
    ).toString();
    const connection = await createConnection({
      host,
      port: 3306,
      user: 'app',
      password: this.#password,
      connectTimeout: 500,
    });
    connection.on('error', () => undefined);
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.over = true;
    for (const operator of this.operators) {
      if (operator.exitCode !== null || operator.signalCode !== null) continue;
      operator.kill('SIGTERM');
      const late = setTimeout(() => operator.kill('SIGKILL'), 5000);
      await once(operator, 'exit');
      clearTimeout(late);
    }
    await this.kubectl(['delete', 'namespace', this.namespace, '--timeout=60s']).catch((error: unknown) =>
      console.error(error),
    );
    const label = `app.kubernetes.io/instance=mysql`;
    await this.kubectl(['delete', 'pv', '-l', label, '--timeout=30s']).catch(() => undefined);
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export async function run(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trim());
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
    child.stdin?.end(input ?? '');
  });
}

/** Cuts a node of the lab off from all others, or connects it again. */
export const lab = (command: 'isolate' | 'heal', node: string): Promise<string> => run(LAB, [command, node]);
