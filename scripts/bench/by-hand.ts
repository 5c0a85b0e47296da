/**
 * The baseline of a failover: three bare servers, semi-synchronous with k = 1, and the steps of a failover as a script
 * would do them, in order, over sessions that are open already, by somebody who knows which server is dead.
 */
import { GtidSet } from '../../src/gtid/gtid-set.ts';
import { replicationUser } from '../../src/mysql/names.ts';
import type { Credentials } from '../../src/local/api-client.ts';
import { BareServer } from './bare-server.ts';
import { until, wallMs, type Bench } from './bench.ts';
import { makeTable } from './writer.ts';

/** When each step was over, as the clock on the wall has it. */
export interface HandSteps {
  readonly killedMs: number;
  readonly sealedMs: number;
  readonly appliedMs: number;
  readonly resetMs: number;
  readonly openMs: number;
  readonly followedMs: number;
  /** When the process was gone: the kernel takes its memory apart first. */
  readonly goneMs: number;
}

export class ByHand implements AsyncDisposable {
  readonly #bench: Bench;
  readonly #servers: readonly BareServer[];
  #source: BareServer;
  #open: Promise<Credentials>;

  private constructor(bench: Bench, servers: readonly BareServer[], source: BareServer) {
    this.#bench = bench;
    this.#servers = servers;
    this.#source = source;
    this.#open = Promise.resolve(source.credentials);
  }

  static async start(bench: Bench): Promise<ByHand> {
    const servers: BareServer[] = [];
    try {
      for (const ordinal of [0, 1, 2]) servers.push(await BareServer.create(bench, 'hand', ordinal));
      await Promise.all(servers.map((server) => server.start()));
      const [source, ...replicas] = servers as [BareServer, ...BareServer[]];
      for (const server of servers) await unlock(server);
      const hand = new ByHand(bench, servers, source);
      await hand.#promote(source);
      for (const replica of replicas) await hand.#follow(replica);
      const session = await source.session();
      await session.query('SET SESSION sql_log_bin = 1');
      await makeTable(session);
      await session.query('SET SESSION sql_log_bin = 0');
      return hand;
    } catch (error) {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
      throw error;
    }
  }

  /** Where to write; during a failover, once the new source is open. */
  locate(): Promise<Credentials> {
    return this.#open;
  }

  /** Kills the source and does, step by step, what is to be done. */
  async failOver(): Promise<HandSteps> {
    const dead = this.#source;
    const others = this.#servers.filter((server) => server !== dead);
    let announce: (where: Credentials) => void = () => undefined;
    this.#open = new Promise((resolve) => (announce = resolve));
    // Sessions are there before: a person, too, would have them open.
    for (const server of others) await server.session();
    const killedMs = wallMs();
    const gone = dead.kill().then(wallMs);
    await Promise.all(others.map((server) => server.run('STOP REPLICA IO_THREAD')));
    const sealedMs = wallMs();
    const sets = await Promise.all(others.map((server) => received(server)));
    const union = sets.reduce((all, set) => all.union(set), GtidSet.EMPTY);
    const chosen = others.find((_, index) => sets[index]?.contains(union) === true);
    if (chosen === undefined) throw new Error('neither replica has all that was received');
    const other = others.find((server) => server !== chosen);
    await chosen.run(`SELECT WAIT_FOR_EXECUTED_GTID_SET('${union.toString()}', 10)`);
    const appliedMs = wallMs();
    await stop(chosen);
    await chosen.run('RESET REPLICA ALL');
    const resetMs = wallMs();
    await this.#promote(chosen);
    const openMs = wallMs();
    this.#source = chosen;
    // The client may connect; its first write waits for the replica.
    announce(chosen.credentials);
    if (other !== undefined) await this.#follow(other);
    const followedMs = wallMs();
    return { killedMs, sealedMs, appliedMs, resetMs, openMs, followedMs, goneMs: await gone };
  }

  /** Off the clock: the dead one comes back as a replica, anew if it has what nobody else has. */
  async mend(): Promise<void> {
    for (const server of this.#servers) {
      if (server === this.#source) continue;
      if (await isUp(server)) continue;
      await server.start();
      const [here] = await server.run('SELECT @@global.gtid_executed AS executed');
      const [there] = await this.#source.run('SELECT @@global.gtid_executed AS executed');
      if (!GtidSet.parse(String(there?.['executed'])).contains(GtidSet.parse(String(here?.['executed'])))) {
        await server.wipe();
        await server.start();
        await unlock(server);
      }
      await this.#follow(server);
    }
    await until('both replicas are in sync', () => this.#inSync(), this.#bench.signal);
  }

  async #inSync(): Promise<boolean> {
    const sets = await Promise.all(
      this.#servers.map((server) => server.run('SELECT @@global.gtid_executed AS executed')),
    );
    return new Set(sets.map(([row]) => String(row?.['executed']))).size === 1;
  }

  async #promote(server: BareServer): Promise<void> {
    await server.run(
      'SET GLOBAL rpl_semi_sync_replica_enabled = OFF',
      'SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = 1',
      'SET GLOBAL rpl_semi_sync_source_enabled = ON',
    );
    await server.open();
  }

  async #follow(server: BareServer): Promise<void> {
    const { host, port, password } = this.#source.credentials;
    await stop(server);
    await server.run(
      'SET GLOBAL rpl_semi_sync_replica_enabled = ON',
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${host}', SOURCE_PORT = ${port}, SOURCE_USER = '${replicationUser(server.ordinal)}',
         SOURCE_PASSWORD = '${password}', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_CONNECT_RETRY = 1,
         SOURCE_HEARTBEAT_PERIOD = 0.25`,
      'START REPLICA',
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.map((server) => server[Symbol.asyncDispose]()));
  }
}

/** Replicas may log in, here; unlogged, so that every server starts with the same, empty history. */
async function unlock(server: BareServer): Promise<void> {
  const users = [0, 1, 2].map((ordinal) => `'${replicationUser(ordinal)}'@'%'`).join(', ');
  await server.run(
    'SET GLOBAL super_read_only = OFF',
    `ALTER USER ${users} ACCOUNT UNLOCK`,
    'SET GLOBAL super_read_only = ON',
  );
}

/** With both receivers stopped and all applied. An applier that waits for the rest of a transaction is killed. */
async function stop(server: BareServer): Promise<void> {
  const amid = `SELECT t.PROCESSLIST_ID AS id FROM performance_schema.replication_applier_status_by_coordinator c
     JOIN performance_schema.threads t ON t.THREAD_ID = c.THREAD_ID WHERE c.PROCESSING_TRANSACTION <> ''`;
  for (const { id } of await server.run(amid)) await server.run(`KILL CONNECTION ${Number(id)}`, 'DO SLEEP(0.05)');
  await server.run('STOP REPLICA');
}

async function received(server: BareServer): Promise<GtidSet> {
  const [row] = await server.run(
    `SELECT RECEIVED_TRANSACTION_SET AS received, @@global.gtid_executed AS executed
       FROM performance_schema.replication_connection_status WHERE CHANNEL_NAME = ''`,
  );
  return GtidSet.parse(String(row?.['received'])).union(GtidSet.parse(String(row?.['executed'])));
}

function isUp(server: BareServer): Promise<boolean> {
  return server.session().then(
    () => true,
    () => false,
  );
}
