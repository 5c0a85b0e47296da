import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { resourceDocs } from '../../scripts/generate-resource-docs.ts';
import { fieldsBelow, resourceSchema } from './fields.ts';
import { imageFor } from './resource.ts';
import { defaultCluster, parseCluster } from './parse.ts';

describe('the schema', () => {
  test('every field says what it is, so that the documentation and kubectl explain can', () => {
    for (const [path, { description }] of fieldsBelow(resourceSchema()))
      assert(description !== undefined && description.endsWith('.'), path);
  });

  test('a map that is not described field by field is marked as such, and so are labels', () => {
    const open = [...fieldsBelow(resourceSchema())]
      .filter(([, field]) => field['x-baton-open'] === true)
      .map(([path]) => path);
    assert.deepEqual(open, [
      'spec.mysql.config',
      'spec.mysql.primaryConfig',
      'spec.mysql.replicaConfig',
      'spec.resources.requests',
      'spec.resources.limits',
      'spec.podTemplate',
    ]);
  });

  test('defaults of the schema are those of the parser, so that Kubernetes fills in the same', () => {
    const cluster: unknown = defaultCluster('mysql');
    for (const [path, { default: value, properties }] of fieldsBelow(resourceSchema())) {
      if (value === undefined || properties !== undefined) continue;
      const parsed = path.split('.').reduce((at, name) => (at as Record<string, unknown>)[name], cluster);
      assert.deepEqual(parsed, value, path);
    }
  });
});

test('docs/resource.md is up to date (node scripts/generate-resource-docs.ts)', () => {
  assert.equal(readFileSync(new URL('../../docs/resource.md', import.meta.url), 'utf8'), resourceDocs());
});

test('examples/full.yaml has every field', () => {
  const text = readFileSync(new URL('../../examples/full.yaml', import.meta.url), 'utf8');
  const { cluster } = parseCluster(text);
  for (const [path] of fieldsBelow(resourceSchema())) {
    const value = path
      .split('.')
      .reduce((at: unknown, name) => (at as Record<string, unknown> | undefined)?.[name], cluster);
    assert.notEqual(value, undefined, path);
    assert(text.includes(`${path.split('.').at(-1)}:`), path);
  }
});

test('on Kubernetes, the image is the one named, else the version asked for, else a long-term release', () => {
  const image = (mysql: object) =>
    imageFor(parseCluster(JSON.stringify({ ...defaultCluster('db'), spec: { mysql } })).cluster);
  assert.equal(image({}), 'mysql:8.4');
  assert.equal(image({ version: '9.7' }), 'mysql:9.7');
  assert.equal(
    image({ version: '9.7', image: 'registry.example.com/mysql@sha256:ab' }),
    'registry.example.com/mysql@sha256:ab',
  );
});
