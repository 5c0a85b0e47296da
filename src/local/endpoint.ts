import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { EndpointConnection, KEEP_ALIVE_MS } from './endpoint-connection.ts';
import { errorInsteadOfGreeting } from './mysql-error-packet.ts';

/** Between two statements of a transaction an application thinks for less than this; a pool's idle connection for more. */
const IDLE_AFTER_MS = 50;
/** The end of a grace: clients are no longer heard, answers that are under way still arrive. */
const SETTLE_MS = 100;
/** In that time, an answer after which nothing came for so long was whole. */
const SETTLED_AFTER_MS = 5;
const DRAIN_TICK_MS = 5;
const RETRY_FIRST_MS = 10;
const RETRY_LONGEST_MS = 100;
/** How long `close` lets clients take their last words. */
const CLOSE_GRACE_MS = 250;
/** The kernel's queue for connections not yet accepted. */
const BACKLOG = 1024;

/**
 * The number of the error when a wait is over: ER_SERVER_SHUTDOWN. Before the handshake there is no SQLSTATE on the wire;
 * Connector/J derives 08S01 from this number, a lost connection, which pools and frameworks take for a reason to try again.
 */
const NO_SERVER = 1053;
/** ER_CON_COUNT_ERROR, "Too many connections". */
const TOO_MANY_WAIT = 1040;

export interface Backend {
  ordinal: number;
  host: string;
  port: number;
}

/** Where an endpoint leads. */
export interface EndpointTarget {
  /** The epoch of the primary that this follows from. Targets of lower epochs than one seen before are ignored. */
  epoch: number;
  /** Empty: new connections wait. */
  backends: readonly Backend[];
  /** Why there are no backends: clients read it when their wait is over. */
  reason?: string;
  /**
   * What connections to backends that are left out may take to end, as in `drain`. Default 0: they end before `point`
   * returns, as a deposed primary's must. For a replica that merely lags, a grace is kinder.
   */
  graceMs?: number;
}

export interface EndpointOptions {
  host: string;
  /** 0: any free port, then in `Endpoint.port`. */
  port: number;
  /** What it leads to, as in "no primary within 10 s". Default "server". */
  name?: string;
  /** How long a new connection waits for a server's first byte before it gets an error. Default 10,000. */
  waitMs?: number;
  /** How many may wait at once; more get an error immediately. Default 1,000. */
  maxWaiting?: number;
  /** One event at a time, never with a client's data. Default: nowhere. */
  log?: (event: Record<string, unknown>) => void;
}

export interface EndpointStats {
  /** Connections bound to a server. */
  open: number;
  /** Connections without a server as yet. */
  waiting: number;
  /** Accepted since the start. */
  accepted: number;
  /** Given an error instead of a server since the start. */
  refused: number;
  backends: { ordinal: number; host: string; port: number; open: number }[];
}

/** Another process has the port. */
export class EndpointPortInUseError extends Error {
  readonly code = 'PORT_IN_USE';
  readonly host: string;
  readonly port: number;
  readonly hint: string;
  constructor(host: string, port: number, options?: ErrorOptions) {
    super(`port ${port} on ${host} is in use`, options);
    this.name = 'EndpointPortInUseError';
    this.host = host;
    this.port = port;
    this.hint = `choose another port for the endpoint, or see who has it: ss -tanp 'sport = :${port}'`;
  }
}

/** The host or port is none that this process can listen on: not of this machine, or not allowed. */
export class EndpointAddressError extends Error {
  readonly code = 'ADDRESS_UNUSABLE';
  readonly host: string;
  readonly port: number;
  readonly hint = 'use an address of this machine (127.0.0.1, or 0.0.0.0 for all) and a port of 1024 or above';
  constructor(host: string, port: number, why: string, options?: ErrorOptions) {
    super(`can't listen on ${host}:${port}: ${why}`, options);
    this.name = 'EndpointAddressError';
    this.host = host;
    this.port = port;
  }
}

/** A backend and what goes to it. */
interface Upstream {
  readonly backend: Backend;
  bound: number;
  reaching: number;
  /** Attempts that failed since the last success: while there are any, one connection at a time tries again. */
  failures: number;
  retryAtMs: number;
}

/** A connection that is not over, and what the endpoint knows of it. */
interface Tenant {
  readonly connection: EndpointConnection;
  readonly acceptedAtMs: number;
  deadline: NodeJS.Timeout | undefined;
  /** Once `bound`, for ever; before, the one that is being tried. */
  upstream: Upstream | undefined;
  reachingSinceMs: number;
  bound: boolean;
  draining: boolean;
  lastFailure: string | undefined;
}

