/** A world whose faults are played by hand: what scenarios are written with. */
import assert from 'node:assert/strict';
import type { DurabilityMode } from '../../src/cluster/record.ts';
import './abort.ts';
import { Data } from './data.ts';
import type { Member } from './member.ts';
import { CLIENTS, Process, firstBrain, type Place } from './network.ts';
import { deadline } from './platform.ts';
import type { Server } from './server.ts';
import { SimulatedSession } from './session.ts';
import { World } from './world.ts';

export interface StageOptions {
  readonly members?: number;
  readonly mode?: DurabilityMode;
  readonly version?: string;
  readonly powerLoss?: boolean;
  readonly platform?: 'one-machine' | 'machines';
}

export interface Write {
  readonly row: number;
  /** What its client was told; null: nothing yet. */
  told: 'ok' | 'error' | 'lost' | null;
}

const PORT = 3306;
const HEALTHY_MS = 90_000;
const STEP_MS = 1;

export class Stage {
  readonly world: World;
  readonly #client: Process;
  readonly #lines: string[];

  private constructor(world: World, lines: string[]) {
    this.world = world;
    this.#lines = lines;
    this.#client = new Process(world.time, world.network.machine(CLIENTS));
  }

  /** A cluster that is up and healthy, and at rest. */
  static async open(options: StageOptions = {}): Promise<Stage> {
    const lines: string[] = [];
    const world = new World({
      seed: 1,
      members: options.members ?? 3,
      mode: options.mode ?? null,
      powerLoss: options.powerLoss ?? false,
      version: options.version ?? '9.7.0',
      platform: options.platform ?? 'machines',
      clients: 0,
      straight: false,
      thinkMs: 0,
      onTrace: (line) => lines.push(line),
    });
    const stage = new Stage(world, lines);
    world.startBrain();
    await stage.until('it is healthy', () => world.checks.unsettled() === null, 30_000);
    return stage;
  }

  get timeline(): string {
    return this.#lines.join('\n');
  }

  note(text: string): void {
    this.world.trace(`*** ${text}`);
    this.world.disturbedMs = this.world.time.nowMs;
  }

