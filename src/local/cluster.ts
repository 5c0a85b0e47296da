/** A cluster on this machine: members, endpoints, record, journal and the loop, put together. */
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { newClusterRecord } from '../cluster/record.ts';
import { systemClock } from '../control/clock.ts';
import { Loop } from '../control/loop.ts';
import type { Endpoints, EndpointTarget, MemberHosts } from '../control/port.ts';
import { ServerLink } from '../control/server-link.ts';
import { wantedBy } from '../control/wanted.ts';
import { initialSql, type Passwords } from '../mysql/accounts.ts';
import { configFile } from '../mysql/config-file.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { isStatic } from '../spec/variables.ts';
import type { Distribution } from './distribution.ts';
import { writeFileDurably } from './durable-file.ts';
import { Endpoint, EndpointPortInUseError, type Backend } from './endpoint.ts';
import { chooseFreePort, isPortFree } from './free-ports.ts';
import { JournalFile } from './journal-file.ts';
import { LocalMembers, type MemberLayout } from './members.ts';
import { RecordFiles } from './record-files.ts';
import { copyTemplate } from './template.ts';

export interface LocalClusterOptions {
  readonly resource: MySQLCluster;
  readonly distribution: Distribution;
  /** An initialised data directory, from ensureTemplate. */
  readonly template: string;
  /** Where members keep their data. */
  readonly dataDir: string;
  /** Where record, journal, secrets and ports are kept. */
  readonly stateDir: string;
  readonly log: (event: Record<string, unknown>) => void;
}

/** First choices for the two endpoints, as MySQL Router has them; the next free ones if they are taken. */
const PRIMARY_PORT = 6446;
const READ_PORT = 6447;
const MOST_TRIES = 10;
/** A pool that reads should not notice that a replica left for lagging. */
const READ_GRACE_MS = 5000;

interface State {
  readonly passwords: Passwords;
  readonly ports: { readonly primary: number; readonly read: number };
}

