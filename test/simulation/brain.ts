/** One life of one brain: the product's loop and links, unchanged, over simulated ports. */
import type { Decision } from '../../src/cluster/decision.ts';
import type { View, Wanted } from '../../src/cluster/view.ts';
import { Loop } from '../../src/control/loop.ts';
import type { MemberLink } from '../../src/control/port.ts';
import { ServerLink } from '../../src/control/server-link.ts';
import { SupersededError } from '../../src/control/superseded.ts';
import type { Session } from '../../src/mysql/session.ts';
import { Process, type Place } from './network.ts';
import { SimulatedClock, SimulatedEndpoints, SimulatedHosts, SimulatedRecords } from './platform.ts';
import { ADMIN_PORT, SimulatedSession } from './session.ts';
import type { World } from './world.ts';

const PASSWORDS = { controller: '', replication: '', clone: '' };
const HEARTBEAT_SECONDS = 0.5;

export class Brain {
  readonly name: string;
  readonly process: Process;
  readonly clock: SimulatedClock;
  readonly loop: Loop;
  readonly #world: World;
  readonly #stop = new AbortController();
  /** Why it ended by itself; null while it runs, and if it was killed. */
  ended: string | null = null;

  constructor(world: World, name: string, place: Place, wanted: () => Wanted) {
    this.#world = world;
    this.name = name;
    this.process = new Process(world.time, world.network.machine(place));
    this.clock = new SimulatedClock(world.time, this.process, world.random);
    this.loop = new Loop({
      clock: this.clock,
      records: new SimulatedRecords(world.shelf, world, this.process),
      hosts: new SimulatedHosts(world, this.process),
      endpoints: new SimulatedEndpoints(world.addresses, world, this.process),
      journal: {
        write: ({ kind, text, ms, term }) => {
          if (world.traced) world.trace(`${name}/${term} ${kind}: ${text}${ms === undefined ? '' : ` (${ms} ms)`}`);
          world.onNoted(kind, text);
        },
      },
      wanted,
      link: (ordinal) => this.#link(world, ordinal),
      onDecision: (decision, view) => this.#decided(world, decision, view),
    });
    this.loop.run(this.#stop.signal).then(
      () => this.#end(world, 'stopped'),
      (error: unknown) => this.#end(world, error),
    );
  }

  #link(world: World, ordinal: number): MemberLink {
    return new ServerLink({
      ordinal,
      address: () => ({ host: world.member(ordinal).host, port: ADMIN_PORT }),
      passwords: PASSWORDS,
      heartbeatSeconds: HEARTBEAT_SECONDS,
      clock: this.clock,
      confirm: () => this.loop.confirm(),
      // Structurally what a session is; the class's private fields are of no use to the procedures.
      open: (target, signal) =>
        SimulatedSession.open(world, this.process, target, signal) as unknown as Promise<Session>,
    });
  }

  #decided(world: World, decision: Decision, view: View): void {
    if (this.process.alive) world.onDecision(this, decision, view);
  }

  #end(world: World, why: unknown): void {
    if (!this.process.alive) return;
    const superseded = why instanceof SupersededError;
    this.ended = why instanceof Error ? why.message : String(why);
    world.trace(`${this.name} ends: ${this.ended}`);
    this.process.die(true);
    world.onBrainGone();
    if (!superseded && why !== 'stopped')
      world.fail(`a brain ended by itself: ${why instanceof Error ? (why.stack ?? '') : this.ended}`);
  }

  get alive(): boolean {
    return this.process.alive;
  }

  /** kill -9 between any two steps: what it has sent may still land. */
  die(): void {
    this.process.die(true);
    this.#world.onBrainGone();
  }
}
