/**
 * The daemon of one cluster: `daemon NAME`, told on standard input what to bring up (DaemonStart). It finds MySQL, looks
 * after the members and answers on its socket. Asked to end by a signal it lets go, and the members go on: the next daemon
 * adopts them. Only a request stops them.
 */
import { rmdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import type { JournalEntry } from '../control/port.ts';
import { SupersededError } from '../control/superseded.ts';
import { defaultCluster, parseCluster, validateCluster } from '../spec/parse.ts';
import { renderCluster } from '../spec/render.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { ApiServer, type Request, type Routes } from './api.ts';
import type { Credentials, SwitchoverResult } from './api-client.ts';
import { changesBetween, changeWords } from './changes.ts';
import { LocalCluster } from './cluster.ts';
import { lockDaemon } from './daemon-lock.ts';
import type { DaemonStart } from './daemon-start.ts';
import { clusterDirectories, makeClusterDirectories, type ClusterDirectories } from './directories.ts';
import { findDistribution } from './distribution.ts';
import { writeFileDurably } from './durable-file.ts';
import { asFailure } from './failure.ts';
import { isNews } from '../control/journal-news.ts';
import { JournalFile, readJournal } from './journal-file.ts';
import { followLines } from './journal-follow.ts';
import { dataDirectory, deleteCluster, storedResource } from './known-cluster.ts';
import { processState } from './process-identity.ts';
import { checkData, checkRoom, checkVersion, isNewCluster } from './start-checks.ts';
import { fileSizeBytes } from './start-failure.ts';
import { statusOf, type Progress, type Status } from './status.ts';
import { ensureTemplate } from './template.ts';

/** What can't be done as the cluster is now. */
class NotNowError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  constructor(code: string, message: string, hint?: string) {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

const watchMs = 50;
const ownerCheckMs = 200;
const shownEvents = 10;
const maxRevivals = 5;
const revivalPauseMs = 1000;
/** On top of the grace that transactions get. */
const switchoverLimitMs = 20_000;

class Daemon {
  readonly #name: string;
  readonly #start: DaemonStart;
  readonly #directories: ClusterDirectories;
  readonly #log: JournalFile;
  readonly #starting = new AbortController();
  readonly #unlock: () => Promise<void>;
  #resource: MySQLCluster;
  #isNew = false;
  #cluster: LocalCluster | null = null;
  #opening: Promise<LocalCluster | null> = Promise.resolve(null);
  #revivals = 0;
  #api: ApiServer | null = null;
  #progress: Progress | null = null;
  #failure: unknown = null;
  #ending: Promise<void> | null = null;
  #over = false;
  #claimed = false;
  #events: { sizeBytes: number; entries: readonly JournalEntry[] } = { sizeBytes: -1, entries: [] };

  private constructor(name: string, start: DaemonStart, directories: ClusterDirectories, unlock: () => Promise<void>) {
    this.#name = name;
    this.#start = start;
    this.#directories = directories;
    this.#unlock = unlock;
    this.#resource = start.resource ?? defaultCluster(name);
    this.#log = new JournalFile(directories.daemonLog);
  }

  static async run(name: string, start: DaemonStart): Promise<void> {
    const directories = clusterDirectories(name, process.env);
    await makeClusterDirectories(directories);
    const unlock = await lockDaemon(directories);
    const daemon = new Daemon(name, start, directories, unlock);
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => void daemon.#end(`${signal}: the members go on`, () => daemon.#release(), 0));
    }
    process.on('SIGHUP', () => {});
    daemon.#api = await ApiServer.listen(directories.socket, daemon.#routes());
    daemon.#watchOwner();
    await daemon.#bringUp();
  }

  // ── Up ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #bringUp(): Promise<void> {
    const opening = this.#open();
    this.#opening = opening;
    try {
      const cluster = await opening;
      if (this.#ending !== null) return;
      this.#cluster = cluster;
      this.#progress = null;
      cluster.start((error) => void this.#loopEnded(cluster, error));
      // An earlier daemon may have died before every member was restarted for what it applied.
      await cluster.apply(this.#resource);
      this.#say('daemon.running', { mysql: cluster.version });
    } catch (error) {
      if (this.#ending !== null) return;
      this.#failure = error;
      this.#say('daemon.failed', { ...asFailure(error) });
      // Whoever waits is told before this process is gone.
      await sleep(2 * watchMs);
      void this.#end('it could not be brought up', () => this.#undoNew(), 1);
    }
  }

  async #open(): Promise<LocalCluster> {
    const directories = this.#directories;
    this.#isNew = await isNewCluster(directories);
    const stored = await storedResource(directories);
    const before = stored === null ? null : parseCluster(stored, directories.resource).cluster;
    this.#resource = this.#start.resource ?? before ?? this.#resource;
    if (before !== null) changesBetween(before, this.#resource, false);
    const resource = this.#resource;
    const dataDir = dataDirectory(directories, resource);
    await checkData(directories, dataDir);

    const { signal } = this.#starting;
    const onProgress = (progress: Progress): void => {
      this.#progress = progress;
      if (progress.doneBytes === undefined) this.#say('daemon.progress', { ...progress });
    };
    onProgress({ step: 'find', message: 'Looking for MySQL' });
    const { basedir } = resource.spec.mysql;
    const distribution = await findDistribution({ basedir, cacheDir: directories.cache, onProgress, signal });
    checkVersion(resource, distribution);
    const template = await ensureTemplate({ distribution, cacheDir: directories.cache, onProgress, signal });
    await checkRoom(dataDir, template, resource.spec.replicas);
    signal.throwIfAborted();
    onProgress({
      step: 'members',
      message: `Starting ${resource.spec.replicas} members of MySQL ${distribution.version}`,
    });
    const cluster = await LocalCluster.open({
      resource,
      distribution,
      template,
      dataDir,
      stateDir: directories.state,
      log: (event) => this.#say('cluster', event),
    });
    await writeFileDurably(directories.resource, renderCluster(resource));
    return cluster;
  }

  /** A cluster that never came to be leaves nothing behind. */
  async #undoNew(): Promise<void> {
    if (!this.#isNew) return;
    await this.#log.flush();
    const { data } = this.#directories;
    const dataDir = dataDirectory(this.#directories, this.#resource);
    if ((await storedResource(this.#directories)) !== null) return;
    for (const directory of [dataDir, data]) await rmdir(directory).catch(() => {});
    await deleteCluster(this.#directories, null);
  }

  /** Superseded, another daemon has the cluster. Any other end is a defect: the members are taken up anew, a few times. */
  async #loopEnded(cluster: LocalCluster, error: Error | null): Promise<void> {
    if (this.#ending !== null) return;
    const why =
      error instanceof SupersededError ? error.message : `the loop ended: ${error?.stack ?? 'without a word'}`;
    if (error instanceof SupersededError || ++this.#revivals > maxRevivals) {
      this.#failure = error;
      void this.#end(why, () => this.#release(), 1);
      return;
    }
    this.#say('daemon.loop-ended', { why });
    this.#cluster = null;
    await cluster.release();
    await sleep(revivalPauseMs);
    if (this.#ending === null) await this.#bringUp();
  }

  // ── Down ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The first reason to end counts. */
  #end(why: string, work: () => Promise<void>, exitCode: number): Promise<void> {
    this.#ending ??= this.#goDown(why, work, exitCode);
    return this.#ending;
  }

  async #goDown(why: string, work: () => Promise<void>, exitCode: number): Promise<void> {
    this.#say('daemon.ending', { why });
    this.#starting.abort(new NotNowError('STOPPED', 'the cluster was stopped while it was being brought up'));
    try {
      // What is being opened can't be left half open.
      this.#cluster ??= await this.#opening.catch(() => null);
      await work();
    } catch (error) {
      this.#failure ??= error;
      this.#say('daemon.failed', { ...asFailure(error) });
    }
    this.#over = true;
    // Whoever asked for it is answered first.
    setImmediate(() => void this.#leave(exitCode));
  }

  async #leave(exitCode: number): Promise<void> {
    await this.#api?.close();
    await this.#unlock();
    process.exit(exitCode);
  }

  async #release(): Promise<void> {
    await this.#cluster?.release();
    await this.#cluster?.journal.flush();
    await this.#log.flush();
  }

  async #stop(withData: boolean): Promise<void> {
    const cluster = this.#cluster;
    if (cluster === null) await this.#undoNew();
    await cluster?.stopAll();
    await cluster?.journal.flush();
    await this.#log.flush();
    if (withData) await deleteCluster(this.#directories, dataDirectory(this.#directories, this.#resource));
  }

  #watchOwner(): void {
    const { owner, deleteAfterOwner } = this.#start;
    if (owner === null) return;
    const timer = setInterval(() => {
      if (processState(owner) !== 'gone') return;
      clearInterval(timer);
      void this.#end('its owner is gone', () => this.#stop(deleteAfterOwner), 0);
    }, ownerCheckMs);
  }

  // ── The API ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #routes(): Routes {
    return {
      'GET /status': ({ query, signal }) => {
        if (!query.has('watch')) return this.#status();
        if (query.has('claim')) return this.#watchAsOnly(signal);
        return this.#watch(signal);
      },
      'GET /journal': async ({ query, signal }) =>
        query.has('follow')
          ? this.#followJournal(signal)
          : { entries: await readJournal(this.#directories.journal, 1000) },
      'GET /resource': () => this.#resource,
      'GET /credentials': ({ query }) => this.#credentials(query),
      'POST /apply': ({ body }) => this.#apply(validateCluster(body['resource'])),
      'POST /scale': ({ body }) => this.#scale(body['replicas']),
      'POST /switchover': (request) => this.#switchover(request),
      'POST /restart': ({ body }) => this.#restart(body['ordinals']),
      'POST /kill': async ({ body }) => {
        const { members } = this.#running();
        const ordinal = this.#ordinal(body['ordinal']);
        const host = members.list().find((one) => one.ordinal === ordinal);
        if (host?.process.kind === 'running') await members.kill(ordinal, host.process.id);
        return {};
      },
      'POST /freeze': ({ body }) => ({ running: this.#running().members.freeze(this.#ordinal(body['ordinal'])) }),
      'POST /thaw': ({ body }) => ({ running: this.#running().members.thaw(this.#ordinal(body['ordinal'])) }),
      'POST /stop': async ({ body }) => {
        const withData = body['delete'] === true;
        await this.#end(withData ? 'down, data deleted' : 'stop', () => this.#stop(withData), 0);
        if (this.#failure !== null) throw this.#failure;
        return {};
      },
    };
  }

  #running(): LocalCluster {
    if (this.#cluster !== null && this.#ending === null) return this.#cluster;
    const what = this.#ending === null ? 'is still being brought up' : 'is being stopped';
    throw new NotNowError('NOT_NOW', `cluster "${this.#name}" ${what}`, 'See how far it is: baton status --watch');
  }

  async #status(): Promise<Status> {
    const cluster = this.#cluster;
    const address = (endpoint: { host: string; port: number }) => ({ host: endpoint.host, port: endpoint.port });
    return statusOf(cluster?.loop.latest ?? null, {
      name: this.#name,
      replicas: this.#resource.spec.replicas,
      endpoints:
        cluster === null
          ? null
          : { primary: address(cluster.endpoints.primary), read: address(cluster.endpoints.read) },
      mysqlVersion: cluster?.version ?? null,
      daemonPid: process.pid,
      restarting: cluster?.loop.restarting() ?? [],
      lastEvents: await this.#lastEvents(),
      progress: this.#progress,
    });
  }

  async #lastEvents(): Promise<readonly JournalEntry[]> {
    const sizeBytes = await fileSizeBytes(this.#directories.journal);
    if (sizeBytes !== this.#events.sizeBytes) {
      this.#events = {
        sizeBytes,
        entries: (await readJournal(this.#directories.journal, 300)).filter(isNews).slice(-shownEvents),
      };
    }
    return this.#events.entries;
  }

  #watchAsOnly(signal: AbortSignal): AsyncIterable<Status> {
    if (this.#claimed) {
      throw new NotNowError(
        'UP_IN_PROGRESS',
        `another "baton up" is bringing up cluster "${this.#name}"`,
        'See how far it is: baton status --watch',
      );
    }
    signal.throwIfAborted();
    this.#claimed = true;
    signal.addEventListener('abort', () => (this.#claimed = false), { once: true });
    return this.#watch(signal);
  }

  async *#watch(signal: AbortSignal): AsyncGenerator<Status> {
    let last = '';
    while (!signal.aborted) {
      if (this.#failure !== null) throw this.#failure;
      if (this.#over) return;
      const status = await this.#status();
      const text = JSON.stringify(status);
      if (text !== last) yield status;
      last = text;
      await sleep(watchMs, undefined, { signal }).catch(() => {});
    }
  }

  async *#followJournal(signal: AbortSignal): AsyncGenerator<object> {
    for await (const line of followLines(this.#directories.journal, signal)) {
      if (line !== '') yield JSON.parse(line) as object;
    }
  }

  async #apply(resource: MySQLCluster): Promise<{ changes: readonly string[] }> {
    const cluster = this.#running();
    const changes = changesBetween(this.#resource, resource, true).map(changeWords);
    if (changes.length === 0) return { changes };
    const due = await cluster.outdated(resource);
    await writeFileDurably(this.#directories.resource, renderCluster(resource));
    this.#resource = resource;
    await cluster.apply(resource);
    this.#say('daemon.applied', { changes, restarting: due });
    return {
      changes: due.length === 0 ? changes : [...changes, `members ${due.join(', ')} restart for it, one by one`],
    };
  }

  #scale(replicas: unknown): Promise<{ changes: readonly string[] }> {
    const { spec, ...rest } = this.#resource;
    return this.#apply(validateCluster({ ...rest, spec: { ...spec, replicas } }));
  }

  async #switchover({ body, signal }: Request): Promise<SwitchoverResult> {
    const { loop } = this.#running();
    const to = body['to'] === null || body['to'] === undefined ? null : this.#ordinal(body['to']);
    const sinceMs = performance.now();
    const limitMs = this.#resource.spec.switchover.graceSeconds * 1000 + switchoverLimitMs;
    const { done, reason } = await loop.switchover(to, AbortSignal.any([signal, AbortSignal.timeout(limitMs)]));
    if (!done) throw new NotNowError('SWITCHOVER_REFUSED', `no switchover: ${reason}`, 'See the members: baton status');
    const primary = loop.latest?.view.record.primary?.ordinal ?? to ?? 0;
    return { primary, reason, ms: Math.round(performance.now() - sinceMs) };
  }

  #restart(asked: unknown): { restarting: readonly number[] } {
    const { loop } = this.#running();
    const all = Array.from({ length: this.#resource.spec.replicas }, (_, ordinal) => ordinal);
    const ordinals = Array.isArray(asked) && asked.length > 0 ? asked.map((one) => this.#ordinal(one)) : all;
    loop.restart(ordinals);
    return { restarting: loop.restarting() };
  }

  #credentials(query: URLSearchParams): Credentials {
    const { members, endpoints, passwords } = this.#running();
    const { applicationUser, database = null } = this.#resource.spec.credentials;
    const app = { socket: null, user: applicationUser, password: passwords.application, database };
    const asked = query.get('member');
    if (asked === null) {
      const { host, port } = query.has('read') ? endpoints.read : endpoints.primary;
      return { ...app, host: reachable(host), port };
    }
    const layout = members.layout(this.#ordinal(Number(asked)));
    if (layout === null) throw new NotNowError('NOT_NOW', `member ${asked} has not been started yet`);
    const { host, port, socket } = layout;
    if (!query.has('root')) return { ...app, host, port };
    return { host, port, socket, user: 'root', password: passwords.root, database: null };
  }

  #ordinal(value: unknown): number {
    const { replicas } = this.#resource.spec;
    if (Number.isInteger(value) && Number(value) >= 0 && Number(value) < replicas) return Number(value);
    const members = Array.from({ length: replicas }, (_, ordinal) => ordinal).join(', ');
    throw new NotNowError('UNKNOWN_MEMBER', `there is no member ${String(value)}`, `The members are ${members}.`);
  }

  /** One event a line, as in the journal; never a password. */
  #say(event: string, fields: Record<string, unknown>): void {
    this.#log.write({ at: new Date().toISOString(), kind: event, ...fields } as unknown as JournalEntry);
  }
}

/** What a client on this machine connects to. */
function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

async function readStart(): Promise<DaemonStart> {
  let text = '';
  if (!process.stdin.isTTY) for await (const chunk of process.stdin.setEncoding('utf8')) text += String(chunk);
  const none = { resource: null, owner: null, deleteAfterOwner: false };
  return text.trim() === '' ? none : { ...none, ...(JSON.parse(text) as Partial<DaemonStart>) };
}

const [name] = process.argv.slice(2);
if (name === undefined) {
  process.stderr.write('usage: daemon NAME (started by "baton up")\n');
  process.exit(2);
}
process.title = `baton daemon ${name}`;
// What could not be written anywhere else ends up here, which is the log.
process.on('uncaughtException', (error) => {
  process.stderr.write(`${error.stack ?? String(error)}\n`);
  process.exit(1);
});
await Daemon.run(name, await readStart());
