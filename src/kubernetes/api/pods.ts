/** What is done in Pods through the API server: a port forwarded, a command run, a log read. */
import { Duplex } from 'node:stream';
import type { Channels } from './channels.ts';
import type { ApiClient } from './client.ts';

/** Where a Pod is. */
export interface PodPlace {
  readonly namespace: string;
  readonly pod: string;
}

const pathOf = ({ namespace, pod }: PodPlace, subresource: string): string =>
  `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/${subresource}`;

/** Each of the forwarded port's two channels begins with the port's number. */
const PORT_BYTES = 2;
const DATA = 0;

/**
 * A connection to a port in a Pod, as from within. It fails, sooner or later, if nobody listens there.
 *
 * @throws {ApiError} if that is not allowed, or there is no such Pod
 */
export async function connectPort(client: ApiClient, place: PodPlace, port: number): Promise<Duplex> {
  let channels: Channels | null = null;
  const opened = new Set<number>();
  const stream = new Duplex({
    allowHalfOpen: false,
    read: () => channels?.resume(),
    write: (chunk: Buffer, _encoding, done) => channels?.send(DATA, chunk, done),
    final: (done) => done(),
    destroy: (error, done) => {
      channels?.close();
      done(error);
    },
  });
  channels = await client.channels(pathOf(place, 'portforward'), [['ports', String(port)]], {
    onMessage: (channel, bytes) => {
      const first = !opened.has(channel);
      opened.add(channel);
      const content = first ? bytes.subarray(PORT_BYTES) : bytes;
      if (content.length === 0) return;
      if (channel !== DATA) stream.destroy(new Error(`${place.pod}:${port}: ${content.toString().trim()}`));
      else if (!stream.push(content)) channels?.pause();
    },
    onEnd: (error) => {
      // What came before the end is still to be read.
      if (error === null) stream.push(null);
      else stream.destroy(error);
    },
  });
  return stream;
}

/** The command ended with something else than 0, or could not be run. */
export class CommandFailedError extends Error {
  override readonly name = 'CommandFailedError';
  readonly code = 'COMMAND_FAILED';
}

const EXEC = { stdout: 1, stderr: 2, status: 3 } as const;
const COMMAND_MS = 10_000;

/** Runs a command in a container; resolves with what it wrote once it ended well. */
export async function runInPod(
  client: ApiClient,
  place: PodPlace,
  container: string,
  command: readonly string[],
): Promise<string> {
  const said: Record<number, string> = {};
  const query: (readonly [string, string])[] = [
    ['container', container],
    ['stdout', 'true'],
    ['stderr', 'true'],
    ...command.map((word) => ['command', word] as const),
  ];
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new CommandFailedError(`${place.pod}: no end within 10 s`)), COMMAND_MS);
    const over = (error: Error | null): void => {
      clearTimeout(timer);
      if (error === null) resolve();
      else reject(error);
    };
    client
      .channels(pathOf(place, 'exec'), query, {
        onMessage: (channel, bytes) => (said[channel] = (said[channel] ?? '') + bytes.toString()),
        onEnd: over,
      })
      .then((channels) => channels.resume(), over);
  });
  const { status = '', message = '' } = JSON.parse(said[EXEC.status] ?? '{}') as { status?: string; message?: string };
  if (status === 'Success') return said[EXEC.stdout] ?? '';
  const why = (said[EXEC.stderr] ?? '').trim() || message || 'it ended without a word';
  throw new CommandFailedError(`${place.pod}: ${why}`);
}

export interface LogOptions {
  readonly container?: string;
  /** How many of the newest lines first. */
  readonly tail: number;
  /** Goes on with what is added, until `signal` aborts or the container ends. */
  readonly follow?: boolean;
  readonly signal: AbortSignal;
}

/** A container's log, by lines. */
export function podLog(client: ApiClient, place: PodPlace, options: LogOptions): AsyncGenerator<string> {
  const { container, tail, follow = false, signal } = options;
  const query = { container, tailLines: String(tail), follow: follow ? 'true' : undefined };
  return client.lines(pathOf(place, 'log'), query, { signal, patient: follow });
}
