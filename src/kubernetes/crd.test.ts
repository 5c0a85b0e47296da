import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsBelow, resourceSchema } from '../spec/fields.ts';
import { customResourceDefinition } from './crd.ts';

interface Node {
  type?: string;
  description?: string;
  default?: unknown;
  pattern?: string;
  properties?: Record<string, Node>;
  items?: Node;
  additionalProperties?: unknown;
  'x-kubernetes-validations'?: { rule: string; message: string; fieldPath?: string }[];
}

const { versions } = customResourceDefinition()['spec'] as {
  versions: {
    schema: { openAPIV3Schema: Node };
    additionalPrinterColumns: { jsonPath: string }[];
    subresources: object;
  }[];
};
const version = versions[0];
const root = version?.schema.openAPIV3Schema ?? {};

function* nodes(node: Node, path: string): Generator<readonly [string, Node]> {
  yield [path, node];
  for (const [name, child] of Object.entries(node.properties ?? {})) yield* nodes(child, `${path}.${name}`);
  if (node.items !== undefined) yield* nodes(node.items, `${path}[]`);
}

const at = (path: string): Node | undefined =>
  path.split('.').reduce((node: Node | undefined, name) => node?.properties?.[name], root);

test('every field is described, for kubectl explain', () => {
  for (const [path, { description }] of [...nodes(root, '')].filter(([path]) => !/^(\.metadata.*)?$|\[\]$/.test(path)))
    assert.ok((description ?? '') !== '', path);
});

test('it knows every field of the resource, with the same default', () => {
  for (const [path, field] of fieldsBelow(resourceSchema())) {
    if (!path.startsWith('spec')) continue;
    assert.deepEqual(at(path)?.default, field.default, path);
    assert.equal(at(path)?.type, field.type, path);
  }
});

test('it is structural: each value has a type or says that it is open, and nothing is alternatives', () => {
  for (const [path, node] of nodes(root, '')) {
    assert.ok(node.type !== undefined, path);
    for (const word of ['anyOf', 'oneOf', 'allOf', 'not', '$ref', 'const']) assert.equal(word in node, false, path);
    assert.notEqual(node.additionalProperties, false, path);
  }
});

test('a text that is of any length would cost the API server too much to judge', () => {
  for (const [path, node] of nodes(at('spec') ?? {}, 'spec'))
    if (node.type === 'string') assert.ok('maxLength' in node || 'enum' in node, path);
});

test('every rule says what was expected, of a field that exists', () => {
  for (const [path, node] of nodes(root, '')) {
    for (const { rule, message, fieldPath } of node['x-kubernetes-validations'] ?? []) {
      assert.match(message, /expected/, path);
      assert.ok(rule.length > 0);
      if (fieldPath !== undefined) assert.ok(at(`${path}${fieldPath}`.slice(1)) !== undefined, `${path}${fieldPath}`);
    }
  }
});

test('rules hold for a default as it is written, which the API server judges without the defaults below it', () => {
  for (const [path, node] of nodes(root, '')) {
    if (node.properties === undefined || node.default === undefined) continue;
    for (const { rule } of node['x-kubernetes-validations'] ?? []) {
      const used = [...rule.matchAll(/\bself\.(\w+)/g)].map((match) => match[1] ?? '');
      for (const name of used) assert.ok(rule.includes(`has(self.${name})`), `${path}: ${rule} uses ${name} unasked`);
    }
  }
});

test('what kubectl get shows is in the status', () => {
  for (const { jsonPath } of version?.additionalPrinterColumns ?? []) {
    if (jsonPath.startsWith('.status')) assert.ok(at(jsonPath.slice(1)) !== undefined, jsonPath);
  }
  assert.deepEqual(Object.keys(version?.subresources ?? {}), ['status', 'scale']);
});
