import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import type { Distribution } from './distribution.ts';
import { copyTemplate, templateName } from './template.ts';

const distribution: Distribution = {
  version: '9.7.4',
  serverCommand: ['/opt/mysql/bin/mysqld'],
  serverOptions: ['--basedir=/opt/mysql'],
  clientCommand: null,
  binlogCommand: null,
  origin: 'basedir',
  basedir: '/opt/mysql',
};

test('a template belongs to one version and one server', () => {
  const name = templateName(distribution);
  assert.match(name, /^template-9\.7\.4-[0-9a-f]{12}$/);
  assert.equal(templateName({ ...distribution }), name);
  assert.notEqual(templateName({ ...distribution, version: '9.7.5' }), name);
  assert.notEqual(templateName({ ...distribution, serverCommand: ['/usr/sbin/mysqld'] }), name);
});

describe('copying a template', () => {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'baton-test-'));
    await mkdir(join(dir, 'template/mysql'), { recursive: true, mode: 0o755 });
    await writeFile(join(dir, 'template/mysql/t.ibd'), 'page');
    await truncate(join(dir, 'template/mysql/t.ibd'), 8 << 20);
  });
  afterEach(() => rm(dir, { recursive: true }));

  test('copies the files themselves, with their room on the disk, into a directory that only its owner may read', async () => {
    const target = join(dir, 'members/a/data');
    await copyTemplate(join(dir, 'template'), target);
    assert.deepEqual(await readdir(target), ['mysql']);
    const copied = await stat(join(target, 'mysql/t.ibd'));
    assert.equal(copied.size, 8 << 20);
    assert.ok(copied.blocks * 512 >= copied.size, `${copied.blocks} blocks`);
    assert.equal((await readFile(join(target, 'mysql/t.ibd'))).subarray(0, 4).toString(), 'page');
    assert.equal((await stat(target)).mode & 0o777, 0o700);
  });

  test('takes an empty directory, and never writes over anything', async () => {
    await mkdir(join(dir, 'data'));
    await copyTemplate(join(dir, 'template'), join(dir, 'data'));
    await writeFile(join(dir, 'data/mysql/t.ibd'), 'precious');
    await assert.rejects(copyTemplate(join(dir, 'template'), join(dir, 'data')), { code: 'DATADIR_NOT_EMPTY' });
    assert.equal(await readFile(join(dir, 'data/mysql/t.ibd'), 'utf8'), 'precious');
  });
});
