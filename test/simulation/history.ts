/** One history: a seed decides the cluster, its faults and every chance; the outcome is all well, or what failed and when. */
import './abort.ts';
import { Injector, planFaults, type Planned } from './faults.ts';
import { Random } from './random.ts';
import { World, type WorldOptions } from './world.ts';

export interface HistoryOptions {
  readonly seed: number;
  /** Instead of the faults that the seed would draw. */
  readonly faults?: readonly Planned[];
  readonly onTrace?: (line: string) => void;
  /** Virtual time under faults. Default 240 s. */
  readonly stormMs?: number;
}

export interface Outcome {
  readonly seed: number;
  readonly failure: string | null;
  readonly faults: readonly Planned[];
  readonly stormMs: number;
  readonly setup: string;
  readonly acknowledged: number;
  readonly virtualMs: number;
  readonly events: number;
  readonly epochs: number;
  /** From the end of all faults to a healthy cluster. */
  readonly settledMs: number | null;
}

const STORM_MS = 240_000;
/** Once faults are over, the cluster is healthy within this. */
const SETTLE_MS = 60_000;
/** A clone that lost its donor is given up after a minute, and begun again. */
const CLONED_MS = 90_000;
const STEP_MS = 250;
const REST_MS = 60_000;

export async function runHistory(options: HistoryOptions): Promise<Outcome> {
  const { seed } = options;
  // Errors are many, and where they come from is of interest only to somebody who reads the timeline.
  Error.stackTraceLimit = options.onTrace === undefined ? 0 : 30;
  const chance = new Random(seed, 'setup');
  const version = chance.chance(0.3) ? '8.4.6' : '9.7.0';
  const members = chance.pick(version.startsWith('8') ? [3, 3, 2, 6, 6] : [3, 3, 3, 3, 4, 4, 5, 5, 2, 1, 6]);
  // With two, quorum is nobody's default, and cannot do without either.
  const asked = members === 2 && chance.chance(0.25) ? 'quorum' : null;
  const mode = chance.chance(0.75) ? asked : chance.pick(['quorum', 'adaptive', 'adaptive', 'asynchronous'] as const);
  const setup: WorldOptions = {
    seed,
    members,
    mode,
    powerLoss: chance.chance(0.3),
    version,
    platform: chance.chance(0.5) ? 'one-machine' : 'machines',
    clients: 1 + chance.int(3),
    straight: chance.chance(0.4),
    thinkMs: chance.between(80, 600),
    onTrace: options.onTrace ?? null,
  };
  const stormMs = options.stormMs ?? STORM_MS;
  const faults = options.faults ?? planFaults(new Random(seed, 'faults'), members, stormMs);
  const world = new World(setup);
  const injector = new Injector(world, new Random(seed, 'targets'));
  const { onTrace: _, ...shown } = setup;
  world.trace(JSON.stringify(shown));
  world.startBrain();
  for (const planned of faults) injector.plan(planned);
  world.onNoted = (kind, text) => injector.onNoted(kind, text);
  await goOn(world, stormMs);
  let settledMs: number | null = null;
  if (world.failure === null) {
    injector.endAll();
    world.trace('every fault is over');
    settledMs = await settle(world, stormMs);
  }
  if (world.failure === null) {
    for (const client of world.clients) client.stop();
    // What is on its way arrives, and a slow applier comes to its end.
    const end = world.time.nowMs + REST_MS;
    do await goOn(world, world.time.nowMs + 3000);
    while (world.time.nowMs < end && !world.checks.equal());
    world.checks.atEnd();
  }
  if (world.failure !== null) for (const line of world.picture()) world.trace(line);
  return {
    seed,
    failure: world.failure,
    faults,
    stormMs,
    setup: JSON.stringify(shown),
    acknowledged: world.checks.acknowledged.length,
    virtualMs: world.time.nowMs,
    events: world.time.events,
    epochs: world.shelf.record?.epoch ?? 0,
    settledMs,
  };
}

/** What can't be simulated is a failure like any other: a mutation may lead there. */
async function goOn(world: World, untilMs: number): Promise<void> {
  try {
    await world.time.run(untilMs);
  } catch (error) {
    world.fail(`it can't be simulated: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function settle(world: World, sinceMs: number): Promise<number | null> {
  let limitMs = SETTLE_MS;
  while (world.failure === null) {
    if (world.livingBrains.length === 0) world.startBrain();
    await goOn(world, world.time.nowMs + STEP_MS);
    const missing = world.checks.unsettled();
    const tookMs = world.time.nowMs - sinceMs;
    if (missing === null) return tookMs;
    if (world.members.some(({ server }) => server?.cloning != null)) limitMs = CLONED_MS;
    if (tookMs > limitMs) world.fail(`not healthy ${limitMs / 1000} s after the last fault: ${missing}`);
  }
  return null;
}
