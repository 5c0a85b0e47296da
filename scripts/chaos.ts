/** Chaos on real servers: `npm run chaos -- --minutes 10`, `--seed N`, `--members 5`, `--only "freeze,cut"`. */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { runChaos } from '../test/chaos/chaos.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    seed: { type: 'string' },
    members: { type: 'string' },
    only: { type: 'string' },
    /** A file for the whole timeline. */
    timeline: { type: 'string' },
  },
});

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    if (interrupted.signal.aborted) return;
    console.log(`${name}: everything is stopped and removed`);
    interrupted.abort();
  });
}

const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
console.log(`seed ${seed}`);
const outcome = await runChaos({
  seed,
  minutes: Number(values.minutes),
  ...(values.members === undefined ? {} : { members: Number(values.members) }),
  ...(values.only === undefined ? {} : { only: values.only.split(',').map((word) => word.trim()) }),
  signal: interrupted.signal,
  tell: (line) => console.log(line),
}).catch((error: unknown) => {
  if (!interrupted.signal.aborted) throw error;
  process.exit(130);
});
if (values.timeline !== undefined) await writeFile(values.timeline, `${outcome.timeline.join('\n')}\n`);
if (outcome.violations.length > 0) console.log(`\nBefore it ended:\n${outcome.timeline.slice(-250).join('\n')}`);
console.log(`\nHow long writes stood still, in ms:\n${outcome.table}`);
console.log(`\nWhat clients were told:\n${outcome.errors.slice(0, 25).join('\n')}`);
const { happened, acknowledged, epochs, reads, violations } = outcome;
console.log(
  `\nseed ${seed}: ${happened} times something happened, ${acknowledged} writes acknowledged, ${reads} reads, ${epochs} epochs`,
);
for (const violation of violations) console.log(`VIOLATED: ${violation}`);
if (violations.length > 0) console.log(`${violations.length} violations; again: npm run chaos -- --seed ${seed}`);
else
  console.log(
    interrupted.signal.aborted ? 'Interrupted: nothing was looked up.' : 'Nothing was lost, and nothing went back.',
  );
process.exitCode = violations.length > 0 ? 1 : interrupted.signal.aborted ? 130 : 0;
