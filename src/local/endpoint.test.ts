import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Endpoint, EndpointAddressError, EndpointPortInUseError, type EndpointOptions } from './endpoint.ts';

const HOST = '127.0.0.1';
const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

async function endpoint(options: Partial<EndpointOptions> = {}): Promise<Endpoint> {
  const made = await Endpoint.listen({ host: HOST, port: 0, name: 'primary', ...options });
  cleanup.push(() => made.close());
  return made;
}

/** A server that speaks first, as MySQL does: it says its ordinal, then does as told with each connection. */
class FakeMember {
  readonly ordinal: number;
  readonly connections = new Set<Socket>();
  /** All it was ever told. */
  heard = '';
  /** What happens to a connection in place of the greeting. */
  onConnection: (socket: Socket) => void;
  port = 0;
  #server: Server | undefined;

  constructor(ordinal: number, onConnection?: (socket: Socket) => void) {
    this.ordinal = ordinal;
    this.onConnection = onConnection ?? ((socket) => socket.write(`member ${ordinal}`));
  }

  async start(): Promise<this> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.connections.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => this.connections.delete(socket));
      this.onConnection(socket);
      socket.on('data', (data) => (this.heard += data.toString('latin1')));
      socket.on('end', () => socket.end());
    });
    server.listen(this.port, HOST);
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    this.port = address.port;
    this.#server = server;
    cleanup.push(() => this.stop());
    return this;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.connections) socket.destroy();
    await closed;
  }

  get backend(): { ordinal: number; host: string; port: number } {
    return { ordinal: this.ordinal, host: HOST, port: this.port };
  }
}

class Client {
  readonly socket: Socket;
  received = '';
  ended = false;
  error: string | undefined;
  closed = false;

  constructor(to: Endpoint) {
    this.socket = connect({ host: HOST, port: to.port, allowHalfOpen: true });
    this.socket.on('data', (data) => (this.received += data.toString('latin1')));
    this.socket.on('end', () => {
      this.ended = true;
      this.socket.end();
    });
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.error = error.code));
    this.socket.on('close', () => (this.closed = true));
    cleanup.push(() => this.socket.destroy());
  }
}

async function until(what: string, condition: () => boolean, withinMs = 3_000): Promise<void> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    assert.ok(performance.now() < end, `not within ${withinMs} ms: ${what}`);
    await sleep(2);
  }
}

async function bound(to: Endpoint): Promise<Client> {
  const client = new Client(to);
  await until('a greeting', () => client.received !== '');
  return client;
}

/** The number and the message of an ERR packet in place of a greeting. */
function errorOf(client: Client): { errno: number; message: string } {
  const packet = Buffer.from(client.received, 'latin1');
  assert.equal(packet.readUIntLE(0, 3), packet.length - 4);
  assert.equal(packet.readUInt16LE(3), 0xff00);
  return { errno: packet.readUInt16LE(5), message: packet.toString('utf8', 7) };
}

test('a taken port is an error that says which, and how to find who has it', async () => {
  const first = await endpoint();
  await assert.rejects(Endpoint.listen({ host: HOST, port: first.port }), (error: unknown) => {
    assert.ok(error instanceof EndpointPortInUseError);
    assert.equal(error.code, 'PORT_IN_USE');
    assert.equal(error.port, first.port);
    assert.match(error.hint, new RegExp(`ss -tanp .*${first.port}`));
    return true;
  });
});

test('an address of another machine is an error of its own', async () => {
  await assert.rejects(Endpoint.listen({ host: '192.0.2.1', port: 0 }), EndpointAddressError);
});

test('a connection that comes before there is a server waits, and is served when there is one', async () => {
  const it = await endpoint();
  const client = new Client(it);
  await until('it waits', () => it.stats().waiting === 1);
  const member = await new FakeMember(2).start();
  it.point({ epoch: 1, backends: [member.backend] });
  await until('the greeting', () => client.received === 'member 2');
  assert.deepEqual(it.stats(), {
    open: 1,
    waiting: 0,
    accepted: 1,
    refused: 0,
    backends: [{ ...member.backend, open: 1 }],
  });
});

