/**
 * Bare servers for tests of what MySQL does: born from the template with Baton's own configuration and accounts, in a
 * temporary directory, with nobody that looks after them. At the end they are killed, and nothing is left behind.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultCacheDir, findDistribution, type Distribution } from '../../src/local/distribution.ts';
import { chooseFreePort } from '../../src/local/free-ports.ts';
import { copyTemplate, ensureTemplate } from '../../src/local/template.ts';
import { initialSql, type Application } from '../../src/mysql/accounts.ts';
import { configFile, type Setting } from '../../src/mysql/config-file.ts';
import { takeLock } from '../../src/mysql/lock.ts';
import { CONTROLLER_USER } from '../../src/mysql/names.ts';
import { follow } from '../../src/mysql/procedures/follow.ts';
import { open } from '../../src/mysql/procedures/open.ts';
import { prepare } from '../../src/mysql/procedures/prepare.ts';
import { setRequired } from '../../src/mysql/procedures/required.ts';
import { Session, type Row, type SqlValue } from '../../src/mysql/session.ts';

const host = '127.0.0.1';

export const passwords = {
  root: "r'o\\ot",
  controller: 'not-a-secret',
  replication: 'neither-is-this',
  clone: 'nor-this',
  application: 'let-me-in',
};

/** Signals for what takes long only when something is wrong. */
export function soon(timeoutMs = 15_000): AbortSignal {
  return AbortSignal.timeout(timeoutMs);
}

/** `tester` may do everything, as root may: what no account of Baton's should be able to. */
export type Who = 'tester' | 'application' | 'controller';

export interface ServerOptions {
  /** As of a resource: they don't win against what Baton sets itself. */
  readonly settings?: Readonly<Record<string, Setting>>;
  /** Options of the command line: they win against everything. */
  readonly options?: readonly string[];
  readonly application?: Application;
  readonly powerLoss?: boolean;
  /** As under a supervisor, which starts a server anew that ends with exit code 16. Default: true. */
  readonly supervised?: boolean;
}

export class Servers implements AsyncDisposable {
  readonly distribution: Distribution;
  readonly #template: string;
  readonly #directory: string;
  readonly #running: Server[] = [];
  #count = 0;

