/** One member on this machine: its directory, its mysqld process, and the supervision of both. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import {
  DATA_GONE,
  sameProcess,
  type HostView,
  type ProcessId,
  type ProcessView,
  type SetAside,
} from '../cluster/view.ts';
import { GtidSet } from '../gtid/gtid-set.ts';
import { byteWords, diskTrouble, freeBytes, sizeBytes } from './disk.ts';
import { syncDirectory } from './durable-file.ts';
import { saveErrant } from './errant.ts';
import { chooseFreePort, isPortFree, localHost, portOwner } from './free-ports.ts';
import { MemberError } from './member-error.ts';
import { serverIdOf, writeMemberState } from './member-state.ts';
import type { MemberState } from './member-state.ts';
import type { LocalMembersOptions } from './members.ts';
import { findProcess, hasArgument, processAgeMs, processOf, processState, signalProcess } from './process-identity.ts';
import { explainLog, fileSizeBytes, readLogFrom } from './start-failure.ts';
import { onToldToStop } from './told-to-stop.ts';

/** Where one member lives and listens: what its my.cnf is made of. Paths are absolute. */
export interface MemberLayout {
  readonly ordinal: number;
  /** Another one for every data directory. */
  readonly serverId: number;
  readonly host: string;
  readonly port: number;
  readonly adminPort: number;
  readonly dataDir: string;
  /** For the socket; not readable by others. */
  readonly runDir: string;
  readonly socket: string;
  readonly logFile: string;
  /** Written at every start. */
  readonly configFile: string;
}

export interface MemberPlace {
  /** The member's own directory. */
  readonly home: string;
  readonly stateFile: string;
  readonly runDir: string;
  readonly socket: string;
}

/** What a member needs of its siblings and its machine. */
export interface Surroundings {
  readonly bootId: string;
  readonly nowMs: () => number;
  readonly changed: () => void;
  readonly takenPorts: () => ReadonlySet<number>;
}

interface RunningProcess {
  readonly id: ProcessId;
  readonly sinceMs: number;
  /** The error log's size when it was started; once it is ready, when it became so. */
  logFromBytes: number;
  /** Our own child tells of its end by itself; an adopted one has to be looked at. */
  readonly adopted: boolean;
  /** It has answered on its socket. */
  ready: boolean;
  /** Its end is our doing and nothing to wonder about. */
  expected: boolean;
}

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const firstBackoffMs = 100;
const longestBackoffMs = 10_000;
/** A process that ran this long did not fail at its start. */
const settledAfterMs = 30_000;
/** SIGKILL is over in milliseconds, unless the kernel waits for a disk. */
const killDeadlineMs = 10_000;
const errantDeadlineMs = 30 * 60_000;
const logLimitBytes = 16 * 1024 ** 2;
/** Kept free when a rebuild puts new data beside the old. */
const roomMarginBytes = 64 * 1024 ** 2;
/** What mysqld exits with when RESTART asks its parent to start it again. */
const restartExitCode = 16;

export class LocalMember {
  readonly ordinal: number;
  readonly #options: LocalMembersOptions;
  readonly #place: MemberPlace;
  readonly #around: Surroundings;
  #state: MemberState;
  #process: RunningProcess | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #failures = 0;
  /** Ends the watch on the present process's log. */
  #unwatch: (() => void) | null = null;
  #closed = false;
  /** Why it is not up. */
  #downTrouble: string | null = null;
  #diskTrouble: string | null = null;
  /** Why a process that runs does not answer yet. */
  #startTrouble: string | null = null;
  /** A rebuild that was refused, and what it would need. */
  #noRoom: { readonly text: string; readonly neededBytes: number } | null = null;

  constructor(options: LocalMembersOptions, place: MemberPlace, around: Surroundings, state: MemberState) {
    this.ordinal = state.ordinal;
    this.#options = options;
    this.#place = place;
    this.#around = around;
    this.#state = state;
  }

