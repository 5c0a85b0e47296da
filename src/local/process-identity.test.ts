import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

import {
  findProcess,
  hasArgument,
  parseStat,
  processAgeMs,
  processOf,
  processState,
  signalProcess,
} from './process-identity.ts';

/** The fields after the name: state first, threads the 18th, start time the 20th. */
const stat = (name: string, state: string, threads: number): string =>
  `7 (${name}) ${state} 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 ${threads} 0 8812345 1000 200`;

test("a program's name may hold spaces and brackets", () => {
  assert.deepEqual(parseStat(stat('a) S (b', 'R', 3)), { startTime: '8812345', dead: false });
});

test('a zombie is dead only when its last thread has ended: until then it may still answer somebody', () => {
  assert.equal(parseStat(stat('mysqld', 'Z', 12)).dead, false);
  assert.equal(parseStat(stat('mysqld', 'Z', 1)).dead, true);
  assert.equal(parseStat(stat('mysqld', 'T', 12)).dead, false, 'a stopped process is not dead');
});

test('a process is known by pid and start time: another start time is another process, and gets no signal', async (t) => {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)', '--', '--mark=process-identity'], {
    stdio: 'ignore',
  });
  t.after(() => child.kill('SIGKILL'));
  const exited = once(child, 'exit');
  await once(child, 'spawn');
  const id = processOf(child.pid ?? 0) ?? assert.fail('not running');
  assert.equal(processState(id), 'running');
  assert.ok(processAgeMs(id) < 60_000);
  const stranger = { ...id, startTime: `${Number(id.startTime) - 1}` };
  assert.equal(processState(stranger), 'gone');
  assert.equal(signalProcess(stranger, 'SIGKILL'), false);
  assert.equal(processState(id), 'running');

  assert.deepEqual(await findProcess('--mark=process-identity'), id);
  assert.equal(await hasArgument(id, '--mark=process'), false);

  assert.equal(signalProcess(id, 'SIGKILL'), true);
  await exited;
  assert.equal(processState(id), 'gone');
  assert.equal(signalProcess(id, 'SIGKILL'), false);
  assert.equal(await findProcess('--mark=process-identity'), null);
});
