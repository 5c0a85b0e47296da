import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { renderObjects } from '../../src/kubernetes/render.ts';
import { parseCluster } from '../../src/spec/parse.ts';
import { quantityBytes } from '../../src/spec/quantity.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const files = readdirSync(join(root, 'examples/tutorial')).sort();
const { cluster, notes } = parseCluster(read('examples/tutorial/05-cluster.yaml'), '05-cluster.yaml', 'kubernetes');

interface Volume {
  kind: string;
  spec: { capacity: { storage: string }; storageClassName: string; local: { path: string } };
}

test("the tutorial's cluster is accepted without a note, and renders", () => {
  assert.deepEqual(notes, []);
  assert.ok(renderObjects(cluster).length > 0);
});

test('both pages use every file, and no other', () => {
  for (const page of ['docs/tutorial.md', 'docs/tutorial.zh.md']) {
    const used = [...read(page).matchAll(/-f (\d\d-[\w-]+\.yaml)/g)].map((match) => match[1] ?? '');
    assert.deepEqual(used.sort(), files, page);
  }
});

test('both pages give the same commands', () => {
  const commands = (page: string): string[] =>
    read(page)
      .split('\n')
      .filter((line) => line.startsWith('    '));
  assert.deepEqual(commands('docs/tutorial.zh.md'), commands('docs/tutorial.md'));
});

test('its volumes are such as its claims ask for, one for each of three members', () => {
  const volumes = parseAllDocuments(read('examples/tutorial/01-persistent-volumes.yaml')).map(
    (it) => it.toJS() as Volume,
  );
  assert.equal(new Set(volumes.map(({ spec }) => spec.local.path)).size, 3);
  for (const { kind, spec } of volumes) {
    assert.equal(kind, 'PersistentVolume');
    assert.equal(spec.storageClassName, cluster.spec.storage.className);
    assert.ok((quantityBytes(spec.capacity.storage) ?? 0) >= (quantityBytes(cluster.spec.storage.size) ?? 0));
  }
});