  get ports(): readonly number[] {
    return [this.#state.port, this.#state.adminPort];
  }

  view(): HostView {
    return {
      ordinal: this.ordinal,
      process: this.#processView(),
      bootId: this.#around.bootId,
      aside: this.#aside(),
      disk: this.#diskTrouble,
      room: this.#diskTrouble === null,
      trouble: this.#diskTrouble ?? this.#startTrouble ?? this.#noRoom?.text ?? null,
      host: localHost,
      port: this.#state.port,
    };
  }

  layout(): MemberLayout {
    const { port, adminPort } = this.#state;
    return {
      ordinal: this.ordinal,
      serverId: serverIdOf(this.#state),
      host: localHost,
      port,
      adminPort,
      dataDir: this.#dataDir,
      runDir: this.#place.runDir,
      socket: this.#place.socket,
      logFile: this.#logFile,
      configFile: this.#configFile,
    };
  }

  #processView(): ProcessView {
    if (this.#process !== null) {
      const { id, sinceMs } = this.#process;
      // Asked anew each time: a process that died a moment ago is never shown as running.
      switch (processState(id)) {
        case 'running':
          return { kind: 'running', id, sinceMs };
        case 'unknown':
          return { kind: 'unknown' };
        case 'gone':
          break;
      }
    }
    if (!this.#state.wanted) return { kind: 'absent' };
    return { kind: 'gone', trouble: this.#downTrouble };
  }

  #aside(): SetAside | null {
    const [oldest, ...others] = this.#state.asides;
    if (oldest === undefined) return null;
    return {
      serverUuid: oldest.serverUuid,
      rows: GtidSet.of(oldest.rows, ...others.map((aside) => aside.rows)).toString(),
    };
  }

  /** Takes up what an earlier life of the daemon left: its process, if it still runs, or its duty to run one. */
  async resume(): Promise<void> {
    await this.#serial(async () => {
      await this.#sweep();
      await this.#adopt();
    });
    if (this.#state.wanted && this.#process === null) this.#schedule(0);
  }

  async start(): Promise<void> {
    await this.#serial(async () => {
      if (!this.#state.wanted) await this.#update({ wanted: true });
      await this.#launchOrRetry();
    });
  }

  async kill(id: ProcessId): Promise<void> {
    const process = this.#process;
    if (process === null || !sameProcess(process.id, id)) return;
    process.expected = true;
    await this.#end(process, 'SIGKILL', 0);
  }

  /** Ends exactly this process in an orderly way; supervision starts the next. */
  async restart(id: ProcessId, graceMs: number): Promise<void> {
    const process = this.#process;
    if (process === null || !sameProcess(process.id, id)) return;
    process.expected = true;
    await this.#end(process, 'SIGTERM', graceMs);
  }

