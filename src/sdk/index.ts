/**
 * A real MySQL cluster for the tests of your program.
 *
 * ```ts
 * await using cluster = await startCluster({ replicas: 3 });
 * const { host, port, user, password } = cluster.primary;
 * ```
 *
 * It is made anew, in a few seconds, and gone with all its data at the end of the scope, or when this process ends,
 * however it ends. Several run side by side.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient, Credentials, SwitchoverResult } from '../local/api-client.ts';
import { startDaemon } from '../local/daemon-start.ts';
import { clusterDirectories } from '../local/directories.ts';
import { processOf } from '../local/process-identity.ts';
import type { Status } from '../local/status.ts';
import { validateCluster } from '../spec/parse.ts';
import { API_VERSION, KIND, type MySQLClusterInput } from '../spec/resource.ts';

export type { Status, MemberStatus } from '../local/status.ts';
export type { SwitchoverResult } from '../local/api-client.ts';

export interface StartOptions {
  /** Members, the primary included. Default 3. */
  readonly replicas?: number;
  /** The rest of the resource's spec (docs/resource.md), such as `{ durability: { mode: 'asynchronous' } }`. */
  readonly spec?: Omit<NonNullable<MySQLClusterInput['spec']>, 'replicas'>;
  /** How long it may take, in ms; more than a minute is needed only when MySQL has to be fetched. Default 120,000. */
  readonly timeoutMs?: number;
}

/** How to connect, by mysql2's names. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Set if the spec names one (credentials.database). */
  readonly database?: string;
}

/** A member by ordinal, or by what it is at the moment. */
export type Which = number | 'primary' | 'replica';

/** Something did not come about in time; the message says how the cluster is instead. */
export class WaitTimeoutError extends Error {
  override readonly name = 'WaitTimeoutError';
  readonly code = 'WAIT_TIMEOUT';
  readonly status: Status;
  constructor(what: string, timeoutMs: number, status: Status) {
    const members = status.members.map(
      ({ ordinal, state, reason }) => `${ordinal} ${state}${reason === '' ? '' : ` (${reason})`}`,
    );
    super(
      `not ${what} within ${timeoutMs} ms: the cluster is ${status.state}: ${status.reason}; members: ${members.join(', ')}`,
    );
    this.status = status;
  }
}

const defaultTimeoutMs = 120_000;
const waitTimeoutMs = 30_000;
const lookMs = 20;

/**
 * Makes a cluster and resolves when it is healthy: one primary, every replica in sync. Rejects with a ResourceError if
 * the options make no sense, else with what kept it from coming up.
 */
export async function startCluster(options: StartOptions = {}): Promise<StartedCluster> {
  const { replicas = 3, spec = {}, timeoutMs = defaultTimeoutMs } = options;
  const name = `test-${process.pid}-${randomBytes(3).toString('hex')}`;
  const resource = validateCluster({
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name },
    spec: { ...spec, replicas },
  });
  const owner = processOf(process.pid);
  const client = await startDaemon(name, clusterDirectories(name, process.env), {
    resource,
    owner,
    deleteAfterOwner: true,
  });
  try {
    // Brought up like any other; what keeps it from that is thrown here.
    for await (const status of client.watch({ claim: true, signal: AbortSignal.timeout(timeoutMs) })) {
      if (status.state === 'healthy') break;
    }
    const [primary, read] = await Promise.all([client.credentials(), client.credentials({ read: true })]);
    return new StartedCluster(name, client, connectionOf(primary), connectionOf(read));
  } catch (error) {
    await client.stop({ delete: true }).catch(() => undefined);
    throw error;
  }
}

function connectionOf({ host, port, user, password, database }: Credentials): Connection {
  return { host, port, user, password, ...(database === null ? {} : { database }) };
}

/** A cluster that runs, until it is disposed of. */
export class StartedCluster implements AsyncDisposable {
  readonly name: string;
  /** Leads to the primary, whichever member that is. */
  readonly primary: Connection;
  /** Leads to the replicas within the lag limit, evenly. */
  readonly read: Connection;
  readonly #client: ApiClient;

  /** By startCluster alone. */
  constructor(name: string, client: ApiClient, primary: Connection, read: Connection) {
    this.name = name;
    this.#client = client;
    this.primary = primary;
    this.read = read;
  }

  status(): Promise<Status> {
    return this.#client.status();
  }

  /** How to connect to one member itself, past the endpoints. */
  async member(which: Which): Promise<Connection> {
    return connectionOf(await this.#client.credentials({ member: await this.#ordinal(which) }));
  }

  /** SIGKILL to the member's mysqld; it is started again at once. Resolves with its ordinal, once the cluster knows. */
  async kill(which: Which): Promise<number> {
    const ordinal = await this.#ordinal(which);
    const pidOf = ({ members }: Status): number | null => members.find((one) => one.ordinal === ordinal)?.pid ?? null;
    const before = pidOf(await this.status());
    await this.#client.kill(ordinal);
    // From here on a status is of the time after: nobody waits for `healthy` and gets that of before.
    if (before !== null) await this.waitFor((status) => pidOf(status) !== before);
    return ordinal;
  }

  /** SIGSTOP, as if its machine hung, until `thaw`. Resolves with its ordinal. */
  async freeze(which: Which): Promise<number> {
    const ordinal = await this.#ordinal(which);
    await this.#client.freeze(ordinal);
    return ordinal;
  }

  /** SIGCONT. */
  async thaw(ordinal: number): Promise<void> {
    await this.#client.thaw(ordinal);
  }

  /** Moves the primary, to a replica of the cluster's choice if none is named. Rejects with why it was refused. */
  switchover(to: number | null = null): Promise<SwitchoverResult> {
    return this.#client.switchover(to);
  }

  /** Asks for so many members, and resolves when the cluster is healthy with them. */
  async scale(replicas: number, timeoutMs = waitTimeoutMs): Promise<void> {
    await this.#client.scale(replicas);
    const settled = ({ state, members }: Status): boolean =>
      state === 'healthy' && members.filter(({ pid }) => pid !== null).length === replicas;
    await this.waitFor(settled, timeoutMs);
  }

  /** Resolves with the first status that is as asked for. Rejects with WaitTimeoutError. */
  async waitFor(what: Status['state'] | ((status: Status) => boolean), timeoutMs = waitTimeoutMs): Promise<Status> {
    const holds = typeof what === 'string' ? (status: Status) => status.state === what : what;
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const status = await this.status();
      if (holds(status)) return status;
      if (performance.now() > deadlineMs) {
        throw new WaitTimeoutError(typeof what === 'string' ? what : 'as asked for', timeoutMs, status);
      }
      await sleep(lookMs);
    }
  }

  /** Stops it and deletes its data. */
  async stop(): Promise<void> {
    await this.#client.stop({ delete: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #ordinal(which: Which): Promise<number> {
    if (typeof which === 'number') return which;
    const { members } = await this.status();
    const found = members.find(({ role, pid }) => role === which && pid !== null);
    if (found === undefined) throw new Error(`cluster "${this.name}" has no ${which} at the moment`);
    return found.ordinal;
  }
}