/**
 * An address that never changes, in front of MySQL servers that do: a TCP proxy that parses nothing.
 *
 * - While there is no server, new connections wait, bounded in time and number, and then get a MySQL error that says why.
 *   A server that is lost before its first byte came is no error either: the client waits on, for this one or another.
 * - Several backends: each new connection goes to the one with the fewest, in turn where they are equal.
 * - The highest epoch seen decides. When `point` returns, no byte passes between a client and a server left out of the
 *   target (unless it gave a grace), and none ever will.
 *
 * Idle and busy: TLS hides transactions, so only the directions of bytes count. A connection is busy while its client
 * waits for an answer and for 50 ms after it, so that the statements of a transaction that come one after the other
 * are kept together. A transaction in which the application pauses for longer counts as idle and is rolled back by its end.
 */
export class Endpoint {
  readonly host: string;
  readonly port: number;
  readonly #server: Server;
  readonly #name: string;
  readonly #waitMs: number;
  readonly #maxWaiting: number;
  readonly #log: (event: Record<string, unknown>) => void;

  #epoch = -1;
  #upstreams: Upstream[] = [];
  #reason = 'the cluster is starting';
  #held: string | undefined;
  #stopped = false;
  #closed: Promise<void> | undefined;

  /** All whose client socket exists, those that are over included. */
  readonly #connections = new Set<EndpointConnection>();
  /** All that are not over. */
  readonly #tenants = new Set<Tenant>();
  /** Those that are to be given a server, oldest first. */
  readonly #queue = new Set<Tenant>();
  #retry: NodeJS.Timeout | undefined;
  #turn = 0;
  #drains = new AbortController();
  #accepted = 0;
  #refused = 0;
  #open = 0;
  #refusalLogged = false;
  #logged = '';

