/** A member of the simulated platform: its directory, its process, and the supervisor that starts it again. */
import type { HostView, ProcessId, ProcessView, SetAside } from '../../src/cluster/view.ts';
import { Data } from './data.ts';
import { Gtids } from './gtids.ts';
import { Process, type Machine } from './network.ts';
import { Server, type Surroundings } from './server.ts';
import { startSettings } from './settings.ts';
import type { VirtualTime } from './virtual-time.ts';

export interface Aside extends SetAside {
  readonly data: Data;
}

export interface MemberOptions {
  readonly ordinal: number;
  readonly machine: Machine;
  readonly time: VirtualTime;
  readonly world: Surroundings;
  readonly newUuid: () => string;
  readonly powerLoss: boolean;
  readonly netTimeoutMs: number;
  readonly changed: () => void;
  /** Its data is another from now on. */
  readonly onData: (member: Member) => void;
  /** Its data was lost, set aside or set back. */
  readonly onLost: (member: Member) => void;
  /** What was set aside is deleted. */
  /** It is set aside, or filled by a clone, and not by a fault. */
  readonly onDiscarded: (member: Member) => void;
  readonly onDropped: (member: Member, dropped: readonly Aside[]) => void;
}

export class Member {
  readonly ordinal: number;
  readonly host: string;
  readonly machine: Machine;
  readonly #options: MemberOptions;
  data: Data | null = null;
  server: Server | null = null;
  asides: readonly Aside[] = [];
  /** What is set aside, all in all; worked out once. */
  #asideView: SetAside | null = null;
  wanted = false;
  /** What keeps it from being started: a fault that holds it down, a machine without power. */
  heldDown = 0;
  bootId: string;
  #id: ProcessId | null = null;
  #sinceMs = 0;
  #pids: number;
  #generation = 0;
  #starting = 0;
  #failures = 0;
  readonly #awaitingEnd: (() => void)[] = [];

  constructor(options: MemberOptions) {
    this.#options = options;
    this.ordinal = options.ordinal;
    this.machine = options.machine;
    this.host = `member-${options.ordinal}`;
    this.#pids = 1000 * (options.ordinal + 1);
    this.bootId = options.newUuid();
  }

  view(): HostView {
    if (this.asides.length === 0) this.#asideView = null;
    else this.#asideView ??= this.#aside();
    return {
      ordinal: this.ordinal,
      process: this.#processView(),
      bootId: this.bootId,
      aside: this.#asideView,
      trouble: null,
      disk: this.data?.full === true ? 'disk full: no room left' : null,
      room: this.data?.full === false,
      host: this.host,
      port: 3306,
    };
  }

  #aside(): SetAside {
    const rows = new Gtids();
    for (const { data } of this.asides) rows.addAll(rowsIn(data));
    return { serverUuid: this.asides[0]?.serverUuid ?? '', rows: rows.toString() };
  }

  #processView(): ProcessView {
    if (this.#id !== null) return { kind: 'running', id: this.#id, sinceMs: this.#sinceMs };
    return this.wanted ? { kind: 'gone', trouble: null } : { kind: 'absent' };
  }

  get running(): ProcessId | null {
    return this.#id;
  }

  /** Makes sure that it runs, from now on. */
  start(): void {
    this.wanted = true;
    this.launch();
  }

  launch(): void {
    const { time, world, machine, newUuid, onData } = this.#options;
    if (!this.wanted || this.#id !== null || this.heldDown > 0 || !machine.up) return;
    const fresh = this.data === null;
    if (this.data === null) {
      this.data = new Data(newUuid(), 100 * ++this.#generation + this.ordinal);
      onData(this);
    }
    const { data } = this;
    const { powerLoss, netTimeoutMs } = this.#options;
    const settings = startSettings({ ordinal: this.ordinal, serverId: data.serverId, powerLoss, netTimeoutMs });
    data.recover();
    if (settings.get('relay_log_recovery') !== 'OFF') data.forgetUnapplied();
    const server = new Server(this.ordinal, new Process(time, machine), data, world, settings);
    server.onExit = () => {
      this.#options.onDiscarded(this);
      this.#exit(server, 0);
    };
    this.server = server;
    this.#id = { pid: ++this.#pids, startTime: String(Math.round(time.nowMs)) };
    this.#sinceMs = time.nowMs;
    const start = ++this.#starting;
    server.after(world.random.between(600, fresh ? 2000 : 1500), () => {
      if (start !== this.#starting) return;
      server.listening = true;
      if (!server.isOn('skip_replica_start')) {
        server.receiver.start();
        server.applier.start();
      }
      this.#failures = 0;
      world.trace(`member ${this.ordinal} is up`);
      this.#options.changed();
    });
    this.#options.changed();
  }

  /** SIGKILL. A process that was told to end by its own wish comes back at once. */
  kill(told = true): void {
    const { server } = this;
    if (server === null) return;
    server.process.die(told);
    this.#exit(server, this.#failures++ === 0 ? 0 : Math.min(10_000, 100 * 2 ** this.#failures));
  }

  #exit(server: Server, delayMs: number): void {
    if (this.server !== server) return;
    this.#ended();
    if (server.process.alive) server.process.die(true);
    this.server = null;
    this.#id = null;
    this.#starting++;
    this.#options.changed();
    this.#options.time.after(delayMs + 5, () => this.launch());
  }

  /** However it ended, whoever waits for that is told. */
  #ended(): void {
    for (const gone of this.#awaitingEnd.splice(0)) gone();
  }

  /** SIGTERM, then started again if it is still wanted. */
  terminate(gone: () => void): void {
    const { server } = this;
    if (server === null) return gone();
    this.#awaitingEnd.push(gone);
    server.terminate(() => this.#exit(server, 0));
  }

  freeze(): void {
    this.server?.process.freeze();
  }

  thaw(): void {
    this.server?.process.thaw();
  }

  loseDisk(): void {
    this.kill();
    this.data = null;
    this.asides = [];
    this.#options.onLost(this);
    this.#options.onData(this);
  }

  /** Power: what was not synced is gone, the process with it. */
  losePower(keepRelay: (length: number) => number): void {
    const { server, data } = this;
    if (server !== null) {
      server.process.die(false);
      this.#ended();
      this.server = null;
      this.#id = null;
      this.#starting++;
    }
    data?.loseUnsynced(keepRelay(data.relay.length));
    if (!this.#options.powerLoss) this.#options.onLost(this);
    this.#options.changed();
  }

  dropAside(): void {
    const dropped = this.asides;
    this.asides = [];
    this.#options.onDropped(this, dropped);
  }

  setAside(): void {
    this.#options.onDiscarded(this);
    this.kill();
    if (this.data !== null) {
      const rows = rowsIn(this.data).toString();
      const held = new Gtids();
      for (const { data } of this.asides) held.addAll(rowsIn(data));
      if (!held.contains(rowsIn(this.data))) {
        this.asides = [...this.asides, { serverUuid: this.data.serverUuid, rows, data: this.data }];
        this.#asideView = null;
      }
    }
    this.data = null;
    this.#options.onLost(this);
    this.#options.onData(this);
  }
}

export function rowsIn(data: Data): Gtids {
  const rows = data.executed.copy();
  rows.addAll(data.received);
  for (let position = data.committed; position < data.end; position++) rows.add(data.at(position));
  return rows;
}
