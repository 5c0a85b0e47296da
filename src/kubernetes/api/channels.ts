/**
 * Kubernetes' channels over a websocket (`v4.channel.k8s.io`): each binary message begins with the number of its channel.
 * Ports are forwarded and commands run in Pods through it. Of RFC 6455 it speaks what a client has to: masked frames out,
 * whole or fragmented messages in, pings answered.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';

export const CHANNELS_PROTOCOL = 'v4.channel.k8s.io';

/** A server's messages are a few dozen kilobytes; one that claims more is none. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const newKey = (): string => randomBytes(16).toString('base64');

/** What the server answers to a key. */
export const acceptOf = (key: string): string => createHash('sha1').update(`${key}${GUID}`).digest('base64');

export interface ChannelsHandlers {
  readonly onMessage: (channel: number, bytes: Buffer) => void;
  /** Once, whatever ended it; null: in good order. */
  readonly onEnd: (error: Error | null) => void;
}

export class Channels {
  readonly #socket: Duplex;
  readonly #handlers: ChannelsHandlers;
  #rest: Buffer = Buffer.alloc(0);
  #message: Buffer[] = [];
  #over = false;

  /** @param head what came with the answer to the handshake */
  constructor(socket: Duplex, head: Buffer, handlers: ChannelsHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(null));
    if (head.length > 0) queueMicrotask(() => this.#take(head));
  }

  /** `sent` is called once the connection takes more. */
  send(channel: number, bytes: Buffer, sent?: (error?: Error | null) => void): void {
    this.#socket.write(frame(OPCODE.binary, Buffer.concat([Buffer.of(channel), bytes])), sent);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    if (this.#over) return;
    this.#socket.end(frame(OPCODE.close, Buffer.of(0x03, 0xe8)));
    this.#end(null);
  }

  #end(error: Error | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    this.#handlers.onEnd(error);
  }

  #take(bytes: Buffer): void {
    if (this.#over) return;
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    try {
      for (let next = readFrame(this.#rest); next !== null; next = readFrame(this.#rest)) {
        this.#rest = this.#rest.subarray(next.bytes);
        this.#handle(next);
      }
    } catch (error) {
      this.#end(error as Error);
    }
  }

  #handle({ opcode, final, payload }: Frame): void {
    switch (opcode) {
      case OPCODE.close:
        return this.#end(null);
      case OPCODE.ping:
        return void this.#socket.write(frame(OPCODE.pong, payload));
      case OPCODE.pong:
        return;
      case OPCODE.continuation:
      case OPCODE.text:
      case OPCODE.binary: {
        this.#message.push(payload);
        if (!final) return;
        const message = this.#message.length === 1 ? payload : Buffer.concat(this.#message);
        this.#message = [];
        if (message.length > 0) this.#handlers.onMessage(message[0] ?? 0, message.subarray(1));
        return;
      }
      default:
        throw new Error(`expected a websocket's frame, found opcode ${opcode}`);
    }
  }
}

interface Frame {
  readonly opcode: number;
  readonly final: boolean;
  readonly payload: Buffer;
  /** Of the whole frame. */
  readonly bytes: number;
}

/** A server's frame at the beginning of `bytes`; null while it is not all there. */
export function readFrame(bytes: Buffer): Frame | null {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return null;
  const short = second & 0x7f;
  const head = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < head) return null;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (second > 0x7f || length > MAX_MESSAGE_BYTES)
    throw new Error('expected a frame of a server, found something else');
  if (bytes.length < head + length) return null;
  const payload = bytes.subarray(head, head + length);
  return { opcode: first & 0x0f, final: (first & 0x80) !== 0, payload, bytes: head + length };
}

/** A client's frame: masked, as the protocol wants it. */
export function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const framed = Buffer.allocUnsafe(2 + extra + 4 + length);
  framed[0] = 0x80 | opcode;
  framed[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) framed.writeUInt16BE(length, 2);
  if (extra === 8) framed.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  const from = 2 + extra + 4;
  mask.copy(framed, from - 4);
  for (let at = 0; at < length; at++) framed[from + at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
  return framed;
}
