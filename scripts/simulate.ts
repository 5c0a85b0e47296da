/**
 * Hunts for lost writes in simulated histories.
 *
 *   npm run simulate -- --seeds 1000           fresh seeds; from a given one with --from
 *   npm run simulate -- --seed 7 --verbose     one history, as a timeline
 *   npm run simulate -- --seed 7 --shrink      the fewest faults with which it still fails, as a timeline
 *   npm run simulate -- --scenario late-swap   one of the named counterexamples
 *   npm run simulate -- --mutations            switches the rules off one by one: each has to be noticed
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string' },
    seed: { type: 'string' },
    /** Plays one of the named counterexamples instead. */
    scenario: { type: 'string' },
    /** With --seed: takes away what its failure does not need, and shows what is left. */
    shrink: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
    /** Go on after so many failures. */
    failures: { type: 'string', default: '20' },
    mutation: { type: 'string', multiple: true },
    mutations: { type: 'boolean', default: false },
    /** Where the table of mutations is written to. */
    table: { type: 'string' },
  },
});

const SHRINK_TRIES = 400;
const here = fileURLToPath(import.meta.url);
const mutate = new URL('../test/simulation/mutate.ts', import.meta.url).href;

if (values.mutations || (values.mutation !== undefined && process.env['SIMULATION_MUTATION'] === undefined)) {
  await tryMutations(values.mutation ?? null);
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
  const { faults, stormMs } = await shrink(whole, SHRINK_TRIES, (less) => console.log(`${less.length} faults`));
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
  const began = performance.now();
  let [tried, failed, virtualMs, events] = [0, 0, 0, 0];
  let first = '';
  if (one === null) console.log(`${count} histories from seed ${from}`);
  for (let seed = from; seed < from + count && failed < Number(values.failures); seed++) {
    const outcome = await runHistory({ seed, ...(values.verbose ? { onTrace: (line) => console.log(line) } : {}) });
    tried++;
    virtualMs += outcome.virtualMs;
    events += outcome.events;
    if (one !== null) {
      console.log(outcome.setup);
      console.log(`${outcome.acknowledged} writes acknowledged, ${outcome.epochs} epochs, ${outcome.events} events`);
    }
    if (outcome.failure === null) continue;
    failed++;
    if (first === '') first = outcome.failure;
    console.log(`seed ${seed}: ${outcome.failure}`);
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `${failed} of ${tried} failed; ${(virtualMs / 60_000).toFixed(0)} virtual minutes in ${seconds.toFixed(1)} s, ` +
      `${Math.round(events / seconds)} events/s`,
  );
  process.send?.({ failed, tried, first });
  process.exitCode = failed === 0 ? 0 : 1;
}

interface Found {
  readonly failed: number;
  readonly tried: number;
  readonly first: string;
}

/** Each in a process of its own, since it is a matter of how the sources are loaded. */
async function tryMutations(names: readonly string[] | null): Promise<void> {
  const { MUTATIONS } = await import('../test/simulation/mutations.ts');
  const { SCENARIOS } = await import('../test/simulation/scenarios.ts');
  const rows: string[] = [];
  const unnoticed: string[] = [];
  for (const { name, rule } of MUTATIONS) {
    if (names !== null && !names.includes(name)) continue;
    const forced: string[] = [];
    for (const scenario of SCENARIOS.filter(({ mutation }) => mutation === name)) {
      const { failed } = await tryOne(name, ['--scenario', scenario.name]);
      if (failed === 0) unnoticed.push(`${name} (by ${scenario.name})`);
      forced.push(failed === 0 ? `NOT ${scenario.name}` : scenario.name);
    }
    const { failed, tried, first } = await tryOne(name, ['--seeds', values.seeds, '--from', values.from ?? '1']);
    const noticed = first.replace(/^at [\d.]+ s: /, '').replace(/[:;,] .*/s, '');
    if (failed === 0) unnoticed.push(name);
    console.log(`${name.padEnd(40)} ${failed} of ${tried}  ${noticed}  ${forced.join(', ')}`);
    rows.push(`| ${name} | ${rule} | ${failed} of ${tried} | ${noticed} | ${forced.join(', ')} |`);
  }
  if (values.table !== undefined) {
    const head =
      '| rule switched off | what it says | histories that notice | what the first one says | scenarios that notice |\n|---|---|---|---|---|\n';
    writeFileSync(values.table, `${head}${rows.join('\n')}\n`);
  }
  if (unnoticed.length > 0) console.log(`NOT NOTICED: ${unnoticed.join(', ')}`);
  process.exitCode = unnoticed.length > 0 ? 1 : 0;
}

function tryOne(name: string, what: readonly string[]): Promise<Found> {
  const args = ['--import', mutate, here, ...what, '--failures', values.failures];
  if (values.verbose) args.push('--verbose');
  const child = spawn(process.execPath, args, {
    env: { ...process.env, SIMULATION_MUTATION: name },
    stdio: ['ignore', values.verbose ? 'inherit' : 'ignore', 'inherit', 'ipc'],
  });
  return new Promise((resolve) => {
    let found: Found = { failed: 0, tried: 0, first: 'it did not even run' };
    child.on('message', (message) => (found = message as Found));
    child.once('exit', () => resolve(found));
  });
}
