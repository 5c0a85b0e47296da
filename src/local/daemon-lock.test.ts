import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { DaemonTakenError, lockDaemon, runningDaemon } from './daemon-lock.ts';
import { clusterDirectories, makeClusterDirectories, type ClusterDirectories } from './directories.ts';
import { bootId } from './process-identity.ts';

async function withDirectories(work: (directories: ClusterDirectories) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'baton-lock-'));
  try {
    const directories = clusterDirectories('main', { HOME: home });
    await makeClusterDirectories(directories);
    await work(directories);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

test('a second daemon of the same cluster is refused, and names the first', () =>
  withDirectories(async (directories) => {
    const unlock = await lockDaemon(directories);
    await assert.rejects(lockDaemon(directories), (error: Error) => {
      assert.ok(error instanceof DaemonTakenError);
      assert.match(error.message, new RegExp(`process ${process.pid}\\)`));
      return true;
    });
    assert.equal((await runningDaemon(directories))?.socket, directories.socket);
    await unlock();
    assert.equal(await runningDaemon(directories), null);
    await (
      await lockDaemon(directories)
    )();
  }));

test('of many daemons that start at once, one gets the cluster', () =>
  withDirectories(async (directories) => {
    // What a daemon that was killed leaves behind is in the way of all of them.
    await writeFile(join(directories.state, 'daemon.json'), await identityOfDead(directories.socket));
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => lockDaemon(directories)));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.deepEqual(await readdir(directories.state), ['daemon.json', 'record']);
  }));

test('a dead daemon is nobody, whoever has its pid now, and so is one of an earlier boot or half a file', () =>
  withDirectories(async (directories) => {
    const path = join(directories.state, 'daemon.json');
    const dead = await identityOfDead(directories.socket);
    const earlier = JSON.stringify({ pid: 1, startTime: '0', bootId: 'another', socket: directories.socket });
    const reused = JSON.stringify({ ...JSON.parse(dead), pid: process.pid });
    for (const text of [dead, earlier, reused, '{"pid":', '']) {
      await writeFile(path, text);
      assert.equal(await runningDaemon(directories), null);
      const unlock = await lockDaemon(directories);
      assert.match(await readFile(path, 'utf8'), new RegExp(`"pid":${process.pid},`));
      await unlock();
    }
  }));

async function identityOfDead(socket: string): Promise<string> {
  const child = spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' });
  await once(child, 'exit');
  return JSON.stringify({ pid: child.pid, startTime: '12', bootId: bootId(), socket });
}
