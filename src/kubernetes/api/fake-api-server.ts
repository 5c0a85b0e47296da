/** For tests: an API server in memory, over HTTP, with the faults that real ones have. Objects are kept as they come. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Access } from './access.ts';

type Json = Record<string, unknown>;
interface Stored extends Json {
  metadata: Json & { name: string; namespace: string; resourceVersion: string; uid: string };
}
interface Watcher {
  readonly path: string;
  readonly answer: ServerResponse;
}

/** What becomes of a request: `lose`, carried out and never answered; `cut`, not carried out, its connection ended. */
export type Fault = 'lose' | 'cut' | { readonly status: number; readonly reason: string };

/** Collection, name, subresource. */
const PATH = /^(\/(?:api|apis\/[^/]+)\/[^/]+(?:\/namespaces\/[^/]+)?\/[^/]+)(?:\/([^/]+))?(?:\/(status|scale))?$/;

/** To a server that listens on this machine, in the clear. */
export function accessTo(server: Server): Access {
  const { port } = server.address() as AddressInfo;
  return {
    server: `http://127.0.0.1:${port}`,
    ca: undefined,
    cert: undefined,
    key: undefined,
    serverName: undefined,
    verify: true,
    token: () => 'secret',
    namespace: 'default',
  };
}

export class FakeApiServer implements AsyncDisposable {
  readonly requests: string[] = [];
  readonly #server: Server;
  readonly #objects = new Map<string, Stored>();
  readonly #watchers = new Set<Watcher>();
  readonly #log: { version: number; path: string; type: string; object: Stored }[] = [];
  #version = 100;
  #oldest = 0;
  /** Asked before each request; null: none. */
  fault: (method: string, path: string) => Fault | null = () => null;

  private constructor() {
    this.#server = createServer((request, answer) => void this.#serve(request, answer));
  }

