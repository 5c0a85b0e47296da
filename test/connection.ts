/** mysql2, for clients in tests: `destroy()` ends what is under way with an error, where mysql2's own leaves it waiting for ever. */
import { createConnection, type Connection, type ConnectionOptions } from 'mysql2/promise';

export async function connect(options: ConnectionOptions): Promise<Connection> {
  const connection = await createConnection({ ...options, supportBigNumbers: true });
  connection.on('error', () => undefined);
  const { stream } = (connection as unknown as Inner).connection;
  connection.destroy = () => stream.destroy(new Error('given up'));
  return connection;
}

interface Inner {
  readonly connection: { readonly stream: { destroy(error: Error): void } };
}
