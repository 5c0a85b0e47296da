/**
 * Hunts for lost writes in simulated histories.
 *
 *   npm run simulate -- --seeds 1000           fresh seeds; from a given one with --from
 *   npm run simulate -- --seed 7 --verbose     one history, as a timeline
 *   npm run simulate -- --seed 7 --shrink      the fewest faults with which it still fails, as a timeline
 *   npm run simulate -- --scenario late-swap   one of the named counterexamples
 *   npm run simulate -- --scenarios            writes the table of these
 *   npm run simulate -- --mutations            switches the rules off one by one: each has to be noticed; writes the table
 *   npm run simulate -- --mutation NAME        one of them; together with --seed, --shrink and --verbose, to look at what it does
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string' },
    seed: { type: 'string' },
    /** Plays one of the named counterexamples instead. */
    scenario: { type: 'string' },
    scenarios: { type: 'boolean', default: false },
    /** With --seed: takes away what its failure does not need, and shows what is left. */
    shrink: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    /** Ends after so many failures. */
    failures: { type: 'string' },
    mutation: { type: 'string', multiple: true },
    mutations: { type: 'boolean', default: false },
    /** Only mutations that the table does not have yet. */
    missing: { type: 'boolean', default: false },
    /** Begins no further mutation after so many minutes. */
    minutes: { type: 'string', default: '600' },
  },
});

const SHRINK_TRIES = 400;
const FAILURES = 20;
/** Histories for one mutation; and how many at most, where none of these fails. */
const COUNTED = 50;
const MOST_TRIED = 1000;
const SCENARIO_TABLE = new URL('../test/simulation/counterexamples.md', import.meta.url);
const TABLE = new URL('../test/simulation/mutations.md', import.meta.url);
const here = fileURLToPath(import.meta.url);
const mutate = new URL('../test/simulation/mutate.ts', import.meta.url).href;
const mutant = process.env['SIMULATION_MUTATION'];

if (mutant === undefined && values.mutation !== undefined && (values.seed ?? values.scenario) !== undefined) {
  // One history without a rule, to look at.
  await tryOne(values.mutation[0] ?? '', process.argv.slice(2), 'inherit');
} else if (mutant === undefined && (values.mutations || values.mutation !== undefined)) {
  await tryMutations(values.mutation ?? null);
} else if (values.scenarios) {
  const { scenarioTable } = await import('../test/simulation/scenario-table.ts');
  writeFileSync(SCENARIO_TABLE, scenarioTable());
} else if (values.scenario !== undefined) {
  await play(values.scenario);
} else if (values.shrink) {
  await shrinkOne(Number(values.seed));
} else {
  await simulate();
}

async function shrinkOne(seed: number): Promise<void> {
  const { runHistory } = await import('../test/simulation/history.ts');
  const { shrink } = await import('../test/simulation/shrink.ts');
  const whole = await runHistory({ seed });
  if (whole.failure === null) return console.log(`seed ${seed} does not fail`);
  console.log(`${whole.failure}\n${whole.faults.length} faults`);
  const { faults, stormMs } = await shrink(whole, {
    tries: SHRINK_TRIES,
    onLess: (less) => console.log(`${less.length} faults`),
  });
  await runHistory({ seed, faults, stormMs, onTrace: (line) => console.log(line) });
}

