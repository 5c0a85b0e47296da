/** CLONE INSTANCE: the recipient drops what it has, copies the donor, and asks to be started again. */
import { Connection } from './network.ts';
import type { Failure } from './server.ts';
import type { ServerSession } from './server-session.ts';

const STEP_MS = 50;
const BYTES_A_STEP = 8 * 1024 ** 2;
const EMPTY_BYTES = 64 * 1024 ** 2;
const BYTES_A_TRANSACTION = 4096;

export function runClone(session: ServerSession, host: string, done: (failure: Failure) => void): void {
  const { server } = session;
  const { world, process, data } = server;
  const { place, server: donor } = world.serverAt(host);
  const fail = (message: string): void => {
    server.cloning = null;
    data.cloned = 'failed';
    done({ errno: 3862, message: `Clone Donor Error: ${message}` });
  };
  world.network.send(process.place, place, { lastMs: 0 }, 0, () => {
    if (donor === null || !donor.process.alive || !donor.listening) {
      world.network.send(place, process.place, { lastMs: 0 }, 0, () => process.do(() => fail('connect failed')));
      return;
    }
    const connection = new Connection(world.network, process, donor.process);
    connection.onLost = () => fail('connection lost');
    donor.process.do(() =>
      donor.accept(connection, 'baton_clone', false, (answer) => {
        if (!('errno' in answer)) copy();
        else fail(answer.message);
      }),
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
      server.after(STEP_MS, step);
    };
  });
}
