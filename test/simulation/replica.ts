/** MySQL's two replication threads. */
import { Connection } from './network.ts';
import type { Server } from './server.ts';
import type { Failure } from './server.ts';
import { ServerSession } from './server-session.ts';
import type { Transaction } from './transaction.ts';

const RETRY_MS = 1000;
/** Transactions that are applied at once; they commit in their order all the same. */
const BATCH = 40;
const BATCH_MS = 500;
/** For so long at a time it syncs without a look at how fast the disk is. */
const SYNC_MS = 300;
/** How often a source that dies leaves a part of a transaction behind. */
const PARTLY = 0.3;
/** How long an applier that is told to stop waits for the rest of a transaction. */
const AMID_MS = 60_000;

/** The receiver (IO thread): fetches into the relay log, and acknowledges if it did so when it was started. */
export class Receiver {
  readonly #server: Server;
  state: 'on' | 'connecting' | 'off' = 'off';
  error = '';
  acking = false;
  #connection: Connection | null = null;
  /** Which attempt is the present one; what belongs to an earlier one is ignored. */
  #attempt = 0;
  #source: Server | null = null;
  #heardMs = 0;
  #deafUntilMs = 0;
  /** Since when no heartbeat was missed. */
  #unbrokenSinceMs = 0;

  /** What it comes to once there is room for what it received: until then it does nothing, and hears of nothing. */
  #held: (() => void)[] | null = null;
  /** With sync_relay_log=1: what is acknowledged as soon as it is on the disk, in its order. */
  #unsynced: { transactions: number; readonly acknowledge: () => void }[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  start(): void {
    if (this.state !== 'off' || this.#server.data.replica === null) return;
    this.state = 'connecting';
    this.error = '';
    this.acking = this.#server.replicaEnabled;
    this.#connect();
  }

