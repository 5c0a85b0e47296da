import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultCluster } from '../../spec/parse.ts';
import { UNOWNED } from './object.ts';
import { serviceAccount } from './service-account.ts';

test('members get no token', () => {
  assert.equal(serviceAccount(defaultCluster('mysql'), UNOWNED)['automountServiceAccountToken'], false);
});
