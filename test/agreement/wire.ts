/** What one member hears of another goes through here. Cut, it holds everything up; mended, what was held up arrives. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

const HOST = '127.0.0.1';

export class Wire implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #port: () => number | null;
  readonly #clients = new Set<Socket>();
  readonly #servers = new Set<Socket>();
  /** Connections that came while it was cut. */
  readonly #held: Socket[] = [];
  /** Ends of connections that the other side has yet to hear of. */
  readonly #ends: (() => void)[] = [];
  #isCut = false;

  private constructor(server: Server, port: () => number | null) {
    this.#server = server;
    this.#port = port;
    this.port = (server.address() as AddressInfo).port;
    server.on('connection', (client: Socket) => {
      this.#keep(client, this.#clients);
      if (this.#isCut) this.#held.push(client);
      else this.#pass(client);
    });
  }

  /** @param port where it leads to, asked for at each connection; null: nobody is there. */
  static async listen(port: () => number | null): Promise<Wire> {
    const server = createServer({ pauseOnConnect: true, noDelay: true }).listen(0, HOST);
    await once(server, 'listening');
    return new Wire(server, port);
  }

  /** `answers`: only what the client says does not arrive. */
  cut(what: 'all' | 'answers' = 'all'): void {
    this.#isCut = true;
    for (const socket of this.#clients) socket.pause();
    if (what === 'all') for (const socket of this.#servers) socket.pause();
  }

  mend(): void {
    this.#isCut = false;
    for (const client of this.#held.splice(0)) this.#pass(client);
    for (const end of this.#ends.splice(0)) end();
    for (const socket of [...this.#clients, ...this.#servers]) socket.resume();
  }

  #keep(socket: Socket, among: Set<Socket>): void {
    among.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => among.delete(socket));
  }

  #pass(client: Socket): void {
    const port = this.#port();
    if (client.destroyed || port === null) return void client.destroy();
    const server = connect({ host: HOST, port, noDelay: true });
    this.#keep(server, this.#servers);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (chunk) => to.write(chunk));
      // A reset is noticed in spite of the pause.
      from.on('close', () => {
        if (this.#isCut) this.#ends.push(() => to.destroySoon());
        else to.destroySoon();
      });
      if (!this.#isCut) from.resume();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [...this.#clients, ...this.#servers]) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