test('a wait ends in a MySQL error that says why there is no server, then the connection is closed', async () => {
  const it = await endpoint({ waitMs: 100 });
  it.point({ epoch: 7, backends: [], reason: 'failing over, sealed 1 of 2' });
  const client = new Client(it);
  await until('it ends', () => client.closed);
  assert.deepEqual(errorOf(client), {
    errno: 1053,
    message: 'Baton: no primary within 0.1 s: failing over, sealed 1 of 2',
  });
  assert.equal(client.error, undefined);
  assert.equal(it.stats().refused, 1);
});

test('the reason is the present one, not the one of when the wait began', async () => {
  const it = await endpoint({ waitMs: 150 });
  it.point({ epoch: 7, backends: [], reason: 'old' });
  const client = new Client(it);
  await sleep(30);
  it.point({ epoch: 7, backends: [], reason: 'new' });
  await until('it ends', () => client.closed);
  assert.match(errorOf(client).message, /: new$/);
});

test('more than maxWaiting are refused at once, with "too many connections"; one that leaves makes room', async () => {
  const it = await endpoint({ maxWaiting: 2 });
  const first = new Client(it);
  const second = new Client(it);
  await until('two wait', () => it.stats().waiting === 2);
  const third = new Client(it);
  await until('it ends', () => third.closed);
  assert.equal(errorOf(third).errno, 1040);
  assert.match(errorOf(third).message, /^Baton: 2 connections already wait for the primary: the cluster is starting$/);
  first.socket.destroy();
  await until('room', () => it.stats().waiting === 1);
  const fourth = new Client(it);
  await until('two wait', () => it.stats().waiting === 2);
  assert.equal(fourth.closed || second.closed, false);
});

test('a server that refuses is no error for a client within its wait: it is tried again', async () => {
  const member = await new FakeMember(0).start();
  await member.stop();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const clients = Array.from({ length: 20 }, () => new Client(it));
  await sleep(150);
  await member.start();
  await until('all are served', () => clients.every((client) => client.received === 'member 0'), 500);
});

test('a server that refuses for the whole wait is named', async () => {
  const member = await new FakeMember(3).start();
  await member.stop();
  const it = await endpoint({ waitMs: 500 });
  it.point({ epoch: 1, backends: [member.backend] });
  const client = new Client(it);
  await until('it ends', () => client.closed);
  assert.match(errorOf(client).message, /within 0.5 s: member 3 at 127.0.0.1:\d+ can't be reached: ECONNREFUSED$/);
});

for (const [how, lose] of [
  ['closes', (socket: Socket) => socket.destroy()],
  ['resets', (socket: Socket) => socket.resetAndDestroy()],
] as const) {
  test(`a server that ${how} the connection before its first byte is no error for the client`, async () => {
    const member = await new FakeMember(0, lose).start();
    const it = await endpoint();
    it.point({ epoch: 1, backends: [member.backend] });
    const client = new Client(it);
    await sleep(50);
    member.onConnection = (socket) => socket.write('alive');
    await until('it is served', () => client.received === 'alive');
  });
}

test('a client that waits at a frozen server moves on to the new one when the endpoint does', async () => {
  const frozen = await new FakeMember(0, () => {}).start();
  const next = await new FakeMember(1).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [frozen.backend] });
  const client = new Client(it);
  await until('the frozen server has it', () => frozen.connections.size === 1);
  it.point({ epoch: 2, backends: [next.backend] });
  await until('the greeting', () => client.received === 'member 1');
  await until('the frozen server is let go', () => frozen.connections.size === 0);
});

test('a frozen server is named when the wait is over', async () => {
  const frozen = await new FakeMember(4, () => {}).start();
  const it = await endpoint({ waitMs: 100 });
  it.point({ epoch: 1, backends: [frozen.backend] });
  const client = new Client(it);
  await until('it ends', () => client.closed);
  assert.match(errorOf(client).message, /member 4 does not answer$/);
});

test('when the client that tries a failing server leaves, another one tries', async () => {
  let failures = 0;
  const fail = (socket: Socket): void => {
    failures++;
    socket.destroy();
  };
  const member = await new FakeMember(0, fail).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const first = new Client(it);
  await until('it has failed', () => failures === 2);
  member.onConnection = () => {}; // the next one is left without an answer
  await until('the first one tries', () => member.connections.size === 1);
  const second = new Client(it);
  await until('both wait', () => it.stats().waiting === 2);
  assert.equal(member.connections.size, 1);
  member.onConnection = (socket) => socket.write('alive');
  first.socket.destroy();
  await until('the second one is served', () => second.received === 'alive');
});

