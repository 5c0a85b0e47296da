/** The same script, step by step, on both sides; after each step both have to be seen as the same. */
import assert from 'node:assert/strict';
import type { Servers } from '../mysql/servers.ts';
import { RealSide } from './real-side.ts';
import type { Deed, MemberPicture, Picture, Side, Who } from './side.ts';
import { SimulatedSide } from './simulated-side.ts';

/** Virtual: whatever a step sets off is over by then, or waits for something that is still to come. */
const REST_MS = 4000;
/** Real: how long it may take until it is so. */
const AGREE_MS = 20_000;
/** innodb_trx shows nothing new to who asks more often than every 0.1 s. */
const AGAIN_MS = 110;

export class Pair implements AsyncDisposable {
  readonly #real: RealSide;
  readonly #simulated: SimulatedSide;
  readonly #ordinals: readonly number[];
  readonly #steps: string[] = [];
  /** Each is told once. */
  readonly #differences = new Set<string>();
  readonly #told: string[] = [];
  readonly #sessions = new Map<string, ReadonlyMap<Side, Awaited<ReturnType<Side['run']>>>>();
  #seen: Picture = { members: {}, outcomes: {} };
  #rows = 0;

  private constructor(real: RealSide, simulated: SimulatedSide, ordinals: readonly number[]) {
    this.#real = real;
    this.#simulated = simulated;
    this.#ordinals = ordinals;
  }

  /** So many members, closed and empty. */
  static async born(servers: Servers, members: number, seed = 1): Promise<Pair> {
    const ordinals = Array.from({ length: members }, (_, ordinal) => ordinal);
    const pair = new Pair(await RealSide.begin(servers, ordinals), new SimulatedSide(seed), ordinals);
    for (const ordinal of ordinals) await pair.#do(`start ${ordinal}`, (side) => side.start(ordinal));
    await pair.agree();
    return pair;
  }

  /** Member 0 is open, waiting for so many acknowledgements; the others follow it. */
  static async replicating(servers: Servers, members: number, required: number): Promise<Pair> {
    const pair = await Pair.born(servers, members);
    const others = pair.#ordinals.slice(1);
    await pair.open(0, required, others);
    for (const ordinal of others) await pair.follow(ordinal, 0);
    await pair.act(0, { kind: 'write-epoch', clusterId: CLUSTER, epoch: 1, term: 1 });
    return pair;
  }

  async #do(what: string, run: (side: Side) => Promise<unknown> | void): Promise<void> {
    this.#steps.push(what);
    try {
      await run(this.#simulated);
      await run(this.#real);
    } catch (error) {
      throw new Error(`after:\n  ${this.#steps.join('\n  ')}`, { cause: error });
    }
  }

  async #step(what: string, run: (side: Side) => Promise<unknown> | void): Promise<void> {
    await this.#do(what, run);
    await this.agree();
  }

