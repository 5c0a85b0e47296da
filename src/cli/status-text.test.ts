import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { Status } from '../local/status.ts';
import { eventLine, localTime, statusLines } from './status-text.ts';
import { coloursFor } from './terminal.ts';

const colours = coloursFor({}, {});
const status: Status = {
  name: 'main',
  state: 'degraded',
  reason: 'member 1 not in sync',
  epoch: 3,
  term: 1,
  primary: 0,
  durability: { mode: 'quorum', required: 1, ackers: [1, 2] },
  endpoints: { primary: { host: '127.0.0.1', port: 6446 }, read: { host: '127.0.0.1', port: 6447 } },
  members: [
    {
      ordinal: 0,
      role: 'primary',
      state: 'writable',
      reason: '',
      pid: 41,
      port: 20_000,
      lagSeconds: null,
      gtidExecuted: '',
    },
    {
      ordinal: 1,
      role: 'replica',
      state: 'down',
      reason: 'the disk is full',
      pid: null,
      port: 20_001,
      lagSeconds: null,
      gtidExecuted: null,
    },
    {
      ordinal: 2,
      role: 'replica',
      state: 'following',
      reason: '',
      pid: 43,
      port: 20_002,
      lagSeconds: 0.25,
      gtidExecuted: '',
    },
  ],
  mysql: { version: '9.7.4' },
  daemon: { pid: 40 },
  restarting: [],
  replicas: 3,
  lastEvents: [],
  progress: null,
};

test('a status tells state and reason first, then what is promised, where to connect, and each member', () => {
  assert.deepEqual(statusLines(status, colours), [
    'main  degraded  member 1 not in sync',
    'MySQL 9.7.4 · epoch 3 · quorum: a commit waits for 1 acknowledgement of members 1, 2',
    'writes 127.0.0.1:6446   reads 127.0.0.1:6447',
    '',
    'MEMBER  ROLE     STATE      LAG    PID  PORT',
    '0       primary  writable   -      41   20000',
    '1       replica  down       -      -    20001  the disk is full',
    '2       replica  following  0.3 s  43   20002',
  ]);
});

test('an event has its time here, what it is, and how long it took', () => {
  const at = new Date(2026, 10, 24, 6, 5, 4, 3);
  const now = new Date(2026, 10, 24, 12);
  assert.equal(localTime(at.toISOString(), now), '06:05:04.003');
  assert.equal(localTime(at.toISOString(), new Date(2026, 10, 25)), '2026-11-24 06:05:04.003');
  const event = { at: new Date().toISOString(), epoch: 1, term: 1, kind: 'record', text: 'a new cluster', ms: 3 };
  assert.match(eventLine(event, colours), /^\d\d:\d\d:\d\d\.\d{3} {2}decided {4}a new cluster \(3 ms\)$/);
});
