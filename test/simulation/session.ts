/** The client's end of a connection: what src/mysql/session.ts is over mysql2, over the simulated network. */
import { SessionBrokenError, StatementError, type Row, type SqlValue, type Target } from '../../src/mysql/session.ts';
import { Connection, type Process } from './network.ts';
import { ServerSession } from './server-session.ts';
import type { World } from './world.ts';

/** The administrative port's number stands for itself: a server has both at one address. */
export const ADMIN_PORT = 33062;

export class SimulatedSession {
  readonly #world: World;
  readonly #connection: Connection;
  readonly #broken: ((error: Error) => void)[] = [];
  #session: ServerSession | null = null;
  /** Why it is over. */
  #over: string | null = null;

  private constructor(world: World, connection: Connection) {
    this.#world = world;
    this.#connection = connection;
    connection.onLost = (why) => this.#end(why);
  }

  static open(world: World, from: Process, target: Target, signal: AbortSignal): Promise<SimulatedSession> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new SessionBrokenError('given up before connecting'));
      const { network, time } = world;
      const { place, server } = world.serverAt(target.host);
      let over = false;
      const settle = (finish: () => void): void => {
        if (over) return;
        over = true;
        signal.removeEventListener('abort', giveUp);
        time.promised();
        finish();
      };
      let session: SimulatedSession | null = null;
      const giveUp = (): void =>
        settle(() => {
          session?.destroy();
          reject(new SessionBrokenError('no answer in time'));
        });
      signal.addEventListener('abort', giveUp, { once: true });
      network.send(from.place, place, { lastMs: 0 }, 0, () => {
        if (over || !from.alive) return;
        if (server === null || !server.process.alive || !server.listening) {
          network.send(place, from.place, { lastMs: 0 }, 0, () =>
            from.do(() => settle(() => reject(new SessionBrokenError(`connect ECONNREFUSED ${target.host}`)))),
          );
          return;
        }
        const connection = new Connection(network, from, server.process);
        const made = new SimulatedSession(world, connection);
        session = made;
        made.#broken.push((error) => settle(() => reject(error)));
        server.process.do(() =>
          server.accept(connection, target.user, target.port === ADMIN_PORT, (answer) =>
            settle(() => {
              if (answer instanceof ServerSession) {
                made.#session = answer;
                made.#broken.length = 0;
                resolve(made);
              } else {
                made.destroy();
                reject(new StatementError(answer.message, answer.errno));
              }
            }),
          ),
        );
      });
    });
  }

  get id(): number {
    return this.#session?.id ?? 0;
  }

  onBroken(listener: (error: Error) => void): void {
    if (this.#over === null) this.#broken.push(listener);
    else listener(new SessionBrokenError(this.#over));
  }

  query(sql: string, values: readonly SqlValue[], signal: AbortSignal): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      const session = this.#session;
      if (this.#over !== null || session === null) return reject(new SessionBrokenError(this.#over ?? 'not open'));
      if (signal.aborted) {
        this.#end('given up');
        return reject(new SessionBrokenError('given up'));
      }
      const settle = (finish: () => void): void => {
        signal.removeEventListener('abort', giveUp);
        const at = this.#broken.indexOf(onOver);
        if (at >= 0) this.#broken.splice(at, 1);
        this.#world.time.promised();
        finish();
      };
      const giveUp = (): void => this.#end('no answer in time');
      const onOver = (error: Error): void => settle(() => reject(error));
      signal.addEventListener('abort', giveUp, { once: true });
      this.#broken.push(onOver);
      this.#connection.toServer(() =>
        session.run(sql, values, (answer) => {
          if (this.#over !== null) return;
          settle(() =>
            'errno' in answer ? reject(new StatementError(answer.message, answer.errno)) : resolve(answer.rows),
          );
        }),
      );
    });
  }

  async run(statements: readonly string[], signal: AbortSignal): Promise<void> {
    for (const statement of statements) await this.query(statement, [], signal);
  }

  destroy(): void {
    this.#end('closed');
  }

  #end(why: string): void {
    if (this.#over !== null) return;
    this.#over = why;
    this.#connection.closeByClient();
    this.#world.time.promised();
    if (this.#broken.length === 0) return;
    const error = new SessionBrokenError(why);
    for (const listener of this.#broken.splice(0)) listener(error);
  }
}
