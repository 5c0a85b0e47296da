import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideLast, lasting, primary, replica, silent, view } from '../cluster/view-fixture.ts';
import type { View } from '../cluster/view.ts';
import { defaultCluster } from '../spec/parse.ts';
import { metricsText } from './metrics.ts';
import { statusOf } from './status.ts';

interface Told {
  readonly state?: string;
  readonly primary?: string;
  readonly ready?: string;
  readonly reason?: string;
  readonly members?: readonly { readonly name: string; readonly state: string; readonly detail: string }[];
  readonly conditions: readonly {
    readonly type: string;
    readonly status: string;
    readonly reason: string;
    readonly lastTransitionTime: string;
  }[];
}

const latest = (one: View) => ({ decision: decideLast([one]), view: one });
const cluster = defaultCluster('mysql');
const condition = (told: Told, type: string) => told.conditions.find((one) => one.type === type);

const healthy = latest(view([primary(), replica(1), replica(2)]));

test('a healthy cluster is Ready, names its primary’s Pod and all members', () => {
  const told = statusOf(cluster, 3, healthy, null, []) as unknown as Told;
  assert.equal(told.state, 'healthy');
  assert.equal(told.primary, 'mysql-0');
  assert.equal(told.ready, '3/3');
  assert.deepEqual(
    told.members?.map(({ name, state }) => `${name} ${state}`),
    ['mysql-0 writable', 'mysql-1 following', 'mysql-2 following'],
  );
  assert.equal(condition(told, 'Ready')?.status, 'True');
  assert.equal(condition(told, 'Degraded')?.status, 'False');
});

test('without its primary it is not Ready, and says why', () => {
  const views = lasting(view([silent(0), replica(1), replica(2)]), 5000);
  const one = views.at(-1);
  assert.ok(one);
  const told = statusOf(cluster, 3, { decision: decideLast(views), view: one }, null, []) as unknown as Told;
  assert.equal(condition(told, 'Ready')?.status, 'False');
  assert.match(told.reason ?? '', /member 0/);
});

test('what Kubernetes or its own log knows of a member is told, also of one that answers', () => {
  const one = view([{ ...primary(), trouble: 'its log said: Disk is full' }, replica(1), replica(2)]);
  const told = statusOf(cluster, 3, latest(one), null, []) as unknown as Told;
  assert.equal(told.members?.[0]?.detail, 'its log said: Disk is full');
});

test('a spec that makes no sense is told, and since when a condition holds stays', () => {
  const lastTransitionTime = '2020-01-01T00:00:00Z';
  const before = [{ type: 'Ready', status: 'True', lastTransitionTime }];
  const hindrance = { reason: 'InvalidSpec', message: 'spec.replicas: expected a whole number' };
  const told = statusOf(cluster, 4, healthy, hindrance, before) as unknown as Told;
  assert.equal(condition(told, 'Blocked')?.reason, 'InvalidSpec');
  assert.equal(condition(told, 'Ready')?.lastTransitionTime, lastTransitionTime);
  assert.equal(told.reason, hindrance.message);
});

test('metrics are what Prometheus reads: each with help and type, one sample a line, labelled by cluster', () => {
  const text = metricsText([{ namespace: 'shop', name: 'mysql', latest: healthy, hindered: false }], true);
  assert.match(text, /^baton_operator_leader 1$/m);
  assert.match(text, /^baton_cluster_state\{namespace="shop",cluster="mysql",state="healthy"\} 1$/m);
  assert.match(text, /^baton_member_primary\{namespace="shop",cluster="mysql",member="0"\} 1$/m);
  for (const line of text.trimEnd().split('\n')) {
    assert.match(line, /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"]*",?)+\})? -?[\d.e+]+)$/);
  }
});

test('a cluster whose spec makes no sense is told of by the metrics, though nothing is known of it', () => {
  const text = metricsText([{ namespace: 'shop', name: 'mysql', latest: null, hindered: true }], true);
  assert.match(text, /^baton_cluster_hindered\{namespace="shop",cluster="mysql"\} 1$/m);
  assert.doesNotMatch(text, /^baton_cluster_state\{/m);
});
