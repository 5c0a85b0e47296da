import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { clusterDirectories, listClusters, makeClusterDirectories, makePrivateDirectory } from './directories.ts';

test('everything is under the XDG directories, by the name of the cluster', () => {
  const env = { HOME: '/h', XDG_DATA_HOME: '/d', XDG_STATE_HOME: '/s', XDG_CACHE_HOME: '/c', XDG_RUNTIME_DIR: '/r' };
  const found = clusterDirectories('main', env);
  assert.equal(found.data, '/d/baton/main');
  assert.equal(found.record, '/s/baton/main/record');
  assert.equal(found.cache, '/c/baton');
  assert.equal(found.socket, '/r/baton/main.sock');
});

test('without XDG variables, or with relative ones, it is the usual place in the home directory', () => {
  for (const env of [{ HOME: '/h' }, { HOME: '/h', XDG_DATA_HOME: 'd', XDG_STATE_HOME: '', XDG_RUNTIME_DIR: 'r' }]) {
    const found = clusterDirectories('main', env);
    assert.equal(found.data, '/h/.local/share/baton/main');
    assert.equal(found.socket, '/h/.local/state/baton/main/main.sock');
  }
});

test('a socket path is never longer than the kernel takes', () => {
  const long = `/${'very-long/'.repeat(12)}`;
  for (const env of [{ HOME: long }, { HOME: long, XDG_RUNTIME_DIR: long }, { HOME: '/h', XDG_RUNTIME_DIR: long }]) {
    assert.ok(Buffer.byteLength(clusterDirectories('main', env).socket) <= 107);
  }
  const other = clusterDirectories('main', { HOME: `${long}2` }).socket;
  assert.notEqual(clusterDirectories('main', { HOME: long }).socket, other, 'two homes do not share a short one');
});

test('made directories are private, and the cluster is then listed', async () => {
  const home = await mkdtemp(join(tmpdir(), 'baton-home-'));
  try {
    const env = { HOME: home };
    assert.deepEqual(await listClusters(env), []);
    for (const name of ['two', 'one']) await makeClusterDirectories(clusterDirectories(name, env));
    assert.deepEqual(await listClusters(env), ['one', 'two']);
    const { data, state, record, cache } = clusterDirectories('one', env);
    for (const directory of [data, state, record, cache]) assert.equal((await stat(directory)).mode & 0o777, 0o700);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});

test('a directory that others can enter is closed; one that is a link to elsewhere is refused', async () => {
  const home = await mkdtemp(join(tmpdir(), 'baton-home-'));
  try {
    await mkdir(join(home, 'open'));
    await chmod(join(home, 'open'), 0o777);
    await makePrivateDirectory(join(home, 'open'));
    assert.equal((await stat(join(home, 'open'))).mode & 0o777, 0o700);
    await symlink(join(home, 'open'), join(home, 'link'));
    await assert.rejects(makePrivateDirectory(join(home, 'link')), { code: 'DIRECTORY_NOT_OWN' });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
