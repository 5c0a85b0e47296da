/**
 * Keeps all objects of one kind known: lists them, watches for changes, goes on where a watch ended, lists again when that
 * place is no longer kept (410). Never gives up: what it knows grows old, and it says how old.
 */
import { systemClock } from '../control/clock.ts';
import type { ApiClient, ListPage } from './api/client.ts';
import { ApiError, isExpired } from './api/errors.ts';
import type { ApiObject, Resource } from './api/resources.ts';

export interface ReflectorOptions {
  readonly client: ApiClient;
  readonly resource: Resource;
  /** Empty: all. */
  readonly namespaces: readonly string[];
  readonly labelSelector?: string;
  readonly log: (event: Record<string, unknown>) => void;
  /** Between attempts, growing; default from 200 ms to 5 s. For tests. */
  readonly backoffMs?: { readonly first: number; readonly most: number };
}

/** `now` is null for one that is gone. */
type Listener<T> = (key: string, now: T | null) => void;

const BACKOFF_MS = { first: 200, most: 5000 };
/** The API server ends watches after about this long; a few at a time. */
const WATCH_SECONDS = 240;
/** Bookmarks come about once a minute. */
const SILENCE_MS = 90_000;

export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

export class Reflector<T extends ApiObject> {
  readonly #options: ReflectorOptions;
  readonly #objects = new Map<string, T>();
  readonly #listeners = new Set<Listener<T>>();
  #unlisted: number;
  readonly #listed: Promise<void>;
  #onListed: () => void = () => undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#unlisted = Math.max(1, options.namespaces.length);
    this.#listed = new Promise((resolve) => (this.#onListed = resolve));
  }

  get(namespace: string, name: string): T | null {
    return this.#objects.get(keyOf(namespace, name)) ?? null;
  }

  all(): readonly T[] {
    return [...this.#objects.values()];
  }

  /** Resolves when everything that there was has been listed once. */
  get listed(): Promise<void> {
    return this.#listed;
  }

  /** Returns the way to unsubscribe. */
  onChange(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { namespaces } = this.#options;
    const scopes = namespaces.length === 0 ? [null] : namespaces;
    await Promise.all(scopes.map((namespace) => this.#follow(namespace, signal)));
  }

  async #follow(namespace: string | null, signal: AbortSignal): Promise<void> {
    const { first, most } = this.#options.backoffMs ?? BACKOFF_MS;
    let version: string | null = null;
    let pauseMs = first;
    let listed = false;
    while (!signal.aborted) {
      try {
        if (version === null) {
          version = await this.#list(namespace);
          if (!listed && --this.#unlisted === 0) this.#onListed();
          listed = true;
        }
        for await (const seen of this.#watch(namespace, version, signal)) {
          version = seen;
          pauseMs = first;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (isExpired(error)) version = null;
        // It was refused, not lost: what was known may be what is wrong with it.
        else if (error instanceof ApiError && error.status !== 429 && error.status < 500) version = null;
        this.#log(error, version);
        // Not in step with all others that lost the same API server.
        await systemClock.sleep(pauseMs * (0.5 + Math.random()), signal);
        pauseMs = Math.min(2 * pauseMs, most);
      }
    }
  }

  /** All pages; what is no longer there is gone. */
  async #list(namespace: string | null): Promise<string> {
    const { client, resource, labelSelector } = this.#options;
    const found = new Map<string, T>();
    let from: string | null = null;
    let version: string;
    do {
      const page: ListPage<T> = await client.list<T>(resource, { namespace, labelSelector }, from);
      for (const item of page.items) found.set(keyOf(item.metadata.namespace, item.metadata.name), item);
      version = page.resourceVersion;
      from = page.next;
    } while (from !== null);
    for (const [key, object] of this.#objects) {
      if ((namespace === null || object.metadata.namespace === namespace) && !found.has(key)) this.#set(key, null);
    }
    for (const [key, object] of found) {
      if (this.#objects.get(key)?.metadata.resourceVersion !== object.metadata.resourceVersion) this.#set(key, object);
    }
    return version;
  }

  /** Yields the place to go on from after each event. */
  async *#watch(namespace: string | null, from: string, signal: AbortSignal): AsyncGenerator<string> {
    const { client, resource, labelSelector } = this.#options;
    const events = client.watch<T>(resource, { namespace, labelSelector }, from, {
      signal,
      timeoutSeconds: Math.round(WATCH_SECONDS * (1 + Math.random())),
      silenceMs: SILENCE_MS,
    });
    for await (const { type, object } of events) {
      if (type === 'ERROR') {
        const { code = 0, reason = '', message = '' } = object as { code?: number; reason?: string; message?: string };
        throw new ApiError(`watch ${resource.plural}`, code, reason, message);
      }
      const { namespace: where, name, resourceVersion } = object.metadata;
      if (type === 'DELETED') this.#set(keyOf(where, name), null);
      else if (type !== 'BOOKMARK') this.#set(keyOf(where, name), object);
      yield resourceVersion;
    }
  }

  #set(key: string, object: T | null): void {
    if (object === null) this.#objects.delete(key);
    else this.#objects.set(key, object);
    for (const listener of this.#listeners) listener(key, object);
  }

  #log(error: unknown, version: string | null): void {
    const { resource, log } = this.#options;
    const text = error instanceof Error ? error.message : String(error);
    log({ event: version === null ? 'relist' : 'rewatch', resource: resource.plural, error: text });
  }
}
