/** The daemon's side of its API: JSON over HTTP on a unix socket that only this user can reach. */
import { chmod, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';

import { asFailure, type Failure } from './failure.ts';

/** A value is the answer; an async iterable is answered line by line until it ends or the client leaves. */
export type Answer = object | AsyncIterable<object>;

export interface Request {
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
}

/** By method and path, such as `GET /status`. */
export type Routes = Readonly<Record<string, (request: Request) => Promise<Answer> | Answer>>;

const bodyLimitBytes = 1024 ** 2;

export class ApiServer {
  readonly #server: Server;
  readonly #socket: string;

  private constructor(server: Server, socket: string) {
    this.#server = server;
    this.#socket = socket;
  }

  /** @param socket in a private directory; one that a dead daemon left there is replaced. */
  static async listen(socket: string, routes: Routes): Promise<ApiServer> {
    await rm(socket, { force: true });
    const server = createServer({ keepAlive: false }, (request, response) => void answer(routes, request, response));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socket, resolve);
    });
    await chmod(socket, 0o600);
    return new ApiServer(server, socket);
  }

  /** Answers that are under way come to their end, for up to a second. */
  async close(): Promise<void> {
    await rm(this.#socket, { force: true });
    const cut = setTimeout(() => this.#server.closeAllConnections(), 1000);
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    clearTimeout(cut);
  }
}

async function answer(routes: Routes, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  response.once('error', () => gone.abort());
  try {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://daemon');
    const route = routes[`${request.method} ${pathname}`];
    if (route === undefined) {
      throw Object.assign(new Error(`this daemon has no ${request.method} ${pathname}`), {
        code: 'UNKNOWN_REQUEST',
        hint: 'It may be of another release: stop it and start it again (baton stop, baton start).',
      });
    }
    const body = await bodyOf(request);
    const result = await route({ query: searchParams, body, signal: gone.signal });
    if (!(Symbol.asyncIterator in result)) return send(response, 200, result);
    response.writeHead(200, { 'content-type': 'application/jsonl' });
    response.flushHeaders();
    for await (const item of result) {
      if (gone.signal.aborted) break;
      if (!response.write(`${JSON.stringify(item)}\n`)) await drained(response, gone.signal);
    }
    response.end();
  } catch (error) {
    const failure = asFailure(error);
    if (response.headersSent) response.end(`${JSON.stringify({ error: failure })}\n`);
    else send(response, 400, { error: failure });
  }
}

function send(response: ServerResponse, code: number, value: { error: Failure } | object): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

async function bodyOf(request: IncomingMessage): Promise<Request['body']> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyLimitBytes) throw new Error(`expected a request of at most ${bodyLimitBytes} bytes, found more`);
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  if (typeof value !== 'object' || value === null) throw new Error('expected a JSON object, found something else');
  return value as Request['body'];
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    response.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
