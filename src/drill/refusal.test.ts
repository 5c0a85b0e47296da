import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { DrillStatus } from './cluster.ts';
import { DrillRefusedError, FAULTS, refuseUnsafe } from './refusal.ts';

const members = [0, 1, 2].map((ordinal) => ({ ordinal, role: 'replica', state: 'following' }));
const atRest: DrillStatus = {
  state: 'healthy',
  reason: 'every replica is in sync',
  epoch: 1,
  primary: 0,
  replicas: 3,
  restarting: [],
  members,
  durability: { mode: 'quorum', required: 1 },
};

const refused = (change: Partial<DrillStatus>, why: RegExp): void => {
  assert.throws(
    () => refuseUnsafe({ ...atRest, ...change }, 'kill'),
    (error) => error instanceof DrillRefusedError && why.test(error.message) && error.hint !== '',
  );
};

test('a healthy cluster at rest may be drilled in every way', () => {
  for (const fault of FAULTS) refuseUnsafe(atRest, fault);
  refuseUnsafe({ ...atRest, replicas: 2, members: members.slice(1) }, 'kill');
});

test('a cluster that lacks something, or to which something is being done, is left alone, and told why', () => {
  refused({ state: 'degraded', reason: 'member 2 not in sync' }, /found it degraded: member 2 not in sync/);
  refused({ state: 'starting', primary: null, durability: null }, /found it starting/);
  refused({ replicas: 1, members: members.slice(2) }, /nobody could take over/);
  refused({ restarting: [1] }, /members 1 are to be restarted/);
  refused({ members: [...members, { ordinal: 3, role: 'replica', state: 'following' }] }, /it is being scaled/);
});

test('where the newest writes are lost with the primary, it is not taken away; it may hand over', () => {
  const durability = { mode: 'asynchronous', required: 0 } as const;
  refused({ durability }, /not only those of the drill/);
  refuseUnsafe({ ...atRest, durability }, 'switchover');
});