  /**
   * Listens; until the first `point` connections wait.
   * Throws EndpointPortInUseError or EndpointAddressError.
   */
  static async listen(options: EndpointOptions): Promise<Endpoint> {
    const { host, port } = options;
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        if (error.code === 'EADDRINUSE') reject(new EndpointPortInUseError(host, port, { cause: error }));
        else reject(new EndpointAddressError(host, port, error.code ?? error.message, { cause: error }));
      });
      server.listen({ host, port, backlog: BACKLOG }, () => resolve());
    });
    server.removeAllListeners('error');
    return new Endpoint(server, options);
  }

  private constructor(server: Server, options: EndpointOptions) {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('an endpoint listens on TCP');
    this.host = options.host;
    this.port = address.port;
    this.#server = server;
    this.#name = options.name ?? 'server';
    this.#waitMs = options.waitMs ?? 10_000;
    this.#maxWaiting = options.maxWaiting ?? 1_000;
    this.#log = options.log ?? (() => {});
    server.on('connection', (socket) => this.#accept(socket));
    // Of a single accept, out of file descriptors for instance: the next one may succeed.
    server.on('error', (error: NodeJS.ErrnoException) =>
      this.#log({ event: 'endpoint.accept-failed', why: error.code }),
    );
  }

  /**
   * Leads elsewhere, at once. Connections to backends that stay are untouched; others end (see `graceMs`). A higher epoch
   * ends a `hold` and any `drain`: what they were for is over. May be called as often as one likes with the same target.
   */
  point(target: EndpointTarget): void {
    const { epoch, backends, graceMs = 0 } = target;
    if (!Number.isSafeInteger(epoch)) throw new TypeError(`an epoch is an integer, not ${epoch}`);
    if (this.#stopped) return;
    if (epoch < this.#epoch) {
      this.#log({ event: 'endpoint.stale-target-ignored', endpoint: this.#name, epoch, highest: this.#epoch });
      return;
    }
    if (epoch > this.#epoch) this.#endHold();
    this.#epoch = epoch;
    this.#reason = target.reason ?? 'no server is ready';
    this.#upstreams = backends.map((backend) => this.#upstreamOf(backend));
    this.#logTarget();
    this.#leave(graceMs);
    this.#pump();
  }

  /** From now on new connections wait, for `reason`; existing ones go on. For a switchover: hold, drain, point. */
  hold(reason: string): void {
    this.#held = reason;
    this.#log({ event: 'endpoint.held', endpoint: this.#name, why: reason });
    for (const tenant of this.#tenants) if (tenant.connection.state === 'reaching') this.#requeue(tenant);
  }

  /** Ends a `hold` and any `drain` (a switchover that was called off): those that wait are connected. */
  release(): void {
    this.#log({ event: 'endpoint.released', endpoint: this.#name });
    this.#endHold();
    this.#pump();
  }

  /**
   * Ends the connections there are: idle ones cleanly now, busy ones as soon as they are idle. In the last 100 ms of the
   * grace clients are no longer heard, so that what they send next is never executed, while answers under way still
   * arrive; what is left then is cut. Resolves when none is left, after `graceMs` at the latest, or when it is ended by
   * `release`, `close` or a `point` to a higher epoch. A grace of 100 ms or less begins with that end.
   */
  async drain(graceMs: number): Promise<{ closed: number }> {
    return this.#drain(
      [...this.#tenants].filter((tenant) => tenant.connection.state === 'bound'),
      graceMs,
    );
  }

  stats(): EndpointStats {
    return {
      open: this.#open,
      waiting: this.#tenants.size - this.#open,
      accepted: this.#accepted,
      refused: this.#refused,
      backends: this.#upstreams.map(({ backend, bound }) => ({ ...backend, open: bound })),
    };
  }

  /** Stops listening; those that wait get an error, all other connections are cut. Resolves when the port is free. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#stopped = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    clearTimeout(this.#retry);
    this.#drains.abort();
    for (const tenant of this.#tenants) {
      if (tenant.connection.state === 'bound') tenant.connection.destroy();
      else this.#refuse(tenant, NO_SERVER, 'the endpoint was stopped');
    }
    const late = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, CLOSE_GRACE_MS);
    await closed;
    clearTimeout(late);
  }

  #accept(socket: Socket): void {
    this.#accepted++;
    const connection = new EndpointConnection(socket, {
      bound: () => this.#bound(tenant),
      unreached: (why) => this.#unreached(tenant, why),
      over: () => this.#over(tenant),
      closed: () => this.#connections.delete(connection),
    });
    const tenant: Tenant = {
      connection,
      acceptedAtMs: performance.now(),
      deadline: undefined,
      upstream: undefined,
      reachingSinceMs: 0,
      bound: false,
      draining: false,
      lastFailure: undefined,
    };
    this.#connections.add(connection);
    this.#tenants.add(tenant);
    if (this.#tenants.size - this.#open > this.#maxWaiting) {
      this.#refuse(
        tenant,
        TOO_MANY_WAIT,
        `${this.#maxWaiting} connections already wait for the ${this.#name}: ${this.#why(tenant)}`,
      );
      return;
    }
    tenant.deadline = setTimeout(() => this.#giveUp(tenant), this.#waitMs);
    this.#queue.add(tenant);
    this.#pump();
  }

  /** Gives servers to those that wait, as far as there are any. */
  #pump(): void {
    clearTimeout(this.#retry);
    if (this.#held !== undefined || this.#stopped) return;
    const nowMs = performance.now();
    for (const tenant of this.#queue) {
      const upstream = this.#choose(nowMs);
      if (upstream === undefined) break;
      this.#queue.delete(tenant);
      tenant.upstream = upstream;
      upstream.reaching++;
      tenant.reachingSinceMs = nowMs;
      tenant.connection.reach(upstream.backend.host, upstream.backend.port);
    }
    // Of those that are being tried we'll hear; the others are to be tried again when their time comes.
    const retriesMs = this.#upstreams.filter((u) => u.failures > 0 && u.reaching === 0).map((u) => u.retryAtMs - nowMs);
    if (this.#queue.size === 0 || retriesMs.length === 0) return;
    this.#retry = setTimeout(() => this.#pump(), Math.max(1, Math.min(...retriesMs)));
  }

  #choose(nowMs: number): Upstream | undefined {
    let best: Upstream | undefined;
    const count = this.#upstreams.length;
    const first = this.#turn;
    for (let i = 0; i < count; i++) {
      const upstream = this.#upstreams[(first + i) % count];
      if (upstream === undefined) break;
      if (upstream.failures > 0 && (upstream.reaching > 0 || nowMs < upstream.retryAtMs)) continue;
      if (best !== undefined && upstream.bound + upstream.reaching >= best.bound + best.reaching) continue;
      best = upstream;
      this.#turn = (first + i + 1) % count;
    }
    return best;
  }

  #bound(tenant: Tenant): void {
    clearTimeout(tenant.deadline);
    tenant.bound = true;
    this.#open++;
    if (tenant.upstream === undefined) return;
    tenant.upstream.reaching--;
    tenant.upstream.bound++;
    if (tenant.upstream.failures === 0) return;
    tenant.upstream.failures = 0;
    this.#pump();
  }

  #unreached(tenant: Tenant, why: string): void {
    const { upstream } = tenant;
    if (upstream !== undefined) {
      const { ordinal, host, port } = upstream.backend;
      tenant.lastFailure = `member ${ordinal} at ${host}:${port} can't be reached: ${why}`;
      upstream.retryAtMs = performance.now() + Math.min(RETRY_FIRST_MS * 2 ** upstream.failures, RETRY_LONGEST_MS);
      upstream.failures++;
    }
    this.#requeue(tenant);
    this.#pump();
  }

  #requeue(tenant: Tenant): void {
    if (tenant.connection.state === 'reaching') tenant.connection.abandon();
    if (tenant.upstream !== undefined) tenant.upstream.reaching--;
    tenant.upstream = undefined;
    this.#queue.add(tenant);
  }

  #over(tenant: Tenant): void {
    clearTimeout(tenant.deadline);
    this.#queue.delete(tenant);
    this.#tenants.delete(tenant);
    if (tenant.bound) this.#open--;
    if (tenant.upstream === undefined) return;
    tenant.upstream[tenant.bound ? 'bound' : 'reaching']--;
    if (!tenant.bound) this.#pump(); // it may have been the one that tried for the others
  }

  #giveUp(tenant: Tenant): void {
    const seconds = Math.round((performance.now() - tenant.acceptedAtMs) / 100) / 10;
    this.#refuse(tenant, NO_SERVER, `no ${this.#name} within ${seconds} s: ${this.#why(tenant)}`);
  }

  #refuse(tenant: Tenant, errno: number, why: string): void {
    this.#refused++;
    if (!this.#refusalLogged) this.#log({ event: 'endpoint.connection-refused', endpoint: this.#name, why });
    this.#refusalLogged = true; // once for each target: stats() has the number
    tenant.connection.end(errorInsteadOfGreeting(errno, `Baton: ${why}`));
  }

  #why(tenant: Tenant): string {
    if (this.#held !== undefined) return this.#held;
    if (this.#upstreams.length === 0) return this.#reason;
    const { connection, upstream, lastFailure, reachingSinceMs } = tenant;
    if (connection.state !== 'reaching' || upstream === undefined) return lastFailure ?? 'no server answers';
    // An attempt that has only begun says nothing yet.
    const begun = performance.now() - reachingSinceMs < RETRY_LONGEST_MS;
    return begun && lastFailure !== undefined ? lastFailure : `member ${upstream.backend.ordinal} does not answer`;
  }

  #logTarget(): void {
    const backends = this.#upstreams.map(({ backend }) => `${backend.ordinal}@${backend.host}:${backend.port}`);
    const target = { epoch: this.#epoch, backends, ...(backends.length === 0 && { reason: this.#reason }) };
    if (JSON.stringify(target) === this.#logged) return;
    this.#logged = JSON.stringify(target);
    this.#refusalLogged = false;
    this.#log({ event: 'endpoint.pointed', endpoint: this.#name, ...target });
  }

  #upstreamOf(backend: Backend): Upstream {
    const { ordinal, host, port } = backend;
    const inUse = [...this.#upstreams, ...[...this.#tenants].map((tenant) => tenant.upstream)];
    const known = inUse.find(
      (u) => u?.backend.ordinal === ordinal && u.backend.host === host && u.backend.port === port,
    );
    if (known === undefined)
      return { backend: { ordinal, host, port }, bound: 0, reaching: 0, failures: 0, retryAtMs: 0 };
    known.retryAtMs = 0; // whoever points here has a reason to think that it answers
    return known;
  }

  /** Parts with the backends that the target leaves out. */
  #leave(graceMs: number): void {
    const leaving: Tenant[] = [];
    for (const tenant of this.#tenants) {
      if (tenant.upstream === undefined || this.#upstreams.includes(tenant.upstream)) continue;
      if (tenant.connection.state === 'reaching') this.#requeue(tenant);
      else if (graceMs === 0 || !tenant.draining) leaving.push(tenant);
    }
    void this.#drain(leaving, graceMs);
  }

  #endHold(): void {
    this.#held = undefined;
    this.#drains.abort();
    this.#drains = new AbortController();
  }

  /** The first round is synchronous; with a grace of 0 it is the only one. */
  async #drain(leaving: Tenant[], graceMs: number): Promise<{ closed: number }> {
    const { signal } = this.#drains;
    const endMs = performance.now() + graceMs;
    const settleMs = endMs - SETTLE_MS;
    const remaining = new Set(leaving);
    for (const tenant of leaving) tenant.draining = true;
    for (;;) {
      const nowMs = performance.now();
      for (const tenant of remaining) {
        const { connection } = tenant;
        if (connection.state === 'over') remaining.delete(tenant);
        else if (connection.silentMs(nowMs) >= (nowMs >= settleMs ? SETTLED_AFTER_MS : IDLE_AFTER_MS)) connection.end();
        else if (nowMs >= endMs) connection.destroy();
        else if (nowMs >= settleMs) connection.deafen(true);
        if (connection.state === 'over') remaining.delete(tenant);
      }
      if (remaining.size === 0) break;
      await sleep(DRAIN_TICK_MS);
      if (!signal.aborted) continue;
      for (const tenant of remaining) {
        tenant.draining = false;
        if (tenant.connection.state === 'bound') tenant.connection.deafen(false);
      }
      break;
    }
    return { closed: leaving.length - remaining.size };
  }
}