  /** Notes what is not seen to become, and to stay, of the real ones as it is of the simulated. */
  async agree(): Promise<void> {
    await this.#simulated.pass(REST_MS);
    const expected = await this.#simulated.look(this.#ordinals);
    this.#seen = expected;
    assert.equal(this.#simulated.failure, null);
    const deadlineMs = performance.now() + (this.#differences.size === 0 ? AGREE_MS : AGREE_MS / 4);
    for (let times = 0; times < 2;) {
      const actual = await this.#real.look(this.#ordinals);
      const found = differences(actual, expected).filter((difference) => !this.#differences.has(difference));
      times = found.length === 0 ? times + 1 : 0;
      if (performance.now() > deadlineMs) {
        const after = this.#steps.map((step, at) => `${at === this.#steps.length - 1 ? '>' : ' '} ${step}`);
        this.#told.push([...(this.#told.length === 0 ? after : after.slice(-1)), ...found].join('\n'));
        if (process.env['BATON_AGREEMENT_SEED'] !== undefined) this.#told.push(JSON.stringify(actual.members, null, 1));
        for (const difference of found) this.#differences.add(difference);
        return;
      }
      await this.#real.rest(AGAIN_MS);
    }
  }

  /** Every step at which they differed, and in what. */
  get disagreements(): string {
    return this.#told.join('\n');
  }

  /** How it was last seen; null if it did not answer. */
  member(ordinal: number): MemberPicture | null {
    const seen = this.#seen.members[ordinal];
    return seen === undefined || typeof seen === 'string' ? null : seen;
  }

  // ── The brain's acts ──────────────────────────────────────────────────────────────────────────────────────────────

  act(ordinal: number, deed: Deed): Promise<void> {
    tried.add(deed.kind);
    const name = `${this.#name()} ${deed.kind} ${ordinal}`;
    return this.#step(name, (side) => side.act(name, ordinal, deed));
  }

  /** The brain dies after so many statements of it. */
  cutOff(ordinal: number, deed: Deed, statements: number): Promise<void> {
    const name = `${this.#name()} ${deed.kind} ${ordinal} cut off after ${statements} statements`;
    return this.#step(name, (side) => side.actCutOff(name, ordinal, deed, statements));
  }

  followCutOff(ordinal: number, source: number, statements: number): Promise<void> {
    const name = `${this.#name()} follow ${source} by ${ordinal} cut off after ${statements} statements`;
    return this.#step(name, (side) =>
      side.actCutOff(name, ordinal, { kind: 'follow', source: side.route(source, ordinal) }, statements),
    );
  }

  async open(ordinal: number, required: number, unlocked: readonly number[]): Promise<void> {
    await this.act(ordinal, { kind: 'prepare', required, unlocked });
    await this.act(ordinal, { kind: 'open', required });
  }

  follow(ordinal: number, source: number): Promise<void> {
    return this.#towards('follow', ordinal, source);
  }

  turn(ordinal: number, source: number): Promise<void> {
    return this.#towards('turn', ordinal, source);
  }

  clone(ordinal: number, donor: number): Promise<void> {
    tried.add('clone');
    const name = `${this.#name()} clone ${ordinal} from ${donor}`;
    return this.#step(name, (side) => side.act(name, ordinal, { kind: 'clone', donor: side.route(donor, ordinal) }));
  }

  #towards(kind: 'follow' | 'turn', ordinal: number, source: number): Promise<void> {
    tried.add(kind);
    const name = `${this.#name()} ${kind} ${source} by ${ordinal}`;
    return this.#step(name, (side) => side.act(name, ordinal, { kind, source: side.route(source, ordinal) }));
  }

  /** Binlogs go that all of these have executed. */
  purge(ordinal: number, ...held: number[]): Promise<void> {
    tried.add('purge');
    const name = `${this.#name()} purge ${ordinal}`;
    return this.#step(name, async (side) => side.act(name, ordinal, { kind: 'purge', keep: await side.held(held) }));
  }

  replaceBrain(ordinal: number): Promise<void> {
    return this.#step(`another brain looks after ${ordinal}`, (side) => side.replaceBrain(ordinal));
  }

  // ── Clients ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The name of its session. */
  async write(ordinal: number): Promise<string> {
    const row = ++this.#rows;
    const name = `${this.#name()} write row ${row} at ${ordinal}`;
    await this.#statement(name, ordinal, 'client', (side) => side.insert(row));
    return name;
  }

  get nextRow(): number {
    return this.#rows + 1;
  }

  async account(ordinal: number): Promise<string> {
    const name = `${this.#name()} account statement at ${ordinal}`;
    await this.#statement(name, ordinal, 'admin', () => [`CREATE USER somebody_${this.#steps.length}`]);
    return name;
  }

  /** A brain that holds the lock writes in that very session, as ours never does. */
  async holdLockAndWrite(ordinal: number): Promise<string> {
    const name = `${this.#name()} a write in the session that holds the lock of ${ordinal}`;
    await this.#statement(
      name,
      ordinal,
      'brain',
      () => ['INSERT INTO baton.barrier (id, passed) VALUES (1, 1) ON DUPLICATE KEY UPDATE passed = passed + 1'],
      ["SELECT GET_LOCK('baton.controller', 0) AS got, IS_USED_LOCK('baton.controller') AS holder"],
    );
    return name;
  }

