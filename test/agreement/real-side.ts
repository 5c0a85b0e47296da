/** Real servers; each pair is connected by a wire that can be cut. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceAddress } from '../../src/cluster/decision.ts';
import type { Clock } from '../../src/control/port.ts';
import { Session, type Target } from '../../src/mysql/session.ts';
import { Servers, soon, until, type Server } from '../mysql/servers.ts';
import { Side, type Who } from './side.ts';
import { Wire } from './wire.ts';

const HOST = '127.0.0.1';
const USERS = { client: 'application', admin: 'tester', brain: 'controller' } as const;

/** Node's own, whatever the simulator has put in the place of AbortController. */
const clock: Clock = {
  nowMs: () => performance.now(),
  wallTime: () => new Date(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(end, ms);
      if (signal?.aborted === true) end();
      else signal?.addEventListener('abort', end, { once: true });
    }),
  deadline: (ms) => AbortSignal.timeout(ms),
  uuid: () => crypto.randomUUID(),
};

export class RealSide extends Side implements AsyncDisposable {
  readonly name = 'real';
  protected readonly clock = clock;
  readonly #servers: Servers;
  readonly #members = new Map<number, Server>();
  readonly #wires = new Map<string, Wire>();

  private constructor(servers: Servers) {
    super();
    this.#servers = servers;
  }

  /** @param ordinals of the members that there will be. */
  static async begin(servers: Servers, ordinals: readonly number[]): Promise<RealSide> {
    const side = new RealSide(servers);
    for (const source of ordinals) {
      for (const replica of ordinals) {
        if (source === replica) continue;
        side.#wires.set(`${source} ${replica}`, await Wire.listen(() => side.#members.get(source)?.port ?? null));
      }
    }
    return side;
  }

  #server(ordinal: number): Server {
    const server = this.#members.get(ordinal);
    if (server === undefined) throw new Error(`there is no member ${ordinal}`);
    return server;
  }

  #wire(source: number, replica: number): Wire {
    const wire = this.#wires.get(`${source} ${replica}`);
    if (wire === undefined) throw new Error(`there is no wire from ${source} to ${replica}`);
    return wire;
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return promise;
  }

  async start(ordinal: number): Promise<void> {
    const known = this.#members.get(ordinal);
    if (known !== undefined) {
      await known.exited();
      return known.start();
    }
    const server = await this.#servers.born(ordinal);
    this.#members.set(ordinal, server);
    await server.ask('SET GLOBAL super_read_only = OFF');
    await server.ask('SET SESSION sql_log_bin = 0');
    await server.ask('CREATE TABLE shop.orders (n INT PRIMARY KEY)');
    await server.ask('SET SESSION sql_log_bin = 1');
    await server.ask('SET GLOBAL super_read_only = ON');
  }

  kill(ordinal: number): Promise<void> {
    return this.#server(ordinal).kill();
  }

  async stop(ordinal: number): Promise<void> {
    this.#server(ordinal).signal('SIGTERM');
    await this.#server(ordinal).exited();
  }

  freeze(ordinal: number): void {
    this.#server(ordinal).signal('SIGSTOP');
  }

  thaw(ordinal: number): void {
    this.#server(ordinal).signal('SIGCONT');
  }

  async loseData(ordinal: number): Promise<void> {
    await this.#server(ordinal)[Symbol.asyncDispose]();
    this.#members.delete(ordinal);
  }

  cut(one: number, other: number): void {
    this.#wire(one, other).cut();
    this.#wire(other, one).cut();
  }

  cutAnswers(replica: number, source: number): void {
    this.#wire(source, replica).cut('answers');
  }

  mend(one: number, other: number): void {
    this.#wire(one, other).mend();
    this.#wire(other, one).mend();
  }

  session(ordinal: number, who: Who): Promise<Session> {
    const server = this.#server(ordinal);
    return server.session(USERS[who], soon(60_000), who === 'brain' ? server.adminPort : server.port);
  }

  protected open(target: Target, signal: AbortSignal): Promise<Session> {
    return Session.open(target, signal);
  }

  insert(row: number): [string, number] {
    return ['INSERT INTO shop.orders VALUES (?)', row];
  }

  async writeErrant(ordinal: number): Promise<void> {
    const [sql] = ['CREATE TABLE shop.errant (n INT)'];
    await this.ask(ordinal, 'SET GLOBAL super_read_only = OFF', sql, 'SET GLOBAL super_read_only = ON');
  }

  obstruct(ordinal: number, row: number): Promise<void> {
    return this.#unlogged(ordinal, `INSERT INTO shop.orders VALUES (${row})`);
  }

  unobstruct(ordinal: number, row: number): Promise<void> {
    return this.#unlogged(ordinal, `DELETE FROM shop.orders WHERE n = ${row}`);
  }

  async #unlogged(ordinal: number, sql: string): Promise<void> {
    const [open, unlogged, close] = [
      'SET GLOBAL super_read_only = OFF',
      'SET SESSION sql_log_bin = 0',
      'SET GLOBAL super_read_only = ON',
    ];
    await this.ask(ordinal, open, unlogged, sql, close);
  }

  async stopApplier(ordinal: number): Promise<void> {
    await this.ask(ordinal, 'STOP REPLICA SQL_THREAD');
  }

  async cloneHeldUp(ordinal: number): Promise<void> {
    const stage = `SELECT STAGE FROM performance_schema.clone_progress WHERE STATE = 'In Progress'`;
    await until('it copies pages', async () => (await this.#server(ordinal).value(stage)) === 'PAGE COPY', 30_000);
  }

  async rotate(ordinal: number): Promise<void> {
    await this.ask(ordinal, 'FLUSH BINARY LOGS');
  }

  route(source: number, replica: number): SourceAddress {
    return { ordinal: source, host: HOST, port: this.#wire(source, replica).port };
  }

  protected memberAt(_host: string, port: number): string {
    for (const [name, wire] of this.#wires) if (wire.port === port) return `member ${name.split(' ')[0]}`;
    return `port ${port}`;
  }

  protected adminAddress(ordinal: number): { readonly host: string; readonly port: number } | null {
    const server = this.#members.get(ordinal);
    // As of a member that is not there: nobody listens.
    return server === undefined ? { host: HOST, port: 1 } : { host: HOST, port: server.adminPort };
  }

  async rest(ms: number): Promise<void> {
    await sleep(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.closeLinks();
    for (const wire of this.#wires.values()) await wire[Symbol.asyncDispose]();
    for (const server of this.#members.values()) await server[Symbol.asyncDispose]();
  }
}