  /** Takes 0.05 s while it reads, 2 s while it connects; what it received can be read when `stopped` is called. */
  stop(stopped: () => void): void {
    if (this.state === 'off') return stopped();
    if (this.#held !== null) return void this.#held.push(() => this.stop(stopped));
    const ms = this.state === 'on' ? 50 : 2050;
    this.#server.after(ms * this.#server.world.random.between(0.5, 1), () => {
      this.#end('off');
      stopped();
    });
  }

  #end(state: 'connecting' | 'off'): void {
    this.#attempt++;
    this.#unsynced = [];
    this.#connection?.closeByClient();
    this.#connection = null;
    this.state = state;
    if (state === 'off') this.acking = false;
  }

  #retry(error: string, ms: number): void {
    this.#end('connecting');
    this.error = error;
    const attempt = this.#attempt;
    this.#server.after(ms, () => {
      if (attempt === this.#attempt && this.state === 'connecting') this.#connect();
    });
  }

  #connect(): void {
    const { data, world, process } = this.#server;
    const { replica } = data;
    if (replica === null) return;
    const attempt = ++this.#attempt;
    const stale = (): boolean => attempt !== this.#attempt;
    this.#server.after(world.netTimeoutMs, () => {
      if (!stale() && this.state === 'connecting') this.#retry('2003: no answer', RETRY_MS);
    });
    const { place, server } = world.serverAt(replica.host);
    world.network.send(process.place, place, { lastMs: 0 }, 0, () => {
      if (stale() || !process.alive) return;
      if (server === null || !server.process.alive || !server.listening) {
        world.network.send(place, process.place, { lastMs: 0 }, 0, () =>
          process.do(() => (stale() ? undefined : this.#retry(`2003: can't connect`, RETRY_MS))),
        );
        return;
      }
      const connection = new Connection(world.network, process, server.process);
      this.#connection = connection;
      const lost = (): void => {
        if (stale()) return;
        if (this.#held !== null) return void this.#held.push(lost);
        // A source that dies may have sent part of a transaction.
        if (this.state === 'on' && !server.process.alive && world.random.chance(PARTLY))
          this.#server.applier.startAmid();
        this.#retry('2013: lost connection', this.state === 'on' ? 10 : RETRY_MS);
      };
      connection.onLost = lost;
      server.process.do(() =>
        server.accept(connection, replica.user, false, (answer) => {
          if (stale()) return connection.closeByClient();
          if (answer instanceof ServerSession) this.#request(connection, answer, server, attempt);
          else this.#retry(`${answer.errno}: ${answer.message}`, RETRY_MS);
        }),
      );
    });
  }

  #request(connection: Connection, session: ServerSession, source: Server, attempt: number): void {
    const { data } = this.#server;
    const have = data.executed.copy();
    have.addAll(data.received);
    connection.toServer(() => {
      const refusal = source.dump(session, {
        replicaUuid: data.serverUuid,
        serverId: data.serverId,
        have,
        acknowledges: this.acking,
        deliver: (transactions, end, wantsAck) => {
          if (attempt === this.#attempt) this.#receive(connection, source, transactions, end, wantsAck);
        },
      });
      connection.toClient(() => {
        if (attempt === this.#attempt) this.#begin(source, refusal, attempt);
      });
    });
  }

  #begin(source: Server, refusal: Failure | null, attempt: number): void {
    const { data, world } = this.#server;
    if (data.replica !== null) data.replica.sourceUuid = source.data.serverUuid;
    if (refusal !== null) {
      // Fatal: it is not tried again.
      this.#end('off');
      this.error = `13114: Got fatal error ${refusal.errno} from source: ${refusal.message}`;
      return;
    }
    this.state = 'on';
    this.error = '';
    this.#heardMs = this.#unbrokenSinceMs = world.nowMs();
    this.#source = source;
    this.#watch(attempt);
  }

  /** Heartbeats, without an event for each: silent for the time-out, the connection counts as lost. */
  #watch(attempt: number): void {
    const { world } = this.#server;
    this.#server.after(world.netTimeoutMs / 2, () => {
      if (attempt !== this.#attempt || this.state !== 'on') return;
      if (this.silentMs >= world.netTimeoutMs) this.#retry('2013: no heartbeat', 10);
      else this.#watch(attempt);
    });
  }

  /** Heartbeats come unless something is in the way. */
  #listen(): void {
    const { world, process } = this.#server;
    const from = this.#source?.process;
    if (this.state !== 'on' || from === undefined || world.nowMs() < this.#deafUntilMs) return;
    if (!from.alive || from.frozen || world.network.isCut(from.place, process.place)) return;
    this.#hear();
  }

  #hear(): void {
    const { world } = this.#server;
    if (world.nowMs() - this.#heardMs >= world.netTimeoutMs / 2) this.#unbrokenSinceMs = world.nowMs();
    this.#heardMs = world.nowMs();
  }

  /** The machine's clock jumps: until the next heartbeat, the last one seems to be long past, or in the future. */
  jumpClock(ms: number): void {
    this.#heardMs -= ms;
    this.#deafUntilMs = this.#server.world.nowMs() + this.#server.world.netTimeoutMs / 2;
    this.#unbrokenSinceMs = this.#deafUntilMs;
  }

  #hold(run: () => void): void {
    if (this.#held === null) {
      this.#held = [];
      this.#server.whenRoom(() => {
        const held = this.#held ?? [];
        this.#held = null;
        for (const one of held) one();
      });
    }
    this.#held.push(run);
  }

  /** Whether the heartbeats of this very server come. */
  hears(source: Server): boolean {
    return this.state === 'on' && this.#source === source && this.silentMs < this.#server.world.netTimeoutMs / 2;
  }

  /** For how long it has heard this very server without a break. */
  hearsForMs(source: Server): number {
    return this.hears(source) ? this.#server.world.nowMs() - this.#unbrokenSinceMs : 0;
  }

  /** Since when nothing came, not even a heartbeat. */
  get silentMs(): number {
    // In the middle of a transaction, as far as anybody sees.
    if (this.#held !== null) return 0;
    this.#listen();
    return this.#server.world.nowMs() - this.#heardMs;
  }

  #receive(
    connection: Connection,
    source: Server,
    transactions: readonly Transaction[],
    end: number,
    wantsAck: boolean,
  ): void {
    const { data } = this.#server;
    if (data.full || this.#held !== null) {
      return this.#hold(() => this.#receive(connection, source, transactions, end, wantsAck));
    }
    this.#hear();
    this.#server.applier.amid = false;
    for (const transaction of transactions) data.receive(transaction);
    if (this.#server.syncsRelay) data.relaySynced = data.relay.length;
    this.#server.applier.kick();
    if (!wantsAck || !this.acking) return;
    const acknowledge = (): void => connection.toServer(() => source.acknowledge(data.serverId, end), 0.05);
    if (!this.#server.syncsRelay) return acknowledge();
    const idle = this.#unsynced.length === 0;
    this.#unsynced.push({ transactions: transactions.length, acknowledge });
    if (idle) this.#sync(this.#attempt);
  }

  /** A few at a time: a slow disk may be quicker again before all is on it. */
  #sync(attempt: number): void {
    const [next] = this.#unsynced;
    if (next === undefined) return;
    const { syncMs } = this.#server;
    const some = Math.min(next.transactions, Math.max(1, Math.floor(SYNC_MS / syncMs)));
    this.#server.after(some * syncMs, () => {
      if (attempt !== this.#attempt) return;
      next.transactions -= some;
      if (next.transactions === 0) this.#unsynced.shift()?.acknowledge();
      this.#sync(attempt);
    });
  }
}

