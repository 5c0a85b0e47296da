import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { hostOf, metaOf, namesOf, ordinalOfPod, selectorOf, selectorText } from './object.ts';

const cluster = defaultCluster('shop');

test('a Pod tells its ordinal by its name, and only a Pod of this cluster does', () => {
  assert.equal(ordinalOfPod(cluster, 'shop-0'), 0);
  assert.equal(ordinalOfPod(cluster, 'shop-12'), 12);
  for (const other of ['shop', 'shop-', 'shop-01', 'shop-x', 'shop-1-2', 'shopping-1', 'my-shop-1', 'shop-primary'])
    assert.equal(ordinalOfPod(cluster, other), null, other);
});

test('a member is reached by a name that outlives its Pod', () => {
  assert.equal(hostOf(cluster, 2), 'shop-2.shop.default.svc');
});

test('an owned object names its owner, and an unowned one nobody', () => {
  const owner = {
    apiVersion: 'baton.dev/v1alpha1',
    kind: 'MySQLCluster',
    name: 'shop',
    uid: 'u',
    controller: true,
  } as const;
  assert.deepEqual(metaOf(cluster, 'x', { owner }).ownerReferences, [owner]);
  assert.equal('ownerReferences' in metaOf(cluster, 'x', { owner: null }), false);
});

test('the selector of the scale subresource is the one of the Pods', () => {
  const pairs = selectorText(cluster)
    .split(',')
    .map((pair) => pair.split('='));
  assert.deepEqual(Object.fromEntries(pairs), selectorOf(cluster));
});

test('names stay valid for the longest name that a cluster may have', () => {
  const names = namesOf(defaultCluster('a'.repeat(40)));
  for (const name of [names.primaryService, names.internal, names.credentials, names.pod(14)])
    assert.ok(name.length <= 63, name);
});
