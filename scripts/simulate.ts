/** Hunts for lost writes in simulated histories: `npm run simulate -- --seeds 1000`, `--seed N --verbose`. */
import { parseArgs } from 'node:util';
import { runHistory } from '../test/simulation/history.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string' },
    seed: { type: 'string' },
    verbose: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});

const one = values.seed === undefined ? null : Number(values.seed);
const from = one ?? Number(values.from ?? Math.floor(Date.now() % 1e9));
const count = one === null ? Number(values.seeds) : 1;
console.log(`${count} histories from seed ${from}`);
const began = performance.now();
let failed = 0;
let virtualMs = 0;
let events = 0;
for (let seed = from; seed < from + count; seed++) {
  const outcome = await runHistory({ seed, ...(values.verbose ? { onTrace: (line) => console.log(line) } : {}) });
  virtualMs += outcome.virtualMs;
  events += outcome.events;
  if (one !== null)
    console.log(outcome.setup, `${outcome.acknowledged} writes, ${outcome.epochs} epochs, ${outcome.events} events`);
  if (outcome.failure === null) continue;
  failed++;
  console.log(`seed ${seed}: ${outcome.failure}`);
  if (!values.keep && failed >= 20) break;
}
const seconds = (performance.now() - began) / 1000;
console.log(
  `${failed} failed; ${(virtualMs / 60_000).toFixed(0)} virtual minutes in ${seconds.toFixed(1)} s, ` +
    `${Math.round(events / seconds)} events/s`,
);
process.exitCode = failed === 0 ? 0 : 1;