test('several servers get equal shares, and a new one is filled up first', async () => {
  const members = await Promise.all([0, 1, 2].map((ordinal) => new FakeMember(ordinal).start()));
  const it = await endpoint({ name: 'replica' });
  const [, second, third] = members.map((member) => member.backend);
  assert.ok(second !== undefined && third !== undefined);
  it.point({ epoch: 1, backends: [second, third] });
  for (let i = 0; i < 6; i++) await bound(it);
  assert.deepEqual(
    it.stats().backends.map(({ open }) => open),
    [3, 3],
  );
  it.point({ epoch: 1, backends: members.map((member) => member.backend) });
  for (let i = 0; i < 3; i++) await bound(it);
  assert.deepEqual(
    it.stats().backends.map(({ open }) => open),
    [3, 3, 3],
  );
});

test('equal servers take turns', async () => {
  const members = await Promise.all([0, 1, 2].map((ordinal) => new FakeMember(ordinal).start()));
  const it = await endpoint();
  it.point({ epoch: 1, backends: members.map((member) => member.backend) });
  const seen: string[] = [];
  for (let i = 0; i < 6; i++) {
    const client = await bound(it);
    seen.push(client.received.slice(-1));
    client.socket.destroy();
    await until('it is gone', () => it.stats().open === 0);
  }
  assert.equal(seen.join(''), '012012');
});

test('one of several servers being down costs a client nothing', async () => {
  const [dead, alive] = await Promise.all([new FakeMember(0).start(), new FakeMember(1).start()]);
  await dead.stop();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [dead.backend, alive.backend] });
  for (let i = 0; i < 5; i++) assert.equal((await bound(it)).received, 'member 1');
});

test('when point returns, a server that was left out is reached by nobody: bound, waiting for it, or new', async () => {
  const old = await new FakeMember(0).start();
  const next = await new FakeMember(1).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [old.backend] });
  const busy = await bound(it);
  const idle = await bound(it);
  busy.socket.write('select 1');
  await until('it has the statement', () => old.heard === 'select 1');
  old.onConnection = () => {};
  const reaching = new Client(it);
  await until('it reaches', () => old.connections.size === 3);
  busy.socket.write('late');
  idle.socket.write('late');
  it.point({ epoch: 2, backends: [next.backend] });
  assert.equal(it.stats().open, 0);
  await until('both are cut', () => busy.closed && idle.closed);
  await until('the third is served by the new one', () => reaching.received === 'member 1');
  await until('the old one is let go', () => old.connections.size === 0);
  assert.equal(old.heard, 'select 1');
});

test('a target of an older epoch is ignored, for ever', async () => {
  const old = await new FakeMember(0).start();
  const next = await new FakeMember(1).start();
  const events: Record<string, unknown>[] = [];
  const it = await endpoint({ log: (event) => events.push(event) });
  it.point({ epoch: 2, backends: [next.backend] });
  const client = await bound(it);
  it.point({ epoch: 1, backends: [old.backend] });
  it.point({ epoch: 1, backends: [] });
  assert.equal((await bound(it)).received, 'member 1');
  assert.equal(client.closed, false);
  assert.deepEqual(
    events.map((event) => event['event']),
    ['endpoint.pointed', 'endpoint.stale-target-ignored', 'endpoint.stale-target-ignored'],
  );
  assert.throws(() => it.point({ epoch: Number.NaN, backends: [] }), TypeError);
});

test('a server that stays in the target keeps its connections, in the same epoch and in a new one', async () => {
  const members = await Promise.all([0, 1].map((ordinal) => new FakeMember(ordinal).start()));
  const backends = members.map((member) => member.backend);
  const it = await endpoint();
  it.point({ epoch: 1, backends });
  const clients = [await bound(it), await bound(it)];
  it.point({ epoch: 1, backends: backends.slice(1) });
  it.point({ epoch: 2, backends: backends.slice(1) });
  await until('the first is closed', () => clients[0]?.closed === true);
  assert.equal(clients[1]?.closed, false);
  assert.deepEqual(
    it.stats().backends.map(({ open }) => open),
    [1],
  );
});

