import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { installObjects } from './install.ts';

interface Rule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
}

const objects = installObjects({ image: 'baton:test' });
const ofKind = (kind: string, from = objects) => from.filter((object) => object.kind === kind);
const rules = (ofKind('ClusterRole').find(({ metadata }) => metadata.name === 'baton')?.['rules'] ?? []) as Rule[];
const verbsFor = (resource: string) =>
  rules.filter(({ resources }) => resources.includes(resource)).flatMap(({ verbs }) => verbs);

test('the operator may do nothing with everything, and runs nothing in Pods', () => {
  for (const { apiGroups, resources, verbs } of rules) {
    assert.ok(![...apiGroups, ...resources, ...verbs].includes('*'));
    for (const never of ['pods/exec', 'nodes', 'persistentvolumes', 'clusterroles', 'namespaces'])
      assert.equal(resources.includes(never), false, never);
  }
});

test('the operator reads Secrets by name and lists none', () => {
  assert.deepEqual(
    verbsFor('secrets').filter((verb) => ['list', 'watch', 'delete'].includes(verb)),
    [],
  );
});

test('an operator for some namespaces can do nothing in others', () => {
  const some = installObjects({ image: 'baton:test', watch: ['shop', 'blog'] });
  assert.deepEqual(ofKind('ClusterRoleBinding', some), []);
  const bound = ofKind('RoleBinding', some).filter(({ metadata }) => metadata.name === 'baton');
  assert.deepEqual(
    bound.map(({ metadata }) => metadata.namespace),
    ['shop', 'blog'],
  );
});

test('two operators run, on different nodes if there are some', () => {
  const [deployment] = ofKind('Deployment');
  const { replicas } = (deployment ?? assert.fail('no Deployment'))['spec'] as { replicas: number };
  assert.equal(replicas, 2);
});

test('what others need comes before them', () => {
  const kinds = objects.map(({ kind }) => kind);
  assert.ok(kinds.indexOf('Namespace') < kinds.indexOf('CustomResourceDefinition'));
  assert.ok(kinds.indexOf('ServiceAccount') < kinds.indexOf('Deployment'));
});

test('install.yaml is what `baton install` prints', () => {
  const file = new URL('../../install.yaml', import.meta.url);
  const program = new URL('../cli/main.ts', import.meta.url).pathname;
  const { stdout } = spawnSync(process.execPath, [program, 'install'], { encoding: 'utf8' });
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, stdout);
  assert.ok(
    stdout !== '' && stdout === readFileSync(file, 'utf8'),
    'see the difference after UPDATE_GOLDEN=1 node --test src/kubernetes/install.test.ts',
  );
});
