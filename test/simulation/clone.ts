/** CLONE INSTANCE: the recipient drops what it has, copies the donor, and asks to be started again. */
import { Connection } from './network.ts';
import type { Failure } from './server.ts';
import type { ServerSession } from './server-session.ts';

const STEP_MS = 50;
const BYTES_A_STEP = 8 * 1024 ** 2;
const EMPTY_BYTES = 64 * 1024 ** 2;
const BYTES_A_TRANSACTION = 4096;

/** How often, and for how long, a recipient tries to reach a donor that it lost: clone_donor_timeout_after_network_failure. */
const RECONNECT_MS = 5000;
const RECONNECTS = 60;
/** How often it fails at once instead. */
const GIVES_UP = 0.5;

export function runClone(session: ServerSession, host: string, done: (failure: Failure) => void): void {
  const { server } = session;
  const { world, process, data } = server;
  const { place, server: donor } = world.serverAt(host);
  const fail = (message: string, errno = 3862): void => {
    server.cloning = null;
    data.cloned = 'failed';
    done({ errno, message: `Clone Donor Error: ${message}` });
  };
  const isUp = (): boolean => donor !== null && donor.process.alive && donor.listening;
  world.network.send(process.place, place, { lastMs: 0 }, 0, () => {
    if (donor === null || !isUp()) {
      world.network.send(place, process.place, { lastMs: 0 }, 0, () => process.do(() => fail('connect failed')));
      return;
    }
    const connect = (connected: () => void, lost: (why: string) => void): Connection => {
      const connection = new Connection(world.network, process, donor.process);
      connection.onLost = lost;
      donor.process.do(() =>
        donor.accept(connection, 'baton_clone', false, (answer) => {
          if ('errno' in answer) fail(answer.message);
          else connected();
        }),
      );
      return connection;
    };
    let connection = connect(
      () => copy(),
      () => fail('connection lost'),
    );
    const copy = (): void => {
      const bytesTotal = EMPTY_BYTES + BYTES_A_TRANSACTION * donor.data.committed;
      const progress = {
        bytesTotal,
        bytesDone: 0,
        fail: () => {
          connection.closeByClient();
          fail('the disk said no');
        },
      };
      server.cloning = progress;
      // Every schema is dropped first.
      data.hollow = true;
      const step = (): void => {
        if (!connection.clientOpen) return;
        const flows = !donor.process.frozen && !world.network.isCut(donor.process.place, process.place);
        // PAGE COPY hangs for as long as a commit waits at the donor.
        if (flows && donor.waiting === 0) progress.bytesDone = Math.min(bytesTotal, progress.bytesDone + BYTES_A_STEP);
        if (progress.bytesDone < bytesTotal) return server.after(STEP_MS, step);
        connection.onLost = () => undefined;
        connection.closeByClient();
        data.fillFrom(donor.data);
        data.hollow = false;
        data.cloned = 'completed';
        world.trace(`member ${server.ordinal} is filled from member ${donor.ordinal}`);
        server.onExit();
      };
      const begin = (): void => {
        // Not at every moment is it able to look for its donor again.
        connection.onLost = () => (world.random.chance(GIVES_UP) ? fail('connection lost', 1158) : again(1));
        server.after(STEP_MS, step);
      };
      // The donor knows what it was about, as long as it lives.
      const again = (attempt: number): void => {
        if (server.cloning !== progress) return;
        server.after(RECONNECT_MS, () => {
          if (server.cloning !== progress) return;
          const { server: now } = world.serverAt(host);
          if (now !== donor && now?.listening === true) return fail('it knows nothing of this clone');
          if (isUp()) connection = connect(begin, () => again(attempt + 1));
          else if (attempt < RECONNECTS) again(attempt + 1);
          else fail('connection lost');
        });
      };
      begin();
    };
  });
}
