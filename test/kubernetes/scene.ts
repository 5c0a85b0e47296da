/**
 * A cluster on a real Kubernetes for one test, in a namespace of its own; operators are processes beside the test, which it
 * can kill. KUBECONFIG says which Kubernetes; lab/kube starts one where there is none.
 */
import assert from 'node:assert/strict';
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
import { OPERATOR_ENVIRONMENT } from '../../src/kubernetes/install.ts';
import { localStorageClass, localVolume, onLocalStorage } from '../../src/kubernetes/objects/persistent-volume.ts';
import { toYaml } from '../../src/kubernetes/render.ts';
import { validateCluster } from '../../src/spec/parse.ts';

/** On the lab's nodes; another Kubernetes may have another. */
export const TEST_IMAGE = process.env['BATON_TEST_IMAGE'] ?? 'docker.io/local/mysql:9.7';
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
  /** Default: 1; 0: there is one already, not beside the test. */
  readonly operators?: number;
  /** Members that there are volumes for. Default: 3. 0: no StorageClass either. */
  readonly volumes?: number;
  /** How large each volume really is, in MiB; of the lab's nodes. Default: as large as the machine's disk. */
  readonly volumeMib?: number;
  /** It never becomes what it should be: the scene begins at once. */
  readonly unwell?: boolean;
}

let scenes = 0;

