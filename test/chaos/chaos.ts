/**
 * Chaos on real servers: a local cluster with its daemon, clients of every kind, and things that happen to it at random
 * moments, one or a few at a time. After each of them the cluster has to become healthy by itself; at the end everything
 * that was promised is looked up. The seed decides what is tried, not what comes of it: real processes take their time.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../simulation/random.ts';
import { Books } from './books.ts';
import { Clients } from './clients.ts';
import { FAULTS, type FaultName, type Scene } from './faults.ts';
import { Gaps } from './gaps.ts';
import { Stage } from './stage.ts';
import { verify } from './verify.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** How long things happen; coming up, and looking everything up, takes half a minute more. */
  readonly minutes: number;
  /** Members at the start. Default: 3 or 5, by the seed. */
  readonly members?: number;
  /** Only these. Default: all. */
  readonly only?: readonly string[];
  /** Ends it early: nothing is left behind, and nothing looked up. */
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
}

export interface ChaosOutcome {
  readonly seed: number;
  /** Empty if all is well. */
  readonly violations: readonly string[];
  readonly happened: number;
  readonly acknowledged: number;
  readonly epochs: number;
  readonly reads: number;
  readonly table: string;
  /** What clients were told, the most frequent first. */
  readonly errors: readonly string[];
  /** What happened and what the journal says, in one row of time. */
  readonly timeline: readonly string[];
}

/** A machine that is busy is given time; that it never comes to rest is what is looked for. */
const SETTLE_MS = 120_000;
/** After this long, clients do less, so that what lags can catch up. */
const BRISK_MS = 25_000;
const VERIFY_MS = 120_000;
/** Until then a status may be from before what happened. */
const NOTICED_MS = 500;

export async function runChaos(options: ChaosOptions): Promise<ChaosOutcome> {
  const { seed, signal } = options;
  const random = new Random(seed, 'setup');
  const members = options.members ?? random.pick([3, 3, 5]);
  const events: { readonly at: string; readonly text: string }[] = [];
  const tell = (text: string): void => {
    const at = new Date().toISOString();
    events.push({ at, text });
    options.tell(`${at.slice(11, 23)} ${text}`);
  };
  const broken = new AbortController();
  const books = new Books((text) => {
    tell(`VIOLATED: ${text}`);
    broken.abort();
  });
  const gaps = new Gaps();
  await using stage = await Stage.open({
    spec: { replicas: members },
    smallDisk: random.chance(0.7),
    tell,
    signal,
  });
  tell(`${members} members are up`);
  const clients = await Clients.begin(stage, books, new Random(seed, 'clients'));
  const director = new Director({
    ...options,
    stage,
    clients,
    books,
    gaps,
    tell,
    over: AbortSignal.any([signal, broken.signal]),
  });
  try {
    await director.run();
    await clients.stop();
    if (!signal.aborted) await conclude(stage, books, signal);
  } finally {
    clients.cutOff();
  }
  const journal = await stage.journal();
  const timeline = [
    ...events.map(({ at, text }) => ({ at, line: `● ${text}` })),
    ...journal.map(({ at, kind, text, ms }) => ({
      at,
      line: `  ${kind.padEnd(8)} ${text}${ms === undefined ? '' : ` (${ms} ms)`}`,
    })),
  ];
  return {
    seed,
    violations: books.violations,
    happened: gaps.count,
    acknowledged: books.counts.acknowledged,
    epochs: Math.max(0, ...journal.map(({ epoch }) => epoch)),
    reads: books.counts.reads,
    table: gaps.table(),
    errors: [...books.errors]
      .sort((a, b) => b[1] - a[1])
      .map(([text, count]) => `${String(count).padStart(6)} ${text}`),
    timeline: timeline.sort((a, b) => a.at.localeCompare(b.at)).map(({ at, line }) => `${at.slice(11, 23)} ${line}`),
  };
}

