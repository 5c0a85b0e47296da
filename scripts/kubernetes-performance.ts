/**
 * Makes docs/kubernetes-performance.md of what the tests on a Kubernetes have measured:
 *   BATON_TEST_RESULTS=results.jsonl BATON_TEST_ROUNDS=20 npm run test:kubernetes
 *   node scripts/kubernetes-performance.ts results.jsonl
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import type { Kept } from '../test/kubernetes/measure.ts';

interface Target {
  readonly what: string;
  readonly target: string;
  readonly met: (median: number, worst: number) => boolean;
}

/** What was aimed at, in the order of the page. */
const TARGETS: readonly Target[] = [
  {
    what: 'gap after kill -9 of the primary’s mysqld',
    target: 'median < 1000, worst < 3000',
    met: (median, worst) => median < 1000 && worst < 3000,
  },
  { what: 'gap after forced deletion of the primary’s Pod', target: 'median < 1000', met: (median) => median < 1000 },
  { what: 'gap after loss of the primary’s node', target: 'median < 5000', met: (median) => median < 5000 },
  { what: 'gap of a switchover', target: 'median < 500', met: (median) => median < 500 },
  { what: 'gap of a drain of the primary’s node', target: 'median < 500', met: (median) => median < 500 },
  { what: 'three members, from apply to healthy', target: '< 20000', met: (median) => median < 20_000 },
  { what: 'operator at rest, one cluster: memory', target: '< 150', met: (median) => median < 150 },
  { what: 'operator at rest, one cluster: of a core', target: '< 1', met: (median) => median < 1 },
  { what: 'operator at rest, 100 clusters: memory', target: '< 400', met: (median) => median < 400 },
  { what: 'operator at rest, 100 clusters: of a core', target: '< 30', met: (median) => median < 30 },
];

const [, , file = 'results.jsonl'] = process.argv;
const values = new Map<string, { readonly unit: string; readonly all: number[]; load: number }>();
for (const line of readFileSync(file, 'utf8').split('\n')) {
  if (line === '') continue;
  const { what, unit, values: more, load } = JSON.parse(line) as Kept;
  const known = values.get(what) ?? { unit, all: [], load: 0 };
  known.load = Math.max(known.load, load);
  known.all.push(...more);
  values.set(what, known);
}

const order = [...TARGETS.map(({ what }) => what), ...values.keys()];
const rows = [...new Set(order)].flatMap((what) => {
  const found = values.get(what);
  if (found === undefined) return [];
  const sorted = found.all.toSorted((a, b) => a - b);
  const [median = 0, worst = 0] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const target = TARGETS.find((one) => one.what === what);
  const verdict = target === undefined ? '' : `${target.target}: ${target.met(median, worst) ? 'met' : '**not met**'}`;
  return [
    `| ${what} | ${found.unit} | ${sorted.length} | ${median} | ${worst} | ${found.load.toFixed(1)} | ${verdict} |`,
  ];
});

const machine = `${cpus().length} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB`;
writeFileSync(
  new URL('../docs/kubernetes-performance.md', import.meta.url),
  `# How long things take on Kubernetes

Made by scripts/kubernetes-performance.ts from what the tests in [test/kubernetes](../test/kubernetes) measured on a Kubernetes of
three nodes that they start themselves, all of it on one machine: ${machine}. Nothing here is typed by hand.

A gap is the longest pause between two acknowledged writes of a client that writes all the while, through the Service of the
primary, with 5 ms between its writes; it connects anew after an error, and gives up a write that has no answer after a second,
a connection after half a second.
In every run each acknowledged write was found on every member afterwards, and never were two Pods behind the primary's Service.

kube-proxy carries a change of a Service out at once if there was none in the second before, else up to a second later
(\`minSyncPeriod\`); each round begins with two seconds of rest, so that this is not measured.

Load is the machine's load average meanwhile, all programs on it together: what is much above its number of cores says that
there was more to do than Kubernetes, MySQL and Baton.

| what | unit | times | median | worst | load | target |
|---|---|---|---|---|---|---|
${rows.join('\n')}
`,
);
