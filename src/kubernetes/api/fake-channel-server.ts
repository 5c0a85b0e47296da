/** For tests: the other end of channels, as an API server has it. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Access } from './access.ts';
import { CHANNELS_PROTOCOL, acceptOf } from './channels.ts';
import { ApiClient } from './client.ts';

/** A server's message: not masked, in as many fragments as asked for. */
export function message(channel: number, bytes: Buffer, fragments = 1): Buffer {
  const whole = Buffer.concat([Buffer.of(channel), bytes]);
  const size = Math.ceil(whole.length / fragments);
  const parts: Buffer[] = [];
  for (let at = 0; at < whole.length; at += size) {
    const part = whole.subarray(at, at + size);
    const first = at === 0 ? 2 : 0;
    const final = at + size >= whole.length ? 0x80 : 0;
    const head = Buffer.from(part.length < 126 ? [first | final, part.length] : [first | final, 126, 0, 0]);
    if (part.length >= 126) head.writeUInt16BE(part.length, 2);
    parts.push(head, part);
  }
  return Buffer.concat(parts);
}

/** With what each of a forwarded port's channels begins. */
export const PORT = Buffer.from([0xea, 0x0c]);

/** Refuses what is no upgrade, unless `onRequest` says otherwise, and upgrades of a path with `forbidden` in it. */
export async function servingChannels(
  onUpgrade: (socket: Duplex, path: string) => void,
  onRequest: (request: IncomingMessage, answer: ServerResponse) => void = refuse,
): Promise<{ client: ApiClient } & AsyncDisposable> {
  const server: Server = createServer(onRequest);
  const sockets = new Set<Duplex>();
  server.on('upgrade', (request, socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    const { url = '', headers } = request;
    if (url.includes('forbidden')) {
      return void socket.end(
        'HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nyou may not',
      );
    }
    assert.equal(headers['sec-websocket-protocol'], CHANNELS_PROTOCOL);
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n' +
        `sec-websocket-accept: ${acceptOf(headers['sec-websocket-key'] ?? '')}\r\n\r\n`,
    );
    onUpgrade(socket, url);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const access: Access = {
    server: `http://127.0.0.1:${port}`,
    ca: undefined,
    cert: undefined,
    key: undefined,
    serverName: undefined,
    verify: true,
    token: () => 't',
    namespace: 'shop',
  };
  const client = new ApiClient(access, { answerMs: 500 });
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(_: IncomingMessage, answer: ServerResponse): void {
  answer.writeHead(403, { 'content-type': 'application/json' });
  answer.end(JSON.stringify({ reason: 'Forbidden', message: 'you may not' }));
}
