import assert from 'node:assert/strict';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { makeHome, type Home, type Outcome } from './baton-command.ts';

const resource = (spec: string, name = 'wrong'): string =>
  `apiVersion: baton.dev/v1alpha1\nkind: MySQLCluster\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

function told(outcome: Outcome, code: number, message: RegExp): void {
  assert.equal(outcome.code, code, outcome.stderr);
  assert.equal(outcome.stdout, '');
  const lines = outcome.stderr.split('\n').filter((line) => line.startsWith('baton: '));
  assert.equal(lines.length, 1, `one clear line: ${outcome.stderr}`);
  assert.match(outcome.stderr, message);
  assert.doesNotMatch(outcome.stderr, /^\s+at /m, 'no stack');
}

describe('where there is no cluster, wrong input changes nothing', () => {
  let home: Home;
  before(async () => {
    home = await makeHome();
  });
  after(() => home[Symbol.asyncDispose]());

  /** The command fails so, and the home is as it was. */
  async function refused(args: readonly string[], code: number, message: RegExp, input?: string): Promise<void> {
    const before = await home.files();
    told(await home.start(args, input === undefined ? {} : { input }).outcome, code, message);
    assert.deepEqual(await home.processes(), []);
    const made = (await home.files()).filter(
      (file) => !before.includes(file) && !/^(data|state)(\/baton)?$/.test(file),
    );
    assert.deepEqual(made, []);
  }

  const up = ['up', '-f', '-'];

  test('a file that is no YAML, or none at all', async () => {
    await refused(up, 2, /standard input:4:1: not valid YAML/, 'apiVersion: x\nkind: y\nspec: {replicas: 3\n');
    await refused(up, 2, /expected one MySQLCluster resource, found nothing: it is empty/, '');
    await refused(['up', '-f', join(home.directory, 'no.yaml')], 2, /there is no file .*no\.yaml\n {2}Name a resource/);
    await refused(['up', '-f', home.directory], 2, /expected a file, found a directory/);
  });

  test('a misspelt field, with its line and the nearest name', () =>
    refused(
      up,
      2,
      /standard input:4:8: spec\.replica: unknown field; did you mean "?replicas/,
      resource('{replica: 3}'),
    ));

  test('a number of members that cannot be', async () => {
    for (const replicas of ['0', '-1', '1.5', '200']) {
      await refused(up, 2, /expected a whole number from 1 to 15/, resource(`{replicas: ${replicas}}`));
      await refused(['up', `--replicas=${replicas}`], 2, /expected a whole number from 1 to 15/);
      await refused(['scale', '--', replicas], 2, /expected a whole number from 1 to 15/);
    }
    await refused(['up', '--replicas', 'three'], 2, /expected a whole number from 1 to 15, found "three"/);
  });

  test('options and names that do not exist', async () => {
    await refused(['upp'], 2, /unknown command 'upp'\n\(Did you mean up\?\)/);
    await refused(['up', '--replica', '3'], 2, /unknown option '--replica'\n\(Did you mean --replicas\?\)/);
    await refused(['up', '--name', '../etc'], 2, /expected a name of lower-case letters/);
    await refused(['up', '--timeout', 'soon'], 2, /expected --timeout to be a number of seconds/);
    await refused(['restart', 'primary'], 2, /expected a member's number, such as 0, found "primary"/);
  });

  test('a directory without mysqld, and one with a MariaDB', async () => {
    const basedir = join(home.directory, 'basedir');
    await mkdir(join(basedir, 'bin'), { recursive: true });
    const args = ['up', '--mysql-basedir', basedir];
    await refused(
      args,
      2,
      /no mysqld in .*basedir .*\n {2}basedir is the directory MySQL was unpacked or installed to/,
    );
    await writeFile(join(basedir, 'bin/mysqld'), '#!/bin/sh\necho "mysqld  Ver 10.11.6-MariaDB for Linux on x86_64"\n');
    await chmod(join(basedir, 'bin/mysqld'), 0o755);
    await refused(args, 2, /is MariaDB 10\.11\.6.*MySQL 8\.0\.26 to 9\.x is needed/);
  });

  test('a version that is not the one found', () =>
    refused(
      up,
      2,
      /spec\.mysql\.version asks for MySQL 8\.1, and the one found .* is \d/,
      resource('{mysql: {version: "8.1"}}'),
    ));

  test('no MySQL and no network', async () => {
    const nowhere = 'http://127.0.0.1:9';
    const env = {
      XDG_CACHE_HOME: join(home.directory, 'cache'),
      http_proxy: nowhere,
      https_proxy: nowhere,
      HTTP_PROXY: nowhere,
    };
    const outcome = await home.start(['up', '--name', 'offline'], { env }).outcome;
    told(outcome, 1, /^baton: .*\n {2}\S/m);
    await rm(join(home.directory, 'cache'), { recursive: true, force: true });
    assert.deepEqual(await home.processes(), []);
    told(await home.run('status', '--name', 'offline'), 3, /there is no cluster "offline"; there are none so far/);
  });

  test('a port that somebody else has, with how to see who', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      await refused(
        up,
        1,
        new RegExp(`port ${port} on 127\\.0\\.0\\.1 is in use.*\\n {2}.*ss -`),
        resource(`{endpoints: {primary: {port: ${port}}}}`),
      );
    } finally {
      server.close();
    }
  });

  test('a place that cannot be written to', async () => {
    const file = join(home.directory, 'file');
    await writeFile(file, '');
    await refused(
      up,
      1,
      /can't make .*file.*\n {2}Make room, or put the data elsewhere/,
      resource(`{storage: {path: ${file}}}`),
    );
    const outcome = await home.start(['up'], { env: { XDG_STATE_HOME: file } }).outcome;
    told(outcome, 1, /ENOTDIR|expected a directory/);
    await rm(file);
  });

  test('data of a cluster whose record is gone is left alone', async () => {
    const member = join(home.directory, 'data/baton/orphan/member-0');
    await mkdir(member, { recursive: true });
    await refused(
      ['up', '--name', 'orphan'],
      1,
      /holds member-0 of a cluster, but its record and passwords .* are gone/,
    );
    await rm(join(member, '..'), { recursive: true });
  });

  test('a cluster that does not exist, for every command that needs one', async () => {
    const none = /there is no cluster "mysql"; there are none so far\n {2}Make it: baton up/;
    const commands = [
      'status',
      'url',
      'sql -e x',
      'scale 3',
      'switchover',
      'restart',
      'explain',
      'logs',
      'stop',
      'start',
    ];
    for (const command of [...commands, 'down', 'down --delete --yes']) await refused(command.split(' '), 3, none);
  });
});

describe('on a running cluster, wrong input changes nothing', () => {
  let home: Home;
  before(async () => {
    home = await makeHome();
    await home.ok('up', '--name', 'main', '--replicas', '2');
  });
  after(async () => {
    await home.run('down', '--name', 'main', '--delete', '--yes');
    await home[Symbol.asyncDispose]();
  });

  async function refused(args: readonly string[], code: number, message: RegExp, input = ''): Promise<void> {
    const at = async (): Promise<unknown> => {
      const { members, primary, epoch, replicas } = await home.status('main');
      return { pids: members.map(({ pid }) => pid), primary, epoch, replicas };
    };
    const before = await at();
    told(await home.start([...args], { input }).outcome, code, message);
    assert.deepEqual(await at(), before);
  }

  const main = ['--name', 'main'];

  test('a switchover to the primary itself, to nobody, or to a member that hangs', async () => {
    await refused(['switchover', '--to', '0', ...main], 1, /no switchover: member 0 is the primary already/);
    await refused(['switchover', '--to', '2', ...main], 2, /there is no member 2\n {2}The members are 0, 1\./);
    const { members } = await home.status('main');
    const pid = members[1]?.pid ?? assert.fail('no replica');
    process.kill(pid, 'SIGSTOP');
    try {
      await refused(['switchover', '--to', '1', ...main], 1, /no switchover: member 1 (does not answer|is )/);
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await home.ok('up', ...main);
  });

  test('scale to 0, and to what is no number', async () => {
    await refused(['scale', '0', ...main], 2, /found 0; to stop every member and keep the data, run "baton stop"/);
    await refused(['scale', 'many', ...main], 2, /found "many"/);
  });

  test('a resource that cannot become of this cluster', async () => {
    const spec = (text: string): string => resource(text, 'main');
    await refused(
      ['up', '-f', '-'],
      2,
      /spec\.storage\.path was settled when the cluster was made/,
      spec('{replicas: 2, storage: {path: /srv}}'),
    );
    await refused(
      ['up', '-f', '-'],
      2,
      /spec\.endpoints\.primary\.port can't change .* while the cluster runs\n {2}Stop it first/,
      spec('{replicas: 2, endpoints: {primary: {port: 3}}}'),
    );
    await refused(['up', '-f', '-'], 2, /unknown field/, spec('{replicas: 2, durabilty: {}}'));
  });

  test('SQL that is wrong, or none', async () => {
    await refused(
      ['sql', '-e', 'selec 1', ...main],
      1,
      /MySQL error 1064 \(42000\): You have an error in your SQL syntax/,
    );
    await refused(['sql', ...main], 2, /expected SQL, found nothing/);
    await refused(['sql', '--root', '-e', 'select 1', ...main], 2, /root can log in at a member only/);
    await refused(['sql', '--member', '5', '-e', 'select 1', ...main], 2, /there is no member 5/);
  });

  test('another name lists those that exist', () =>
    refused(['status', '--name', 'other'], 3, /there is no cluster "other"; those that exist: main/));
});