  // ── Time ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  async run(ms: number): Promise<void> {
    await this.world.time.run(this.world.time.nowMs + ms);
    if (this.world.failure !== null) assert.fail(`${this.world.failure}\n${this.timeline}`);
  }

  async until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
    const end = this.world.time.nowMs + limitMs;
    while (!holds()) {
      if (this.world.time.nowMs >= end) this.fails(`not within ${limitMs / 1000} s: ${what}`);
      await this.run(STEP_MS);
    }
  }

  /** Until a brain notes down something that begins so. */
  async noted(start: string, limitMs = 20_000): Promise<void> {
    let seen = false;
    this.world.onNoted = (kind, text) => {
      if (`${kind} ${text}`.startsWith(start)) seen = true;
    };
    await this.until(start, () => seen, limitMs);
  }

  /** Must go on holding for so long. */
  async stays(what: string, holds: () => boolean, ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 20) {
      if (!holds()) this.fails(`no longer: ${what}`);
      await this.run(20);
    }
  }

  fails(why: string): never {
    for (const line of this.world.picture()) this.world.trace(line);
    assert.fail(`${why}\n${this.timeline}`);
  }

  holds(what: string, condition: boolean): void {
    if (!condition) this.fails(what);
  }

  // ── What is there ─────────────────────────────────────────────────────────────────────────────────────────────────

  get record(): NonNullable<World['shelf']['record']> {
    const { record } = this.world.shelf;
    if (record === null) throw new Error('there is no record');
    return record;
  }

  get S(): string {
    return this.record.ackers.map(({ ordinal }) => ordinal).join();
  }

  get leader(): number | undefined {
    return this.record.primary?.ordinal;
  }

  member(ordinal: number): Member {
    return this.world.member(ordinal);
  }

  server(ordinal: number): Server {
    const { server } = this.member(ordinal);
    if (server === null) throw new Error(`member ${ordinal} does not run`);
    return server;
  }

  data(ordinal: number): Data {
    const { data } = this.member(ordinal);
    if (data === null) throw new Error(`member ${ordinal} has no data`);
    return data;
  }

  get state(): string {
    return this.world.decision?.state ?? '';
  }

  follows(ordinal: number): boolean {
    return this.member(ordinal).server?.receiver.state === 'on';
  }

  isOpen(ordinal: number): boolean {
    const { server } = this.member(ordinal);
    return server !== null && !server.superReadOnly && !server.readOnly;
  }

  /** Whether a member has a row, applied or received or in its binlog. */
  has(ordinal: number, { row }: Write): boolean {
    const { data } = this.member(ordinal);
    if (data === null) return false;
    for (const { content } of [...data.contents(), ...data.relay, ...data.binlog]) {
      if (content.kind === 'row' && content.id === row) return true;
    }
    return false;
  }

  /** Whether a row is visible there. */
  shows(ordinal: number, { row }: Pick<Write, 'row'>): boolean {
    for (const { content } of this.member(ordinal).data?.contents() ?? [])
      if (content.kind === 'row' && content.id === row) return true;
    return false;
  }

  // ── What goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────

  kill(ordinal: number): void {
    this.note(`kill ${ordinal}`);
    this.member(ordinal).kill();
  }

  down(ordinal: number): void {
    this.note(`${ordinal} is held down`);
    this.member(ordinal).heldDown++;
    this.member(ordinal).kill();
  }

  up(ordinal: number): void {
    this.note(`${ordinal} may come up`);
    this.member(ordinal).heldDown = 0;
    this.member(ordinal).launch();
  }

  fillDisk(ordinal: number): void {
    this.note(`the disk of ${ordinal} is full`);
    this.data(ordinal).full = true;
    this.#platformChanged();
  }

  makeRoom(ordinal: number): void {
    this.note(`the disk of ${ordinal} has room again`);
    this.data(ordinal).full = false;
    this.#platformChanged();
  }

  #platformChanged(): void {
    for (const tell of this.world.hostListeners) tell();
  }

  loseDisk(ordinal: number): void {
    this.note(`${ordinal} loses its disk`);
    this.member(ordinal).loseDisk();
  }

  freeze(ordinal: number): void {
    this.note(`${ordinal} is frozen`);
    this.server(ordinal).process.freeze();
  }

  thaw(ordinal: number): void {
    this.note(`${ordinal} is thawed`);
    this.server(ordinal).process.thaw();
  }

  /** The power of one machine goes and comes back: it is another boot, and what was not synced is gone. */
  powerCycle(ordinal: number): void {
    this.note(`${ordinal}'s machine loses its power`);
    this.world.network.powerOff(ordinal);
    this.member(ordinal).losePower(() => 0);
    this.member(ordinal).bootId = this.world.newUuid();
    this.world.network.powerOn(ordinal);
    this.member(ordinal).launch();
  }

  /** Both ways unless `oneWay`. */
  cut(from: Place, to: Place, oneWay = false): void {
    this.note(`cut ${from} ${oneWay ? '->' : '-'} ${to}`);
    this.world.network.cut(from, to);
    if (!oneWay) this.world.network.cut(to, from);
  }

  heal(from: Place, to: Place): void {
    this.note(`heal ${from} - ${to}`);
    this.world.network.heal(from, to);
    this.world.network.heal(to, from);
  }

  #brainPlaces(): Place[] {
    return Array.from({ length: 8 }, (_, i) => firstBrain + i);
  }

  cutBrain(ordinal: number): void {
    for (const place of this.#brainPlaces()) this.cut(place, ordinal);
  }

  healBrain(ordinal: number): void {
    for (const place of this.#brainPlaces()) this.heal(place, ordinal);
  }

  /** From every member and every brain, but not from clients. */
  isolate(ordinal: number): void {
    for (const other of this.world.members) if (other.ordinal !== ordinal) this.cut(ordinal, other.ordinal);
    this.cutBrain(ordinal);
  }

  unite(ordinal: number): void {
    for (const other of this.world.members) if (other.ordinal !== ordinal) this.heal(ordinal, other.ordinal);
    this.healBrain(ordinal);
  }

  /** The connections of one replica to its source are reset; what was on its way is lost. */
  resetReplica(source: number, ordinal: number): void {
    this.note(`the connection of ${ordinal} to ${source} breaks`);
    for (const session of this.server(source).sessions.values()) {
      if (session.user === `baton_replica_${ordinal}`) session.kill();
    }
  }

  brainDies(): void {
    this.note('the brain dies');
    for (const brain of this.world.livingBrains) brain.die();
  }

  brainStarts(): void {
    this.world.startBrain();
  }

  switchover(to: number | null): void {
    const [brain] = this.world.livingBrains;
    if (brain === undefined) throw new Error('no brain lives');
    void brain.loop.switchover(to, brain.clock.deadline(20_000));
  }

  // ── Clients ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** One row, straight at a member; by default at the recorded primary. */
  write(at = this.leader, sql = 'INSERT INTO row VALUES (?)'): Write {
    const write: Write = { row: this.world.nextRow++, told: null };
    const { host } = this.member(at ?? 0);
    const never = deadline(this.world.time, this.#client, 10_000_000);
    const work = async (): Promise<void> => {
      const target = { host, port: PORT, user: 'app', password: '' };
      const session = await SimulatedSession.open(this.world, this.#client, target, never);
      try {
        await session.query(sql, [write.row], never);
      } finally {
        session.destroy();
      }
    };
    work().then(
      () => (write.told = 'ok'),
      (error: { code?: string }) => (write.told = error.code === 'STATEMENT_FAILED' ? 'error' : 'lost'),
    );
    return write;
  }

  /** Every member forgets the binlogs that it has: whoever comes new has to be cloned. */
  purgeAll(): void {
    this.note('all binlogs are purged');
    for (const { data } of this.world.members) {
      data?.rotate();
      data?.purgeTo(data.files.at(-1)?.name ?? '');
    }
  }

  async acknowledged(write: Write): Promise<Write> {
    await this.until(`row ${write.row} is acknowledged`, () => write.told !== null);
    this.holds(`row ${write.row} is acknowledged`, write.told === 'ok');
    return write;
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Everybody is back and every link whole: it becomes healthy, all members equal, nothing acknowledged lost. */
  async endsWell(): Promise<void> {
    const { world } = this;
    this.note('all is mended');
    const places = [...world.members.map(({ ordinal }) => ordinal), ...this.#brainPlaces(), CLIENTS];
    for (const from of places) for (const to of places) if (from !== to) world.network.heal(from, to);
    for (const member of world.members) {
      const { server } = member;
      if (server?.process.frozen === true) server.process.thaw();
      if (server !== null) {
        server.applier.applyMs = 0.3;
        server.commitMs = 0;
        server.loginMs = 0.1;
        server.refusesAll = false;
      }
      member.heldDown = 0;
      member.launch();
    }
    if (world.livingBrains.length === 0) world.startBrain();
    const healthy = (): boolean => world.checks.unsettled() === null && world.checks.equal();
    await this.until(`it is healthy: ${world.checks.unsettled() ?? ''}`, healthy, HEALTHY_MS);
    await this.acknowledged(this.write());
    await this.run(2000);
    world.checks.atEnd();
    if (world.failure !== null) this.fails(world.failure);
  }
}
