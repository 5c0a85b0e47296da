/**
 * Asks an API server, over node:https. A request is answered, refused (ApiError), or it is not known what became of it
 * (ApiUnreachableError): who writes has to tell these three apart.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { WebSocket } from 'ws';
import { FIELD_MANAGER, type KubernetesObject } from '../objects/object.ts';
import type { Access } from './access.ts';
import { CHANNELS_PROTOCOL, Channels, MAX_MESSAGE_BYTES, type ChannelsHandlers } from './channels.ts';
import { ApiError, ApiUnreachableError, isNotFound } from './errors.ts';
import { RESOURCE_OF, type ApiObject, type Resource } from './resources.ts';

export interface WatchEvent<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

export interface ListPage<T> {
  readonly items: readonly T[];
  readonly resourceVersion: string;
  /** Where to go on; null at the end. */
  readonly next: string | null;
}

interface Ask {
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Scope {
  /** Null: all namespaces. */
  readonly namespace: string | null;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

const APPLY = 'application/apply-patch+yaml';
const MERGE = 'application/merge-patch+json';
/** An API server that takes longer counts as away. */
const ANSWER_MS = 5000;
const PAGE = 500;
/** Objects are 1.5 MiB at most, and a page holds a few hundred. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

export class ApiClient {
  readonly namespace: string;
  readonly #access: Access;
  readonly #secure: boolean;
  readonly #agent: HttpAgent | HttpsAgent;
  /** Watches have connections of their own: they would keep others waiting. */
  readonly #watchAgent: HttpAgent | HttpsAgent;
  readonly #answerMs: number;

  constructor(access: Access, options: { readonly answerMs?: number } = {}) {
    this.#access = access;
    this.namespace = access.namespace;
    this.#secure = access.server.startsWith('https:');
    this.#answerMs = options.answerMs ?? ANSWER_MS;
    const tls = {
      ca: access.ca,
      cert: access.cert,
      key: access.key,
      servername: access.serverName,
      rejectUnauthorized: access.verify,
    };
    const agent = (maxSockets: number): HttpAgent | HttpsAgent =>
      this.#secure
        ? new HttpsAgent({ keepAlive: true, maxSockets, ...tls })
        : new HttpAgent({ keepAlive: true, maxSockets });
    this.#agent = agent(64);
    this.#watchAgent = agent(256);
  }

  /** Null if there is none. */
  async get<T extends ApiObject>(resource: Resource, namespace: string, name: string): Promise<T | null> {
    try {
      return (await this.#ask('GET', pathOf(resource, namespace, name))) as T;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  async list<T extends ApiObject>(resource: Resource, scope: Scope, from: string | null = null): Promise<ListPage<T>> {
    const { labelSelector, fieldSelector } = scope;
    const query = { labelSelector, fieldSelector, limit: String(PAGE), continue: from ?? undefined };
    const list = (await this.#ask('GET', pathOf(resource, scope.namespace), { query })) as {
      items?: T[] | null;
      metadata: { resourceVersion: string; continue?: string };
    };
    const next = list.metadata.continue ?? '';
    return {
      items: list.items ?? [],
      resourceVersion: list.metadata.resourceVersion,
      next: next === '' ? null : next,
    };
  }

  create<T extends ApiObject>(resource: Resource, namespace: string, body: unknown): Promise<T> {
    return this.#ask('POST', pathOf(resource, namespace), {
      body,
      query: { fieldManager: FIELD_MANAGER },
    }) as Promise<T>;
  }

  /** Refused with a conflict unless `body` carries the newest resourceVersion. */
  replace<T extends ApiObject>(resource: Resource, namespace: string, name: string, body: unknown): Promise<T> {
    return this.#ask('PUT', pathOf(resource, namespace, name), { body }) as Promise<T>;
  }

  /** Server-side: what Baton says of an object holds, whatever others say; what it does not mention stays. */
  apply<T extends ApiObject>(object: KubernetesObject, resourceVersion?: string): Promise<T> {
    const { apiVersion, kind, metadata } = object;
    const resource = RESOURCE_OF[`${apiVersion} ${kind}`];
    if (resource === undefined)
      throw new Error(`expected a kind that the operator applies, found ${apiVersion} ${kind}`);
    const body = resourceVersion === undefined ? object : { ...object, metadata: { ...metadata, resourceVersion } };
    return this.#ask('PATCH', pathOf(resource, metadata.namespace ?? 'default', metadata.name), {
      body,
      contentType: APPLY,
      query: { fieldManager: FIELD_MANAGER, force: 'true' },
    }) as Promise<T>;
  }

  /** A uid or a resourceVersion in the patch's metadata is a condition: refused with a conflict where it differs. */
  patch<T extends ApiObject>(
    resource: Resource,
    namespace: string,
    name: string,
    body: unknown,
    subresource?: 'status' | 'scale',
  ): Promise<T> {
    const path = pathOf(resource, namespace, name) + (subresource === undefined ? '' : `/${subresource}`);
    return this.#ask('PATCH', path, {
      body,
      contentType: MERGE,
      query: { fieldManager: FIELD_MANAGER },
    }) as Promise<T>;
  }

  /**
   * Exactly the object with this uid; one that is gone, or another of its name, is left.
   *
   * @param propagation what becomes of what it owns; default: it is deleted, too, some time
   */
  async delete(
    resource: Resource,
    namespace: string,
    name: string,
    uid: string,
    propagation: 'Background' | 'Orphan' = 'Background',
  ): Promise<void> {
    const body = { preconditions: { uid }, propagationPolicy: propagation };
    try {
      await this.#ask('DELETE', pathOf(resource, namespace, name), { body });
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 409)) return;
      throw error;
    }
  }

  /**
   * Events after `resourceVersion`, until the API server ends the watch or `signal` aborts. Throws if it breaks, or when
   * nothing came for `silenceMs`: bookmarks come about once a minute.
   */
  async *watch<T extends ApiObject>(
    resource: Resource,
    scope: Scope,
    resourceVersion: string,
    { signal, timeoutSeconds, silenceMs }: { signal: AbortSignal; timeoutSeconds: number; silenceMs: number },
  ): AsyncGenerator<WatchEvent<T>> {
    const path = pathOf(resource, scope.namespace);
    const query = {
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion,
      labelSelector: scope.labelSelector,
      fieldSelector: scope.fieldSelector,
      timeoutSeconds: String(timeoutSeconds),
    };
    for await (const line of this.lines(path, query, { signal, silenceMs })) yield JSON.parse(line) as WatchEvent<T>;
  }

  /**
   * An answer that goes on and on, line by line, until `signal` aborts. Throws if it breaks, or is silent for too long.
   *
   * @param patient the answer may begin at any time: that of a log that is followed begins with its first line
   */
  async *lines(
    path: string,
    query: NonNullable<Ask['query']>,
    options: { readonly signal: AbortSignal; readonly silenceMs?: number; readonly patient?: boolean },
  ): AsyncGenerator<string> {
    const { signal, silenceMs, patient = false } = options;
    // Who has aborted already tells nobody again.
    if (signal.aborted) return;
    const what = `${query['watch'] === undefined ? 'GET' : 'watch'} ${path}`;
    const begin = new AbortController();
    let end = (): void => begin.abort();
    const onAbort = (): void => end();
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = patient ? undefined : setTimeout(onAbort, this.#answerMs);
    const sent = this.#send('GET', path, { query, signal: begin.signal }, this.#watchAgent);
    const answer = await sent
      .catch((error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        if (signal.aborted) return null;
        throw error;
      })
      .finally(() => clearTimeout(timer));
    if (answer === null) return;
    end = () => void answer.destroy();
    if (signal.aborted) end();
    if (silenceMs !== undefined) {
      answer.setTimeout(silenceMs, () => answer.destroy(new Error(`nothing for ${silenceMs} ms`)));
    }
    try {
      if ((answer.statusCode ?? 0) >= 400) throw refusal(what, answer.statusCode ?? 0, await bodyOf(answer));
      answer.setEncoding('utf8');
      let rest = '';
      for await (const chunk of answer) {
        const lines = `${rest}${String(chunk)}`.split('\n');
        rest = lines.pop() ?? '';
        yield* lines;
      }
      if (rest !== '') yield rest;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError) throw error;
      throw new ApiUnreachableError(what, (error as Error).message, { cause: error });
    } finally {
      signal.removeEventListener('abort', onAbort);
      answer.destroy();
    }
  }

  /** A connection of several channels, such as to a port or a command in a Pod. */
  async channels(
    path: string,
    query: readonly (readonly [string, string])[],
    handlers: ChannelsHandlers,
  ): Promise<Channels> {
    const what = `GET ${path}`;
    const search = new URLSearchParams(query.map(([name, value]): [string, string] => [name, value]));
    const token = this.#access.token();
    const socket = new WebSocket(`${this.#access.server}${path}?${search.toString()}`, CHANNELS_PROTOCOL, {
      agent: this.#watchAgent,
      handshakeTimeout: this.#answerMs,
      maxPayload: MAX_MESSAGE_BYTES,
      perMessageDeflate: false,
      headers: { 'user-agent': 'baton', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    });
    const channels = new Channels(socket, handlers);
    return new Promise((resolve, reject) => {
      socket.on('open', () => resolve(channels));
      socket.on('error', (error) => reject(new ApiUnreachableError(what, error.message, { cause: error })));
      socket.on('unexpected-response', (_, answer) => {
        bodyOf(answer).then(
          (text) => reject(refusal(what, answer.statusCode ?? 0, text)),
          (error: Error) => reject(new ApiUnreachableError(what, error.message, { cause: error })),
        );
      });
    });
  }

  /** Resolves when the API server says that it is ready. */
  async ready(): Promise<void> {
    await this.#ask('GET', '/readyz');
  }

  close(): void {
    this.#agent.destroy();
    this.#watchAgent.destroy();
  }

  async #ask(method: string, path: string, ask: Ask = {}): Promise<unknown> {
    const what = `${method} ${path}`;
    const deadline = AbortSignal.timeout(this.#answerMs);
    try {
      const answer = await this.#send(method, path, { ...ask, signal: deadline }, this.#agent);
      const text = await bodyOf(answer);
      if ((answer.statusCode ?? 0) >= 400) throw refusal(what, answer.statusCode ?? 0, text);
      return text.startsWith('{') ? JSON.parse(text) : text;
    } catch (error) {
      if (error instanceof ApiError || error instanceof ApiUnreachableError) throw error;
      const found = deadline.aborted ? `nothing for ${this.#answerMs} ms` : (error as Error).message;
      throw new ApiUnreachableError(what, found, { cause: error });
    }
  }

  #send(method: string, path: string, ask: Ask, agent: HttpAgent | HttpsAgent): Promise<IncomingMessage> {
    const { query = {}, body, contentType = 'application/json', signal } = ask;
    const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const search = new URLSearchParams(given).toString();
    const url = new URL(`${this.#access.server}${path}${search === '' ? '' : `?${search}`}`);
    const token = this.#access.token();
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const options: RequestOptions = {
      method,
      agent,
      ...(signal === undefined ? {} : { signal }),
      headers: {
        accept: 'application/json',
        'user-agent': 'baton',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(payload === undefined ? {} : { 'content-type': contentType, 'content-length': payload.length }),
      },
    };
    return new Promise((resolve, reject) => {
      const sent = (this.#secure ? httpsRequest : httpRequest)(url, options, resolve);
      sent.on('error', (error) =>
        reject(new ApiUnreachableError(`${method} ${path}`, signal?.aborted === true ? 'none in time' : error.message)),
      );
      // A server that went away without a word is noticed by the system.
      sent.setSocketKeepAlive(true, 5000);
      sent.setNoDelay(true);
      sent.end(payload);
    });
  }
}

function pathOf({ group, version, plural }: Resource, namespace: string | null, name?: string): string {
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespace === null ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${root}${scope}/${plural}${name === undefined ? '' : `/${encodeURIComponent(name)}`}`;
}

async function bodyOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    bytes += (chunk as Buffer).length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  if (!answer.complete) throw new Error('half an answer');
  return Buffer.concat(chunks).toString('utf8');
}

/** A Kubernetes Status in words; a proxy between may answer with anything. */
function refusal(what: string, status: number, text: string): ApiError {
  try {
    const { reason = '', message = '' } = JSON.parse(text) as { reason?: string; message?: string };
    return new ApiError(what, status, reason, message);
  } catch {
    return new ApiError(what, status, '', text.trim().slice(0, 200));
  }
}
