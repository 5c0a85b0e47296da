import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ApiServer, type Routes } from './api.ts';
import { ApiClient, DaemonGoneError } from './api-client.ts';
import { DaemonError } from './failure.ts';

async function serving(routes: Routes, work: (client: ApiClient, socket: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-api-'));
  const socket = join(directory, 'main.sock');
  // As a daemon that was killed leaves it.
  await writeFile(socket, '');
  const server = await ApiServer.listen(socket, routes);
  try {
    await work(new ApiClient(socket), socket);
  } finally {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

test('an answer comes back as it was given, and the socket is this user’s alone', () =>
  serving({ 'GET /status': () => ({ state: 'healthy' }) }, async (client, socket) => {
    assert.deepEqual(await client.status(), { state: 'healthy' });
    assert.equal((await stat(socket)).mode & 0o777, 0o600);
  }));

test('what is asked for arrives', () =>
  serving({ 'POST /scale': ({ body }) => ({ changes: [`to ${String(body['replicas'])}`] }) }, async (client) => {
    assert.deepEqual(await client.scale(5), { changes: ['to 5'] });
  }));

test('an error keeps its code, its message and its hint', () =>
  serving(
    {
      'POST /switchover': () => {
        throw Object.assign(new Error('member 2 lags'), { code: 'SWITCHOVER_REFUSED', hint: 'wait' });
      },
    },
    async (client) => {
      await assert.rejects(client.switchover(2), (error: Error) => {
        assert.ok(error instanceof DaemonError);
        assert.deepEqual([error.code, error.message, error.hint], ['SWITCHOVER_REFUSED', 'member 2 lags', 'wait']);
        return true;
      });
    },
  ));

test('a daemon of another release says that it does not know a request', () =>
  serving({}, async (client) => {
    await assert.rejects(client.restart([]), { code: 'UNKNOWN_REQUEST' });
  }));

test('a stream gives each change until it ends, and an error in it is thrown', () =>
  serving(
    {
      async *'GET /status'() {
        yield { state: 'creating' };
        await sleep(5);
        yield { state: 'healthy' };
        throw Object.assign(new Error('the port is in use'), { code: 'PORT_IN_USE' });
      },
    },
    async (client) => {
      const seen: string[] = [];
      await assert.rejects(
        async () => {
          for await (const { state } of client.watch()) seen.push(state);
        },
        { code: 'PORT_IN_USE' },
      );
      assert.deepEqual(seen, ['creating', 'healthy']);
    },
  ));

test('a client that leaves ends its stream on both sides', async () => {
  let ended = false;
  const endless: Routes = {
    async *'GET /status'({ signal }) {
      signal.addEventListener('abort', () => (ended = true));
      while (!signal.aborted) {
        yield { state: 'healthy' };
        await sleep(2);
      }
    },
  };
  await serving(endless, async (client) => {
    const leave = new AbortController();
    let seen = 0;
    for await (const _ of client.watch({ signal: leave.signal })) if (++seen === 3) leave.abort();
    await sleep(50);
    assert.ok(ended);
    // One that has left before it came gets nothing, and no error.
    for await (const _ of client.watch({ signal: leave.signal })) assert.fail();
  });
});

test('nobody there is told apart from an error', async () => {
  await assert.rejects(new ApiClient(join(tmpdir(), 'no-such-baton.sock')).status(), DaemonGoneError);
});
