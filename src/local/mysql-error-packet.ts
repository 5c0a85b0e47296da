/** What MySQL's ERR packet carries: number, SQLSTATE (five characters), message. */
export interface MySqlError {
  errno: number;
  sqlState: string;
  message: string;
}

/** mysqld cuts messages there (MYSQL_ERRMSG_SIZE), and so clients size their buffers. */
const MESSAGE_LIMIT_BYTES = 511;

/**
 * An ERR packet in place of the server's greeting, as mysqld itself sends it for "Too many connections": sequence 0,
 * before any handshake. Every client reads it, those that would go on with TLS too, for nothing is encrypted yet.
 * The message becomes one line and is cut at 511 bytes, between characters.
 * Source: MySQL's "Client/Server Protocol", ERR_Packet and "Initial Handshake".
 */
export function errorInsteadOfGreeting(error: MySqlError): Buffer {
  const message = cutAtCharacter(Buffer.from(error.message.replaceAll(/[\0\r\n]+\s*/g, ' ')));
  const head = Buffer.alloc(13);
  head.writeUIntLE(head.length - 4 + message.length, 0, 3); // payload length; byte 3, the sequence, is 0
  head.writeUInt8(0xff, 4);
  head.writeUInt16LE(error.errno, 5);
  head.write(`#${error.sqlState}`, 7, 6, 'latin1');
  return Buffer.concat([head, message]);
}

function cutAtCharacter(text: Buffer): Buffer {
  if (text.length <= MESSAGE_LIMIT_BYTES) return text;
  let end = MESSAGE_LIMIT_BYTES;
  while (((text[end] ?? 0) & 0xc0) === 0x80) end--; // a continuation byte of UTF-8
  return text.subarray(0, end);
}
