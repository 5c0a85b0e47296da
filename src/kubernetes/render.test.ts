import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { defaultCluster, parseCluster } from '../spec/parse.ts';
import type { KubernetesObject } from './objects/object.ts';
import { renderObjects, toYaml } from './render.ts';

const PASSWORDS = { root: 'r', application: 'a', controller: 'c', replication: 're', clone: 'cl' };
const full = parseCluster(readFileSync(new URL('../../examples/full.yaml', import.meta.url), 'utf8')).cluster;

/** member.sh has tests of its own, and would be most of each file. */
const withoutScript = (text: string): string =>
  text
    .replace(/^ {2}member\.sh: \|\n(?: {4}.*\n|\n)*/gm, '  member.sh: …\n')
    .replace(/^ {2}accounts\.sql: .*$/gm, '  accounts.sql: …');

/** Written anew with UPDATE_GOLDEN=1; the difference is for review. */
function assertGolden(name: string, objects: readonly KubernetesObject[]): void {
  const file = new URL(`./golden/${name}.yaml.golden`, import.meta.url);
  const text = withoutScript(toYaml(objects));
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
  assert.equal(
    text,
    readFileSync(file, 'utf8'),
    `${name}: see the difference, then UPDATE_GOLDEN=1 node --test src/kubernetes/render.test.ts`,
  );
}

test('a cluster of defaults is made of these objects', () => {
  assertGolden('default', renderObjects(defaultCluster('mysql'), { passwords: PASSWORDS }));
});

test('every field of the resource shows in these objects', () => {
  const localVolumes = [
    { node: 'node1', path: '/data/a' },
    { node: 'node2', path: '/data/b' },
  ];
  assertGolden('full', renderObjects(full, { localVolumes, operatorNamespace: 'operators' }));
});

test('the same cluster gives the same text', () => {
  assert.equal(toYaml(renderObjects(full)), toYaml(renderObjects(structuredClone(full))));
});

test('the text is read back as the same objects, by YAML 1.1 too', () => {
  const objects = renderObjects(full, { passwords: PASSWORDS });
  for (const version of ['1.1', '1.2'] as const) {
    const read = parseAllDocuments(toYaml(objects), { version }).map((document): unknown => document.toJS());
    assert.deepEqual(read, JSON.parse(JSON.stringify(objects)));
  }
});

test('names, label values and ports are such as the API server takes', () => {
  for (const { metadata } of renderObjects(full, { passwords: PASSWORDS })) {
    assert.match(metadata.name, /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);
    for (const value of Object.values(metadata.labels ?? {}))
      assert.match(value, /^([A-Za-z0-9][-\w.]{0,61})?[A-Za-z0-9]$/);
  }
});

test('what is not asked for is not there: no Secret without passwords, no volumes of nodes', () => {
  const kinds = renderObjects(defaultCluster('mysql')).map(({ kind }) => kind);
  for (const kind of ['Secret', 'PersistentVolume', 'StorageClass']) assert.equal(kinds.includes(kind), false, kind);
});
