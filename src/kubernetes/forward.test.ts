import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { PORT, message, servingChannels } from './api/fake-channel-server.ts';
import { forward, podBehind } from './forward.ts';

test('a connection waits until the Service leads somewhere, and gets there', async () => {
  let asked = 0;
  await using server = await servingChannels(
    (socket, path) => {
      socket.send(message(0, PORT));
      socket.send(message(0, path));
      socket.close();
    },
    (_, answer) => {
      const there = [{ addresses: ['10.0.0.1'], targetRef: { name: 'mysql-1' } }];
      const items = [{ endpoints: ++asked < 3 ? null : there }];
      answer.writeHead(200, { 'content-type': 'application/json' });
      answer.end(JSON.stringify({ metadata: { resourceVersion: '1' }, items }));
    },
  );
  const { client } = server;
  await using led = await forward({ client, namespace: 'shop', pod: () => podBehind(client, 'shop', 'mysql-primary') });
  const socket = createConnection(led.port, led.host);
  assert.match(await text(socket), /namespaces\/shop\/pods\/mysql-1\/portforward\?ports=3306$/);
  assert.equal(asked, 3);
});

test('a connection to a Pod that cannot be reached is closed', async () => {
  await using server = await servingChannels((socket) => {
    socket.send(message(0, PORT));
    socket.send(message(1, Buffer.concat([PORT, Buffer.from('connection refused')])));
  });
  const pods = ['forbidden', 'mysql-0'];
  const { client } = server;
  await using led = await forward({ client, namespace: 'shop', pod: async () => pods.shift() ?? null });
  for (let times = 0; times < 2; times++) {
    const socket = createConnection(led.port, led.host);
    socket.on('error', () => undefined);
    await once(socket, 'close');
  }
});