test('the same member at another port is another server', async () => {
  const before = await new FakeMember(0).start();
  const after = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [before.backend] });
  const client = await bound(it);
  it.point({ epoch: 1, backends: [after.backend] });
  await until('it is cut', () => client.closed);
});

test('with a grace, a busy connection to a server left out gets its answer; called again, the grace is not prolonged', async () => {
  const leaving = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [leaving.backend] });
  const [patient, endless] = [await bound(it), await bound(it)];
  const [server] = leaving.connections;
  patient.socket.write('a');
  endless.socket.write('b');
  await until('both asked', () => leaving.heard.length === 2);
  const start = performance.now();
  const again = setInterval(() => it.point({ epoch: 1, backends: [], graceMs: 400 }), 20);
  cleanup.push(() => clearInterval(again));
  it.point({ epoch: 1, backends: [], graceMs: 400 });
  await sleep(100);
  assert.equal(it.stats().open, 2);
  server?.write(', answer');
  await until('it is closed', () => patient.closed);
  assert.equal(patient.received, 'member 0, answer');
  assert.ok(performance.now() - start < 350);
  await until('the other is cut', () => endless.closed);
  const tookMs = performance.now() - start;
  assert.ok(tookMs > 390 && tookMs < 600, `${tookMs} ms`);
});

test('a server that comes back within its grace has its connections still, counted', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = await bound(it);
  client.socket.write('a');
  await until('it is heard', () => member.heard === 'a');
  it.point({ epoch: 1, backends: [], graceMs: 10_000 });
  it.point({ epoch: 1, backends: [member.backend] });
  it.point({ epoch: 1, backends: [member.backend] });
  assert.equal(client.closed, false);
  assert.equal(it.stats().backends[0]?.open, 1);
});

test('hold: new connections wait, existing ones go on; release connects those that waited', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const before = await bound(it);
  it.hold('switching over to member 1');
  const after = new Client(it);
  before.socket.write('still');
  await until('it is heard', () => member.heard === 'still');
  it.point({ epoch: 1, backends: [member.backend] });
  await sleep(30);
  assert.equal(after.received, '');
  assert.equal(before.closed, false);
  it.release();
  await until('it is served', () => after.received === 'member 0');
});

test('hold takes back those whose server has not spoken yet', async () => {
  const member = await new FakeMember(0, () => {}).start();
  const it = await endpoint({ waitMs: 600 });
  it.point({ epoch: 1, backends: [member.backend] });
  const client = new Client(it);
  await until('it reaches', () => member.connections.size === 1);
  it.hold('switching over to member 1');
  await until('the server is let go', () => member.connections.size === 0, 300);
  await until('it ends', () => client.closed);
  assert.match(errorOf(client).message, /: switching over to member 1$/);
});

test('a higher epoch ends a hold', async () => {
  const [old, next] = await Promise.all([new FakeMember(0).start(), new FakeMember(1).start()]);
  const it = await endpoint();
  it.point({ epoch: 1, backends: [old.backend] });
  it.hold('switching over');
  const client = new Client(it);
  await until('it waits', () => it.stats().waiting === 1);
  it.point({ epoch: 2, backends: [next.backend] });
  await until('it is served', () => client.received === 'member 1');
});

test('drain: idle connections close cleanly at once, busy ones after their answer', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const busy = await bound(it);
  const [server] = member.connections;
  const idle = await bound(it);
  await sleep(60);
  busy.socket.write('commit');
  await until('it is heard', () => member.heard === 'commit');
  it.hold('switching over');
  const drained = it.drain(2_000);
  assert.equal(it.stats().open, 1);
  await until('the idle one is closed', () => idle.closed);
  assert.equal(idle.ended, true);
  assert.equal(idle.error, undefined);
  server?.write(', OK');
  assert.deepEqual(await drained, { closed: 2 });
  await until('the busy one is closed', () => busy.closed);
  assert.equal(busy.received, 'member 0, OK');
  assert.equal(busy.error, undefined);
});

