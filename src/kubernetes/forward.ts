/** A port of this machine that leads to members in a Kubernetes, through its API server. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '../control/clock.ts';
import type { ApiClient } from './api/client.ts';
import { connectPort } from './api/pods.ts';
import { ENDPOINT_SLICES, type EndpointSlice } from './api/resources.ts';
import { MYSQL_PORT } from './objects/object.ts';

export interface ForwardOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Asked for each connection: the Pod that it is to lead to now; null: there is none yet. */
  readonly pod: () => Promise<string | null>;
  /** Default: a free one. */
  readonly port?: number;
}

export interface Forward extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
}

/** As long as an endpoint lets a connection wait for a primary. */
const PATIENCE_MS = 30_000;
const AGAIN_MS = 100;

/** It keeps no process alive. A connection whose Pod can't be reached is closed. */
export async function forward(options: ForwardOptions): Promise<Forward> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    lead(socket, options).catch(() => socket.destroy());
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  const { address, port } = server.address() as AddressInfo;
  return {
    host: address,
    port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function lead(socket: Socket, { client, namespace, pod }: ForwardOptions): Promise<void> {
  socket.setNoDelay(true);
  const deadline = performance.now() + PATIENCE_MS;
  let found = await pod();
  while (found === null) {
    if (socket.destroyed || performance.now() > deadline) return void socket.destroy();
    await systemClock.sleep(AGAIN_MS);
    found = await pod();
  }
  const stream = await connectPort(client, { namespace, pod: found }, MYSQL_PORT);
  await Promise.all([pipeline(socket, stream), pipeline(stream, socket)]);
}

/** A Pod that a Service leads to now, any of several; null while it leads nowhere. */
export async function podBehind(client: ApiClient, namespace: string, service: string): Promise<string | null> {
  const labelSelector = `kubernetes.io/service-name=${service}`;
  const { items } = await client.list<EndpointSlice>(ENDPOINT_SLICES, { namespace, labelSelector });
  const pods = items.flatMap(({ endpoints }) => (endpoints ?? []).map(({ targetRef }) => targetRef?.name ?? ''));
  const named = pods.filter((name) => name !== '');
  return named[Math.floor(Math.random() * named.length)] ?? null;
}