async function play(name: string): Promise<void> {
  const { SCENARIOS } = await import('../test/simulation/scenarios.ts');
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (scenario === undefined) throw new Error(`there is no ${name}: ${SCENARIOS.map((one) => one.name).join(', ')}`);
  const failure = await scenario.play().then(
    () => null,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  console.log(failure ?? `${name}: held`);
  process.send?.({ failed: failure === null ? 0 : 1, tried: 1, first: failure?.split('\n')[0] ?? '' });
  process.exitCode = failure === null ? 0 : 1;
}

async function simulate(): Promise<void> {
  const { runHistory } = await import('../test/simulation/history.ts');
  const one = values.seed === undefined ? null : Number(values.seed);
  const from = one ?? Number(values.from ?? Date.now() % 1_000_000_000);
  const count = one === null ? Number(values.seeds) : 1;
  const most = Number(values.failures ?? FAILURES);
  const began = process.cpuUsage();
  let [tried, failed, virtualMs] = [0, 0, 0];
  let first = '';
  if (one === null) console.log(`${count} histories from seed ${from}`);
  for (let seed = from; seed < from + count && failed < most; seed++) {
    const outcome = await runHistory({ seed, ...(values.verbose ? { onTrace: (line) => console.log(line) } : {}) });
    tried++;
    virtualMs += outcome.virtualMs;
    if (one !== null) {
      console.log(outcome.setup);
      console.log(`${outcome.acknowledged} writes acknowledged, ${outcome.epochs} epochs, ${outcome.events} events`);
    }
    if (outcome.failure === null) continue;
    failed++;
    if (first === '') first = outcome.failure;
    console.log(`seed ${seed}: ${outcome.failure}`);
  }
  const { user, system } = process.cpuUsage(began);
  const [minutes, cpuMinutes] = [virtualMs / 60_000, (user + system) / 60e6];
  console.log(
    `${failed} of ${tried} failed; ${minutes.toFixed(0)} virtual minutes, ${Math.round(minutes / cpuMinutes)} per CPU-minute`,
  );
  process.send?.({ failed, tried, first });
  process.exitCode = failed === 0 ? 0 : 1;
}

interface Found {
  readonly failed: number;
  readonly tried: number;
  readonly first: string;
}

async function tryMutations(names: readonly string[] | null): Promise<void> {
  const { MUTATIONS } = await import('../test/simulation/mutations.ts');
  const { SCENARIOS } = await import('../test/simulation/scenarios.ts');
  const { printTable, readTable } = await import('../test/simulation/mutation-table.ts');
  const unnoticed: string[] = [];
  const endMs = performance.now() + Number(values.minutes) * 60_000;
  for (const { name, rule } of MUTATIONS) {
    let rows = readTable(readFileSync(TABLE, 'utf8'));
    if (names !== null && !names.includes(name)) continue;
    if (values.missing && rows.some((row) => row.name === name)) continue;
    if (performance.now() > endMs) break;
    const forced: string[] = [];
    for (const scenario of SCENARIOS.filter(({ mutation }) => mutation === name)) {
      const { failed } = await tryOne(name, ['--scenario', scenario.name]);
      if (failed === 0) unnoticed.push(`${name} (by ${scenario.name})`);
      else forced.push(scenario.name);
    }
    const { failed, tried, first } = await tryHistories(name);
    const says = first.replace(/^at [\d.]+ s: /, '').replace(/[:;,] .*/s, '');
    if (failed === 0) unnoticed.push(name);
    console.log(`${name.padEnd(40)} ${failed} of ${tried}  ${says}  ${forced.join(', ')}`);
    rows = [...rows.filter((row) => row.name !== name), { name, rule, failed, tried, says, scenarios: forced }];
    writeFileSync(TABLE, printTable(rows));
  }
  if (unnoticed.length > 0) console.log(`NOT NOTICED: ${unnoticed.join(', ')}`);
  process.exitCode = unnoticed.length > 0 ? 1 : 0;
}

async function tryHistories(name: string): Promise<Found> {
  const from = Number(values.from ?? 1);
  const histories = (first: number, count: number, failures: number): Promise<Found> =>
    tryOne(name, ['--from', String(first), '--seeds', String(count), '--failures', String(failures)]);
  const counted = await histories(from, COUNTED, Number(values.failures ?? COUNTED));
  if (counted.failed > 0 || counted.tried < COUNTED) return counted;
  const more = await histories(from + COUNTED, MOST_TRIED - COUNTED, 1);
  return { ...more, tried: COUNTED + more.tried };
}

/** Each in a process of its own, since it is a matter of how the sources are loaded. */
function tryOne(name: string, what: readonly string[], output: 'ignore' | 'inherit' = 'ignore'): Promise<Found> {
  const child = spawn(process.execPath, [...process.execArgv, '--import', mutate, here, ...what], {
    env: { ...process.env, SIMULATION_MUTATION: name },
    stdio: ['ignore', output, 'inherit', 'ipc'],
  });
  return new Promise((resolve) => {
    let found: Found = { failed: 0, tried: 0, first: 'it did not even run' };
    child.on('message', (message) => (found = message as Found));
    child.once('exit', () => resolve(found));
  });
}
