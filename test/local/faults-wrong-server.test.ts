/** Somebody else listens where a member did. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { STANDSTILL_MS, Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

/** Takes a member's two ports as soon as they are free. */
async function impostors(scene: Scene, ordinal: number, greet: (socket: Socket) => void): Promise<AsyncDisposable> {
  const layout = scene.cluster.members.layout(ordinal) ?? assert.fail(`no member ${ordinal}`);
  const servers: Server[] = [];
  const sockets = new Set<Socket>();
  for (const port of [layout.port, layout.adminPort]) {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      greet(socket);
    });
    // The member that was killed may take a moment to let go of it.
    await scene.until(() => {
      server.listen(port, layout.host);
      return once(server, 'listening').then(
        () => true,
        () => false,
      );
    });
    servers.push(server);
  }
  return {
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

const SILENT = (): void => undefined;
const NO_MYSQL = (socket: Socket): void => void socket.write('SSH-2.0-OpenSSH_9.2\r\n');
/** What a living server says before its greeting: 1130, host is not allowed to connect. */
const REFUSING = (socket: Socket): void => void socket.end(packet(0xff, 0x6a, 0x04, ...Buffer.from('not allowed')));

function packet(...bytes: number[]): Buffer {
  return Buffer.from([bytes.length, 0, 0, 0, ...bytes]);
}

test('another server on the ports of a dead primary is not taken for it; the member finds other ports when it is back', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const old = scene.primary;
  const { port } = scene.cluster.members.layout(old) ?? assert.fail('no layout');
  await scene.down(old);
  await scene.until(() => scene.server(old) === null);
  await using _ = await impostors(scene, old, REFUSING);
  await writer.writesAgain();
  assert.notEqual(scene.primary, old);
  await scene.back(old);
  await scene.until('healthy');
  assert.notEqual(scene.cluster.members.layout(old)?.port, port);
  await verify(scene, [writer]);
});

test('another server on the ports of a replica holds nothing up, whatever it says', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [replica = -1] = scene.replicas;
  const { epoch } = scene;
  const pid = scene.pid(replica);
  await scene.down(replica);
  // It is about to start; at its next start it would look for other ports.
  await scene.until(() => scene.pid(replica) > 0 && scene.pid(replica) !== pid);
  for (const greet of [SILENT, NO_MYSQL, REFUSING]) {
    await using _ = await impostors(scene, replica, greet);
    await scene.restartController();
    await writer.writesAgain();
    writer.takeLongestGap();
    await scene.until(() => scene.view(replica)?.contact.kind === contactOf(greet));
    assert.equal(scene.state, 'degraded');
    await writer.writesAgain();
    assert.ok(writer.takeLongestGap().ms < STANDSTILL_MS);
  }
  assert.equal(scene.epoch, epoch);
  await scene.back(replica);
  await verify(scene, [writer]);
});

function contactOf(greet: (socket: Socket) => void): string {
  return greet === REFUSING ? 'refused' : 'silent';
}
