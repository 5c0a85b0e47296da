/**
 * A replica made of a socket: it receives the binlog and acknowledges what it is told to, when it is told to. What a
 * source believes of its replicas can so be tried without any (MySQL source code documentation, "Replication Protocol").
 */
import { randomUUID } from 'node:crypto';
import { createConnection } from 'mysql2';
import type { Socket } from 'node:net';
import { replicationUser } from '../../src/mysql/names.ts';
import { passwords, until, type Server } from './servers.ts';

export interface Position {
  readonly file: string;
  readonly pos: bigint;
}

const COM_BINLOG_DUMP = 0x12;
const SEMI_SYNC = 0xef;
const ROTATE_EVENT = 4;

export class Acker implements Disposable {
  /** Where each transaction ends that the source wants acknowledged. */
  readonly asked: Position[] = [];
  readonly #socket: Socket;
  readonly #automatic: boolean;
  #file = '';
  #rest = Buffer.alloc(0);

  private constructor(socket: Socket, automatic: boolean) {
    this.#socket = socket;
    this.#automatic = automatic;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => undefined);
  }

  /** Receives everything from the first binlog on. `automatic`: acknowledges all, at once. */
  static async attach(
    source: Server,
    { ordinal = 1, serverId = 0, uuid = '', automatic = false } = {},
  ): Promise<Acker> {
    const connection = createConnection({
      ...source.address,
      user: replicationUser(ordinal),
      password: passwords.replication,
    });
    const names = { source: ['source', 'master'], replica: ['replica', 'slave'] };
    for (const name of names.source) await connection.promise().query(`SET @${name}_binlog_checksum = 'NONE'`);
    for (const name of names.replica) {
      await connection.promise().query(`SET @rpl_semi_sync_${name} = 1, @${name}_uuid = ?`, [uuid || randomUUID()]);
    }
    connection.on('error', () => undefined);
    // From here on the connection speaks another protocol.
    const { stream } = connection as unknown as { stream: Socket };
    stream.removeAllListeners('data');
    const acker = new Acker(stream, automatic);
    const dump = Buffer.alloc(11);
    dump.writeUInt8(COM_BINLOG_DUMP, 0);
    dump.writeUInt32LE(4, 1);
    dump.writeUInt32LE(serverId || 1000 + ordinal, 7);
    acker.#send(dump);
    await until('it receives', () => acker.#file !== '');
    return acker;
  }

  /** Waits until so many transactions are to be acknowledged. */
  async isAsked(count: number): Promise<Position> {
    await until(`${count} transactions received`, () => this.asked.length >= count);
    const last = this.asked[count - 1];
    if (last === undefined) throw new Error('nothing was received');
    return last;
  }

  acknowledge({ file, pos }: Position): void {
    const ack = Buffer.alloc(9 + file.length);
    ack.writeUInt8(SEMI_SYNC, 0);
    ack.writeBigUInt64LE(pos, 1);
    ack.write(file, 9, 'latin1');
    this.#send(ack);
  }

  #send(payload: Buffer): void {
    const header = Buffer.alloc(4);
    header.writeUIntLE(payload.length, 0, 3);
    this.#socket.write(Buffer.concat([header, payload]));
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUIntLE(0, 3)) {
      const end = 4 + this.#rest.readUIntLE(0, 3);
      this.#receive(this.#rest.subarray(4, end));
      this.#rest = this.#rest.subarray(end);
    }
  }

  /** OK, the mark of semi-synchronous replication, whether an acknowledgement is wanted, and the event. */
  #receive(packet: Buffer): void {
    if (packet[0] !== 0 || packet[1] !== SEMI_SYNC) throw new Error(`not an event: ${packet.toString('latin1')}`);
    const event = packet.subarray(3);
    if (event[4] === ROTATE_EVENT) this.#file = event.subarray(27).toString('latin1');
    if (packet[2] !== 1) return;
    const position = { file: this.#file, pos: BigInt(event.readUInt32LE(13)) };
    this.asked.push(position);
    if (this.#automatic) this.acknowledge(position);
  }

  close(): void {
    this.#socket.destroy();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