/** The applier (SQL thread, and its workers, which preserve the order). */
export class Applier {
  readonly #server: Server;
  on = false;
  error = '';
  /** What applying one transaction takes. */
  applyMs = 0.3;
  /** It waits for the rest of a transaction that a dead source began to send. */
  amid = false;
  /** What this process applied last of what it was turned to. */
  last: Transaction | null = null;
  #busy = false;
  #stopped: (() => void)[] = [];

  constructor(server: Server) {
    this.#server = server;
  }

  start(): void {
    if (this.on || this.#server.data.replica === null) return;
    this.on = true;
    this.error = '';
    this.kick();
  }

  startAmid(): void {
    const { data } = this.#server;
    this.amid = this.on && !this.#busy && data.applied === data.relay.length;
  }

  /** Killed, it rolls back what it has not got all of. */
  kill(): void {
    this.amid = false;
    this.on = false;
  }

  stop(stopped: () => void): void {
    if (this.amid) {
      this.#server.after(AMID_MS, () => {
        this.amid = false;
        this.stop(stopped);
      });
      return;
    }
    this.on = false;
    if (this.#busy) this.#stopped.push(stopped);
    else stopped();
  }

  kick(): void {
    const { data } = this.#server;
    if (!this.on || this.#busy) return;
    while (data.applied < data.relay.length && data.executed.has(data.relay[data.applied] as Transaction))
      data.applied++;
    if (data.applied >= data.relay.length) return;
    if (data.applierFault) {
      this.on = false;
      this.error = '1062: Duplicate entry';
      return;
    }
    this.#busy = true;
    // A slow one shows its progress all the same.
    const most = Math.max(1, Math.min(BATCH, Math.floor(BATCH_MS / this.applyMs)));
    const batch = data.relay.slice(data.applied, data.applied + most).filter((one) => !data.executed.has(one));
    const end = Math.min(data.applied + most, data.relay.length);
    this.#server.after(this.applyMs * batch.length * this.#server.world.random.between(0.5, 1.5), () =>
      this.#server.apply(batch, () => {
        data.applied = end;
        this.last = data.relay[end - 1] ?? null;
        this.#busy = false;
        for (const stopped of this.#stopped.splice(0)) stopped();
        this.kick();
      }),
    );
  }
}
