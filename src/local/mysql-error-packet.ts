/** mysqld cuts messages there (MYSQL_ERRMSG_SIZE), and clients size their buffers by it. */
const MESSAGE_LIMIT_BYTES = 511;

/**
 * An ERR packet in place of the server's greeting, byte for byte as mysqld itself sends "Too many connections": sequence 0
 * and no SQLSTATE, for before the handshake the client's capabilities aren't known (libmysqlclient would show a SQLSTATE
 * as a part of the message). Clients that insist on TLS read it too: nothing is encrypted yet.
 * The message becomes one line and is cut at 511 bytes, between characters.
 * Source: MySQL's "Client/Server Protocol", ERR_Packet; seen on 9.7.
 */
export function errorInsteadOfGreeting(errno: number, message: string): Buffer {
  const text = cutAtCharacter(Buffer.from(message.replaceAll(/[\0\r\n]+\s*/g, ' ')));
  const head = Buffer.alloc(7);
  head.writeUIntLE(3 + text.length, 0, 3); // the payload's length; the sequence in byte 3 stays 0
  head.writeUInt8(0xff, 4);
  head.writeUInt16LE(errno, 5);
  return Buffer.concat([head, text]);
}

function cutAtCharacter(text: Buffer): Buffer {
  if (text.length <= MESSAGE_LIMIT_BYTES) return text;
  let end = MESSAGE_LIMIT_BYTES;
  while (((text[end] ?? 0) & 0xc0) === 0x80) end--; // a continuation byte of UTF-8
  return text.subarray(0, end);
}
