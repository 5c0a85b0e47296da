/** What comes beside install.yaml: a chart, alerts and a dashboard. Installing the chart is in install.test.ts. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { chartFiles } from '../../scripts/generate-chart.ts';
import { metricsText } from '../../src/kubernetes/metrics.ts';

const root = join(import.meta.dirname, '..', '..');

test('the chart is what its generator makes', () => {
  const chart = join(root, 'charts', 'baton');
  const found = readdirSync(chart, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => [path.slice(chart.length + 1), readFileSync(path, 'utf8')]);
  for (const [path, text] of Object.entries(chartFiles())) {
    assert.ok(Object.fromEntries(found)[path] === text, `${path}: node scripts/generate-chart.ts`);
  }
  assert.equal(found.length, Object.keys(chartFiles()).length);
});

const METRIC = /\bbaton_[a-z_]+/g;
const emitted = new Set([...metricsText([], true).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));

test('alerts and dashboard ask for metrics that there are', () => {
  for (const file of ['alerts.yaml', 'dashboard.json']) {
    const text = readFileSync(join(root, 'monitoring', file), 'utf8');
    const asked = new Set(text.match(METRIC));
    assert.ok(asked.size > 3);
    for (const name of asked) assert.ok(emitted.has(name), `${file}: ${name}`);
  }
});

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

test('an alert says how bad it is, what is wrong and what to do', () => {
  const { spec } = parse(readFileSync(join(root, 'monitoring', 'alerts.yaml'), 'utf8')) as {
    spec: { groups: { rules: Alert[] }[] };
  };
  const rules = spec.groups.flatMap((group) => group.rules);
  assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
  for (const { alert, labels, annotations } of rules) {
    assert.match(labels['severity'] ?? '', /^(critical|warning)$/, alert);
    for (const text of ['summary', 'description']) assert.notEqual(annotations[text] ?? '', '', alert);
  }
});
