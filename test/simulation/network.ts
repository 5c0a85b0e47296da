/**
 * Machines, processes on them, and the links between. What a cut link or a stopped machine holds up arrives later, in order,
 * as TCP would send it again: a statement may land long after its sender has given up.
 */
import type { Random } from './random.ts';
import type { VirtualTime, Timer } from './virtual-time.ts';

/** Members are at their ordinals; clients and brains after them. */
export type Place = number;
export const CLIENTS: Place = 15;
export const firstBrain: Place = 16;
const PLACES = 32;

export class Machine {
  readonly place: Place;
  /** Off: nothing that is sent here arrives, and nobody is told. */
  up = true;
  readonly held: (() => void)[] = [];
  constructor(place: Place) {
    this.place = place;
  }
}

/** A process: what happens in it waits while it is frozen, and never happens once it is dead. */
export class Process {
  readonly machine: Machine;
  readonly #time: VirtualTime;
  alive = true;
  #frozenAtMs: number | null = null;
  #inbox: (() => void)[] = [];
  readonly connections = new Set<Connection>();

  constructor(time: VirtualTime, machine: Machine) {
    this.#time = time;
    this.machine = machine;
  }

  get place(): Place {
    return this.machine.place;
  }

  get frozen(): boolean {
    return this.#frozenAtMs !== null;
  }

  get frozenMs(): number {
    return this.#frozenAtMs === null ? 0 : this.#time.nowMs - this.#frozenAtMs;
  }

  do(run: () => void): void {
    if (!this.alive) return;
    if (this.frozen) this.#inbox.push(run);
    else run();
  }

  after(ms: number, run: () => void): Timer {
    return this.#time.after(ms, () => this.do(run));
  }

  freeze(): void {
    this.#frozenAtMs ??= this.#time.nowMs;
  }

  thaw(): void {
    this.#frozenAtMs = null;
    const inbox = this.#inbox;
    this.#inbox = [];
    // One after the other, at the same moment: it may be frozen again, or die, in between.
    for (const run of inbox) this.#time.after(0, () => this.do(run));
  }

  /** `told`: whether its kernel lives on and tells the other ends. */
  die(told: boolean): void {
    this.alive = false;
    this.#inbox = [];
    for (const connection of this.connections) connection.lose(this, told);
    this.connections.clear();
  }
}

class Link {
  cut = false;
  extraMs = 0;
  held: (() => void)[] = [];
}

/** What keeps the messages of one direction of one connection in order. */
export interface Lane {
  lastMs: number;
}

export class Network {
  readonly time: VirtualTime;
  readonly #random: Random;
  readonly #machines: Machine[] = [];
  readonly #links: (Link | undefined)[] = Array.from({ length: PLACES * PLACES });

  constructor(time: VirtualTime, random: Random) {
    this.time = time;
    this.#random = random;
  }

  machine(place: Place): Machine {
    return (this.#machines[place] ??= new Machine(place));
  }

  #link(from: Place, to: Place): Link {
    return (this.#links[from * PLACES + to] ??= new Link());
  }

  isCut(from: Place, to: Place): boolean {
    return this.#link(from, to).cut || !this.machine(to).up || !this.machine(from).up;
  }

  linkIsCut(from: Place, to: Place): boolean {
    return this.#link(from, to).cut;
  }

  send(from: Place, to: Place, lane: Lane, delayMs: number, run: () => void): void {
    const link = this.#link(from, to);
    const latencyMs = from === to ? 0.02 : 0.05 + this.#random.unit() * 0.25 + link.extraMs;
    const atMs = Math.max(this.time.nowMs + delayMs + latencyMs, lane.lastMs);
    lane.lastMs = atMs;
    this.time.after(atMs - this.time.nowMs, () => this.#arrive(link, to, run));
  }

  #arrive(link: Link, to: Place, run: () => void): void {
    const machine = this.machine(to);
    if (link.cut) link.held.push(run);
    else if (!machine.up) machine.held.push(run);
    else run();
  }

  cut(from: Place, to: Place): void {
    this.#link(from, to).cut = true;
  }

  heal(from: Place, to: Place): void {
    const link = this.#link(from, to);
    link.cut = false;
    const { held } = link;
    link.held = [];
    for (const run of held) this.time.after(0, () => this.#arrive(link, to, run));
  }

  slow(from: Place, to: Place, extraMs: number): void {
    this.#link(from, to).extraMs = extraMs;
  }

  powerOff(place: Place): void {
    this.machine(place).up = false;
  }

  powerOn(place: Place): void {
    const machine = this.machine(place);
    machine.up = true;
    for (const run of machine.held.splice(0)) this.time.after(0, run);
  }
}

/** A TCP connection between two processes. */
export class Connection {
  readonly #network: Network;
  readonly client: Process;
  readonly server: Process;
  readonly #up: Lane = { lastMs: 0 };
  readonly #down: Lane = { lastMs: 0 };
  clientOpen = true;
  serverOpen = true;
  /** Called in the client when the connection ended without its doing. */
  onLost: (why: string) => void = () => undefined;
  /** Called in the server when the client is gone. */
  onClientGone: () => void = () => undefined;

  constructor(network: Network, client: Process, server: Process) {
    this.#network = network;
    this.client = client;
    this.server = server;
    client.connections.add(this);
    server.connections.add(this);
  }

  toServer(run: () => void, delayMs = 0): void {
    if (!this.clientOpen) return;
    this.#network.send(this.client.place, this.server.place, this.#up, delayMs, () => {
      if (!this.server.alive || !this.serverOpen) this.#reset();
      else this.server.do(() => (this.serverOpen ? run() : undefined));
    });
  }

  toClient(run: () => void, delayMs = 0): void {
    if (!this.serverOpen) return;
    this.#network.send(this.server.place, this.client.place, this.#down, delayMs, () =>
      this.client.do(() => (this.clientOpen ? run() : undefined)),
    );
  }

  #reset(): void {
    this.#network.send(this.server.place, this.client.place, this.#down, 0, () => this.#tellClient());
  }

  #tellClient(): void {
    this.client.do(() => {
      if (!this.clientOpen) return;
      this.clientOpen = false;
      this.client.connections.delete(this);
      this.onLost('the server closed the connection');
    });
  }

  /** What was sent before still arrives. */
  closeByClient(): void {
    if (!this.clientOpen) return;
    this.clientOpen = false;
    this.client.connections.delete(this);
    this.#network.send(this.client.place, this.server.place, this.#up, 0, () => this.#tellServer());
  }

  #tellServer(): void {
    this.server.do(() => {
      if (!this.serverOpen) return;
      this.serverOpen = false;
      this.server.connections.delete(this);
      this.onClientGone();
    });
  }

  closeByServer(): void {
    if (!this.serverOpen) return;
    this.serverOpen = false;
    this.server.connections.delete(this);
    this.#network.send(this.server.place, this.client.place, this.#down, 0, () => this.#tellClient());
  }

  /** One end's process is dead; if its kernel is not, it says so. */
  lose(end: Process, told: boolean): void {
    if (end === this.server) {
      this.serverOpen = false;
      if (told) this.#network.send(this.server.place, this.client.place, this.#down, 0, () => this.#tellClient());
    } else {
      this.clientOpen = false;
      if (told) this.#network.send(this.client.place, this.server.place, this.#up, 0, () => this.#tellServer());
    }
  }
}
