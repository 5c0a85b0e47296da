/** mysqld with nothing around it: from the same template, with the same configuration and accounts as a member. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createConnection, type Connection } from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2';
import type { Credentials } from '../../src/local/api-client.ts';
import { chooseFreePort } from '../../src/local/free-ports.ts';
import { copyTemplate } from '../../src/local/template.ts';
import { initialSql } from '../../src/mysql/accounts.ts';
import { configFile } from '../../src/mysql/config-file.ts';
import { defaultCluster } from '../../src/spec/parse.ts';
import { sleep, type Bench } from './bench.ts';

const PASSWORD = 'of-a-benchmark';
const HOST = '127.0.0.1';
const READY_WITHIN_MS = 60_000;
/** Ports of all servers of this run, so that two do not choose the same. */
const taken = new Set<number>();
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class BareServer implements AsyncDisposable {
  readonly ordinal: number;
  readonly port: number;
  readonly #bench: Bench;
  readonly #home: string;
  readonly #adminPort: number;
  #child: ChildProcess | null = null;
  #isNew = true;
  #generation = 0;
  #session: Connection | null = null;

  private constructor(bench: Bench, home: string, ordinal: number, port: number, adminPort: number) {
    this.#bench = bench;
    this.#home = home;
    this.ordinal = ordinal;
    this.port = port;
    this.#adminPort = adminPort;
  }

  /** Makes its data directory; starts nothing. */
  static async create(bench: Bench, name: string, ordinal: number): Promise<BareServer> {
    const port = await claimPort();
    const server = new BareServer(bench, join(bench.directory, `${name}-${ordinal}`), ordinal, port, await claimPort());
    await server.#makeData();
    return server;
  }

  async #makeData(): Promise<void> {
    this.#isNew = true;
    this.#generation += 1;
    await rm(this.#home, { recursive: true, force: true });
    await mkdir(this.#home, { recursive: true, mode: 0o700 });
    await copyTemplate(this.#bench.template, join(this.#home, 'data'));
    const { spec } = defaultCluster('bench');
    const config = configFile({
      ordinal: this.ordinal,
      // A replica passes over what it finds under its own number, so that data made anew gets another one.
      serverId: 100 * this.#generation + this.ordinal + 1,
      bindAddress: HOST,
      port: this.port,
      adminPort: this.#adminPort,
      dataDir: join(this.#home, 'data'),
      socket: join(this.#home, 's'),
      tmpDir: null,
      powerLoss: false,
      replicaNetTimeoutSeconds: Math.max(1, Math.ceil(spec.detection.timeoutSeconds / 2)),
      settings: [],
    });
    await writeFile(join(this.#home, 'my.cnf'), config, { mode: 0o600 });
    const [root, controller, replication, clone, application] = Array.from({ length: 5 }, () => PASSWORD);
    const passwords = { root, controller, replication, clone, application } as Record<string, string>;
    const sql = initialSql(passwords as never, { user: spec.credentials.applicationUser, database: null });
    await writeFile(join(this.#home, 'init.sql'), sql, { mode: 0o600 });
  }

  /** Resolves when it greets clients. */
  async start({ withAccounts = true } = {}): Promise<void> {
    const { serverCommand, serverOptions } = this.#bench.distribution;
    const [program = '', ...loader] = serverCommand;
    const args = [...loader, `--defaults-file=${join(this.#home, 'my.cnf')}`, ...serverOptions];
    if (process.getuid?.() === 0) args.push('--user=root');
    if (this.#isNew && withAccounts) args.push(`--init-file=${join(this.#home, 'init.sql')}`);
    const log = await open(join(this.#home, 'log'), 'a', 0o600);
    const child = spawn(program, args, { cwd: this.#home, detached: true, stdio: ['ignore', log.fd, log.fd] });
    await log.close();
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    const deadline = performance.now() + READY_WITHIN_MS;
    while (!(await greets(join(this.#home, 's')))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        const said = await readFile(join(this.#home, 'log'), 'utf8');
        throw new Error(`a bare mysqld did not start; its log ends:\n${said.slice(-1000)}`);
      }
      await sleep(5, this.#bench.signal);
    }
    this.#isNew = false;
  }

  /** One session as root, kept open. */
  async session(): Promise<Connection> {
    if (this.#session !== null) return this.#session;
    const session = await createConnection({
      socketPath: join(this.#home, 's'),
      user: 'root',
      password: PASSWORD,
      supportBigNumbers: true,
    });
    session.on('error', () => undefined);
    await session.query('SET SESSION sql_log_bin = 0');
    this.#session = session;
    return session;
  }

  /** The rows of the last statement, each run as root. */
  async run(...statements: string[]): Promise<RowDataPacket[]> {
    const session = await this.session();
    let rows: RowDataPacket[] = [];
    for (const statement of statements) [rows] = await session.query<RowDataPacket[]>(statement);
    return rows;
  }

  /** Writable by the application. */
  async open(): Promise<void> {
    await this.run('SET GLOBAL super_read_only = OFF', 'SET GLOBAL read_only = OFF');
  }

  get credentials(): Credentials {
    const user = defaultCluster('bench').spec.credentials.applicationUser;
    return { host: HOST, port: this.port, socket: null, user, password: PASSWORD, database: null };
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#session?.destroy();
    this.#session = null;
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  /** As new, empty and stopped. */
  async wipe(): Promise<void> {
    await this.kill();
    await this.#makeData();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    taken.delete(this.port);
    taken.delete(this.#adminPort);
    await rm(this.#home, { recursive: true, force: true });
  }
}

async function claimPort(): Promise<number> {
  const port = await chooseFreePort(taken);
  taken.add(port);
  return port;
}

/** By its socket, which is nobody else's. */
function greets(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.setTimeout(2000, () => socket.destroy());
    socket.once('data', () => {
      resolve(true);
      socket.destroy();
    });
    socket.on('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
