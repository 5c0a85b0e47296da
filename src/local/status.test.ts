import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NO_MEMORY, type Decision } from '../cluster/decision.ts';
import type { MemberView, View } from '../cluster/view.ts';
import { GtidSet } from '../gtid/gtid-set.ts';
import { awaited, isSettled, statusOf, type Facts } from './status.ts';

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

const facts: Facts = {
  name: 'main',
  replicas: 2,
  endpoints: { primary: { host: '127.0.0.1', port: 6446 }, read: { host: '127.0.0.1', port: 6447 } },
  mysqlVersion: '9.7.4',
  daemonPid: 7,
  restarting: [],
  lastEvents: [],
  progress: null,
};

function member(ordinal: number, change: Partial<MemberView> = {}): MemberView {
  return {
    ordinal,
    process: { kind: 'running', id: { pid: 100 + ordinal, startTime: '1' }, sinceMs: 0 },
    bootId: 'boot',
    aside: null,
    trouble: null,
    host: '127.0.0.1',
    port: 20_000 + ordinal,
    contact: {
      kind: 'answers',
      server: { executed: GtidSet.parse(`${uuid}:1-5`), lagSeconds: 0 } as never,
    },
    busy: null,
    failure: null,
    disk: null,
    room: true,
    ...change,
  };
}

function latest(members: readonly MemberView[], reports: Decision['members']): { decision: Decision; view: View } {
  const record = {
    clusterId: 'c',
    term: 4,
    epoch: 2,
    primary: { ordinal: 1, serverUuid: uuid },
    floor: '',
    ackers: [{ ordinal: 0, serverUuid: uuid, bootId: 'boot' }],
    required: 1,
    mode: 'adaptive',
  } as const;
  const wish = { members: [1], hold: false, reason: '' };
  return {
    decision: {
      state: 'healthy',
      reason: 'every replica is in sync',
      record: null,
      acts: [],
      primary: wish,
      read: wish,
      members: reports,
      memory: NO_MEMORY,
      againMs: 1000,
      glanceMs: 1000,
      dueMs: null,
    },
    view: {
      nowMs: 0,
      record,
      wanted: { replicas: 2 } as never,
      members,
      barrier: null,
      switchover: null,
      restarts: [],
      openConnections: 0,
    },
  };
}

const reports: Decision['members'] = [
  { ordinal: 0, role: 'replica', state: 'following', reason: '' },
  { ordinal: 1, role: 'primary', state: 'writable', reason: '' },
];

test('the fields that programs rely on are these', () => {
  assert.deepEqual(statusOf(latest([member(0), member(1)], reports), facts), {
    name: 'main',
    state: 'healthy',
    reason: 'every replica is in sync',
    epoch: 2,
    term: 4,
    primary: 1,
    durability: { mode: 'adaptive', required: 1, ackers: [0] },
    endpoints: facts.endpoints,
    members: [
      {
        ordinal: 0,
        role: 'replica',
        state: 'following',
        reason: '',
        pid: 100,
        port: 20_000,
        lagSeconds: 0,
        gtidExecuted: `${uuid}:1-5`,
      },
      {
        ordinal: 1,
        role: 'primary',
        state: 'writable',
        reason: '',
        pid: 101,
        port: 20_001,
        lagSeconds: null,
        gtidExecuted: `${uuid}:1-5`,
      },
    ],
    mysql: { version: '9.7.4' },
    daemon: { pid: 7 },
    restarting: [],
    replicas: 2,
    lastEvents: [],
    progress: null,
  });
});

test('before the first decision it is starting, and says how far', () => {
  const status = statusOf(null, { ...facts, progress: { step: 'download', message: 'Fetching MySQL' } });
  assert.equal(status.state, 'starting');
  assert.equal(status.reason, 'Fetching MySQL');
  assert.deepEqual(status.members, []);
});

test('a member without a process has no pid, and tells what its platform knows', () => {
  const down = member(0, {
    process: { kind: 'gone', trouble: 'mysqld ended at its start: the disk is full' },
    contact: { kind: 'unreachable', error: 'refused', closedPort: true, sinceMs: 0 },
  });
  const status = statusOf(
    latest([down, member(1)], [{ ordinal: 0, role: 'replica', state: 'down', reason: '' }]),
    facts,
  );
  assert.deepEqual(status.members[0], {
    ordinal: 0,
    role: 'replica',
    state: 'down',
    reason: 'mysqld ended at its start: the disk is full',
    pid: null,
    port: 20_000,
    lagSeconds: null,
    gtidExecuted: null,
  });
  assert.match(awaited(status), /member 0 down \(mysqld ended at its start: the disk is full\)/);
});

test('a member that was scaled in is shown no more; one that is leaving still is', () => {
  const retired = member(2, { process: { kind: 'absent' }, contact: { kind: 'unseen' } });
  const more: Decision['members'] = [...reports, { ordinal: 2, role: 'replica', state: 'waiting', reason: '' }];
  assert.equal(statusOf(latest([member(0), member(1), retired], more), facts).members.length, 2);
  assert.equal(statusOf(latest([member(0), member(1), member(2)], more), facts).members.length, 3);
});

test('a cluster is settled when it is healthy, has as many members as are asked for, and none is to restart', () => {
  const status = statusOf(latest([member(0), member(1)], reports), facts);
  assert.ok(isSettled(status));
  assert.ok(!isSettled({ ...status, replicas: 3 }));
  assert.ok(!isSettled({ ...status, restarting: [1] }));
  assert.ok(!isSettled({ ...status, state: 'degraded' }));
});
