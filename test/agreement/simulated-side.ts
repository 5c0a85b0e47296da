/** The simulator's members, without its brains, checks and faults: nothing happens to them but what a script says. */
import type { SourceAddress } from '../../src/cluster/decision.ts';
import type { Session, Target } from '../../src/mysql/session.ts';
import type { Member } from '../simulation/member.ts';
import { CLIENTS, Process, firstBrain } from '../simulation/network.ts';
import { SimulatedClock } from '../simulation/platform.ts';
import type { Server } from '../simulation/server.ts';
import { ADMIN_PORT, SimulatedSession } from '../simulation/session.ts';
import { World } from '../simulation/world.ts';
import { Side, type Who } from './side.ts';

const PORT = 3306;
const USERS: Readonly<Record<Who, string>> = { client: 'app', admin: 'tester', brain: 'baton_controller' };
const SLICE_MS = 5;

export class SimulatedSide extends Side {
  readonly name = 'simulated';
  protected readonly clock: SimulatedClock;
  readonly #world: World;
  readonly #brain: Process;
  readonly #clients: Process;

  constructor(seed: number) {
    super();
    this.#world = new World({
      seed,
      members: 0,
      mode: 'quorum',
      powerLoss: false,
      version: '9.7.4',
      platform: 'one-machine',
      clients: 0,
      thinkMs: 0,
      straight: false,
      onTrace: null,
    });
    // A script may break every promise.
    this.#world.checks.mayLose = true;
    const { time, network, random } = this.#world;
    // What is left to chance there, is not here: a dying source sends a whole transaction, or nothing of it.
    random.chance = () => false;
    this.#brain = new Process(time, network.machine(firstBrain));
    this.#clients = new Process(time, network.machine(CLIENTS));
    this.clock = new SimulatedClock(time, this.#brain, random);
  }

  #member(ordinal: number): Member {
    const member = this.#world.member(ordinal);
    // The platform's supervisor starts nothing by itself.
    member.heldDown = 1;
    return member;
  }

  #server(ordinal: number): Server {
    const { server } = this.#member(ordinal);
    if (server === null) throw new Error(`member ${ordinal} does not run`);
    return server;
  }

  async pass(ms: number): Promise<void> {
    await this.#world.time.run(this.#world.time.nowMs + ms);
  }

  async until<T>(promise: Promise<T>): Promise<T> {
    const settled = { yet: false };
    const end = (): void => void (settled.yet = true);
    promise.then(end, end);
    // Whoever is settled already is noticed first.
    await Promise.resolve();
    while (!settled.yet) await this.pass(SLICE_MS);
    return promise;
  }

  async start(ordinal: number): Promise<void> {
    const member = this.#member(ordinal);
    member.heldDown = 0;
    member.start();
    member.heldDown = 1;
    while (!this.#server(ordinal).listening) await this.pass(SLICE_MS);
  }

  async kill(ordinal: number): Promise<void> {
    this.#member(ordinal).kill();
  }

  stop(ordinal: number): Promise<void> {
    return this.until(new Promise((resolve) => this.#member(ordinal).terminate(resolve)));
  }

  freeze(ordinal: number): void {
    this.#member(ordinal).freeze();
  }

  thaw(ordinal: number): void {
    this.#member(ordinal).thaw();
  }

  async loseData(ordinal: number): Promise<void> {
    this.#member(ordinal).loseDisk();
  }

  cut(one: number, other: number): void {
    this.#world.network.cut(one, other);
    this.#world.network.cut(other, one);
  }

  cutAnswers(replica: number, source: number): void {
    this.#world.network.cut(replica, source);
  }

  mend(one: number, other: number): void {
    this.#world.network.heal(one, other);
    this.#world.network.heal(other, one);
  }

  session(ordinal: number, who: Who): Promise<Session> {
    const { host } = this.#member(ordinal);
    const target = { host, port: who === 'brain' ? ADMIN_PORT : PORT, user: USERS[who], password: '' };
    return this.#open(this.#clients, target, this.clock.deadline(60_000));
  }

  #open(from: Process, target: Target, signal: AbortSignal): Promise<Session> {
    // Structurally what a session is; the class's private fields are of no use to the procedures.
    return SimulatedSession.open(this.#world, from, target, signal) as unknown as Promise<Session>;
  }

  protected open(target: Target, signal: AbortSignal): Promise<Session> {
    return this.#open(this.#brain, target, signal);
  }

  insert(row: number): [string, number] {
    return ['INSERT INTO row VALUES (?)', row];
  }

  async writeErrant(ordinal: number): Promise<void> {
    this.#server(ordinal).writeErrant();
  }

  async obstruct(ordinal: number): Promise<void> {
    this.#server(ordinal).data.applierFault = true;
  }

  async unobstruct(ordinal: number): Promise<void> {
    this.#server(ordinal).data.applierFault = false;
  }

  stopApplier(ordinal: number): Promise<void> {
    return this.until(new Promise((resolve) => this.#server(ordinal).applier.stop(resolve)));
  }

  async cloneHeldUp(): Promise<void> {
    // From the first byte on.
  }

  async rotate(ordinal: number): Promise<void> {
    this.#server(ordinal).data.rotate();
  }

  route(source: number): SourceAddress {
    return { ordinal: source, host: this.#member(source).host, port: PORT };
  }

  protected memberAt(host: string): string {
    return host.replace('-', ' ');
  }

  protected adminAddress(ordinal: number): { readonly host: string; readonly port: number } {
    return { host: this.#member(ordinal).host, port: ADMIN_PORT };
  }

  /** The world's own checks are not asked; that one failed means that a script does what they can't stand. */
  get failure(): string | null {
    return this.#world.failure;
  }
}
