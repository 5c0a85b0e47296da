/** The daemon's API, from outside. */
import type { IncomingMessage } from 'node:http';

import type { JournalEntry } from '../control/port.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { DaemonError, type Failure } from './failure.ts';
import type { Status } from './status.ts';

/** An import would touch all that node:http exports, which loads fetch and WebSocket: 30 ms, of a command that takes 60. */
const { request } = process.getBuiltinModule('node:http');

/** How to log in. */
export interface Credentials {
  readonly host: string;
  readonly port: number;
  /** Set where a member is to be reached by it, as root is. */
  readonly socket: string | null;
  readonly user: string;
  readonly password: string;
  readonly database: string | null;
}

export interface SwitchoverResult {
  readonly primary: number;
  readonly reason: string;
  /** From the request to its end, in milliseconds. */
  readonly ms: number;
}

/** Nobody listens there. */
export class DaemonGoneError extends Error {
  override readonly name = 'DaemonGoneError';
  readonly code = 'DAEMON_GONE';
}

export class ApiClient {
  readonly #socket: string;

  constructor(socket: string) {
    this.#socket = socket;
  }

  status(signal?: AbortSignal): Promise<Status> {
    return this.#ask('GET', '/status', undefined, signal);
  }

  /**
   * The status now and at every change. With `claim`, as the one that brings the cluster up: rejects with a DaemonError
   * (UP_IN_PROGRESS) while there is another. Ends when the daemon does; throws what kept it from starting.
   */
  watch(options: { readonly claim?: boolean; readonly signal?: AbortSignal } = {}): AsyncGenerator<Status> {
    const path = options.claim === true ? '/status?watch&claim' : '/status?watch';
    return this.#lines<Status>(path, options.signal);
  }

  journal(signal: AbortSignal): AsyncGenerator<JournalEntry> {
    return this.#lines<JournalEntry>('/journal?follow', signal);
  }

  resource(): Promise<MySQLCluster> {
    return this.#ask('GET', '/resource');
  }

  apply(resource: MySQLCluster): Promise<{ changes: readonly string[] }> {
    return this.#ask('POST', '/apply', { resource });
  }

  scale(replicas: number): Promise<{ changes: readonly string[] }> {
    return this.#ask('POST', '/scale', { replicas });
  }

  switchover(to: number | null, signal?: AbortSignal): Promise<SwitchoverResult> {
    return this.#ask('POST', '/switchover', { to }, signal);
  }

  restart(ordinals: readonly number[]): Promise<{ restarting: readonly number[] }> {
    return this.#ask('POST', '/restart', { ordinals });
  }

  /** Stops every member and the daemon; with `delete`, their data, passwords and journal are gone too. */
  stop(options: { readonly delete: boolean }): Promise<object> {
    return this.#ask('POST', '/stop', options);
  }

  /** SIGKILL to a member's process. */
  kill(ordinal: number): Promise<object> {
    return this.#ask('POST', '/kill', { ordinal });
  }

  /** SIGSTOP: as if its machine hung. */
  freeze(ordinal: number): Promise<object> {
    return this.#ask('POST', '/freeze', { ordinal });
  }

  /** SIGCONT. */
  thaw(ordinal: number): Promise<object> {
    return this.#ask('POST', '/thaw', { ordinal });
  }

  /** Of the application's account, through an endpoint or at a member; of root, at a member only, by its socket. */
  credentials(
    of: { readonly read?: boolean; readonly member?: number; readonly root?: boolean } = {},
  ): Promise<Credentials> {
    const query = new URLSearchParams();
    if (of.read === true) query.set('read', '');
    if (of.member !== undefined) query.set('member', String(of.member));
    if (of.root === true) query.set('root', '');
    return this.#ask('GET', `/credentials?${query.toString()}`);
  }

  async #ask<T>(method: string, path: string, body?: object, signal?: AbortSignal): Promise<T> {
    const response = await this.#send(method, path, body, signal);
    let text = '';
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
    return valueOf(text) as T;
  }

  async *#lines<T>(path: string, signal?: AbortSignal): AsyncGenerator<T> {
    let response: IncomingMessage | null = null;
    let rest = '';
    try {
      response = await this.#send('GET', path, undefined, signal);
      for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) yield valueOf(line) as T;
      }
      if (rest !== '') yield valueOf(rest) as T;
    } catch (error) {
      if (signal?.aborted === true) return;
      if (error instanceof DaemonError || error instanceof DaemonGoneError) throw error;
      // Cut off: the daemon was killed.
      throw new DaemonGoneError('the daemon ended without a word', { cause: error });
    } finally {
      response?.destroy();
    }
  }

  #send(method: string, path: string, body?: object, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const asked = request(
        { socketPath: this.#socket, method, path, headers, ...(signal === undefined ? {} : { signal }) },
        resolve,
      );
      asked.once('error', (error: NodeJS.ErrnoException) => {
        const gone = ['ENOENT', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE'].includes(error.code ?? '');
        reject(gone ? new DaemonGoneError(`no daemon answers at ${this.#socket}`, { cause: error }) : error);
      });
      asked.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}

/** Throws the failure that it holds, if it does. */
function valueOf(text: string): unknown {
  const value = parse(text);
  if (isFailure(value)) throw new DaemonError(value.error);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DaemonGoneError('the daemon ended in the middle of an answer', { cause: error });
  }
}

function isFailure(value: unknown): value is { error: Failure } {
  const error = (value as { error?: Partial<Failure> } | null)?.error;
  return typeof error?.code === 'string' && typeof error.message === 'string';
}
