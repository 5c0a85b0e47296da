/** Runs a cluster's members on this machine: the port's MemberHosts over real mysqld processes. */
import { createHash } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { HostView, ProcessId } from '../cluster/view.ts';
import type { MemberHosts } from '../control/port.ts';
import { makePrivateDirectory, maxSocketPathBytes } from './directories.ts';
import { chooseFreePort } from './free-ports.ts';
import { LocalMember } from './member.ts';
import type { MemberLayout, MemberPlace, Surroundings } from './member.ts';
import { MemberError } from './member-error.ts';
import { readMemberState, writeMemberState } from './member-state.ts';
import type { MemberState } from './member-state.ts';
import { bootId } from './process-identity.ts';

export type { MemberLayout } from './member.ts';

export interface LocalMembersOptions {
  /** Absolute. Each member gets a directory `member-N` in it, and a small file `member-N.json`. */
  readonly clusterDir: string;
  readonly distribution: {
    /** `--defaults-file` is put right after it. */
    readonly serverCommand: readonly string[];
    readonly serverOptions: readonly string[];
    /** Null: none; transactions that only one member has can't be saved then, and such a member is not rebuilt. */
    readonly binlogCommand: readonly string[] | null;
  };
  /** An initialised data directory, cleanly stopped, without auto.cnf. */
  readonly template: string;
  /** Makes `dataDir`, which does not exist yet, a copy of the template. */
  readonly copyTemplate: (template: string, dataDir: string) => Promise<void>;
  /** The text of my.cnf. Written anew at every start. */
  readonly configFor: (member: MemberLayout) => string;
  /** SQL for the first start of a data directory. May hold passwords: the file is private, and gone when it has run. */
  readonly initSqlFor: (ordinal: number) => string;
  readonly log: (ordinal: number, text: string) => void;
  /** The controller's clock, in milliseconds. Default: performance.now(). */
  readonly nowMs?: () => number;
  /** For sockets, where the path in `clusterDir` would be too long for one. Default: the system's temporary directory. */
  readonly runtimeDir?: string;
  /** How often each member's disk is tried, in milliseconds. Default: 2000. */
  readonly diskCheckMs?: number;
}

const adoptedCheckMs = 100;
const defaultDiskCheckMs = 2_000;
const defaultGraceMs = 10_000;

export class LocalMembers implements Omit<MemberHosts, 'retire'> {
  readonly #options: LocalMembersOptions;
  readonly #members = new Map<number, LocalMember>();
  readonly #listeners = new Set<() => void>();
  readonly #around: Surroundings;
  readonly #timers: NodeJS.Timeout[];
  #creating: Promise<unknown> = Promise.resolve();
  #checking = false;
  #closed = false;

