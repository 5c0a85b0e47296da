import { randomInt } from 'node:crypto';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { createServer } from 'node:net';

import { pids } from './process-identity.ts';

/** Below the ports that Linux gives to outgoing connections, so that none of those takes a member's port meanwhile. */
const lowestPort = 20_000;
const highestPort = 32_767;
const maxTries = 200;

export const localHost = '127.0.0.1';

/** Whether a server could listen there now. */
export async function isPortFree(port: number, host = localHost): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** Draws a port that nobody listens on and that is not in `taken`. */
export async function chooseFreePort(taken: ReadonlySet<number>, host = localHost): Promise<number> {
  for (let tries = 0; tries < maxTries; tries++) {
    const port = randomInt(lowestPort, highestPort + 1);
    if (!taken.has(port) && (await isPortFree(port, host))) return port;
  }
  throw new Error(
    `expected a free TCP port on ${host} from ${lowestPort} to ${highestPort}, found none in ${maxTries}`,
  );
}

/** The pid of who listens on a TCP port; null if nobody does, or it is another user's. */
export async function portOwner(port: number): Promise<number | null> {
  const inode = (await listeningInodes()).get(port);
  if (inode === undefined) return null;
  for (const pid of await pids()) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      if (target === `socket:[${inode}]`) return pid;
    }
  }
  return null;
}

/** Port → inode of the socket that listens on it (proc_net_tcp; state 0A is LISTEN). */
async function listeningInodes(): Promise<Map<number, string>> {
  const inodes = new Map<number, string>();
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const lines = (await readFile(table, 'utf8').catch(() => '')).split('\n').slice(1);
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      const port = parseInt(fields[1]?.split(':')[1] ?? '', 16);
      if (fields[3] === '0A' && fields[9] !== undefined) inodes.set(port, fields[9]);
    }
  }
  return inodes;
}