test('drain: a transaction whose statements follow one another is let through to its end', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = await bound(it);
  const [server] = member.connections;
  server?.on('data', () => server.write('.'));
  client.socket.write('1');
  const drained = it.drain(2_000);
  for (let i = 2; i < 8; i++) {
    await sleep(20);
    client.socket.write(`${i}`);
  }
  assert.deepEqual(await drained, { closed: 1 });
  assert.equal(member.heard, '1234567');
  await until('it is closed', () => client.closed);
  assert.equal(client.received, 'member 0.......');
});

test('drain: at the end of the grace an answer under way arrives, and what the client sends next is never executed', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = await bound(it);
  const [server] = member.connections;
  client.socket.write('commit');
  await until('it is heard', () => member.heard === 'commit');
  const drained = it.drain(100);
  await sleep(20);
  client.socket.write('next');
  server?.write(', OK');
  assert.deepEqual(await drained, { closed: 1 });
  await until('it is closed', () => client.closed);
  assert.equal(member.heard, 'commit');
  assert.equal(client.received, 'member 0, OK');
});

test('drain: an incessant writer is parted with between two statements, each acknowledged statement executed once', async () => {
  const member = await new FakeMember(0, (socket) => {
    socket.write('.');
    socket.on('data', () => setTimeout(() => socket.write('.'), 1));
  }).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = new Client(it);
  client.socket.on('data', () => client.socket.write('x'));
  await until('it works', () => client.received.length > 5);
  assert.deepEqual(await it.drain(300), { closed: 1 });
  await until('it is closed', () => client.closed);
  assert.equal(client.received.length, member.heard.length + 1); // the greeting, then one answer for each statement
});

test('drain: whatever is busy at the end of the grace is cut', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = await bound(it);
  client.socket.write('select sleep(600)');
  await until('it is heard', () => member.heard !== '');
  const start = performance.now();
  assert.deepEqual(await it.drain(150), { closed: 1 });
  assert.ok(performance.now() - start >= 150);
  await until('it is cut', () => client.closed && member.connections.size === 0);
});

test('a drain that is called off leaves busy connections as they were, clients heard again', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = await bound(it);
  client.socket.write('a');
  await until('it is heard', () => member.heard === 'a');
  it.hold('switching over');
  const drained = it.drain(100); // begins with its end: clients are no longer heard
  client.socket.write('b');
  await sleep(20);
  assert.equal(member.heard, 'a');
  it.release();
  assert.deepEqual(await drained, { closed: 0 });
  await until('it is heard again', () => member.heard === 'ab');
  assert.equal(client.closed, false);
});

test("a client's half-close is passed on, and the answer still arrives", async () => {
  const member = await new FakeMember(0, (socket) => {
    socket.write('.');
    socket.on('end', () => socket.write('all of it'));
  }).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = await bound(it);
  client.socket.end('last statement');
  await until('it is closed', () => client.closed);
  assert.equal(member.heard, 'last statement');
  assert.equal(client.received, '.all of it');
  await until('nothing is left', () => it.stats().open === 0 && member.connections.size === 0);
});

test("a server's last words arrive whole, however slowly the client reads, before the connection closes", async () => {
  const size = 20_000_000;
  const member = await new FakeMember(0, (socket) => socket.end(Buffer.alloc(size, 'x'))).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = new Client(it);
  client.socket.pause();
  await sleep(100);
  client.socket.resume();
  await until('it is closed', () => client.closed, 10_000);
  assert.equal(client.received.length, size);
  assert.equal(client.error, undefined);
});

test('a server that dies takes its clients along, a client that dies its server connection', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const first = await bound(it);
  for (const socket of member.connections) socket.resetAndDestroy();
  await until('the client is closed', () => first.closed);
  const second = await bound(it);
  second.socket.resetAndDestroy();
  await until('the server is let go', () => member.connections.size === 0);
  assert.equal(it.stats().open, 0);
});

