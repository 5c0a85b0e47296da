import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { networkPolicy } from './network-policy.ts';
import { ADMIN_PORT, UNOWNED } from './object.ts';

test('the administrative port is for the operator and for members alone', () => {
  const { spec } = networkPolicy(defaultCluster('mysql'), 'baton-system', UNOWNED) as unknown as {
    spec: { ingress: { from: Record<string, unknown>[]; ports: { port: number }[] }[] };
  };
  const admin = spec.ingress.filter(({ ports }) => ports.some(({ port }) => port === ADMIN_PORT));
  assert.equal(admin.length, 1);
  for (const peer of admin[0]?.from ?? []) {
    const { matchLabels } = peer['podSelector'] as { matchLabels?: Record<string, string> };
    assert.ok(Object.keys(matchLabels ?? {}).length > 0, 'any Pod may connect');
  }
});
