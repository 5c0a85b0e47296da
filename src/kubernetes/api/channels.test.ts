import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { Access } from './access.ts';
import { acceptOf, frame, readFrame } from './channels.ts';
import { ApiClient } from './client.ts';
import { CommandFailedError, connectPort, runInPod } from './pods.ts';

/** A server's message: not masked, in as many fragments as asked for. */
function message(channel: number, bytes: Buffer, fragments = 1): Buffer {
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

/** What a client sent, unmasked. */
function* messagesIn(bytes: Buffer): Generator<{ opcode: number; payload: Buffer }> {
  for (let rest = bytes; rest.length > 0;) {
    const short = (rest[1] ?? 0) & 0x7f;
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
    const length = extra === 2 ? rest.readUInt16BE(2) : extra === 8 ? Number(rest.readBigUInt64BE(2)) : short;
    const mask = rest.subarray(2 + extra, 6 + extra);
    const payload = Buffer.from(rest.subarray(6 + extra, 6 + extra + length)).map(
      (byte, at) => byte ^ (mask[at & 3] ?? 0),
    );
    yield { opcode: (rest[0] ?? 0) & 0x0f, payload: Buffer.from(payload) };
    rest = rest.subarray(6 + extra + length);
  }
}

async function serving(
  onUpgrade: (socket: Duplex, path: string) => void,
): Promise<{ client: ApiClient } & AsyncDisposable> {
  const server: Server = createServer((_, answer) => {
    answer.writeHead(403, { 'content-type': 'application/json' });
    answer.end(JSON.stringify({ reason: 'Forbidden', message: 'you may not' }));
  });
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
    assert.equal(headers['sec-websocket-protocol'], 'v4.channel.k8s.io');
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

const PORT = Buffer.from([0xea, 0x0c]);
const place = { namespace: 'shop', pod: 'mysql-0' };

test('a forwarded port carries bytes both ways, however they are cut into messages', async () => {
  const large = Buffer.alloc(300_000, 'x');
  await using server = await serving((socket) => {
    socket.write(message(0, PORT));
    socket.write(message(1, PORT));
    let got = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      got = Buffer.concat([got, bytes]);
      if (got.length < large.length) return;
      const sent = Buffer.concat([...messagesIn(got)].map(({ payload }) => payload.subarray(1)));
      for (const byte of message(0, Buffer.from(`${sent.length} bytes; `), 3)) socket.write(Buffer.of(byte));
      socket.write(Buffer.from([0x89, 1, 0x21]));
      socket.write(message(0, Buffer.from('bye')));
      socket.end(Buffer.from([0x88, 2, 0x03, 0xe8]));
    });
  });
  const stream = await connectPort(server.client, place, 3306);
  stream.write(large);
  assert.equal(await text(stream), '300000 bytes; bye');
});

test('a port where nobody listens is told in the words of the other side', async () => {
  await using server = await serving((socket) => {
    socket.write(message(0, PORT));
    socket.write(message(1, PORT));
    socket.write(message(1, Buffer.from('connection refused')));
  });
  const stream = await connectPort(server.client, place, 3306);
  await assert.rejects(text(stream), /mysql-0:3306: connection refused/);
});

test('what is not allowed is refused in the words of the API server', async () => {
  await using server = await serving(() => undefined);
  await assert.rejects(connectPort(server.client, { ...place, pod: 'forbidden' }, 3306), /you may not/);
});

test('a connection lives on when the time for an answer is over', async () => {
  await using server = await serving((socket) => {
    setTimeout(() => {
      socket.write(message(0, PORT));
      socket.write(message(0, Buffer.from('late')));
      socket.end(Buffer.from([0x88, 0]));
    }, 800);
  });
  assert.equal(await text(await connectPort(server.client, place, 3306)), 'late');
});

test('a command in a Pod: its output if it ended well, what it said otherwise', async () => {
  await using server = await serving((socket, url) => {
    const fails = url.includes('command=false');
    socket.write(message(1, Buffer.from('out')));
    if (fails) socket.write(message(2, Buffer.from('no such thing')));
    socket.write(message(3, Buffer.from(JSON.stringify({ status: fails ? 'Failure' : 'Success' }))));
    socket.end(Buffer.from([0x88, 0]));
  });
  assert.equal(await runInPod(server.client, place, 'mysql', ['true']), 'out');
  await assert.rejects(runInPod(server.client, place, 'mysql', ['false']), (error) => {
    assert.ok(error instanceof CommandFailedError);
    return error.message === 'mysql-0: no such thing';
  });
});

test('frames of every size are read as they are written, and half a frame waits for its rest', () => {
  for (const length of [0, 125, 126, 65_535, 65_536]) {
    const [sent] = messagesIn(frame(2, Buffer.alloc(length, 7)));
    assert.deepEqual(sent?.payload, Buffer.alloc(length, 7));
  }
  const whole = message(0, Buffer.alloc(200));
  for (const cut of [0, 1, 3, 100]) assert.equal(readFrame(whole.subarray(0, cut)), null);
  assert.equal(readFrame(whole)?.bytes, whole.length);
  assert.throws(() => readFrame(frame(2, Buffer.of(1))), /frame of a server/);
});
