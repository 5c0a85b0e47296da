import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import { debianArch, type DistributionProgress } from './distribution-fetch.ts';
import { defaultCacheDir, findDistribution, supportedVersion } from './distribution.ts';

const debian9 = 'Ver 9.7.4-2 for Linux on x86_64 ((Debian))';
const mariadb = 'Ver 10.11.6-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)';

const plugins = ['mysql_clone.so', 'semisync_source.so', 'semisync_replica.so'];

describe('the version of a server', () => {
  const versions = [
    [debian9, '9.7.4'],
    ['Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL), Release 28, Revision 47601f19)', '8.0.36'],
    ['Ver 8.0.39-0ubuntu0.24.04.2 for Linux on x86_64 ((Ubuntu))', '8.0.39'],
    ['Ver 8.4.3 for macos14.7 on arm64 (Homebrew)', '8.4.3'],
    ['Ver 8.0.26 for Linux on x86_64 (MySQL Community Server - GPL)', '8.0.26'],
  ] as const;
  for (const [said, version] of versions) {
    test(`${said} is ${version}`, () => assert.equal(supportedVersion('/x/mysqld', `/x/mysqld  ${said}\n`), version));
  }
  const refused = [
    [mariadb, 'MARIADB', /is MariaDB 10\.11\.6/],
    ['Ver 8.0.25 for Linux on x86_64 (MySQL Community Server - GPL)', 'MYSQL_TOO_OLD', /8\.0\.25.*8\.0\.26 to 9\.x/],
    ['Ver 5.7.44-log for Linux on x86_64', 'MYSQL_TOO_OLD', /5\.7\.44/],
    ['Ver 10.0.0 for Linux on x86_64 (MySQL Community Server - GPL)', 'MYSQL_TOO_NEW', /10\.0\.0/],
    ['', 'MYSQL_DOES_NOT_RUN', /did not say its version/],
  ] as const;
  for (const [said, code, message] of refused) {
    test(`${code}: ${said}`, () => assert.throws(() => supportedVersion('/x/mysqld', said), { code, message }));
  }
});

test('the cache is where XDG says, and else in the home directory', () => {
  assert.equal(defaultCacheDir({ XDG_CACHE_HOME: '/c', HOME: '/h' }), '/c/baton');
  assert.equal(defaultCacheDir({ HOME: '/h' }), '/h/.cache/baton');
  assert.equal(defaultCacheDir({ XDG_CACHE_HOME: 'relative', HOME: '/h' }), '/h/.cache/baton');
});

