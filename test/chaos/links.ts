/** What members hear of each other goes through here, and can be cut: one small proxy in front of each member. */
import { once } from 'node:events';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { runningMembers } from '../../src/local/known-cluster.ts';

const HOST = '127.0.0.1';

/** `reset`: refused and ended. `silent`: nothing passes. `deaf`: what the replica says does not arrive. `dumb`: what it is told does not. */
export type Cut = 'reset' | 'silent' | 'deaf' | 'dumb';
export const CUTS: readonly Cut[] = ['reset', 'silent', 'deaf', 'dumb'];

/** From a source to a replica that follows it. */
export interface Link {
  readonly source: number;
  readonly replica: number;
}

interface Passage extends Link {
  readonly client: Socket;
  readonly server: Socket;
  /** One end is gone, and the other has not heard of it yet. */
  readonly ends: (() => void)[];
}

export class Links implements AsyncDisposable {
  readonly ports: readonly number[];
  readonly #dataDir: string;
  readonly #servers: readonly Server[];
  readonly #passages = new Set<Passage>();
  readonly #sockets = new Set<Socket>();
  readonly #cuts = new Map<string, Cut>();
  /** Connections that found their link cut. */
  readonly #held = new Set<() => void>();

  private constructor(dataDir: string, servers: readonly Server[]) {
    this.#dataDir = dataDir;
    this.#servers = servers;
    this.ports = servers.map((server) => (server.address() as AddressInfo).port);
    for (const [source, server] of servers.entries()) {
      server.on('connection', (client: Socket) => void this.#accept(source, client).catch(() => client.destroy()));
    }
  }

  static async listen(dataDir: string, members: number): Promise<Links> {
    const servers = Array.from({ length: members }, () => createServer({ pauseOnConnect: true }));
    for (const server of servers) {
      server.listen(0, HOST);
      await once(server, 'listening');
    }
    return new Links(dataDir, servers);
  }

  cut(links: readonly Link[], how: Cut): void {
    for (const link of links) this.#cuts.set(nameOf(link), how);
    for (const passage of this.#passages) this.#apply(passage);
  }

  mend(links: readonly Link[]): void {
    for (const link of links) this.#cuts.delete(nameOf(link));
    for (const passage of this.#passages) this.#apply(passage);
    for (const go of this.#held) go();
  }

  async #accept(source: number, client: Socket): Promise<void> {
    this.#sockets.add(client);
    client.on('error', () => client.destroy());
    client.on('close', () => this.#sockets.delete(client));
    const members = await runningMembers(this.#dataDir);
    const replica = (await ownerOf(client, members)) ?? -1;
    const link = { source, replica };
    while (this.#cuts.has(nameOf(link)) && !client.destroyed) {
      if (this.#cuts.get(nameOf(link)) === 'reset') return void client.resetAndDestroy();
      await this.#change(client);
    }
    const port = members.find(({ ordinal }) => ordinal === source)?.port;
    if (port === undefined || client.destroyed) return void client.destroy();
    const server = connect({ host: HOST, port, noDelay: true });
    this.#sockets.add(server);
    const passage: Passage = { ...link, client, server, ends: [] };
    this.#passages.add(passage);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (chunk) => {
        if (!to.write(chunk)) from.pause();
      });
      to.on('drain', () => this.#apply(passage));
      from.on('error', () => {});
      from.on('close', () => {
        this.#sockets.delete(from);
        passage.ends.push(() => {
          to.destroySoon();
          this.#passages.delete(passage);
        });
        this.#apply(passage);
      });
    }
    client.setNoDelay(true);
    this.#apply(passage);
  }

  #change(client: Socket): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        this.#held.delete(go);
        resolve();
      };
      this.#held.add(go);
      client.once('close', go);
    });
  }

  #apply(passage: Passage): void {
    const { client, server } = passage;
    const cut = this.#cuts.get(nameOf(passage));
    if (cut === 'reset') {
      client.resetAndDestroy();
      server.destroy();
      return;
    }
    // A connection that ends is noticed in spite of a pause: across a cut, nobody is told.
    if (cut === undefined) for (const end of passage.ends.splice(0)) end();
    hear(client, cut !== 'silent' && cut !== 'deaf' && !server.writableNeedDrain);
    hear(server, cut !== 'silent' && cut !== 'dumb' && !client.writableNeedDrain);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(this.#servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function nameOf({ source, replica }: Link): string {
  return `${source} ${replica}`;
}

function hear(socket: Socket, on: boolean): void {
  if (on) socket.resume();
  else socket.pause();
}

/** Which member's process has the other end of this connection, by /proc (proc_pid_net(5)). */
async function ownerOf(
  { remotePort, localPort }: Socket,
  members: readonly { readonly ordinal: number; readonly process: { readonly pid: number } }[],
): Promise<number | null> {
  const hex = (port = 0): string => port.toString(16).toUpperCase().padStart(4, '0');
  const table = await readFile('/proc/net/tcp', 'utf8');
  const line = new RegExp(`^ *\\d+: \\w+:${hex(remotePort)} \\w+:${hex(localPort)} .*$`, 'm').exec(table)?.[0];
  const inode = line?.trim().split(/\s+/)[9];
  if (inode === undefined) return null;
  for (const { ordinal, process } of members) {
    const directory = `/proc/${process.pid}/fd`;
    for (const name of await readdir(directory).catch(() => [])) {
      if ((await readlink(join(directory, name)).catch(() => '')) === `socket:[${inode}]`) return ordinal;
    }
  }
  return null;
}
