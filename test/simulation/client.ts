/** Applications: they write numbered rows and read, through the primary endpoint or straight at a member. */
import { StatementError } from '../../src/mysql/session.ts';
import { CLIENTS, Process } from './network.ts';
import { deadline } from './platform.ts';
import { SimulatedSession } from './session.ts';
import type { World } from './world.ts';

export interface ClientOptions {
  readonly world: World;
  /** A member's ordinal: it writes there, whoever is the primary. Null: through the endpoint. */
  readonly straight: number | null;
  readonly thinkMs: number;
}

/** It gives an answer so long before it starts anew. */
const PATIENCE_MS = 8000;
const PORT = 3306;
/** Where nothing has begun or ended for so long, there is less to be found: they write less. */
const CALM_MS = 6000;
const AT_LEISURE = 4;
/** How often it reads before it writes, and afterwards. */
const READS = 0.25;

export class Client {
  readonly #options: ClientOptions;
  readonly process: Process;
  /** Which member the present session is at. */
  at: number | null = null;
  #session: SimulatedSession | null = null;
  #stopped = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.process = new Process(options.world.time, options.world.network.machine(CLIENTS));
    void this.#live();
  }

  stop(): void {
    this.#stopped = true;
  }

  /** An account statement now, over a connection of its own: whatever else it does may be waiting for something. */
  async writeAccount(): Promise<void> {
    const { world } = this.#options;
    const { members, hold } = world.addresses.primary;
    const [target] = members;
    if (target === undefined || hold) return;
    const { host } = world.member(target);
    const deadline = this.#deadline(PATIENCE_MS);
    try {
      const login = { host, port: PORT, user: 'app', password: '' };
      const session = await SimulatedSession.open(world, this.process, login, deadline);
      await session.query('CREATE USER somebody', [], deadline).finally(() => session.destroy());
    } catch {
      // Whether it came to anything, the server knows.
    }
  }

  /** The endpoint leads elsewhere: what is open to other members is cut. */
  cutUnless(members: readonly number[]): void {
    if (this.#options.straight !== null || this.at === null || members.includes(this.at)) return;
    this.#session?.destroy();
  }

  async #live(): Promise<void> {
    const { world, thinkMs } = this.#options;
    while (!this.#stopped) {
      const calm = world.time.nowMs - world.disturbedMs > CALM_MS;
      await this.#sleep(world.clientRandom.between(0.2, 1.8) * thinkMs * (calm ? AT_LEISURE : 1));
      const at = this.#session === null ? await this.#connect() : this.at;
      if (at === null || this.#session === null) continue;
      await this.#write(this.#session);
    }
  }

  async #connect(): Promise<number | null> {
    const { world, straight } = this.#options;
    const { members, hold } = world.addresses.primary;
    const target = straight ?? (hold ? undefined : members[0]);
    if (target === undefined) return null;
    this.at = target;
    try {
      const session = await SimulatedSession.open(
        world,
        this.process,
        { host: world.member(target).host, port: PORT, user: 'app', password: '' },
        this.#deadline(PATIENCE_MS),
      );
      session.onBroken(() => {
        if (this.#session === session) this.#forget();
      });
      this.#session = session;
      if (straight === null) world.addresses.open++;
      this.cutUnless(world.addresses.primary.members);
      return target;
    } catch {
      this.at = null;
      return null;
    }
  }

  #forget(): void {
    this.#session = null;
    this.at = null;
    if (this.#options.straight === null) this.#options.world.addresses.open--;
  }

  async #write(session: SimulatedSession): Promise<void> {
    const { world } = this.#options;
    const id = world.nextRow++;
    try {
      if (world.clientRandom.chance(READS)) await this.#read(session);
      await session.query('INSERT INTO row VALUES (?)', [id], this.#deadline(PATIENCE_MS));
      world.onAcknowledged(id);
      if (world.clientRandom.chance(READS)) await this.#read(session);
    } catch (error) {
      // Read-only: it looks for the primary anew.
      if (error instanceof StatementError) session.destroy();
    }
  }

  async #read(session: SimulatedSession): Promise<void> {
    if (this.#options.straight !== null) return;
    await session.query('SELECT * FROM row', [this.#options.world.checks.seen], this.#deadline(PATIENCE_MS));
  }

  #sleep(ms: number): Promise<void> {
    const { time } = this.#options.world;
    return new Promise((resolve) => {
      this.process.after(ms, () => {
        time.promised();
        resolve();
      });
    });
  }

  #deadline(ms: number): AbortSignal {
    return deadline(this.#options.world.time, this.process, ms);
  }
}