  /** SIGSTOP or SIGCONT. False if no process runs. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): boolean {
    return this.#process !== null && signalProcess(this.#process.id, signal);
  }

  /** Stops the process, for good, and keeps the data. */
  async stop(signal: 'SIGTERM' | 'SIGKILL', graceMs: number): Promise<void> {
    await this.#serial(async () => {
      clearTimeout(this.#retry);
      // A full disk keeps nothing from being stopped; without this note the next life would only start it again.
      await this.#note({ wanted: false });
      await this.#stopProcess(signal, graceMs);
      this.#downTrouble = null;
      this.#failures = 0;
      this.#around.changed();
    });
  }

  async rebuild(discard: string, rows: string, errant: string): Promise<void> {
    await this.#serial(async () => {
      const held = await this.#uuidOnDisk();
      if (held !== discard) {
        throw new MemberError(
          'OTHER_INCARNATION',
          `member ${this.ordinal} was to be rebuilt in place of data ${discard}, found ${held ?? 'no data directory'}`,
          'Nothing was changed; look at the status again.',
        );
      }
      await this.#checkRoom();
      const stamp = new Date().toISOString().replace(/[-:]/g, '').replace(/\.\d+/, '');
      await this.#update({ wanted: true, rebuilding: { discard, rows, errant, saveAs: `${stamp}-${discard}` } });
      await this.#finishRebuild();
      await this.#launchOrRetry();
    });
  }

  async dropAside(): Promise<void> {
    await this.#serial(async () => {
      for (const { serverUuid } of this.#state.asides) {
        await renameIfPresent(join(this.#asideDir, serverUuid), join(this.#asideDir, `dropped-${serverUuid}`));
      }
      await this.#update({ asides: [] });
    });
    await this.#sweep();
  }

  /** Deletes the member's directory. What is left is a note of which server_ids were used. */
  async remove({ keepSaved = false }: { readonly keepSaved?: boolean } = {}): Promise<void> {
    await this.stop('SIGKILL', 0);
    await this.#serial(async () => {
      // In one step out of the way: half a data directory is never found where a whole one is looked for.
      const doomed = `${this.#place.home}.removed`;
      await rm(doomed, { recursive: true, force: true });
      await renameIfPresent(this.#place.home, doomed);
      if (keepSaved) {
        await mkdir(this.#place.home, { recursive: true, mode: 0o700 });
        await renameIfPresent(join(doomed, 'saved'), join(this.#place.home, 'saved'));
      }
      await rm(doomed, { recursive: true, force: true });
      await this.#update({
        removed: true,
        serverUuid: null,
        born: false,
        process: null,
        asides: [],
        rebuilding: null,
        generation: this.#state.generation + 1,
      });
    });
    this.close();
  }

  /** Stops supervising. The process runs on. */
  close(): void {
    this.#closed = true;
    this.#unwatch?.();
    clearTimeout(this.#retry);
  }

  /** Notices the end of an adopted process. */
  look(): void {
    const process = this.#process;
    if (process?.adopted === true && processState(process.id) === 'gone') this.#ended(process, null);
  }

  /** Looks after the disk; takes as long as a small write does. */
  async checkDisk(): Promise<void> {
    if (!this.#state.wanted || this.#closed) return;
    const found = (await diskTrouble(this.#place.home)) ?? (await this.#dataTrouble());
    if (this.#noRoom !== null && (await freeBytes(this.#place.home)) >= this.#noRoom.neededBytes) {
      this.#noRoom = null;
      this.#around.changed();
    }
    if (found === this.#diskTrouble) return;
    this.#diskTrouble = found;
    this.#log(found ?? 'the trouble with its disk is over');
    this.#around.changed();
  }

  async #dataTrouble(): Promise<string | null> {
    const running = this.#process;
    if (running === null || (await this.#uuidOnDisk()) !== null || this.#process !== running) return null;
    return `${DATA_GONE}: ${this.#dataDir} is no data directory any more, though mysqld still runs on it`;
  }

  // ── The process ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #launchOrRetry(): Promise<void> {
    try {
      await this.#launch();
    } catch (error) {
      this.#downTrouble = (error as Error).message;
      this.#log(`could not be started: ${this.#downTrouble}`);
      this.#schedule(this.#nextBackoffMs());
      this.#around.changed();
      throw error;
    }
  }

  async #launch(): Promise<void> {
    clearTimeout(this.#retry);
    if (this.#closed || !this.#state.wanted) return;
    if (this.#process !== null) {
      if (processState(this.#process.id) !== 'gone') return;
      this.#ended(this.#process, null);
      clearTimeout(this.#retry);
    }
    await mkdir(this.#place.home, { recursive: true, mode: 0o700 });
    await mkdir(this.#place.runDir, { recursive: true, mode: 0o700 });
    if (await this.#adopt()) return;
    await this.#finishRebuild();
    await this.#prepareData();
    await this.#claimPorts();
    await this.#writeConfig();
    await this.#spawn();
  }

  async #spawn(): Promise<void> {
    const { serverCommand, serverOptions } = this.#options.distribution;
    const [program = '', ...loaderArgs] = serverCommand;
    const args = [...loaderArgs, this.#defaultsArgument, ...serverOptions];
    if (process.getuid?.() === 0) args.push('--user=root');
    if (!this.#state.born) {
      await rm(this.#initFile, { force: true });
      await writeFile(this.#initFile, this.#options.initSqlFor(this.ordinal), { mode: 0o600 });
      args.push(`--init-file=${this.#initFile}`);
    }
    // mysqld would take a lock file of a dead process for a living one's, as long as nobody reaps that or its pid is reused.
    for (const stale of [this.#place.socket, `${this.#place.socket}.lock`]) await rm(stale, { force: true });
    await this.#rotateLog();
    const logFromBytes = await fileSizeBytes(this.#logFile);
    const log = await open(this.#logFile, 'a', 0o600);
    let child: ChildProcess;
    try {
      // Whoever looks after it by now found no process yet, and starts one.
      if (this.#closed) return;
      // A session of its own: neither our death nor a Ctrl-C in our terminal is the member's.
      child = spawn(program, args, {
        cwd: this.#place.home,
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
        env: { ...process.env, NOTIFY_SOCKET: undefined, MYSQLD_PARENT_PID: String(process.pid) },
      });
      await once(child, 'spawn');
    } finally {
      await log.close();
    }
    child.unref();
    const pid = child.pid ?? 0;
    // Null only if it is dead already; its exit event is then on the way.
    const id = processOf(pid) ?? { pid, startTime: '0' };
    const running = this.#track({ id, sinceMs: this.#around.nowMs(), logFromBytes, adopted: false });
    child.once('exit', (code, signal) => this.#ended(running, { code, signal }));
    await this.#note({ process: { ...id, bootId: this.#around.bootId } });
  }

  /** Takes over a process that an earlier life of the daemon started on this very configuration. */
  async #adopt(): Promise<boolean> {
    if (this.#process !== null) return true;
    const last = this.#state.process;
    const known =
      last !== null && last.bootId === this.#around.bootId && (await hasArgument(last, this.#defaultsArgument));
    // The daemon may have died between starting a process and noting it.
    const id = known ? { pid: last.pid, startTime: last.startTime } : await findProcess(this.#defaultsArgument);
    if (id === null) return false;
    const sinceMs = this.#around.nowMs() - processAgeMs(id);
    this.#track({ id, sinceMs, logFromBytes: await fileSizeBytes(this.#logFile), adopted: true });
    if (!known) await this.#note({ process: { ...id, bootId: this.#around.bootId } });
    this.#log(`adopted process ${id.pid}`);
    return true;
  }

  #track(process: Omit<RunningProcess, 'ready' | 'expected'>): RunningProcess {
    // One that was adopted came up in an earlier life, unless it was never seen to.
    const running = { ...process, ready: process.adopted && this.#state.born, expected: false };
    this.#process = running;
    this.#around.changed();
    void this.#watchReady(running);
    this.#unwatch?.();
    this.#unwatch = onToldToStop(this.#logFile, process.logFromBytes, () => this.#toldToStop(running));
    if (this.#unwatch === null)
      this.#log('its log can not be watched: if somebody else stops it, waiting commits are told OK');
    return running;
  }

  #toldToStop(process: RunningProcess): void {
    if (this.#process !== process || process.expected || this.#closed) return;
    this.#log('was told to stop by somebody else: killed before it tells commits OK that nobody acknowledged');
    signalProcess(process.id, 'SIGKILL');
  }

  #ended(process: RunningProcess, how: Ending | null): void {
    if (this.#process !== process) return;
    this.#process = null;
    this.#unwatch?.();
    this.#startTrouble = null;
    // CLONE ends in a restart, of which only the ending half is mysqld's.
    const byItself = process.ready && (how?.code === 0 || how?.code === restartExitCode);
    if (this.#around.nowMs() - process.sinceMs >= settledAfterMs) this.#failures = 0;
    const delayMs = process.expected || byItself ? 0 : this.#nextBackoffMs();
    if (this.#state.wanted && !process.expected) this.#log(`process ${process.id.pid} ended${endingWords(how)}`);
    this.#around.changed();
    void this.#serial(async () => {
      if (!process.expected && !byItself) await this.#explain(process, how);
    }).finally(() => this.#schedule(delayMs));
  }

  async #explain(process: RunningProcess, how: Ending | null): Promise<void> {
    const cause = explainLog(await readLogFrom(this.#logFile, process.logFromBytes).catch(() => ''));
    if (process.ready && cause === null) return;
    this.#downTrouble = `mysqld ended${process.ready ? '' : ' at its start'}${endingWords(how)}: ${cause ?? `see ${this.#logFile}`}`;
    this.#log(this.#downTrouble);
    this.#around.changed();
  }

  #nextBackoffMs(): number {
    const failures = this.#failures++;
    return failures === 0 ? 0 : Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(failures - 1, 20));
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#retry);
    if (this.#closed || !this.#state.wanted) return;
    // What goes wrong is kept in view() and tried again.
    const launch = (): void => void this.#serial(() => this.#launchOrRetry()).catch(() => {});
    if (delayMs === 0) launch();
    else this.#retry = setTimeout(launch, delayMs).unref();
  }

  async #stopProcess(signal: 'SIGTERM' | 'SIGKILL', graceMs: number): Promise<void> {
    const process = this.#process;
    if (process === null) return;
    process.expected = true;
    await this.#end(process, signal, graceMs);
  }

  async #end(process: RunningProcess, signal: 'SIGTERM' | 'SIGKILL', graceMs: number): Promise<void> {
    signalProcess(process.id, signal);
    if (signal === 'SIGTERM' && !(await isGoneWithin(process.id, graceMs))) signalProcess(process.id, 'SIGKILL');
    if (!(await isGoneWithin(process.id, killDeadlineMs))) {
      throw new MemberError(
        'PROCESS_STUCK',
        `expected process ${process.id.pid} of member ${this.ordinal} to be dead after SIGKILL, found it still there`,
        'The kernel is probably waiting for a disk: look at dmesg.',
      );
    }
    this.#ended(process, null);
  }

  /** Until it answers on its socket or is no more. What the first start of a data directory needed is then over. */
  async #watchReady(process: RunningProcess): Promise<void> {
    for (let tries = 1; this.#process === process && !this.#closed; tries++) {
      if (await greets(this.#place.socket)) break;
      // mysqld can try for minutes: for a lock that another process holds, say, or room on a full disk.
      if (tries % 100 === 0) await this.#explainDelay(process);
      await sleep(tries < 500 ? 25 : 250, undefined, { ref: false });
    }
    if (this.#process !== process || this.#closed) return;
    process.ready = true;
    process.logFromBytes = await fileSizeBytes(this.#logFile);
    this.#downTrouble = null;
    this.#startTrouble = null;
    this.#around.changed();
    try {
      if (!this.#state.born) await this.#bear(process);
    } catch (error) {
      if (this.#process === process) this.#log(`its first start could not be noted: ${(error as Error).message}`);
    }
  }

  async #explainDelay(process: RunningProcess): Promise<void> {
    const cause = explainLog(await readLogFrom(this.#logFile, process.logFromBytes).catch(() => ''));
    if (cause === null || this.#process !== process) return;
    this.#startTrouble = `mysqld runs and does not answer: ${cause}`;
    this.#around.changed();
  }

  async #bear(process: RunningProcess): Promise<void> {
    await rm(this.#initFile, { force: true });
    await syncTree(this.#dataDir);
    await this.#serial(async () => {
      if (this.#process === process) await this.#update({ born: true });
    });
  }

  // ── The directory ─────────────────────────────────────────────────────────────────────────────────────────────────

  async #prepareData(): Promise<void> {
    const { born, serverUuid } = this.#state;
    const held = await this.#uuidOnDisk();
    if (held !== null && (born || (await this.#cameUp()))) {
      if (held !== serverUuid) this.#log(`found data ${held} in its directory, not ${serverUuid ?? 'none'}`);
      if (held !== serverUuid || !born) await this.#update({ born: true, serverUuid: held });
      return;
    }
    if (held === null && born) this.#log('its data directory is gone: it starts as a new, empty member');
    await this.#makeData(held === null);
  }

  /**
   * Whether data that nobody saw answering did come up all the same. If not, it may have got half way through its init
   * file, and is made anew; so it is after a power cut, which may have torn files that were only just copied.
   */
  async #cameUp(): Promise<boolean> {
    if (this.#state.madeInBoot !== this.#around.bootId) return false;
    return /: ready for connections/.test(await readLogFrom(this.#logFile, 0));
  }

  async #makeData(keepRemains: boolean): Promise<void> {
    const { generation, serverUuid } = this.#state;
    const next = randomUUID();
    await this.#update({
      serverUuid: next,
      born: false,
      madeInBoot: this.#around.bootId,
      process: null,
      generation: serverUuid === null ? generation : generation + 1,
    });
    const fresh = `${this.#dataDir}.new`;
    await rm(fresh, { recursive: true, force: true });
    await this.#options.copyTemplate(this.#options.template, fresh);
    await chmod(fresh, 0o700);
    await writeFile(join(fresh, 'auto.cnf'), `[auto]\nserver-uuid=${next}\n`, { mode: 0o640 });
    // Files that are not a data directory are somebody's all the same.
    if (keepRemains) await this.#keepRemains(generation);
    else await rm(this.#dataDir, { recursive: true, force: true });
    await rename(fresh, this.#dataDir);
    // The log tells whether this data directory came up, so it begins with it.
    await renameIfPresent(this.#logFile, `${this.#logFile}.1`);
  }

  async #keepRemains(generation: number): Promise<void> {
    const remains = await readdir(this.#dataDir).catch(() => []);
    if (remains.length === 0) return rm(this.#dataDir, { recursive: true, force: true });
    await mkdir(this.#asideDir, { recursive: true, mode: 0o700 });
    const kept = join(this.#asideDir, `remains-${generation}`);
    await rename(this.#dataDir, kept);
    this.#log(`what was left of its data directory was moved to ${kept}`);
  }

  async #claimPorts(): Promise<void> {
    const { port, adminPort } = this.#state;
    if ((await isPortFree(port)) && (await isPortFree(adminPort))) return;
    const taken = new Set([...this.#around.takenPorts(), port, adminPort]);
    const keep = async (old: number): Promise<number> => {
      if (await isPortFree(old)) return old;
      const chosen = await chooseFreePort(taken);
      taken.add(chosen);
      const owner = await portOwner(old);
      this.#log(
        `port ${old} is used by another program${owner === null ? '' : ` (pid ${owner})`}: it moves to ${chosen}`,
      );
      return chosen;
    };
    await this.#update({ port: await keep(port), adminPort: await keep(adminPort) });
  }

  async #checkRoom(): Promise<void> {
    this.#noRoom = null;
    const size = Math.max(await sizeBytes(this.#dataDir), await sizeBytes(this.#options.template));
    const neededBytes = size + roomMarginBytes;
    const free = await freeBytes(this.#place.home);
    if (free >= neededBytes) return;
    const text = `not enough disk to rebuild beside the old data: ${byteWords(neededBytes)} needed, ${byteWords(free)} free`;
    this.#noRoom = { text, neededBytes };
    this.#around.changed();
    throw new MemberError(
      'NO_ROOM',
      `member ${this.ordinal}: ${text}`,
      `Make room on the disk of ${this.#place.home}.`,
    );
  }

  /** Each step can be repeated; where the data directory is tells how far an earlier attempt came. */
  async #finishRebuild(): Promise<void> {
    const { rebuilding, asides } = this.#state;
    if (rebuilding === null) return;
    const { discard, rows, errant, saveAs } = rebuilding;
    // Another attempt's half-made data, say, has nothing that the older data lacks.
    const held = GtidSet.of(...asides.map((aside) => aside.rows));
    const worthless = asides.length > 0 && held.contains(GtidSet.parse(rows));
    const target = join(this.#asideDir, worthless ? `dropped-${discard}` : discard);
    if ((await this.#uuidOnDisk()) === discard) {
      try {
        await this.#stopProcess('SIGKILL', 0);
        await this.#saveErrant(errant, saveAs);
        await mkdir(this.#asideDir, { recursive: true, mode: 0o700 });
        await rm(target, { recursive: true, force: true });
        await rename(this.#dataDir, target);
      } catch (error) {
        await this.#update({ rebuilding: null });
        this.#schedule(0);
        throw error;
      }
      await syncDirectory(this.#asideDir);
      await syncDirectory(this.#place.home);
    }
    const kept = !worthless && (await isPresent(target)) && !asides.some((aside) => aside.serverUuid === discard);
    await this.#update({
      rebuilding: null,
      serverUuid: null,
      born: false,
      process: null,
      generation: this.#state.generation + 1,
      asides: kept ? [...asides, { serverUuid: discard, rows }] : asides,
    });
    this.#log(`set data ${discard} aside to be rebuilt`);
    await this.#sweep();
  }

  async #saveErrant(errant: string, saveAs: string): Promise<void> {
    if (GtidSet.parse(errant).isEmpty) return;
    const { readable, found, missing } = await saveErrant({
      binlogCommand: this.#options.distribution.binlogCommand,
      dataDir: this.#dataDir,
      errant,
      saveAs: join(this.#place.home, 'saved', saveAs),
      member: `member ${this.ordinal}`,
      timeoutMs: errantDeadlineMs,
    });
    this.#log(`saved ${found.count} transactions that only it has to ${readable}`);
    if (!missing.isEmpty) this.#log(`its logs do not hold ${missing.toString()} any more, so that was not saved`);
  }

  /** Removes what was dropped, whoever was interrupted in doing so. */
  async #sweep(): Promise<void> {
    for (const name of await readdir(this.#asideDir).catch(() => [])) {
      if (name.startsWith('dropped-')) await rm(join(this.#asideDir, name), { recursive: true, force: true });
    }
  }

  /** Null if there is no data directory, or what is there is none. */
  async #uuidOnDisk(): Promise<string | null> {
    try {
      const [autoConf] = await Promise.all([
        readFile(join(this.#dataDir, 'auto.cnf'), 'utf8'),
        stat(join(this.#dataDir, 'mysql.ibd')),
      ]);
      return /^\s*server[-_]uuid\s*=\s*(\S+)/m.exec(autoConf)?.[1]?.toLowerCase() ?? null;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT' || code === 'ENOTDIR') return null;
      throw error;
    }
  }

  /** A file that is as it should be is left alone: on a full disk it could only be lost. */
  async #writeConfig(): Promise<void> {
    const text = this.#options.configFor(this.layout());
    const present = await readFile(this.#configFile, 'utf8').catch(() => null);
    if (present !== text) await writeFile(this.#configFile, text, { mode: 0o600 });
  }

  async #rotateLog(): Promise<void> {
    if ((await fileSizeBytes(this.#logFile)) > logLimitBytes) await rename(this.#logFile, `${this.#logFile}.1`);
  }

  // ── ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

  get #dataDir(): string {
    return join(this.#place.home, 'data');
  }
  get #asideDir(): string {
    return join(this.#place.home, 'aside');
  }
  get #logFile(): string {
    return join(this.#place.home, 'mysqld.log');
  }
  get #initFile(): string {
    return join(this.#place.home, 'init.sql');
  }
  get #configFile(): string {
    return join(this.#place.home, 'my.cnf');
  }
  /** Also what the member's process is known by. */
  get #defaultsArgument(): string {
    return `--defaults-file=${this.#configFile}`;
  }

  async #update(change: Partial<MemberState>): Promise<void> {
    const next = { ...this.#state, ...change };
    await writeMemberState(this.#place.stateFile, next);
    this.#state = next;
    this.#around.changed();
  }

  /** For what holds whether or not the disk takes it. */
  async #note(change: Partial<MemberState>): Promise<void> {
    try {
      await this.#update(change);
    } catch (error) {
      this.#state = { ...this.#state, ...change };
      this.#log(`what happened could not be noted: ${(error as Error).message}`);
    }
  }

  #log(text: string): void {
    this.#options.log(this.ordinal, text);
  }

  /** One thing at a time is done to a member's directory and process; only kill and signal go past the queue. */
  #serial<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(work);
    this.#queue = result.catch(() => {});
    return result;
  }
}

async function isGoneWithin(id: ProcessId, deadlineMs: number): Promise<boolean> {
  const deadline = performance.now() + deadlineMs;
  while (processState(id) !== 'gone') {
    if (performance.now() >= deadline) return false;
    await sleep(5);
  }
  return true;
}

function endingWords(how: Ending | null): string {
  if (how === null) return '';
  return how.signal === null ? ` (exit code ${how.code})` : ` (${how.signal})`;
}

/** Whether a MySQL server sends its first packet there. Only one that has run its init file does. */
async function greets(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  socket.setTimeout(2_000, () => socket.destroy());
  return new Promise((resolve) => {
    socket.once('data', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  }).then((answer) => {
    socket.destroy();
    return answer === true;
  });
}

async function isPresent(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function renameIfPresent(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

async function syncTree(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    // Files come and go while the server runs.
    else if (entry.isFile()) await syncDirectory(path).catch(ignoreMissing);
  }
  await syncDirectory(directory);
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