/** What can't be looked up in time is as bad as what is not there. */
async function conclude(stage: Stage, books: Books, signal: AbortSignal): Promise<void> {
  // One that was found wedged is not waited for as long again.
  const limitMs = books.violations.length === 0 ? SETTLE_MS : SETTLE_MS / 10;
  if (!(await stage.settles(limitMs, signal))) {
    if (!signal.aborted) books.violate(`it does not come to rest: ${await stage.words()}`);
    return;
  }
  const late = AbortSignal.any([signal, AbortSignal.timeout(VERIFY_MS)]);
  const ended = once(late, 'abort').then(() => {
    if (!signal.aborted) books.violate(`members did not let themselves be looked at within ${VERIFY_MS / 1000} s`);
  });
  const verified = verify(stage, books).catch((error: Error) =>
    books.violate(`it can't be looked at: ${error.message}`),
  );
  await Promise.race([verified, ended]);
  books.judgeDirectOks(await stage.journal());
}

interface DirectorOptions extends ChaosOptions {
  readonly stage: Stage;
  readonly clients: Clients;
  readonly books: Books;
  readonly gaps: Gaps;
  /** When nothing more is to happen. */
  readonly over: AbortSignal;
}

class Director {
  readonly #options: DirectorOptions;
  readonly #random: Random;
  readonly #untilMs: number;

  constructor(options: DirectorOptions) {
    this.#options = options;
    this.#random = new Random(options.seed, 'faults');
    this.#untilMs = performance.now() + options.minutes * 60_000;
  }

  async run(): Promise<void> {
    const { over } = this.#options;
    while (!over.aborted && performance.now() < this.#untilMs) await this.#episode();
  }

  /** One thing, or a few that overlap; then peace, until the cluster is healthy. */
  async #episode(): Promise<void> {
    const { stage, books, gaps, over, tell } = this.#options;
    const random = this.#random;
    const fromMs = performance.now();
    const count = random.weighted({ 1: 6, 2: 3, 3: 2 });
    const names: FaultName[] = [];
    const running: Promise<void>[] = [];
    for (let at = 0; at < Number(count) && !over.aborted; at++) {
      if (at > 0) await rest(random.between(0, 1500), over);
      const name = await this.#begin(at === 0, running);
      if (name !== null) names.push(name);
    }
    await Promise.all(running);
    await rest(NOTICED_MS, over);
    const settled = (await stage.settles(BRISK_MS, over)) || (await this.#settlesGently());
    const tookMs = performance.now() - fromMs;
    if (!settled && !over.aborted) books.violate(`it does not become healthy: ${await stage.words()}`);
    const kind = names.length === 1 ? String(names[0]) : 'several at once';
    const gapMs = books.longestPauseMs(fromMs, performance.now());
    gaps.add(kind, gapMs);
    tell(
      `healthy again ${(tookMs / 1000).toFixed(1)} s after; writes stood still for ${gapMs.toFixed(0)} ms (${names.join(', ')})`,
    );
    await rest(random.between(200, 1200), over);
  }

  async #settlesGently(): Promise<boolean> {
    const { stage, clients, over, tell } = this.#options;
    if (over.aborted) return false;
    tell(`clients do less: ${await stage.words()}`);
    clients.gentle = true;
    const settled = await stage.settles(SETTLE_MS, over);
    clients.gentle = false;
    return settled;
  }

  /** What can't be done, or is refused, is told and no more. */
  async #begin(first: boolean, running: Promise<void>[]): Promise<FaultName | null> {
    const { stage, clients, over: signal, tell, only } = this.#options;
    const status = await stage.status();
    const replicas = (status?.members ?? []).filter(({ role }) => role === 'replica').map(({ ordinal }) => ordinal);
    const scene: Scene = {
      stage,
      clients,
      random: this.#random,
      primary: status?.primary ?? 0,
      replicas,
      signal,
      tell,
    };
    const possible = (Object.entries(FAULTS) as [FaultName, (typeof FAULTS)[FaultName]][]).filter(
      ([name, fault]) =>
        (only === undefined || only.some((word) => name.includes(word))) &&
        (!('first' in fault) || (first && status?.state === 'healthy')) &&
        (!('possible' in fault) || fault.possible(scene)) &&
        replicas.length > 0,
    );
    if (possible.length === 0) return null;
    const name = this.#random.weighted<FaultName>(
      Object.fromEntries(possible.map(([name, { weight }]) => [name, weight])) as Record<FaultName, number>,
    );
    running.push(FAULTS[name].run(scene).catch((error: Error) => tell(`${name}: not done: ${error.message}`)));
    return name;
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