  private constructor(distribution: Distribution, template: string, directory: string) {
    this.distribution = distribution;
    this.#template = template;
    this.#directory = directory;
    // A test file that ends before its time leaves no servers running.
    process.once('exit', () => {
      for (const server of this.#running) server.signal('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    });
  }

  static async begin(): Promise<Servers> {
    const cacheDir = defaultCacheDir(process.env);
    const distribution = await findDistribution({ basedir: process.env['BATON_TEST_BASEDIR'], cacheDir });
    const template = await ensureTemplate({ distribution, cacheDir });
    return new Servers(distribution, template, await mkdtemp(join(tmpdir(), 'baton-mysql-')));
  }

  /** Closed, and following nobody. */
  async born(ordinal = 0, options: ServerOptions = {}): Promise<Server> {
    const directory = join(this.#directory, String(this.#count++));
    await mkdir(directory);
    await copyTemplate(this.#template, join(directory, 'data'));
    const port = await chooseFreePort(new Set());
    const adminPort = await chooseFreePort(new Set([port]));
    const place = { directory, ordinal, port, adminPort, serverId: 100 + this.#count };
    const server = new Server(this.distribution, place, options);
    this.#running.push(server);
    await server.start();
    return server;
  }

  /** Open, with as many acknowledgements required as told; members 1, 2 and 3 may replicate from it. */
  async source(required: number, options: ServerOptions = {}): Promise<Server> {
    const server = await this.born(0, options);
    const acting = await server.open(0);
    await server.ask('CREATE TABLE shop.orders (n INT PRIMARY KEY)');
    await setRequired(acting, required, soon());
    return server;
  }

  /** Follows the source, acknowledging. */
  async replica(ordinal: number, source: Server, options: ServerOptions = {}): Promise<Server> {
    const server = await this.born(ordinal, options);
    await server.follow(source);
    return server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#running) await server[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

interface Place {
  readonly directory: string;
  readonly ordinal: number;
  readonly port: number;
  readonly adminPort: number;
  readonly serverId: number;
}

export class Server implements AsyncDisposable {
  readonly ordinal: number;
  readonly port: number;
  readonly adminPort: number;
  readonly serverId: number;
  readonly dataDir: string;
  readonly socket: string;
  readonly #place: Place;
  readonly #distribution: Distribution;
  readonly #options: ServerOptions;
  readonly #sessions: Session[] = [];
  #asking: Session | null = null;
  #process: ChildProcess | null = null;
  /** The exit code or the signal; never rejects. */
  #exit: Promise<number | string> = Promise.resolve('not started');
  #born = false;

  constructor(distribution: Distribution, place: Place, options: ServerOptions) {
    this.#distribution = distribution;
    this.#place = place;
    this.#options = options;
    this.ordinal = place.ordinal;
    this.port = place.port;
    this.adminPort = place.adminPort;
    this.serverId = place.serverId;
    this.dataDir = join(place.directory, 'data');
    this.socket = join(place.directory, 's');
  }

  get address(): { host: string; port: number } {
    return { host, port: this.port };
  }

  /** Resolves when it listens. `options` are added to the command line, for this start alone. */
  async start(...options: string[]): Promise<void> {
    const { directory } = this.#place;
    const config = join(directory, 'my.cnf');
    await writeFile(config, this.#config(), { mode: 0o600 });
    const { serverCommand, serverOptions } = this.#distribution;
    const [program = '', ...rest] = serverCommand;
    const args = [...rest, `--defaults-file=${config}`, ...serverOptions, ...(this.#options.options ?? []), ...options];
    if (process.getuid?.() === 0) args.push('--user=root');
    if (!this.#born) {
      await writeFile(join(directory, 'init.sql'), this.#initialSql(), { mode: 0o600 });
      args.push(`--init-file=${join(directory, 'init.sql')}`);
    }
    const env = {
      ...process.env,
      ...(this.#options.supervised === false ? {} : { MYSQLD_PARENT_PID: `${process.pid}` }),
    };
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const log = createWriteStream(this.logFile, { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#process = child;
    this.#exit = once(child, 'exit').then(([code, signal]: (number | string)[]) => {
      if (this.#process === child) this.#process = null;
      log.end();
      return code ?? signal ?? 'unknown';
    });
    await this.#answers();
    this.#born = true;
  }

  async #answers(): Promise<void> {
    const deadline = performance.now() + 30_000;
    while (this.#process !== null && performance.now() < deadline) {
      try {
        (await this.session('tester')).destroy();
        return;
      } catch {
        await sleep(20);
      }
    }
    throw new Error(`it does not start:\n${await readFile(this.logFile, 'utf8')}`);
  }

  #config(): string {
    return configFile({
      ordinal: this.ordinal,
      serverId: this.serverId,
      bindAddress: host,
      port: this.port,
      adminPort: this.adminPort,
      dataDir: this.dataDir,
      socket: this.socket,
      tmpDir: null,
      powerLoss: this.#options.powerLoss ?? false,
      replicaNetTimeoutSeconds: 1,
      settings: [
        { innodb_redo_log_capacity: '8M', innodb_buffer_pool_size: '32M', max_connections: 50 },
        this.#options.settings ?? {},
      ],
    });
  }

  #initialSql(): string {
    const tester = [
      'SET GLOBAL super_read_only = OFF',
      `CREATE USER 'tester'@'%' IDENTIFIED BY 'tester'`,
      `GRANT ALL ON *.* TO 'tester'@'%' WITH GRANT OPTION`,
      'SET GLOBAL super_read_only = ON',
    ];
    const application = this.#options.application ?? { user: 'app', database: 'shop' };
    return initialSql(passwords, application) + tester.map((statement) => `${statement};\n`).join('');
  }

  get logFile(): string {
    return join(this.#place.directory, 'mysqld.log');
  }

  log(): Promise<string> {
    return readFile(this.logFile, 'utf8');
  }

  async session(who: Who, signal = soon(), port = this.port): Promise<Session> {
    const target = {
      tester: { user: 'tester', password: 'tester' },
      application: { user: this.#options.application?.user ?? 'app', password: passwords.application },
      controller: { user: CONTROLLER_USER, password: passwords.controller },
    }[who];
    const session = await Session.open({ host, port, ...target }, signal);
    this.#sessions.push(session);
    return session;
  }

  /** The controller's session that holds the lock, on the administrative address. */
  async acting(): Promise<Session> {
    const session = await this.session('controller', soon(), this.adminPort);
    await takeLock(session, soon());
    return session;
  }

  /** As the tester, in a session that is kept for this. */
  async ask(sql: string, values: readonly SqlValue[] = [], signal = soon()): Promise<readonly Row[]> {
    if (this.#asking === null) {
      const session = await this.session('tester');
      this.#asking = session;
      session.onBroken(() => {
        if (this.#asking === session) this.#asking = null;
      });
    }
    return this.#asking.query(sql, values, signal);
  }

  /** The first column of the first row, as text; an empty text if there is none. */
  async value(sql: string, values: readonly SqlValue[] = []): Promise<string> {
    const [row] = await this.ask(sql, values);
    const value = Object.values(row ?? {})[0] ?? '';
    return typeof value === 'object' ? JSON.stringify(value) : `${value as string | number}`;
  }

  status(name: string): Promise<string> {
    return this.value('SELECT variable_value FROM performance_schema.global_status WHERE variable_name = ?', [name]);
  }

  executed(): Promise<string> {
    return this.value('SELECT @@global.gtid_executed');
  }

  received(): Promise<string> {
    return this.value('SELECT RECEIVED_TRANSACTION_SET FROM performance_schema.replication_connection_status');
  }

  receiver(): Promise<string> {
    return this.value('SELECT SERVICE_STATE FROM performance_schema.replication_connection_status');
  }

  /** Whether the application sees the row. */
  async has(n: number): Promise<boolean> {
    return (await this.value('SELECT COUNT(*) FROM shop.orders WHERE n = ?', [n])) === '1';
  }

  /** A client of the application that writes this row. */
  async write(n: number, signal = soon(60_000)): Promise<Outcome> {
    const session = await this.session('application');
    return outcome(session.query('INSERT INTO shop.orders VALUES (?)', [n], signal));
  }

  /** The same, and its commit is seen waiting for an acknowledgement. */
  async waitingWrite(n: number): Promise<Outcome> {
    const before = Number(await this.status('Rpl_semi_sync_source_wait_sessions'));
    const write = await this.write(n);
    await until('the commit waits', async () => {
      if (write.settled !== null) throw new Error(`it did not wait: ${write.settled}`);
      return Number(await this.status('Rpl_semi_sync_source_wait_sessions')) > before;
    });
    return write;
  }

  async open(required: number): Promise<Session> {
    const acting = await this.acting();
    await prepare(acting, required, [1, 2, 3], soon());
    await open(acting, required, soon());
    return acting;
  }

  async follow(source: Server): Promise<void> {
    await follow(await this.acting(), this.ordinal, source.address, passwords.replication, 0.25, soon());
    await until('it follows', async () => (await this.receiver()) === 'ON');
  }

  /** All that the source executed by now is applied here. */
  async caughtUp(source: Server): Promise<void> {
    const executed = await source.executed();
    const timedOut = await this.value('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 10)', [executed]);
    if (timedOut !== '0') throw new Error(`it did not catch up with ${executed}: ${await this.executed()}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal);
  }

  /** The exit code or signal that it ended with. */
  async exited(timeoutMs = 20_000): Promise<number | string> {
    const late = new AbortController();
    const timeout = sleep(timeoutMs, null, { signal: late.signal }).catch(() => null);
    const how = await Promise.race([this.#exit, timeout]);
    late.abort();
    if (how === null) throw new Error(`it did not end within ${timeoutMs} ms`);
    this.#asking = null;
    return how;
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions.splice(0)) session.destroy();
    await this.kill();
    await rm(this.#place.directory, { recursive: true, force: true });
  }
}

/** What became of a statement so far: null while it runs, `OK`, or the error's message. */
export interface Outcome {
  readonly settled: string | null;
  readonly rows: readonly Row[];
  /** Rejects if it takes longer. */
  within(timeoutMs: number): Promise<string>;
  /** Rejects if it ends sooner. */
  stillWaits(ms?: number): Promise<void>;
}

export function outcome(statement: Promise<readonly Row[]>): Outcome {
  let settled: string | null = null;
  let rows: readonly Row[] = [];
  statement.then(
    (answer) => {
      settled = 'OK';
      rows = answer;
    },
    (error: unknown) => {
      settled = error instanceof Error ? error.message : String(error);
    },
  );
  return {
    get settled() {
      return settled;
    },
    get rows() {
      return rows;
    },
    within: (timeoutMs) => until('the statement ends', () => settled ?? false, timeoutMs),
    async stillWaits(ms = 300) {
      await sleep(ms);
      if (settled !== null) throw new Error(`it waits no more: ${settled}`);
    },
  };
}

/** Asks every 10 ms until it is so; what it waits for is told when it never is. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | false> | T | false,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(10);
  }
}