  private constructor(options: LocalMembersOptions) {
    this.#options = options;
    this.#around = {
      bootId: bootId(),
      nowMs: options.nowMs ?? (() => performance.now()),
      changed: () => this.#changed(),
      takenPorts: () => new Set([...this.#members.values()].flatMap((member) => member.ports)),
    };
    this.#timers = [
      setInterval(() => this.#lookAtAdopted(), adoptedCheckMs).unref(),
      setInterval(() => void this.#checkDisks(), options.diskCheckMs ?? defaultDiskCheckMs).unref(),
    ];
  }

  /** Takes up the members of an earlier life: adopts those that run, and starts those that should. */
  static async open(options: LocalMembersOptions): Promise<LocalMembers> {
    const members = new LocalMembers(options);
    await mkdir(options.clusterDir, { recursive: true, mode: 0o700 });
    for (const name of await readdir(options.clusterDir)) {
      const ordinal = /^member-(\d+)\.json$/.exec(name)?.[1];
      const state = ordinal === undefined ? null : await readMemberState(join(options.clusterDir, name));
      if (state !== null && !state.removed) await members.#add(state);
    }
    await Promise.all([...members.#members.values()].map((member) => member.resume()));
    return members;
  }

  list(): readonly HostView[] {
    return [...this.#members.values()].sort((a, b) => a.ordinal - b.ordinal).map((member) => member.view());
  }

  /** Where a member lives and listens; null if there is none. */
  layout(ordinal: number): MemberLayout | null {
    return this.#members.get(ordinal)?.layout() ?? null;
  }

  async start(ordinal: number): Promise<void> {
    await (await this.#provide(ordinal)).start();
  }

  async kill(ordinal: number, process: ProcessId): Promise<void> {
    await this.#members.get(ordinal)?.kill(process);
  }

  async restart(ordinal: number, process: ProcessId, options: { readonly graceMs?: number } = {}): Promise<void> {
    await this.#members.get(ordinal)?.restart(process, options.graceMs ?? defaultGraceMs);
  }

  async retire(ordinal: number, options: { readonly graceMs?: number } = {}): Promise<void> {
    await this.stop(ordinal, { signal: 'SIGTERM', ...options });
  }

  /**
   * Like retire. SIGTERM gives it `graceMs` (default 10000), then SIGKILL; on a member where commits may wait for an
   * acknowledgement only SIGKILL is safe, since mysqld answers them OK when it is asked to stop.
   */
  async stop(
    ordinal: number,
    options: { readonly signal: 'SIGKILL' | 'SIGTERM'; readonly graceMs?: number },
  ): Promise<void> {
    await this.#members.get(ordinal)?.stop(options.signal, options.graceMs ?? defaultGraceMs);
  }

  async rebuild(ordinal: number, discard: string, rows: string, errant: string): Promise<void> {
    await this.#existing(ordinal).rebuild(discard, rows, errant);
  }

  async dropAside(ordinal: number): Promise<void> {
    await this.#members.get(ordinal)?.dropAside();
  }

  /** Kills a member and deletes its directory, what was saved and set aside in it included. */
  async remove(ordinal: number, options: { readonly keepSaved?: boolean } = {}): Promise<void> {
    await this.#members.get(ordinal)?.remove(options);
    this.#members.delete(ordinal);
    this.#changed();
  }

  /** SIGSTOP: as if its machine hung. Resolves to false if no process runs. */
  freeze(ordinal: number): boolean {
    return this.#existing(ordinal).signal('SIGSTOP');
  }

  /** SIGCONT. */
  thaw(ordinal: number): boolean {
    return this.#existing(ordinal).signal('SIGCONT');
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Stops supervising; the members run on, to be adopted by the next life. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const member of this.#members.values()) member.close();
    this.#listeners.clear();
  }

  #existing(ordinal: number): LocalMember {
    const member = this.#members.get(ordinal);
    if (member !== undefined) return member;
    const known = [...this.#members.keys()].sort((a, b) => a - b).join(', ');
    throw new MemberError('UNKNOWN_MEMBER', `there is no member ${ordinal}`, `Those that exist: ${known || 'none'}.`);
  }

  /** One is made at a time, so that no two draw the same port. */
  async #provide(ordinal: number): Promise<LocalMember> {
    const provided = this.#creating.then(async () => {
      const existing = this.#members.get(ordinal);
      if (existing !== undefined) return existing;
      const path = this.#statePath(ordinal);
      const state = await this.#firstState(ordinal, (await readMemberState(path))?.generation ?? 0);
      await writeMemberState(path, state);
      return this.#add(state);
    });
    this.#creating = provided.catch(() => {});
    return provided;
  }

  async #firstState(ordinal: number, generation: number): Promise<MemberState> {
    const taken = new Set(this.#around.takenPorts());
    const port = await chooseFreePort(taken);
    const adminPort = await chooseFreePort(taken.add(port));
    return {
      ordinal,
      generation,
      port,
      adminPort,
      wanted: false,
      serverUuid: null,
      born: false,
      madeInBoot: this.#around.bootId,
      process: null,
      asides: [],
      rebuilding: null,
      removed: false,
    };
  }

  async #add(state: MemberState): Promise<LocalMember> {
    const member = new LocalMember(this.#options, await this.#placeOf(state.ordinal), this.#around, state);
    this.#members.set(state.ordinal, member);
    return member;
  }

  #statePath(ordinal: number): string {
    return join(this.#options.clusterDir, `member-${ordinal}.json`);
  }

  async #placeOf(ordinal: number): Promise<MemberPlace> {
    const home = join(this.#options.clusterDir, `member-${ordinal}`);
    const stateFile = this.#statePath(ordinal);
    const socket = join(home, 'mysqld.sock');
    if (Buffer.byteLength(socket) <= maxSocketPathBytes) return { home, stateFile, runDir: home, socket };
    const name = createHash('sha256').update(this.#options.clusterDir).digest('hex').slice(0, 12);
    const runDir = join(this.#options.runtimeDir ?? tmpdir(), `baton-${name}`);
    await makePrivateDirectory(runDir);
    return { home, stateFile, runDir, socket: join(runDir, `${ordinal}.sock`) };
  }

  #lookAtAdopted(): void {
    for (const member of this.#members.values()) member.look();
  }

  /** One after the other: a disk that hangs holds up one of Node's few file threads, not all. */
  async #checkDisks(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      for (const member of this.#members.values()) if (!this.#closed) await member.checkDisk();
    } finally {
      this.#checking = false;
    }
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
