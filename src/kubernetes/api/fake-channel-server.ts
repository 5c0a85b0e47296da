/** For tests: the other end of channels, as an API server has it. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import { CHANNELS_PROTOCOL } from './channels.ts';
import { ApiClient } from './client.ts';
import { accessTo } from './fake-api-server.ts';

/** With what each of a forwarded port's channels begins. */
export const PORT = Buffer.from([0xea, 0x0c]);

export const message = (channel: number, bytes: Buffer | string): Buffer =>
  Buffer.concat([Buffer.of(channel), Buffer.from(bytes)]);

/** Refuses what is no upgrade, unless `onRequest` says otherwise, and upgrades of a path with `forbidden` in it. */
export async function servingChannels(
  onChannels: (socket: WebSocket, path: string) => void,
  onRequest: (request: IncomingMessage, answer: ServerResponse) => void = refuse,
): Promise<{ client: ApiClient } & AsyncDisposable> {
  const server: Server = createServer(onRequest);
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][0] ?? false });
  server.on('upgrade', (request, socket, head) => {
    const { url = '' } = request;
    if (url.includes('forbidden')) {
      return void socket.end(
        'HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nyou may not',
      );
    }
    sockets.handleUpgrade(request, socket, head, (upgraded) => {
      assert.equal(upgraded.protocol, CHANNELS_PROTOCOL);
      onChannels(upgraded, url);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = new ApiClient(accessTo(server), { answerMs: 500 });
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      for (const socket of sockets.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(_: IncomingMessage, answer: ServerResponse): void {
  answer.writeHead(403, { 'content-type': 'application/json' });
  answer.end(JSON.stringify({ reason: 'Forbidden', message: 'you may not' }));
}
