/** Runs member.sh as a Pod would, with directories instead of volumes, on a real MySQL. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import { certificateAuthority, certificateFor } from '../../src/kubernetes/certificates.ts';
import { initialConfig, memberConfig } from '../../src/kubernetes/objects/config-map.ts';
import { parsePrepareReport, type PrepareReport } from '../../src/kubernetes/objects/orders.ts';
import { internalSecret } from '../../src/kubernetes/objects/secret.ts';
import { UNOWNED } from '../../src/kubernetes/objects/object.ts';
import { defaultCacheDir, findDistribution, type Distribution } from '../../src/local/distribution.ts';
import { chooseFreePort } from '../../src/local/free-ports.ts';
import type { Passwords } from '../../src/mysql/accounts.ts';
import { CONTROLLER_USER } from '../../src/mysql/names.ts';
import { defaultCluster } from '../../src/spec/parse.ts';
import type { MySQLCluster } from '../../src/spec/resource.ts';

const PASSWORDS: Passwords = {
  root: `ro'o\\t`,
  application: 'application',
  controller: 'controller',
  replication: 'replication',
  clone: 'clone',
};

export class MemberPod implements AsyncDisposable {
  static #template: string | null = null;
  readonly directory: string;
  readonly port: number;
  readonly adminPort: number;
  readonly #cluster: MySQLCluster;
  readonly #name: string;
  #supervisor: ChildProcess | null = null;
  output = '';

  private constructor(directory: string, name: string, cluster: MySQLCluster, port: number, adminPort: number) {
    this.directory = directory;
    this.#name = name;
    this.#cluster = cluster;
    this.port = port;
    this.adminPort = adminPort;
  }

  static async make(name = 'mysql-0'): Promise<MemberPod> {
    const distribution = await findDistribution({ cacheDir: defaultCacheDir(process.env) });
    const directory = await mkdtemp(join(tmpdir(), 'baton-pod-'));
    const port = await chooseFreePort(new Set());
    const adminPort = await chooseFreePort(new Set([port]));
    const pod = new MemberPod(directory, name, defaultCluster('mysql'), port, adminPort);
    for (const part of ['volume', 'run', 'config', 'internal', 'tls', 'bin']) await mkdir(join(directory, part));
    await pod.#installPrograms(distribution);
    const { data } = internalSecret(pod.#cluster, PASSWORDS, UNOWNED) as unknown as { data: Record<string, string> };
    for (const file of ['accounts.sql', 'client.cnf']) {
      await writeFile(join(directory, 'internal', file), Buffer.from(data[file] ?? '', 'base64'), { mode: 0o600 });
    }
    await pod.configure();
    await pod.certify();
    return pod;
  }

  /** Writes the Secret of the certificate, another one each time. Resolves with the authority that signed it. */
  async certify(): Promise<string> {
    const validity = { from: new Date(Date.now() - 60_000), until: new Date(Date.now() + 3_600_000) };
    const authority = await certificateAuthority('a test’s', validity);
    const { certificate, key } = await certificateFor(['localhost'], authority, validity);
    const files = { 'ca.crt': authority.certificate, 'tls.key': key, 'tls.crt': certificate };
    for (const [name, text] of Object.entries(files)) await writeFile(join(this.directory, 'tls', name), text);
    return authority.certificate;
  }

  /** Writes the ConfigMap's files; `extra` is added to my.cnf. */
  async configure(extra = ''): Promise<void> {
    const config = join(this.directory, 'config');
    const place = {
      volume: join(this.directory, 'volume'),
      run: join(this.directory, 'run'),
      tls: join(this.directory, 'tls'),
      port: this.port,
      adminPort: this.adminPort,
    };
    const script = new URL('../../src/kubernetes/scripts/member.sh', import.meta.url);
    await copyFile(script, join(config, 'member.sh'));
    await writeFile(join(config, 'my.cnf'), `${memberConfig(this.#cluster, place)}${extra}`);
    await writeFile(join(config, 'initialise.cnf'), initialConfig(this.#cluster));
  }

  /** mysqld, mysql and mysqlbinlog as an image has them: on PATH, without any options to know of. */
  async #installPrograms({ serverCommand, serverOptions, clientCommand, binlogCommand }: Distribution): Promise<void> {
    const quote = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
    const user = process.getuid?.() === 0 ? '--user=root' : '';
    const programs = {
      mysqld: `exec ${quote(serverCommand)} "$1" ${quote(serverOptions)} ${user} "\${@:2}"`,
      mysql: `exec ${quote(clientCommand ?? ['false'])} "$@"`,
      mysqlbinlog: `exec ${quote(binlogCommand ?? ['false'])} "$@"`,
    };
    for (const [name, line] of Object.entries(programs)) {
      await writeFile(join(this.directory, 'bin', name), `#!/bin/bash\n${line}\n`);
      await chmod(join(this.directory, 'bin', name), 0o755);
    }
  }

  #spawn(args: readonly string[]): ChildProcess {
    const at = (name: string): string => join(this.directory, name);
    const child = spawn('bash', [at('config/member.sh'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`,
        POD_NAME: this.#name,
        POD_IP: '127.0.0.1',
        BATON_VOLUME: at('volume'),
        BATON_RUN: at('run'),
        BATON_CONFIG: at('config'),
        BATON_INTERNAL: at('internal'),
        BATON_TLS: at('tls'),
        BATON_ORDERS: at('orders'),
        BATON_TERMINATION: at('termination'),
      },
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    return child;
  }

  /** One of the script's commands, to its end. */
  async command(...args: string[]): Promise<number | null> {
    const child = this.#spawn(args);
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  }

  /** As if it had been prepared before: with a copy of the data of one that was. */
  static async prepared(name = 'mysql-0'): Promise<MemberPod> {
    const template = (MemberPod.#template ??= await MemberPod.#makeTemplate());
    const pod = await MemberPod.make(name);
    const target = join(pod.directory, 'volume/data');
    await once(spawn('cp', ['-a', '--sparse=always', template, target], { stdio: 'inherit' }), 'exit');
    const uuid = randomUUID().replace(/^0/, '1');
    await writeFile(join(target, 'auto.cnf'), `[auto]\nserver-uuid=${uuid}\n`);
    await pod.prepare();
    return pod;
  }

  static async #makeTemplate(): Promise<string> {
    await using pod = await MemberPod.make();
    await pod.prepare();
    const template = await mkdtemp(join(tmpdir(), 'baton-pod-'));
    await rename(join(pod.directory, 'volume/data'), join(template, 'data'));
    return join(template, 'data');
  }

  static async removeTemplate(): Promise<void> {
    if (MemberPod.#template !== null) await rm(dirname(MemberPod.#template), { recursive: true, force: true });
    MemberPod.#template = null;
  }

  async prepare(): Promise<PrepareReport> {
    const code = await this.command('prepare');
    const report = parsePrepareReport(await this.file('termination'));
    if (code !== 0 || report === null) throw new Error(`prepare failed (${code}): ${this.output}`);
    return report;
  }

  /** Process 1, until mysqld answers. */
  async run(): Promise<void> {
    this.#supervisor = this.#spawn(['run']);
    await this.answers();
  }

  /** Process 1, which is expected to end. */
  async runToItsEnd(): Promise<number | null> {
    this.#supervisor = this.#spawn(['run']);
    return this.ended();
  }

  signal(signal: NodeJS.Signals): void {
    this.#supervisor?.kill(signal);
  }

  async ended(): Promise<number | null> {
    const supervisor = this.#supervisor;
    if (supervisor === null) return null;
    if (supervisor.exitCode === null && supervisor.signalCode === null) await once(supervisor, 'exit');
    this.#supervisor = null;
    return supervisor.exitCode;
  }

  async order(text: string): Promise<void> {
    await writeFile(join(this.directory, 'orders'), text);
  }

  file(name: string): Promise<string> {
    return readFile(join(this.directory, name), 'utf8');
  }

  async answers(unlike = ''): Promise<void> {
    await this.until(`mysqld answers`, async () => {
      const uuid = await this.one('SELECT @@server_uuid AS it').catch(() => '');
      return uuid !== '' && uuid !== unlike;
    });
  }

  async until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
    const deadline = Date.now() + 60_000;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}\n${this.output}`);
      await sleep(50);
    }
  }

  connect(user = CONTROLLER_USER, password = PASSWORDS.controller): Promise<Connection> {
    return createConnection({ host: '127.0.0.1', port: this.port, user, password, connectTimeout: 5000 });
  }

  /** The one value of the one row, as text. */
  async one(sql: string): Promise<string> {
    const connection = await this.connect();
    try {
      const [rows] = await connection.query<RowDataPacket[]>(sql);
      return String(Object.values(rows[0] ?? { none: '' })[0]);
    } finally {
      connection.destroy();
    }
  }

  /** As a person would by `kubectl exec`. */
  async asRoot(sql: string): Promise<void> {
    const socketPath = join(this.directory, 'run/mysqld.sock');
    const connection = await createConnection({ socketPath, user: 'root', password: PASSWORDS.root });
    await connection.query(sql).finally(() => connection.destroy());
  }

  /** Statements of the controller's, one after the other. */
  async control(...statements: string[]): Promise<void> {
    const connection = await this.connect();
    try {
      for (const statement of statements) await connection.query(statement);
    } finally {
      connection.destroy();
    }
  }

  /** The process that mysqld is now. */
  async pid(): Promise<number> {
    return Number(await this.file('volume/data/mysqld.pid'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#supervisor !== null) {
      this.signal('SIGTERM');
      const late = setTimeout(() => this.signal('SIGKILL'), 30_000);
      await this.ended();
      clearTimeout(late);
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}