export class Scene implements AsyncDisposable {
  readonly namespace: string;
  readonly lines: LogLine[] = [];
  readonly operators: ChildProcess[] = [];
  /** The operator that leads. */
  leader: ChildProcess | null = null;
  over = false;
  /** From its apply until all members were as they should be, in milliseconds. */
  healthyAfterMs = 0;
  /** The Pods behind the primary's Service, each time that they changed. */
  readonly behindPrimary: (readonly string[])[] = [];
  #watch: ChildProcess | null = null;
  readonly #mounted: string[] = [];
  readonly #listeners = new Set<(line: LogLine) => void>();
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
      scene.#watchPrimary();
      for (let at = 0; at < (options.operators ?? 1); at++) scene.startOperator();
      // An operator is there already, as a rule; one in a Pod of its own is the test's affair.
      await scene.until(() => scene.leader !== null || options.operators === 0, 40_000, true);
      const begunMs = performance.now();
      await scene.apply(options.spec);
      if (options.unwell !== true) await scene.healthy(120_000);
      scene.healthyAfterMs = Math.round(performance.now() - begunMs);
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
        const { volumeMib } = this.#options;
        if (volumeMib !== undefined) {
          await run('mount', ['-t', 'tmpfs', '-o', `size=${volumeMib}m,mode=777`, 'baton-test', path]);
          this.#mounted.push(path);
        }
        return localVolume(cluster, index, { node: NODES[index % NODES.length] ?? '', path });
      }),
    );
    const storage = volumes.length === 0 ? [] : [localStorageClass(cluster), ...volumes];
    const all = [customResourceDefinition(), system, own, ...storage];
    await this.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], toYaml(all));
    await this.kubectl(['wait', '--for=condition=Established', 'crd/mysqlclusters.baton.dev', '--timeout=20s']);
  }

  #resource(spec: Readonly<Record<string, unknown>>) {
    const storage = { size: '3Gi', className: `local-${this.namespace}` };
    return validateCluster({
      apiVersion: 'baton.dev/v1alpha1',
      kind: 'MySQLCluster',
      metadata: { name: 'mysql', namespace: this.namespace },
      spec: {
        ...spec,
        storage: { ...storage, ...(spec['storage'] as object | undefined) },
        mysql: { image: TEST_IMAGE, ...(spec['mysql'] as object | undefined) },
      },
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
    const child = spawn(process.execPath, [program, '0', this.namespace], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...OPERATOR_ENVIRONMENT },
    });
    this.operators.push(child);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const file = process.env['BATON_TEST_LOG'];
      if (file !== undefined) appendFileSync(file, `${line}\n`);
      try {
        const entry = JSON.parse(line) as LogLine;
        this.lines.push(entry);
        for (const listener of this.#listeners) listener(entry);
        if (entry.event === 'leader' && entry.text?.endsWith(' leads') === true) this.leader = child;
      } catch {
        console.error(line);
      }
    });
    return child;
  }

  #watchPrimary(): void {
    const options = ['--watch', '-o', 'jsonpath={.endpoints[*].targetRef.name}{"\\n"}'];
    const args = ['-n', this.namespace, 'get', 'endpointslices', '-l', 'kubernetes.io/service-name=mysql-primary'];
    this.#watch = spawn('kubectl', [...args, ...options], { stdio: ['ignore', 'pipe', 'ignore'] });
    createInterface({ input: this.#watch.stdout ?? assert.fail() }).on('line', (line) => {
      this.behindPrimary.push(line.split(' ').filter((name) => name !== ''));
    });
    // Its API server may be killed.
    this.#watch.once('exit', () => {
      if (!this.over) setTimeout(() => this.#watchPrimary(), 200);
    });
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

  /** Polls; on failure tells where things stood. `alone`: without asking the API server, which may be away. */
  async until(condition: () => boolean | Promise<boolean>, timeoutMs: number, alone = false): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    let cause: unknown;
    while (performance.now() < deadline) {
      try {
        if (await condition()) return;
      } catch (error) {
        // It does not hold yet: who is to be asked may be away.
        cause = error;
      }
      await wait(100);
    }
    const status = alone ? '' : `; status ${JSON.stringify(await this.status(), null, 1)}`;
    throw new Error(`not in ${timeoutMs} ms${status}\n${this.told().slice(-40).join('\n')}`, { cause });
  }

  /** What operators said, as text. */
  told(from = 0): string[] {
    return this.lines
      .slice(from)
      .map(({ at, event, text, error, ms }) => `${at.slice(11)} ${event} ${text ?? ''} ${error ?? ''} ${ms ?? ''}`);
  }

  /** Calls back, once, as soon as an operator says that. */
  async whenSaid(what: RegExp, then: () => void, timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`nobody said ${String(what)}`)), timeoutMs);
      const listener = ({ text }: LogLine): void => {
        if (text === undefined || !what.test(text)) return;
        clearTimeout(late);
        this.#listeners.delete(listener);
        then();
        resolve();
      };
      this.#listeners.add(listener);
    });
  }

  /** `kill -9` of a Pod's mysqld, now or in so many seconds. */
  async killMysqld(pod: string, inSeconds = 0): Promise<void> {
    const kill = 'kill -9 $(cat /var/lib/mysql/data/mysqld.pid)';
    const script = inSeconds === 0 ? kill : `(sleep ${inSeconds}; ${kill}) >/dev/null 2>&1 </dev/null &`;
    await this.kubectl(['exec', pod, '-c', 'mysql', '--', 'bash', '-c', script]);
  }

  async addressOf(pod: string): Promise<string> {
    return this.kubectl(['get', 'pod', pod, '-o', 'jsonpath={.status.podIP}']);
  }

  /** All members that are asked for are there and well. */
  async healthy(timeoutMs = 60_000): Promise<void> {
    await this.until(async () => {
      const { state, ready = '' } = await this.status();
      const wanted = await this.replicas();
      return state === 'healthy' && ready === `${wanted}/${wanted}`;
    }, timeoutMs);
  }

  /** How many members are asked for. */
  async replicas(): Promise<number> {
    return Number(await this.kubectl(['get', 'mysqlcluster', 'mysql', '-o', 'jsonpath={.spec.replicas}']));
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
    return this.#open(await this.addressOf(pod));
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

  /** Of people's Secret, as it is now. */
  async password(key: 'rootPassword' | 'applicationPassword'): Promise<string> {
    const encoded = await this.kubectl(['get', 'secret', 'mysql-credentials', '-o', `jsonpath={.data.${key}}`]);
    return Buffer.from(encoded, 'base64').toString();
  }

  /** It is read again with the next connection. */
  forgetPassword(): void {
    this.#password = '';
  }

  async #open(host: string): Promise<Connection> {
    this.#password ||= await this.password('applicationPassword');
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
    this.#watch?.kill();
    for (const operator of this.operators) {
      if (operator.exitCode !== null || operator.signalCode !== null) continue;
      operator.kill('SIGTERM');
      const late = setTimeout(() => operator.kill('SIGKILL'), 5000);
      await once(operator, 'exit');
      clearTimeout(late);
    }
    // What is over need not be stopped in good order.
    const now = ['--force', '--grace-period=0', '--wait=false'];
    await this.kubectl(['delete', 'statefulset,pods', '--all', ...now]).catch(() => undefined);
    await this.kubectl(['delete', 'namespace', this.namespace, '--timeout=60s']).catch((error: unknown) =>
      console.error(error),
    );
    const label = `app.kubernetes.io/instance=mysql`;
    await this.kubectl(['delete', 'pv', '-l', label, '--timeout=30s']).catch(() => undefined);
    for (const path of this.#mounted) await run('umount', ['-l', path]);
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export async function run(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trim());
      else reject(new Error(`${command} ${args.join(' ')}: ${stderr.trim() || error.message}`));
    });
    // One that ends without reading says why by its exit code.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

/** What only the lab can do: cut a node off from all others, or a way to one port; kill one of its processes. */
export const lab = (
  command: 'isolate' | 'heal' | 'cut' | 'mend' | 'stop' | 'start-apiserver' | 'tag',
  ...args: readonly string[]
): Promise<string> => run(LAB, [command, ...args]);
