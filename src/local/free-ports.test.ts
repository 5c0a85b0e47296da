import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';

import { chooseFreePort, isPortFree, portOwner } from './free-ports.ts';

test('a chosen port is free, not among the taken, and below those of outgoing connections', async () => {
  const taken = new Set(Array.from({ length: 12_768 }, (_, i) => 20_000 + i));
  taken.delete(23_456);
  const port = await chooseFreePort(new Set());
  assert.ok(port >= 20_000 && port < 32_768);
  await assert.rejects(chooseFreePort(new Set([...taken, 23_456])), /expected a free TCP port/);
});

test('a port that somebody listens on is not free, on whatever address, and its owner is found', async () => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    const server = createServer().listen(0, host);
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    assert.equal(await isPortFree(port), false, host);
    assert.equal(await portOwner(port), process.pid, host);
    server.close();
    await once(server, 'close');
    assert.equal(await isPortFree(port), true, host);
    assert.equal(await portOwner(port), null, host);
  }
});