export class LocalCluster {
  readonly members: LocalMembers;
  readonly loop: Loop;
  readonly journal: JournalFile;
  readonly passwords: Passwords;
  readonly endpoints: LocalEndpoints;
  readonly version: string;
  readonly #asked: { resource: MySQLCluster };
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(
    options: LocalClusterOptions,
    parts: {
      members: LocalMembers;
      endpoints: LocalEndpoints;
      journal: JournalFile;
      records: RecordFiles;
      state: State;
      asked: { resource: MySQLCluster };
    },
  ) {
    this.#asked = parts.asked;
    this.version = options.distribution.version;
    this.members = parts.members;
    this.endpoints = parts.endpoints;
    this.journal = parts.journal;
    this.passwords = parts.state.passwords;
    this.loop = new Loop({
      clock: systemClock,
      records: parts.records,
      hosts: keepingTo(parts.members, () => this.#asked.resource),
      endpoints: parts.endpoints,
      journal: parts.journal,
      wanted: () => wantedBy(this.#asked.resource, this.version),
      link: (ordinal) =>
        new ServerLink({
          ordinal,
          address: () => {
            const layout = parts.members.layout(ordinal);
            return layout === null ? null : { host: layout.host, port: layout.adminPort };
          },
          passwords: this.passwords,
          heartbeatSeconds: heartbeatSeconds(this.#asked.resource),
          clock: systemClock,
          confirm: () => this.loop.confirm(),
        }),
    });
  }

  /** Takes a cluster up, or makes it; resolves once endpoints listen and the members are being looked after. */
  static async open(options: LocalClusterOptions): Promise<LocalCluster> {
    const { resource, dataDir, stateDir, distribution, template } = options;
    await mkdir(stateDir, { recursive: true, mode: 0o700 });
    const records = new RecordFiles(join(stateDir, 'record'));
    if ((await records.read()) === null) {
      await records.swap(0, newClusterRecord(randomUUID(), wantedBy(resource, distribution.version).mode));
    }
    const { state, endpoints } = await listen(options);
    // What a member starts with is what is asked for at that moment.
    const asked = { resource };
    const members = await LocalMembers.open({
      clusterDir: dataDir,
      distribution,
      template,
      copyTemplate,
      configFor: (member) => memberConfig(member, asked.resource),
      initSqlFor: () =>
        initialSql(state.passwords, {
          user: resource.spec.credentials.applicationUser,
          database: resource.spec.credentials.database ?? null,
        }),
      log: (ordinal, text) => options.log({ event: 'member', ordinal, text }),
      nowMs: () => systemClock.nowMs(),
    });
    endpoints.members = members;
    const journal = new JournalFile(join(stateDir, 'journal.jsonl'));
    return new LocalCluster(options, { members, endpoints, journal, records, state, asked });
  }

  get resource(): MySQLCluster {
    return this.#asked.resource;
  }

  /** Starts the loop. `onSuperseded` is called if another controller takes this cluster over. */
  start(onEnd: (error: Error | null) => void): void {
    this.#running = this.loop.run(this.#stop.signal).then(
      () => onEnd(null),
      (error: unknown) => onEnd(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** From now on, this is what is asked for. Members that read a changed setting at their start alone are restarted. */
  async apply(resource: MySQLCluster): Promise<void> {
    this.#asked.resource = resource;
    const due = await this.outdated(resource);
    if (due.length > 0) this.loop.restart(due);
    this.loop.poke();
  }

  /** The members that `resource` would have restarted: replicas one by one, then the primary, after a switchover. */
  async outdated(resource: MySQLCluster): Promise<number[]> {
    const due: number[] = [];
    for (const { ordinal, process } of this.members.list()) {
      const layout = this.members.layout(ordinal);
      if (layout === null || process.kind !== 'running') continue;
      const started = await readFile(layout.configFile, 'utf8').catch(() => null);
      if (started !== null && staticLines(started) !== staticLines(memberConfig(layout, resource))) due.push(ordinal);
    }
    return due;
  }

  /** Lets go: the loop ends and the endpoints close; the members go on as they are. */
  async release(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.endpoints.close();
    this.members.close();
  }

  /** Lets go and stops every member. One that is not known to be closed is killed: asked to stop, it would answer waiting commits OK. */
  async stopAll(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await this.endpoints.close();
    const view = this.loop.latest?.view;
    const closed = new Set(
      (view?.members ?? [])
        .filter(
          ({ contact, busy }) => busy === null && contact.kind === 'answers' && contact.server.access === 'closed',
        )
        .map(({ ordinal }) => ordinal)
        // The one member that may have been opened since.
        .filter((ordinal) => ordinal !== view?.record.primary?.ordinal),
    );
    const signalFor = (ordinal: number): 'SIGTERM' | 'SIGKILL' => (closed.has(ordinal) ? 'SIGTERM' : 'SIGKILL');
    await Promise.all(
      this.members.list().map(({ ordinal }) => this.members.stop(ordinal, { signal: signalFor(ordinal) })),
    );
    this.members.close();
  }
}

/** A member that leaves keeps its data unless the resource says otherwise. */
function keepingTo(members: LocalMembers, resource: () => MySQLCluster): MemberHosts {
  return {
    list: () => members.list(),
    start: (ordinal) => members.start(ordinal),
    kill: (ordinal, process) => members.kill(ordinal, process),
    restart: (ordinal, process) => members.restart(ordinal, process),
    retire: (ordinal, { orderly, disposable }) =>
      disposable && resource().spec.storage.whenScaled === 'Delete'
        ? members.remove(ordinal, { keepSaved: true })
        : members.stop(ordinal, { signal: orderly ? 'SIGTERM' : 'SIGKILL' }),
    rebuild: (ordinal, discard, rows, errant) => members.rebuild(ordinal, discard, rows, errant),
    dropAside: (ordinal) => members.dropAside(ordinal),
    onChange: (listener) => members.onChange(listener),
  };
}

function heartbeatSeconds({ spec }: MySQLCluster): number {
  return Math.max(0.1, spec.detection.timeoutSeconds / 4);
}

function memberConfig(member: MemberLayout, { spec }: MySQLCluster): string {
  return configFile({
    ordinal: member.ordinal,
    serverId: member.serverId,
    bindAddress: member.host,
    port: member.port,
    adminPort: member.adminPort,
    dataDir: member.dataDir,
    socket: member.socket,
    tmpDir: null,
    powerLoss: spec.durability.powerLoss,
    // Later than the controller's own judgement, which goes by heartbeats: a receiver that reads is quickly sealed.
    replicaNetTimeoutSeconds: Math.max(2, Math.ceil(3 * spec.detection.timeoutSeconds)),
    settings: [spec.mysql.config],
  });
}

/** The settings of a my.cnf that only a restart changes. */
function staticLines(config: string): string {
  const lines = config.split('\n').filter((line) => isStatic(line.split('=')[0]?.trim() ?? ''));
  return lines.sort().join('\n');
}

/** The endpoints at the ports that are kept, asked for, or free; kept from then on, with the passwords. */
async function listen({
  stateDir,
  resource,
  log,
}: LocalClusterOptions): Promise<{ state: State; endpoints: LocalEndpoints }> {
  const file = join(stateDir, 'secrets.json');
  const known = await readFile(file, 'utf8').catch(() => null);
  const before = known === null ? null : (JSON.parse(known) as State);
  const { primary, read } = resource.spec.endpoints;
  const taken = await portsOfOthers(stateDir);
  for (let tries = 1; ; tries++) {
    const primaryPort = primary.port ?? before?.ports.primary ?? (await freePort(PRIMARY_PORT, taken));
    const others = new Set([...taken, primaryPort]);
    const readPort = read.port ?? before?.ports.read ?? (await freePort(READ_PORT, others));
    const state = { passwords: before?.passwords ?? newPasswords(), ports: { primary: primaryPort, read: readPort } };
    try {
      const endpoints = await LocalEndpoints.listen(resource, state.ports, log);
      const text = JSON.stringify(state);
      if (text !== known) await writeFileDurably(file, text);
      return { state, endpoints };
    } catch (error) {
      // It was free a moment ago: somebody else came up at the same time.
      const given = before !== null || !(error instanceof EndpointPortInUseError);
      if (given || error.port === primary.port || error.port === read.port || tries === MOST_TRIES) throw error;
      taken.add(error.port);
    }
  }
}

function newPasswords(): Passwords {
  const password = (): string => randomBytes(18).toString('base64url');
  return {
    root: password(),
    controller: password(),
    replication: password(),
    clone: password(),
    application: password(),
  };
}

/** The endpoint ports that this user's other clusters keep, running or not. */
async function portsOfOthers(stateDir: string): Promise<Set<number>> {
  const home = dirname(stateDir);
  const taken = new Set<number>();
  for (const name of await readdir(home).catch(() => [])) {
    if (name === basename(stateDir)) continue;
    const text = await readFile(join(home, name, 'secrets.json'), 'utf8').catch(() => null);
    if (text === null) continue;
    const { ports } = JSON.parse(text) as State;
    taken.add(ports.primary).add(ports.read);
  }
  return taken;
}

async function freePort(wish: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = wish; port < wish + 500; port += 10) {
    if (!taken.has(port) && (await isPortFree(port))) return port;
  }
  return chooseFreePort(taken);
}

/** The two addresses of a cluster. */
export class LocalEndpoints implements Endpoints {
  readonly primary: Endpoint;
  readonly read: Endpoint;
  members: LocalMembers | null = null;
  #held = false;

  private constructor(primary: Endpoint, read: Endpoint) {
    this.primary = primary;
    this.read = read;
  }

  static async listen(
    resource: MySQLCluster,
    ports: State['ports'],
    log: LocalClusterOptions['log'],
  ): Promise<LocalEndpoints> {
    const { endpoints } = resource.spec;
    const waitMs = endpoints.waitSeconds * 1000;
    const primary = await Endpoint.listen({
      host: endpoints.primary.host,
      port: ports.primary,
      name: 'primary',
      waitMs,
      log,
    });
    try {
      const read = await Endpoint.listen({
        host: endpoints.read.host,
        port: ports.read,
        name: 'member to read from',
        waitMs,
        log,
      });
      return new LocalEndpoints(primary, read);
    } catch (error) {
      await primary.close();
      throw error;
    }
  }

  point(primary: EndpointTarget, read: EndpointTarget): void {
    if (primary.hold && !this.#held) {
      this.primary.hold(primary.reason);
      void this.primary.drain(DRAIN_MS);
    }
    this.primary.point({ epoch: primary.epoch, backends: this.#backends(primary), reason: primary.reason });
    if (!primary.hold && this.#held) this.primary.release();
    this.#held = primary.hold;
    this.read.point({ epoch: read.epoch, backends: this.#backends(read), reason: read.reason, graceMs: READ_GRACE_MS });
  }

  openConnections(): number {
    return this.primary.stats().open;
  }

  #backends({ members }: EndpointTarget): Backend[] {
    return members.flatMap((ordinal) => {
      const layout = this.members?.layout(ordinal);
      return layout === undefined || layout === null ? [] : [{ ordinal, host: layout.host, port: layout.port }];
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.primary.close(), this.read.close()]);
  }
}

/** Clients are heard no more from the start; answers under way still arrive. */
const DRAIN_MS = 100;