  async #statement(
    name: string,
    ordinal: number,
    who: Who,
    statement: (side: Side) => readonly [string, ...number[]],
    before: readonly string[] = [],
  ): Promise<void> {
    const sessions = new Map<Side, Awaited<ReturnType<Side['run']>>>();
    this.#sessions.set(name, sessions);
    await this.#step(name, async (side) => {
      const [sql, ...values] = statement(side);
      sessions.set(side, await side.run(name, ordinal, who, sql, values, before));
    });
  }

  /** KILL CONNECTION of the session that began this. */
  killSession(ordinal: number, name: string): Promise<void> {
    return this.#step(`KILL of ${name}`, (side) =>
      side.ask(ordinal, `KILL CONNECTION ${this.#sessions.get(name)?.get(side)?.id ?? 0}`),
    );
  }

  /** The client goes away. */
  leave(name: string): Promise<void> {
    return this.#step(`its client is gone: ${name}`, (side) => this.#sessions.get(name)?.get(side)?.destroy());
  }

  ask(ordinal: number, sql: string): Promise<void> {
    return this.#step(`${sql} at ${ordinal}`, (side) => side.ask(ordinal, sql));
  }

  endReplicationConnections(ordinal: number): Promise<void> {
    return this.#step(`KILL of replication connections at ${ordinal}`, async (side) => {
      const select = String.raw`SELECT ID FROM performance_schema.processlist WHERE USER LIKE 'baton\_replica\_%'`;
      for (const row of await side.ask(ordinal, select))
        await side.ask(ordinal, `KILL CONNECTION ${Number(row['ID'])}`);
    });
  }

  // ── Faults ────────────────────────────────────────────────────────────────────────────────────────────────────────

  fault(
    kind: 'start' | 'kill' | 'stop' | 'freeze' | 'loseData' | 'writeErrant' | 'stopApplier' | 'cloneHeldUp' | 'rotate',
    ordinal: number,
  ): Promise<void> {
    return this.#step(`${kind} ${ordinal}`, (side) => side[kind](ordinal));
  }

  thaw(ordinal: number): Promise<void> {
    return this.#step(`thaw ${ordinal}`, (side) => {
      side.thaw(ordinal);
      return side.forget(ordinal);
    });
  }

  link(kind: 'cut' | 'cutAnswers' | 'mend', one: number, other: number): Promise<void> {
    return this.#step(`${kind} ${one} ${other}`, (side) => side[kind](one, other));
  }

  obstacle(kind: 'obstruct' | 'unobstruct', ordinal: number, row: number): Promise<void> {
    return this.#step(`${kind} ${ordinal} row ${row}`, (side) => side[kind](ordinal, row));
  }

  #name(): string {
    return String(this.#steps.length).padStart(2, '0');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#real[Symbol.asyncDispose]();
  }
}

/** Every kind of act that any script has asked for. */
export const tried = new Set<Deed['kind']>();

export const CLUSTER = '00000000-0000-4000-8000-000000000001';

/** Path by path. */
function differences(actual: unknown, expected: unknown, path = ''): string[] {
  if (typeof actual === 'object' && typeof expected === 'object' && actual !== null && expected !== null) {
    const keys = new Set([...Object.keys(actual), ...Object.keys(expected)]);
    return [...keys].flatMap((key) =>
      differences(
        (actual as Record<string, unknown>)[key],
        (expected as Record<string, unknown>)[key],
        path === '' ? key : `${path}.${key}`,
      ),
    );
  }
  return Object.is(actual, expected)
    ? []
    : [`${path}: real ${JSON.stringify(actual)}, simulated ${JSON.stringify(expected)}`];
}
