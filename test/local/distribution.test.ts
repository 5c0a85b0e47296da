/** On real servers and the real packages: that a MySQL is found or fetched, and that members can start from a template. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';

import { runCommand } from '../../src/local/command.ts';
import { DistributionError } from '../../src/local/distribution-error.ts';
import {
  debianArch,
  fetchDistribution,
  type DistributionProgress,
  type FetchDistributionOptions,
} from '../../src/local/distribution-fetch.ts';
import { defaultCacheDir, findDistribution, type Distribution } from '../../src/local/distribution.ts';
import { copyTemplate, ensureTemplate } from '../../src/local/template.ts';

let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'baton-test-'));
});
after(() => rm(dir, { recursive: true, force: true }));

describe('a template of a data directory', { timeout: 240_000 }, () => {
  let distribution: Distribution;
  let template = '';
  let initialised = 0;
  const onProgress = ({ step }: DistributionProgress): void => {
    if (step === 'initialise') initialised++;
  };

  before(async () => {
    distribution = await findDistribution({ cacheDir: defaultCacheDir(process.env) });
    const options = { distribution, cacheDir: join(dir, 'cache') };
    const both = await Promise.all([ensureTemplate(options), ensureTemplate(options)]);
    assert.equal(both[0], both[1]);
    template = both[0];
  });

  test('is made once, also when two ask at the same time, and leaves nothing else behind', async () => {
    assert.equal(await ensureTemplate({ distribution, cacheDir: join(dir, 'cache'), onProgress }), template);
    assert.equal(initialised, 0);
    assert.deepEqual(await readdir(join(dir, 'cache')), [basename(template)]);
  });

  test('holds no identity, no private key and no binary log', async () => {
    const files = await readdir(template);
    assert.deepEqual(
      files.filter((file) => /auto\.cnf|\.pem$|\.\d{6}$|\.index$|\.pid$/.test(file)),
      [],
    );
    assert.ok(files.includes('mysql.ibd'));
  });

  test('each server started on a copy is one of a kind, with an empty GTID set and keys of its own', async () => {
    const [a, b] = [await startOnCopy('a'), await startOnCopy('b')];
    assert.match(a.uuid, /^[0-9a-f-]{36}$/);
    assert.notEqual(a.uuid, b.uuid);
    assert.deepEqual([a.gtidExecuted, b.gtidExecuted], ['', '']);
    assert.notEqual(a.publicKey, b.publicKey);
    assert.match(a.publicKey, /BEGIN PUBLIC KEY/);
    assert.deepEqual(await readdir(template).then((files) => files.includes('auto.cnf')), false);
  });

  test('a failure says what the server said, and leaves nothing that would be believed', async () => {
    const broken = { ...distribution, serverOptions: [...distribution.serverOptions, '--no-such-setting=1'] };
    await assert.rejects(ensureTemplate({ distribution: broken, cacheDir: join(dir, 'cache-of-failure') }), {
      code: 'TEMPLATE_FAILED',
      message: /initialising a data directory with MySQL .* failed: .*no-such-setting/,
    });
    assert.deepEqual(await readdir(join(dir, 'cache-of-failure')), []);
  });

  test('an abort stops the server that is at it and leaves nothing', async () => {
    const cacheDir = join(dir, 'cache-of-abort');
    const signal = AbortSignal.timeout(700);
    await assert.rejects(ensureTemplate({ distribution, cacheDir, signal }), { name: 'TimeoutError' });
    assert.deepEqual(await readdir(cacheDir), []);
  });

  async function startOnCopy(name: string): Promise<{ uuid: string; gtidExecuted: string; publicKey: string }> {
    const dataDir = join(dir, name);
    const socket = join(dir, `${name}.sock`);
    await copyTemplate(template, dataDir);
    const [program = '', ...prefix] = distribution.serverCommand;
    const server = spawn(
      program,
      [
        ...prefix,
        '--no-defaults',
        ...distribution.serverOptions,
        `--datadir=${dataDir}`,
        `--socket=${socket}`,
        `--pid-file=${join(dataDir, 'pid')}`,
        '--skip-networking',
        '--loose-mysqlx=OFF',
        '--gtid-mode=ON',
        '--enforce-gtid-consistency=ON',
        ...(process.getuid?.() === 0 ? ['--user=root'] : []),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    const ended = once(server, 'close');
    try {
      let log = '';
      for await (const text of server.stderr.setEncoding('utf8')) {
        log += String(text);
        if (log.includes(': ready for connections. Version')) break;
      }
      const sql =
        "SELECT @@server_uuid; SELECT CONCAT('set:', @@gtid_executed); SHOW STATUS LIKE 'Caching_sha2_password_rsa_public_key'";
      const client = distribution.clientCommand ?? ['mysql'];
      const argv = [...client, '--no-defaults', `--socket=${socket}`, '-uroot', '-NB', '-e', sql];
      const said = await runCommand(argv, { timeoutMs: 30_000 });
      assert.equal(said.exitCode, 0, said.stderr + log);
      const [uuid = '', set = '', publicKey = ''] = said.stdout.split('\n');
      return { uuid, gtidExecuted: set.replace('set:', ''), publicKey };
    } finally {
      server.kill('SIGKILL');
      await ended;
    }
  }
});

const hasApt = existsSync('/usr/bin/apt-get') && existsSync('/usr/bin/dpkg-deb');

describe(
  'fetching MySQL from the packages of the distribution',
  { skip: !hasApt && 'no apt here', timeout: 600_000 },
  () => {
    /** Skips where the mirror cannot be reached; any other failure is the test's. */
    async function fetchInto(
      t: TestContext,
      cacheDir: string,
      options: Partial<FetchDistributionOptions> = {},
    ): Promise<string | DistributionError | Error> {
      const inspect = (): Promise<{ version: string }> => Promise.resolve({ version: '9.0.0' });
      const outcome = await fetchDistribution({ cacheDir, env: process.env, inspect, ...options }).catch(
        (error: Error) => error,
      );
      if (outcome instanceof DistributionError && outcome.code === 'NO_NETWORK') t.skip('no network here');
      return outcome;
    }

    test('says first how much it will be, gets it, and what it got runs on this host', async (t) => {
      const cacheDir = join(dir, 'fetched');
      const progress: DistributionProgress[] = [];
      const fetched = await fetchInto(t, cacheDir, {
        onProgress: (step) => progress.push(step),
        inspect: (directory) => findDistribution({ basedir: directory, cacheDir }),
      });
      if (fetched instanceof DistributionError && fetched.code === 'NO_NETWORK') return;
      assert.ok(typeof fetched === 'string', String(fetched));
      const found = await findDistribution({ basedir: fetched, cacheDir });
      assert.equal(basename(fetched), `mysql-${found.version}-${debianArch()}`);
      assert.deepEqual(await readdir(cacheDir), [basename(fetched)]);
      for (const command of [found.clientCommand, found.binlogCommand]) {
        assert.ok(command !== null);
        const said = await runCommand([...command, '--version'], { timeoutMs: 30_000 });
        assert.match(said.stdout, new RegExp(found.version.replaceAll('.', '\\.')), said.stderr);
      }
      const downloads = progress.filter(({ step }) => step === 'download');
      assert.match(downloads[0]?.message ?? '', /\d+ packages, \d+ MB/);
      assert.equal(downloads[0]?.doneBytes, 0);
      assert.equal(downloads.at(-1)?.doneBytes, downloads.at(-1)?.totalBytes);
    });

    test('nothing is used that another key than the archive keyring signed', async (t) => {
      // Keys that are real and not the ones: a keyring that is empty or damaged would be refused for that alone.
      const others = ['debian-archive-removed-keys.gpg', 'ubuntu-archive-removed-keys.gpg']
        .map((name) => join('/usr/share/keyrings', name))
        .find((path) => existsSync(path));
      if (others === undefined) return t.skip('no other keyring here to try');
      await mkdir(join(dir, 'keys'));
      await copyFile(others, join(dir, 'keys/other.gpg'));
      const outcome = await fetchInto(t, join(dir, 'unsigned'), { keyring: join(dir, 'keys/other.gpg') });
      if (outcome instanceof DistributionError && outcome.code === 'NO_NETWORK') return;
      assert.ok(outcome instanceof DistributionError, String(outcome));
      assert.equal(outcome.code, 'SIGNATURE_REFUSED');
      assert.match(outcome.message, /NO_PUBKEY|Missing key|not available/);
      assert.deepEqual(await readdir(join(dir, 'unsigned')), []);
    });

    test('an unreachable mirror is said to be that', async () => {
      const inspect = (): Promise<{ version: string }> => Promise.reject(new Error('never'));
      const env = { ...process.env, http_proxy: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' };
      await assert.rejects(fetchDistribution({ cacheDir: join(dir, 'offline'), env, inspect }), { code: 'NO_NETWORK' });
      assert.deepEqual(await readdir(join(dir, 'offline')), []);
    });

    for (const step of ['index', 'download', 'unpack'] as const) {
      test(`an abort in step ${step} ends apt and leaves nothing`, async (t) => {
        const abort = new AbortController();
        const cacheDir = join(dir, `abort-${step}`);
        const outcome = await fetchInto(t, cacheDir, {
          signal: abort.signal,
          onProgress: (progress) => {
            if (progress.step === step) setTimeout(() => abort.abort(new Error('enough')), 150);
          },
        });
        if (outcome instanceof DistributionError && outcome.code === 'NO_NETWORK') return;
        assert.equal(outcome instanceof Error && outcome.message, 'enough');
        assert.deepEqual(await readdir(cacheDir), []);
      });
    }
  },
);
