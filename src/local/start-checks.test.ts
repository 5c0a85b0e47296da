import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { newClusterRecord } from '../cluster/record.ts';
import { defaultCluster, validateCluster } from '../spec/parse.ts';
import { clusterDirectories, makeClusterDirectories } from './directories.ts';
import { RecordFiles } from './record-files.ts';
import { checkData, checkRoom, checkVersion, isNewCluster } from './start-checks.ts';

async function inHome(work: (home: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), 'baton-checks-'));
  try {
    await work(home);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

test('data of which there is no record is left alone, in words', () =>
  inHome(async (home) => {
    const directories = clusterDirectories('main', { HOME: home });
    await makeClusterDirectories(directories);
    await writeFile(directories.daemonLog, '');
    await checkData(directories, directories.data);
    assert.ok(await isNewCluster(directories));
    await mkdir(join(directories.data, 'member-0'), { recursive: true });
    await assert.rejects(checkData(directories, directories.data), { code: 'DATA_WITHOUT_RECORD' });
    await new RecordFiles(directories.record).swap(0, newClusterRecord('c', 'quorum'));
    await checkData(directories, directories.data);
    assert.ok(!(await isNewCluster(directories)));
  }));

test('too little disk is said before anything is made, with how much is needed; members that exist need none', () =>
  inHome(async (home) => {
    const template = join(home, 'template');
    await mkdir(template);
    await writeFile(join(template, 'ibdata1'), Buffer.alloc(1024 ** 2));
    const data = join(home, 'data');
    const free = (mebibytes: number) => () => Promise.resolve(mebibytes * 1024 ** 2);
    await assert.rejects(checkRoom(data, template, 3, free(100)), {
      code: 'NO_DISK_SPACE',
      message: /3 new members need 291 MiB of disk, and .* has 100 MiB free/,
    });
    await checkRoom(data, template, 3, free(300));
    for (const member of ['member-0', 'member-1']) await mkdir(join(data, member));
    await checkRoom(data, template, 3, free(100));
    assert.deepEqual((await readdir(data)).sort(), ['member-0', 'member-1'], 'the probe is gone');
  }));

test('a place where no directory can be made is told with why', () =>
  inHome(async (home) => {
    await writeFile(join(home, 'file'), '');
    await assert.rejects(checkRoom(join(home, 'file', 'data'), home, 3), { code: 'UNWRITABLE', message: /ENOTDIR/ });
  }));

test('the version asked for is the version run, as far as it was given', () => {
  const distribution = { version: '9.7.4', basedir: '/opt/mysql' } as never;
  const asking = (version: string) => validateCluster({ ...defaultCluster('main'), spec: { mysql: { version } } });
  checkVersion(defaultCluster('main'), distribution);
  checkVersion(asking('9.7'), distribution);
  checkVersion(asking('9.7.4'), distribution);
  for (const version of ['8.4', '9.7.40', '9.70']) {
    assert.throws(() => checkVersion(asking(version), distribution), { code: 'OTHER_VERSION' });
  }
});