  static async start(): Promise<FakeApiServer> {
    const fake = new FakeApiServer();
    fake.#server.listen(0, '127.0.0.1');
    await once(fake.#server, 'listening');
    return fake;
  }

  get access(): Access {
    return accessTo(this.#server);
  }

  get watching(): number {
    return this.#watchers.size;
  }

  /** As somebody else's write. `path`: of the collection, such as `/api/v1/namespaces/default/pods`. */
  put(path: string, name: string, object: Json): Stored {
    return this.#store(path, name, object);
  }

  read(path: string, name: string): Stored | undefined {
    return this.#objects.get(`${path}/${name}`);
  }

  remove(path: string, name: string): void {
    const object = this.#objects.get(`${path}/${name}`);
    if (object === undefined) return;
    this.#objects.delete(`${path}/${name}`);
    this.#tell(path, 'DELETED', {
      ...object,
      metadata: { ...object.metadata, resourceVersion: String(++this.#version) },
    });
  }

  /** Ends all watches, without a word. */
  cutWatches(): void {
    for (const { answer } of this.#watchers) answer.destroy();
  }

  /** Says on all watches that their place is no longer kept, and forgets what happened so far. */
  expireWatches(): void {
    this.#oldest = this.#version + 1;
    this.#version++;
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    for (const { answer } of this.#watchers) answer.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
  }

  bookmark(): void {
    const object = { metadata: { resourceVersion: String(++this.#version) } };
    for (const { answer } of this.#watchers) answer.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutWatches();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #serve(request: IncomingMessage, answer: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    const method = request.method ?? 'GET';
    const path = url.pathname;
    this.requests.push(`${method} ${path}${url.search}`);
    const fault = this.fault(method, path);
    if (fault === 'cut') return void request.socket.destroy();
    if (typeof fault === 'object' && fault !== null) return refuse(answer, fault.status, fault.reason);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const body = text === '' ? {} : (JSON.parse(text) as Json);
    if (fault === 'lose') {
      if (method === 'GET') return;
      const nowhere = { writeHead: () => nowhere, end: () => nowhere } as unknown as ServerResponse;
      return this.#answer(method, path, url.searchParams, body, nowhere);
    }
    this.#answer(method, path, url.searchParams, body, answer);
  }

  #answer(method: string, path: string, query: URLSearchParams, body: Json, answer: ServerResponse): void {
    if (path === '/readyz') return void answer.end('ok');
    const [, collection = '', name, sub] = PATH.exec(path) ?? [];
    if (name === undefined) {
      if (method === 'POST') return this.#create(collection, body, answer);
      return query.get('watch') === 'true'
        ? this.#watch(collection, query, answer)
        : this.#list(collection, query, answer);
    }
    const known = this.#objects.get(`${collection}/${name}`);
    const { uid, resourceVersion } = (body['metadata'] ?? {}) as { uid?: string; resourceVersion?: string };
    if (known === undefined && !(method === 'PATCH' && query.has('force'))) return refuse(answer, 404, 'NotFound');
    if (known !== undefined && uid !== undefined && uid !== known.metadata.uid) return refuse(answer, 409, 'Conflict');
    if (known !== undefined && resourceVersion !== undefined && resourceVersion !== known.metadata.resourceVersion) {
      return refuse(answer, 409, 'Conflict');
    }
    switch (method) {
      case 'GET':
        return reply(answer, 200, known ?? {});
      case 'PUT':
        return reply(answer, 200, this.#store(collection, name, body));
      case 'PATCH': {
        const part = sub === 'status' ? { status: body['status'] } : body;
        return reply(answer, 200, this.#store(collection, name, merge(known ?? {}, part)));
      }
      case 'DELETE':
        this.remove(collection, name);
        return reply(answer, 200, {});
      default:
        refuse(answer, 405, 'MethodNotAllowed');
    }
  }

  #create(collection: string, body: Json, answer: ServerResponse): void {
    const { name = randomUUID() } = (body['metadata'] ?? {}) as { name?: string };
    if (this.#objects.has(`${collection}/${name}`)) return refuse(answer, 409, 'AlreadyExists');
    reply(answer, 201, this.#store(collection, name, body));
  }

  #list(collection: string, query: URLSearchParams, answer: ServerResponse): void {
    const all = [...this.#objects].filter(([key]) => within(collection, key)).map(([, object]) => object);
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? 500);
    const more = from + limit < all.length ? { continue: String(from + limit) } : {};
    reply(answer, 200, {
      items: all.slice(from, from + limit),
      metadata: { resourceVersion: String(this.#version), ...more },
    });
  }

  #watch(path: string, query: URLSearchParams, answer: ServerResponse): void {
    const from = Number(query.get('resourceVersion'));
    if (from < this.#oldest) return refuse(answer, 410, 'Expired');
    const watcher = { path, answer };
    this.#watchers.add(watcher);
    answer.on('close', () => this.#watchers.delete(watcher));
    answer.writeHead(200, { 'content-type': 'application/json' });
    answer.flushHeaders();
    for (const event of this.#log) {
      if (event.version > from && within(path, event.path)) answer.write(`${JSON.stringify(event)}\n`);
    }
  }

  #store(path: string, name: string, object: Json): Stored {
    const before = this.#objects.get(`${path}/${name}`);
    const namespace = /\/namespaces\/([^/]+)\//.exec(path)?.[1] ?? '';
    const stored: Stored = {
      ...object,
      metadata: {
        uid: randomUUID(),
        ...before?.metadata,
        ...(object['metadata'] as Json | undefined),
        name,
        namespace,
        resourceVersion: String(++this.#version),
      },
    };
    this.#objects.set(`${path}/${name}`, stored);
    this.#tell(path, before === undefined ? 'ADDED' : 'MODIFIED', stored);
    return stored;
  }

  #tell(path: string, type: string, object: Stored): void {
    const event = { version: this.#version, path: `${path}/`, type, object };
    this.#log.push(event);
    for (const watcher of this.#watchers) {
      if (within(watcher.path, event.path)) watcher.answer.write(`${JSON.stringify({ type, object })}\n`);
    }
  }
}

/** All namespaces hold what each does. */
function within(collection: string, key: string): boolean {
  return key.startsWith(`${collection}/`) || key.replace(/\/namespaces\/[^/]+/, '').startsWith(`${collection}/`);
}

function merge(into: unknown, patch: unknown): Json {
  const result: Json = { ...(into as Json) };
  for (const [key, value] of Object.entries(patch as Json)) {
    if (value === null) delete result[key];
    else if (typeof value === 'object' && !Array.isArray(value)) result[key] = merge(result[key] ?? {}, value);
    else result[key] = value;
  }
  return result;
}

function reply(answer: ServerResponse, status: number, body: unknown): void {
  answer.writeHead(status, { 'content-type': 'application/json' });
  answer.end(JSON.stringify(body));
}

function refuse(answer: ServerResponse, status: number, reason: string): void {
  reply(answer, status, { kind: 'Status', reason, message: `refused: ${reason}` });
}
