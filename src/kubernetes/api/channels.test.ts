import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { PORT, message, servingChannels } from './fake-channel-server.ts';
import { CommandFailedError, connectPort, runInPod } from './pods.ts';

const place = { namespace: 'shop', pod: 'mysql-0' };

test('a forwarded port carries bytes both ways, however many messages they come in', async () => {
  const large = Buffer.alloc(300_000, 'x');
  await using server = await servingChannels((socket) => {
    socket.send(message(0, PORT));
    socket.send(message(1, PORT));
    let got = 0;
    socket.on('message', (data: Buffer) => {
      assert.equal(data[0], 0);
      got += data.length - 1;
      if (got < 2 * large.length) return;
      for (const part of [`${got} bytes; `, '', 'bye']) socket.send(message(0, part));
      socket.close();
    });
  });
  const stream = await connectPort(server.client, place, 3306);
  stream.write(large);
  stream.write(large);
  assert.equal(await text(stream), '600000 bytes; bye');
});

test('who reads slowly holds up what is sent, and gets all of it', async () => {
  const part = Buffer.alloc(100_000, 'x');
  await using server = await servingChannels((socket) => {
    socket.send(message(0, PORT));
    for (let times = 0; times < 100; times++) socket.send(message(0, part));
    socket.close();
  });
  let bytes = 0;
  for await (const chunk of await connectPort(server.client, place, 3306)) {
    bytes += (chunk as Buffer).length;
    await new Promise(setImmediate);
  }
  assert.equal(bytes, 100 * part.length);
});

test('a port where nobody listens is told in the words of the other side', async () => {
  await using server = await servingChannels((socket) => {
    socket.send(message(0, PORT));
    socket.send(message(1, PORT));
    socket.send(message(1, 'connection refused'));
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
      socket.send(message(0, PORT));
      socket.send(message(0, 'late'));
      socket.close();
    }, 800);
  });
  assert.equal(await text(await connectPort(server.client, place, 3306)), 'late');
});

test('a command in a Pod: its output if it ended well, what it said otherwise', async () => {
  await using server = await servingChannels((socket, url) => {
    const fails = url.includes('command=false');
    socket.send(message(1, 'out'));
    if (fails) socket.send(message(2, 'no such thing'));
    socket.send(message(3, JSON.stringify({ status: fails ? 'Failure' : 'Success' })));
    socket.close();
  });
  assert.equal(await runInPod(server.client, place, 'mysql', ['true']), 'out');
  await assert.rejects(runInPod(server.client, place, 'mysql', ['false']), (error) => {
    assert.ok(error instanceof CommandFailedError);
    return error.message === 'mysql-0: no such thing';
  });
});