describe('finding MySQL', () => {
  let dir = '';
  let notes: DistributionProgress[] = [];
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'baton-test-'));
    notes = [];
  });
  afterEach(() => rm(dir, { recursive: true }));

  const script = async (path: string, body: string): Promise<void> => {
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, `#!/bin/sh\n${body}\n`);
    await chmod(path, 0o755);
  };

  /** Answers as mysqld does: --verbose --help exits with 1 where the compiled-in data directory does not exist. */
  const fakeMysql = async (basedir: string, said: string, bin = 'sbin'): Promise<string> => {
    const table = `basedir  ${basedir}/\nplugin-dir    ${basedir}/lib/mysql/plugin/\nlc-messages-dir  ${basedir}/share/`;
    await script(
      join(basedir, bin, 'mysqld'),
      `case "$*" in *--version*) echo "$0  ${said}";; *) echo "${table}"; exit 1;; esac`,
    );
    await mkdir(join(basedir, 'lib/mysql/plugin'), { recursive: true });
    for (const plugin of plugins) await writeFile(join(basedir, 'lib/mysql/plugin', plugin), '');
    return basedir;
  };

  const fakeFetched = async (version: string): Promise<string> => {
    const basedir = await fakeMysql(join(dir, `cache/mysql-${version}-${debianArch()}`), `Ver ${version} for Linux`);
    await script(join(basedir, 'lib/ld-linux-x86-64.so.2'), 'shift 2; exec "$@"');
    return basedir;
  };

  const find = (options: { basedir?: string; PATH?: string }): ReturnType<typeof findDistribution> =>
    findDistribution({
      basedir: options.basedir,
      cacheDir: join(dir, 'cache'),
      env: { PATH: options.PATH ?? '' },
      onProgress: (progress) => notes.push(progress),
    });

  test('a basedir is described by what its server says of itself', async () => {
    const basedir = await fakeMysql(join(dir, 'mysql'), debian9, 'libexec');
    await script(join(basedir, 'bin/mysqlbinlog'), '');
    assert.deepEqual(await find({ basedir }), {
      version: '9.7.4',
      serverCommand: [join(basedir, 'libexec/mysqld')],
      serverOptions: [
        `--basedir=${basedir}`,
        `--plugin-dir=${basedir}/lib/mysql/plugin`,
        `--lc-messages-dir=${basedir}/share`,
        '--secure-file-priv=NULL',
      ],
      clientCommand: null,
      binlogCommand: [join(basedir, 'bin/mysqlbinlog')],
      origin: 'basedir',
      basedir,
    });
  });

  test('a basedir is never replaced by another MySQL: what is wrong with it is said', async () => {
    await fakeFetched('9.1.0');
    await assert.rejects(find({ basedir: join(dir, 'nothing') }), { code: 'BASEDIR_WITHOUT_MYSQLD' });
    await assert.rejects(find({ basedir: await fakeMysql(join(dir, 'maria'), mariadb) }), { code: 'MARIADB' });
    await assert.rejects(find({ basedir: await fakeMysql(join(dir, 'old'), 'Ver 5.7.44 for Linux') }), {
      code: 'MYSQL_TOO_OLD',
    });
    await script(
      join(dir, 'broken/bin/mysqld'),
      'echo "mysqld: error while loading shared libraries: libaio" >&2; exit 127',
    );
    await assert.rejects(find({ basedir: join(dir, 'broken') }), { code: 'MYSQL_DOES_NOT_RUN', message: /libaio/ });
  });

  test('a build without the plugins that a cluster needs is refused by their names', async () => {
    const basedir = await fakeMysql(join(dir, 'mysql'), debian9);
    await rm(join(basedir, 'lib/mysql/plugin/mysql_clone.so'));
    await assert.rejects(find({ basedir }), { code: 'MYSQL_LACKS_PLUGIN', message: /has no mysql_clone\.so in/ });
  });

  test('a MySQL on PATH goes before one fetched earlier', async () => {
    await fakeFetched('9.1.0');
    const installed = await fakeMysql(join(dir, 'mysql'), 'Ver 8.4.3 for Linux');
    const found = await find({ PATH: `relative:${join(dir, 'none')}:${join(installed, 'sbin')}` });
    assert.deepEqual([found.origin, found.version], ['path', '8.4.3']);
  });

  const installed = existsSync('/usr/sbin/mysqld') || existsSync('/usr/libexec/mysqld');
  const alone = { skip: installed && 'this host has a MySQL or MariaDB of its own' };

  test('a MariaDB on PATH is passed over with a note, for the newest MySQL fetched earlier', alone, async () => {
    await fakeFetched('9.1.0');
    const newest = await fakeFetched('9.10.0');
    const maria = await fakeMysql(join(dir, 'maria'), mariadb);
    const found = await find({ PATH: join(maria, 'sbin') });
    assert.deepEqual([found.origin, found.version, found.basedir], ['fetched', '9.10.0', newest]);
    assert.deepEqual(found.serverCommand, [
      join(newest, 'lib/ld-linux-x86-64.so.2'),
      '--library-path',
      join(newest, 'lib'),
      join(newest, 'sbin/mysqld'),
    ]);
    assert.match(notes.map(({ message }) => message).join('\n'), /^Passed over: .*mysqld is MariaDB 10\.11\.6/);
  });

  test(
    'a fetched MySQL that is damaged is named, not silently replaced: servers may be running from it',
    alone,
    async () => {
      const basedir = await fakeFetched('9.1.0');
      await rm(join(basedir, 'sbin/mysqld'));
      await assert.rejects(find({}), { code: 'MYSQL_DOES_NOT_RUN', message: /9\.1\.0-\w+ is damaged/, hint: /remove/ });
    },
  );

  test('an abort ends the search', async () => {
    const basedir = await fakeMysql(join(dir, 'mysql'), debian9);
    const signal = AbortSignal.abort(new Error('never mind'));
    await assert.rejects(findDistribution({ basedir, cacheDir: dir, signal }), /never mind/);
  });
});
