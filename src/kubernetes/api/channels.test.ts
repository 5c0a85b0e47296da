import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { frame, readFrame } from './channels.ts';
import { PORT, message, servingChannels } from './fake-channel-server.ts';
import { CommandFailedError, connectPort, runInPod } from './pods.ts';

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

const place = { namespace: 'shop', pod: 'mysql-0' };

test('a forwarded port carries bytes both ways, however they are cut into messages', async () => {
  const large = Buffer.alloc(300_000, 'x');
  await using server = await servingChannels((socket) => {
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
  await using server = await servingChannels((socket) => {
    socket.write(message(0, PORT));
    socket.write(message(1, PORT));
    socket.write(message(1, Buffer.from('connection refused')));
  });
  const stream = await connectPort(server.client, place, 3306);
  await assert.rejects(text(stream), /mysql-0:3306: connection refused/);
});

test('what is not allowed is refused in the words of the API server', async () => {
  await using server = await servingChannels(() => undefined);
  await assert.rejects(connectPort(server.client, { ...place, pod: 'forbidden' }, 3306), /you may not/);
});

test('a connection lives on when the time for an answer is over', async () => {
  await using server = await servingChannels((socket) => {
    setTimeout(() => {
      socket.write(message(0, PORT));
      socket.write(message(0, Buffer.from('late')));
      socket.end(Buffer.from([0x88, 0]));
    }, 800);
  });
  assert.equal(await text(await connectPort(server.client, place, 3306)), 'late');
});

test('a command in a Pod: its output if it ended well, what it said otherwise', async () => {
  await using server = await servingChannels((socket, url) => {
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
