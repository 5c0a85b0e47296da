/**
 * What monitoring/alerts.yaml makes of what operators tell: Prometheus' own tool evaluates it over hours in a moment. The
 * samples are what `metricsText` says of views that the brain has decided on. Needs no Kubernetes.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import {
  CLUSTER as CLUSTER_ID,
  EPOCH,
  absent,
  decideLast,
  gone,
  lasting,
  primary,
  replica,
  silent,
  view,
} from '../../src/cluster/view-fixture.ts';
import type { View } from '../../src/cluster/view.ts';
import { metricsText } from '../../src/kubernetes/metrics.ts';
import { run } from './scene.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const LAB = join(import.meta.dirname, 'lab', 'kube');
const promtool = (...args: string[]): Promise<string> => run(LAB, ['promtool', ...args]);

interface Alert {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}
interface Rules {
  readonly groups: readonly { readonly rules: readonly Alert[] }[];
}

const { spec: rules } = parse(await readFile(join(ROOT, 'monitoring', 'alerts.yaml'), 'utf8')) as {
  spec: Rules;
};
const alerts = rules.groups.flatMap((group) => group.rules);

/** In a directory of its own, with the rules as a rule file. */
async function withRules(work: (directory: string, file: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-alerts-'));
  try {
    const file = join(directory, 'rules.yaml');
    await writeFile(file, stringify(rules));
    await work(directory, file);
  } finally {
    await rm(directory, { recursive: true });
  }
}

// ── What is told ────────────────────────────────────────────────────────────────────────────────────────────────────

/** How often Prometheus asks and evaluates. */
const STEP_SECONDS = 15;

/** Of a cluster with a spec that makes no sense. */
const SENSELESS = 'senseless';
/** What there is to see: a cluster, which the first of two operators looks after, or `null`: no operator leads. */
type Sight = View | typeof SENSELESS | null;
type Series = Map<string, Map<number, string>>;

function tell(series: Series, step: number, operator: number, text: string): void {
  for (const line of text.split('\n')) {
    const [, name, labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    // The target's labels, where the metric has none of the name, as with honor_labels.
    const target = { namespace: 'baton-system', pod: `baton-${operator}`, job: 'baton-system/baton' };
    const added = Object.entries(target).filter(([label]) => !labels.includes(`${label}="`));
    const all = [...(labels === '' ? [] : [labels]), ...added.map(([label, of]) => `${label}="${of}"`)];
    const key = `${name}{${all.join(',')}}`;
    const samples = series.get(key) ?? new Map<number, string>();
    series.set(key, samples.set(step, value));
  }
}

/** As promtool writes series: a sample for each step, `_` where there is none, `stale` where one has just gone. */
function seriesOf(sight: (minute: number) => Sight, minutes: number): { series: string; values: string }[] {
  const all: Series = new Map();
  const steps = (minutes * 60) / STEP_SECONDS + 1;
  for (let step = 0; step < steps; step++) {
    const seen = sight((step * STEP_SECONDS) / 60);
    const hindered = seen === SENSELESS;
    const latest = seen === null || hindered ? null : { decision: decideLast(lasting(seen, 60_000)), view: seen };
    tell(all, step, 0, metricsText([{ namespace: 'shop', name: 'mysql', latest, hindered }], seen !== null));
    tell(all, step, 1, metricsText([], false));
  }
  return [...all].map(([series, samples]) => {
    const values = Array.from(
      { length: steps },
      (_, step) => samples.get(step) ?? (samples.has(step - 1) ? 'stale' : '_'),
    );
    return { series, values: values.join(' ') };
  });
}

// ── What should come of it ──────────────────────────────────────────────────────────────────────────────────────────

const CLUSTER = { namespace: 'shop', cluster: 'mysql', pod: 'baton-0', job: 'baton-system/baton' };
const state = (name: string) => ({ ...CLUSTER, state: name });
const member = (ordinal: number) => ({ ...CLUSTER, member: String(ordinal) });

/** The alerts that fire, with the labels that they have from what is told. */
type Firing = Readonly<Record<string, Readonly<Record<string, string>>>>;

interface Story {
  readonly what: string;
  readonly sight: (minute: number) => Sight;
  /** By minute; no other alert fires then. */
  readonly fire: Readonly<Record<number, Firing>>;
}

const healthy = view();
const deaf = { connected: [], waiting: 1 };
/** `seen` from minute 5 on. */
const since5 =
  (seen: Sight, untilMinute = Infinity) =>
  (minute: number): Sight =>
    minute >= 5 && minute < untilMinute ? seen : healthy;
/** Another primary `times` within an hour, each after ten minutes. */
const changing =
  (times: number) =>
  (minute: number): Sight => {
    const epoch = EPOCH + Math.min(times, Math.floor(minute / 10));
    return view([primary(0, { epochRow: { clusterId: CLUSTER_ID, epoch, term: 1 } })], { record: { epoch } });
  };

const failingOver = view([gone(0)]);
const lost = view([gone(0), silent(1)]);
const blocked = view([primary(0, { source: deaf }), silent(1), silent(2)]);
const degraded = view([gone(2)]);
const creating = view([absent(0), absent(1), absent(2)], {
  record: { epoch: 0, primary: null, ackers: [], required: 0, floor: '' },
});
const alone = { source: { enabled: false, active: false, required: 0, unlocked: [], connected: [] } };
const unacknowledged = {
  record: { mode: 'adaptive', required: 0, ackers: [] },
  wanted: { mode: 'adaptive', replicas: 2 },
} as const;

const STORIES: readonly Story[] = [
  { what: 'a healthy cluster, two operators', sight: () => healthy, fire: { 1: {}, 30: {}, 90: {} } },
  { what: 'a failover within seconds', sight: since5(failingOver, 5.4), fire: { 5.25: {}, 5.5: {}, 6: {} } },
  {
    what: 'a failover that does not end',
    sight: since5(failingOver),
    fire: { 5.25: {}, 5.5: { BatonClusterNotWritable: CLUSTER } },
  },
  { what: 'all start again', sight: since5(lost, 5.5), fire: { 5.25: {}, 5.5: {}, 6: {} } },
  {
    what: 'too few members to choose from',
    sight: since5(lost),
    fire: { 5.25: {}, 5.5: { BatonClusterNotWritable: CLUSTER, BatonClusterLost: state('lost') } },
  },
  {
    what: 'commits that nobody acknowledges',
    sight: since5(blocked),
    fire: {
      5.75: {},
      6: { BatonClusterBlocked: state('blocked') },
      7: { BatonClusterBlocked: state('blocked'), BatonCommitsWait: member(0) },
    },
  },
  {
    what: 'commits that wait now and then',
    sight: (minute) => view([primary(0, { source: { waiting: minute % 1 === 0 ? 0 : 20 } })]),
    fire: { 5: {}, 5.5: {}, 20: {} },
  },
  {
    what: 'a member that is away',
    sight: since5(degraded),
    fire: { 19.75: {}, 20: { BatonClusterDegraded: state('degraded') } },
  },
  { what: 'a member that was away', sight: since5(degraded, 19), fire: { 19.75: {}, 20: {}, 40: {} } },
  {
    what: 'no replica acknowledges',
    sight: since5(view([primary(0, alone), gone(1), absent(2)], unacknowledged)),
    fire: {
      19.75: {},
      20: { BatonAcknowledgedByNobody: CLUSTER, BatonClusterDegraded: state('degraded') },
    },
  },
  {
    what: 'a cluster of one',
    sight: () =>
      view([primary(0, alone), absent(1), absent(2)], {
        record: { required: 0, ackers: [] },
        wanted: { replicas: 1, required: 0 },
      }),
    fire: { 30: {} },
  },
  {
    what: 'a replica more than a minute behind',
    sight: since5(view([replica(1, undefined, { lagSeconds: 61 })])),
    fire: { 14.75: {}, 15: { BatonReplicaLags: member(1) } },
  },
  {
    what: 'a replica just below a minute behind',
    sight: since5(view([replica(1, undefined, { lagSeconds: 60 })])),
    fire: { 18: {} },
  },
  { what: 'three other primaries in an hour', sight: changing(3), fire: { 35: {}, 55: {} } },
  {
    what: 'four other primaries in an hour',
    sight: changing(4),
    fire: { 39.75: {}, 40: { BatonPrimaryChangesOften: CLUSTER }, 90: {} },
  },
  {
    what: 'a cluster that is being created',
    sight: (minute) => (minute < 9 ? creating : healthy),
    fire: { 8: {}, 10: {} },
  },
  {
    what: 'a cluster that does not come about',
    sight: () => creating,
    fire: { 9.75: {}, 10: { BatonClusterNotCreated: state('creating') } },
  },
  {
    what: 'a spec that makes no sense',
    sight: () => SENSELESS,
    fire: { 4.75: {}, 5: { BatonClusterHindered: CLUSTER } },
  },
  { what: 'another operator takes over', sight: since5(null, 5.5), fire: { 5.75: {}, 6.5: {} } },
  { what: 'no operator leads', sight: since5(null), fire: { 5.75: {}, 6: { BatonNoOperator: {} } } },
];

const expanded = (text: string, labels: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? assert.fail(label));

/** As promtool's tests have it. */
function testOf({ what, sight, fire }: Story): object {
  const minutes = Object.keys(fire).map(Number);
  const checks = minutes.flatMap((minute) =>
    alerts.map(({ alert, labels, annotations }) => {
      const from = fire[minute]?.[alert];
      if (from === undefined) return { eval_time: `${minute * 60}s`, alertname: alert, exp_alerts: [] };
      const said = Object.entries(annotations).map(([name, text]) => [name, expanded(text, from)]);
      const expected = { exp_labels: { ...from, ...labels }, exp_annotations: Object.fromEntries(said) as object };
      return { eval_time: `${minute * 60}s`, alertname: alert, exp_alerts: [expected] };
    }),
  );
  const last = Math.max(...minutes);
  return { name: what, interval: `${STEP_SECONDS}s`, input_series: seriesOf(sight, last), alert_rule_test: checks };
}

test('Prometheus takes the alerts, and finds nothing to say against them', () =>
  withRules(async (_, file) => {
    const said = await promtool('check', 'rules', '--lint=all', '--lint-fatal', file);
    assert.match(said, new RegExp(`SUCCESS: ${alerts.length} rules found`));
  }));

test('each alert fires in a story of its own', () => {
  const fired = STORIES.flatMap(({ fire }) => Object.values(fire).flatMap((firing) => Object.keys(firing)));
  assert.deepEqual([...new Set(fired)].toSorted(), alerts.map(({ alert }) => alert).toSorted());
});

for (const story of STORIES) {
  test(`alerts fire when they should, and no others: ${story.what}`, () =>
    withRules(async (directory, file) => {
      const tests = join(directory, 'tests.yaml');
      const all = { rule_files: [file], evaluation_interval: `${STEP_SECONDS}s`, tests: [testOf(story)] };
      await writeFile(tests, stringify(all, { lineWidth: 0 }));
      assert.match(await promtool('test', 'rules', tests), /SUCCESS/);
    }));
}
