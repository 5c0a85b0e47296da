import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAX_MEMBERS, ordinalOfReplicationUser, replicationUser } from './names.ts';

test('the account tells the member', () => {
  for (let ordinal = 0; ordinal < MAX_MEMBERS; ordinal++) {
    assert.equal(ordinalOfReplicationUser(replicationUser(ordinal)), ordinal);
  }
});

test('an account that is none of ours tells nothing', () => {
  for (const user of [
    'app',
    'baton_controller',
    'baton_replica_x',
    'baton_replica_',
    'baton_replica_1.5',
    'BATON_REPLICA_1',
  ]) {
    assert.equal(ordinalOfReplicationUser(user), null, user);
  }
});
