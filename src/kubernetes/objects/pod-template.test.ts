import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import type { MySQLCluster } from '../../spec/resource.ts';
import { selectorOf } from './object.ts';
import { inputsOf, podTemplate } from './pod-template.ts';
import { PodTemplateError } from './merge-pod-template.ts';

type Part = Record<string, unknown>;
const cluster = defaultCluster('mysql');

function withSpec(spec: Partial<MySQLCluster['spec']>): MySQLCluster {
  return { ...cluster, spec: { ...cluster.spec, ...spec } };
}
const templated = (template: Record<string, unknown>) => podTemplate(withSpec({ podTemplate: template }));
const named = (list: unknown, name: string): Part => {
  const found = (list as Part[]).find((part) => part['name'] === name);
  assert.ok(found !== undefined, `no ${name}`);
  return found;
};

test("a Pod keeps to the 'restricted' Pod security standard, and has no token", () => {
  const { spec } = podTemplate(cluster);
  assert.equal(spec['automountServiceAccountToken'], false);
  const security = spec['securityContext'] as Part;
  assert.equal(security['runAsNonRoot'], true);
  assert.deepEqual(security['seccompProfile'], { type: 'RuntimeDefault' });
  for (const container of [...spec.initContainers, ...spec.containers]) {
    assert.deepEqual(container['securityContext'], {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  }
});

test('no probe of mysqld ends it: recovery may take a day, and being busy is no fault', () => {
  const mysql = named(podTemplate(cluster).spec.containers, 'mysql');
  const startup = mysql['startupProbe'] as { periodSeconds: number; failureThreshold: number };
  assert.ok(startup.periodSeconds * startup.failureThreshold >= 86_400);
  assert.deepEqual((mysql['livenessProbe'] as Part)['exec'], { command: ['bash', '/run/mysqld/member.sh', 'alive'] });
});

test('there is time for a switchover and for an orderly stop after it', () => {
  const patient = podTemplate(withSpec({ switchover: { graceSeconds: 100 } })).spec;
  const mysql = named(patient.containers, 'mysql');
  const { command } = (mysql['lifecycle'] as { preStop: { exec: { command: string[] } } }).preStop.exec;
  const drainSeconds = Number(command.at(-1));
  assert.ok(drainSeconds > 100);
  assert.ok(Number(patient['terminationGracePeriodSeconds']) >= drainSeconds + 30);
});

test('what a user overrides is merged: fields, containers by name, tolerations added', () => {
  const { metadata, spec } = templated({
    metadata: { labels: { team: 'shop' }, annotations: { 'example.com/scrape': 'true' } },
    spec: {
      priorityClassName: 'high',
      enableServiceLinks: null,
      tolerations: [{ key: 'dedicated' }],
      securityContext: { runAsUser: 27 },
      containers: [
        { name: 'exporter', image: 'exporter:1' },
        { name: 'mysql', env: [{ name: 'TZ', value: 'UTC' }], volumeMounts: [{ name: 'dumps', mountPath: '/dumps' }] },
      ],
      volumes: [{ name: 'dumps', emptyDir: {} }],
    },
  });
  assert.equal(metadata.labels['team'], 'shop');
  assert.equal(metadata.annotations['example.com/scrape'], 'true');
  assert.equal(spec['priorityClassName'], 'high');
  assert.equal('enableServiceLinks' in spec, false);
  assert.deepEqual(spec['tolerations'], [{ key: 'dedicated' }]);
  assert.equal((spec['securityContext'] as Part)['runAsUser'], 27);
  assert.equal((spec['securityContext'] as Part)['runAsNonRoot'], true);
  assert.deepEqual(
    spec.containers.map((container) => container['name']),
    ['mysql', 'exporter'],
  );
  const mysql = named(spec.containers, 'mysql');
  named(mysql['env'], 'TZ');
  named(mysql['env'], 'POD_IP');
  named(mysql['volumeMounts'], 'dumps');
  named(mysql['volumeMounts'], 'data');
  named(spec['volumes'], 'dumps');
  named(spec['volumes'], 'run');
});

test('what members are safe by is not overridden: selector, start and stop, volumes, grace', () => {
  const ours = podTemplate(cluster);
  const theirs = templated({
    metadata: { labels: { 'app.kubernetes.io/instance': 'other' } },
    spec: {
      terminationGracePeriodSeconds: 0,
      initContainers: [{ name: 'prepare', command: ['true'] }],
      containers: [{ name: 'mysql', command: ['mysqld'], args: ['--skip-grant-tables'], lifecycle: null, env: null }],
      volumes: [{ name: 'internal', emptyDir: {} }],
    },
  });
  for (const [label, value] of Object.entries(selectorOf(cluster))) assert.equal(theirs.metadata.labels[label], value);
  assert.deepEqual(theirs.spec, ours.spec);
});

test('a longer grace is granted', () => {
  assert.equal(templated({ spec: { terminationGracePeriodSeconds: 600 } }).spec['terminationGracePeriodSeconds'], 600);
});

test('a template that is none is refused, with the field that is wrong', () => {
  for (const [template, path] of [
    [{ spec: 'x' }, 'spec.podTemplate.spec'],
    [{ spec: { containers: { mysql: {} } } }, 'spec.podTemplate.spec.containers'],
    [{ spec: { containers: ['mysql'] } }, 'spec.podTemplate.spec.containers.0'],
    [{ spec: { tolerations: {} } }, 'spec.podTemplate.spec.tolerations'],
    [{ spec: { securityContext: [] } }, 'spec.podTemplate.spec.securityContext'],
  ] as const) {
    assert.throws(
      () => templated(template),
      (error) => error instanceof PodTemplateError && error.path === path && error.code === 'POD_TEMPLATE_INVALID',
      path,
    );
  }
});

test('Pods are outdated by what a user changes that a start needs, in whatever order it is written', () => {
  const resources = { requests: { cpu: 1, memory: '1Gi' } };
  const before = inputsOf(withSpec({ resources }));
  assert.equal(inputsOf(withSpec({ resources: { requests: { memory: '1Gi', cpu: 1 } } })), before);
  assert.notEqual(inputsOf(cluster), before);
  const mysql = (config: Record<string, number>) => withSpec({ mysql: { ...cluster.spec.mysql, config } });
  assert.notEqual(inputsOf(mysql({ back_log: 70 })), inputsOf(cluster));
  assert.equal(inputsOf(mysql({ max_connections: 70 })), inputsOf(cluster));
  assert.equal(inputsOf(withSpec({ replicas: 5 })), inputsOf(cluster));
});
