import { connect, type Socket } from 'node:net';

/** How long after the last byte a dead peer is noticed at the earliest. */
export const KEEP_ALIVE_MS = 30_000;
/** How long a client that doesn't read may take over the last bytes of a connection that is over. */
const LINGER_MS = 5_000;
/** Pages that were never written to cost no memory, so that the room for large results is free for idle connections. */
const SERVER_BUFFER_BYTES = 64 * 1024;

/** What a connection tells the endpoint. Each is called at most once per `reach`, in the turn in which it happens. */
export interface ConnectionEvents {
  /** The server's first byte came: from here on, client and server belong together. */
  bound(): void;
  /** The server was lost before its first byte. The client has seen nothing and may be given to another server. */
  unreached(why: string): void;
  /** Over: nothing passes any more (the client may still be taking its last bytes). */
  over(): void;
  /** The client's socket is gone. */
  closed(): void;
}

/**
 * One client and, when there is one, its server: bytes both ways with back-pressure, nothing parsed.
 *
 * waiting → reaching → bound → over. Until the server's first byte, `reaching` may fall back to `waiting`, and the client
 * notices nothing but time. In MySQL the server speaks first, so there is nothing of the client's to replay.
 *
 * Ends: the client's half-close is passed on, and the answer to what it sent before still comes. mysqld never half-closes:
 * when it is done, the client gets what is left and both sides close.
 */
export class EndpointConnection {
  readonly #client: Socket;
  readonly #events: ConnectionEvents;
  #server: Socket | undefined;
  #state: 'waiting' | 'reaching' | 'bound' | 'over' = 'waiting';
  /** From a client that speaks before its server, which is no MySQL client; one read at most. */
  #early: Buffer | undefined;
  #clientSpokeLast = false;
  #spokeAtMs = 0;
  #deaf = false;

  constructor(client: Socket, events: ConnectionEvents) {
    this.#client = client;
    this.#events = events;
    client.on('data', (chunk: Buffer) => this.#fromClient(chunk));
    client.on('drain', () => this.#server?.resume());
    client.on('end', () => this.#clientEnded());
    client.on('error', () => this.destroy());
    client.on('close', () => {
      this.destroy();
      events.closed();
    });
  }

  get state(): 'waiting' | 'reaching' | 'bound' | 'over' {
    return this.#state;
  }

  /** Only from `waiting`. Calls `bound` or `unreached` unless `abandon` or an end comes first. */
  reach(host: string, port: number): void {
    this.#state = 'reaching';
    let buffer = Buffer.allocUnsafeSlow(SERVER_BUFFER_BYTES);
    const server = connect({
      host,
      port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      allowHalfOpen: true,
      // One buffer for all reads: the kernel nearly always takes a write whole, at once. If not, the write keeps the buffer.
      onread: {
        buffer: () =>
          this.#client.writableLength > 0 ? (buffer = Buffer.allocUnsafeSlow(SERVER_BUFFER_BYTES)) : buffer,
        callback: (length) => this.#fromServer(buffer.subarray(0, length)),
      },
    });
    this.#server = server;
    let why = 'it closed the connection before its greeting';
    server.on('drain', () => this.#deaf || this.#client.resume());
    server.on('end', () => this.#serverGone(server, why));
    server.on('error', (error: NodeJS.ErrnoException) => (why = error.code ?? error.message));
    server.on('close', () => this.#serverGone(server, why));
  }

  /** Back from `reaching` to `waiting`: the server is let go, the client stays. */
  abandon(): void {
    const server = this.#server;
    this.#server = undefined;
    this.#state = 'waiting';
    server?.destroy();
  }

  /**
   * For how long both sides have been silent with the server having spoken last. 0 while the client waits for an answer
   * or has not taken all of it.
   */
  silentMs(nowMs: number): number {
    return this.#clientSpokeLast || this.#client.writableLength > 0 ? 0 : nowMs - this.#spokeAtMs;
  }

  /** Reads nothing more from the client: its next statement is never executed, the answer to the present one still comes. */
  deafen(deaf: boolean): void {
    this.#deaf = deaf;
    if (deaf) this.#client.pause();
    else this.#client.resume();
  }

  /** Ends at once for the server. The client first gets what was read for it, then `lastWords` if given. */
  end(lastWords?: Buffer): void {
    if (this.#state === 'over') return;
    if (lastWords !== undefined) this.#client.write(lastWords);
    this.#client.setTimeout(LINGER_MS, () => this.#client.destroy());
    this.#client.destroySoon();
    this.#finish();
  }

  /** Ends at once for both. */
  destroy(): void {
    this.#client.destroy();
    if (this.#state !== 'over') this.#finish();
  }

  #finish(): void {
    this.#state = 'over';
    this.#server?.destroy();
    this.#server = undefined;
    this.#events.over();
  }

  #clientEnded(): void {
    if (this.#state === 'bound') this.#server?.end();
    else if (this.#state !== 'over') this.destroy();
  }

  #fromClient(chunk: Buffer): void {
    if (this.#state === 'over') return;
    if (this.#state !== 'bound' || this.#server === undefined) {
      this.#early = this.#early === undefined ? chunk : Buffer.concat([this.#early, chunk]);
      this.#client.pause();
      return;
    }
    this.#clientSpokeLast = true;
    if (!this.#server.write(chunk)) this.#client.pause();
  }

  /** Whether to read on. */
  #fromServer(chunk: Buffer): boolean {
    if (this.#state === 'reaching') this.#bind();
    this.#clientSpokeLast = false;
    this.#spokeAtMs = performance.now();
    return this.#client.write(chunk);
  }

  #bind(): void {
    this.#state = 'bound';
    this.#events.bound();
    if (this.#early === undefined) return;
    this.#server?.write(this.#early);
    this.#early = undefined;
    this.#client.resume();
  }

  #serverGone(server: Socket, why: string): void {
    if (server !== this.#server) return;
    if (this.#state !== 'reaching') return this.end();
    this.abandon();
    this.#events.unreached(why);
  }
}