test('bytes arrive as they were sent, both ways at once, through back-pressure', async () => {
  const up = randomBytes(8_000_000);
  const down = randomBytes(16_000_000);
  const heard = createHash('sha256');
  const member = await new FakeMember(0, (socket) => {
    // In pieces small enough that one still waits for the client when the next one comes.
    const say = (from: number): void => {
      socket.write(down.subarray(from, from + 5_000));
      if (from + 5_000 < down.length) setImmediate(say, from + 5_000);
    };
    say(0);
    socket.removeAllListeners('data');
    socket.on('data', (data) => {
      heard.update(data);
      socket.pause();
      setTimeout(() => socket.resume(), 1);
    });
  }).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = connect({ host: HOST, port: it.port });
  cleanup.push(() => client.destroy());
  client.write(up);
  client.pause(); // until everything between here and the member is full
  setTimeout(() => client.resume(), 600);
  const received = createHash('sha256');
  let length = 0;
  client.on('data', (data) => {
    received.update(data);
    length += data.length;
    client.pause();
    setTimeout(() => client.resume(), 1);
  });
  await until('all is there', () => length === down.length && member.heard.length === up.length, 20_000);
  const sum = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
  assert.equal(received.digest('hex'), sum(down));
  assert.equal(heard.digest('hex'), sum(up));
});

test('a client that does not read stops its server, and costs little memory', async () => {
  let written = 0;
  const member = await new FakeMember(0, (socket) => {
    const chunk = Buffer.alloc(1 << 16);
    const fill = (): void => {
      while (!socket.destroyed && socket.write(chunk)) written += chunk.length;
    };
    socket.on('drain', fill);
    fill();
  }).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const client = new Client(it);
  client.socket.pause();
  let before = -1;
  await until(
    'the server is stopped',
    () => {
      const still = written > 0 && written === before;
      before = written;
      return still;
    },
    5_000,
  );
  await sleep(100);
  const stopped = written;
  await sleep(100);
  assert.equal(written, stopped);
  assert.ok(written < 32_000_000, `${written} bytes are under way: the kernel's buffers, and no more`);
  it.point({ epoch: 2, backends: [] }); // and is cut none the less
  await until('it is cut', () => member.connections.size === 0);
});

test('a client that speaks first loses nothing, even when it is given to another server', async () => {
  const frozen = await new FakeMember(0, () => {}).start();
  const next = await new FakeMember(1).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [frozen.backend] });
  const client = new Client(it);
  client.socket.write('early');
  await sleep(30);
  it.point({ epoch: 2, backends: [next.backend] });
  await until('it is served', () => client.received === 'member 1');
  client.socket.write(', late');
  await until('all is heard', () => next.heard === 'early, late');
  assert.equal(frozen.heard, '');
});

test('close: those that wait read an error, others are cut, the port is free, nothing stays behind', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint();
  it.point({ epoch: 1, backends: [member.backend] });
  const open = await bound(it);
  it.hold('switching over');
  const waiting = new Client(it);
  await until('it waits', () => it.stats().waiting === 1);
  const deaf = new Client(it);
  deaf.socket.pause();
  await it.close();
  await it.close();
  await until('both are closed', () => open.closed && waiting.closed);
  assert.equal(errorOf(waiting).message, 'Baton: the endpoint was stopped');
  it.point({ epoch: 2, backends: [member.backend] });
  it.release();
  const again = await Endpoint.listen({ host: HOST, port: it.port });
  await again.close();
});

test('nothing leaks: after hundreds of connections that ended in every way, no socket and no timer is left', async () => {
  const member = await new FakeMember(0).start();
  const it = await endpoint({ waitMs: 5_000 });
  const resources = (): string[] => process.getActiveResourcesInfo().filter((r) => /TCP|Timeout/.test(r));
  const before = resources().length;
  const clients: Client[] = [];
  for (let round = 0; round < 20; round++) {
    it.point({ epoch: round, backends: [member.backend] });
    for (let i = 0; i < 10; i++) clients.push(new Client(it));
    await until('they are served', () => it.stats().open === 10);
    for (const client of clients.slice(-10, -7)) client.socket.resetAndDestroy();
    for (const client of clients.slice(-7, -5)) client.socket.end();
    it.hold('switching over');
    clients.push(new Client(it));
    await until('it waits', () => it.stats().waiting === 1);
    clients.at(-1)?.socket.destroy();
    it.point({ epoch: round, backends: [] });
    it.release();
    await until('all are over', () => it.stats().open === 0 && it.stats().waiting === 0);
  }
  await until('all sockets are closed', () => clients.every(({ closed }) => closed) && member.connections.size === 0);
  await until('nothing is left', () => resources().length <= before + 1); // the timer of this very wait
});
