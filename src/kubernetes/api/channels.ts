/**
 * Kubernetes' channels over a websocket (`v4.channel.k8s.io`): each binary message begins with the number of its channel.
 * Ports are forwarded and commands run in Pods through it.
 */
import type { WebSocket } from 'ws';

export const CHANNELS_PROTOCOL = 'v4.channel.k8s.io';

/** A server's messages are a few dozen kilobytes; one that claims more is none. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export interface ChannelsHandlers {
  readonly onMessage: (channel: number, bytes: Buffer) => void;
  /** Once, whatever ended it; null: in good order. */
  readonly onEnd: (error: Error | null) => void;
}

export class Channels {
  readonly #socket: WebSocket;

  /**
   * Of a socket that is not open yet. Paused until its owner resumes it: who asked for it has it before its first message.
   * Handlers hear nothing of one that never opens.
   */
  constructor(socket: WebSocket, { onMessage, onEnd }: ChannelsHandlers) {
    this.#socket = socket;
    let error: Error | null = null;
    socket.on('message', (data) => {
      const message = data as Buffer;
      if (message.length > 0) onMessage(message[0] ?? 0, message.subarray(1));
    });
    socket.once('open', () => {
      socket.pause();
      socket.on('error', (found) => (error = found));
      socket.once('close', () => onEnd(error));
    });
  }

  /** `sent` is called once the connection takes more. */
  send(channel: number, bytes: Buffer, sent?: (error?: Error | null) => void): void {
    this.#socket.send(Buffer.concat([Buffer.of(channel), bytes]), (error) => sent?.(error));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.close();
  }
}
