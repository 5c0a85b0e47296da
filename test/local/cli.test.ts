import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { startDaemon } from '../../src/local/daemon-start.ts';
import { clusterDirectories } from '../../src/local/directories.ts';
import { processOf } from '../../src/local/process-identity.ts';
import { defaultCluster } from '../../src/spec/parse.ts';
import { makeHome, type Home } from './baton-command.ts';
import { until } from './member-fixture.ts';

const home: Home = await makeHome();
after(() => home[Symbol.asyncDispose]());

const pids = async (): Promise<(number | null)[]> => (await home.status()).members.map(({ pid }) => pid);
const daemonPid = async (): Promise<number> => (await home.status()).daemon?.pid ?? assert.fail('no daemon');

describe('one cluster, from up to down', () => {
  test('up makes three members and says how to use them', async () => {
    const said = await home.ok('up');
    assert.match(said, /is up: MySQL \d+\.\d+\.\d+, member 0 is the primary, followed by 1, 2/);
    assert.match(said, /mysql -h 127\.0\.0\.1 -P \d+ -u app -p\n/);
    assert.match(said, /jdbc:mysql:\/\/127\.0\.0\.1:\d+\/\?user=app\n/);
    const status = await home.status();
    assert.equal(status.state, 'healthy');
    assert.equal(status.epoch, 1);
    assert.equal(status.primary, 0);
    assert.deepEqual(status.durability, { mode: 'quorum', required: 1, ackers: [1, 2] });
    assert.deepEqual(
      status.members.map(({ ordinal, role, state }) => [ordinal, role, state]),
      [
        [0, 'primary', 'writable'],
        [1, 'replica', 'following'],
        [2, 'replica', 'following'],
      ],
    );
  });

  test('what is written through the primary endpoint is read through the read endpoint, and replicas refuse writes', async () => {
    await home.ok('sql', '-e', 'create database test; create table test.counter (n int primary key)');
    await home.ok('sql', '-e', 'insert into test.counter values (123)');
    await until('the row is read', async () => {
      const read = await home.run('sql', '--read', '--json', '-e', 'select n from test.counter');
      return read.stdout === '[{"n":123}]\n';
    });
    const refused = await home.run('sql', '--member', '1', '-e', 'insert into test.counter values (4)');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /MySQL error 1290 .*read-only.*\n.*primary endpoint/);
    const replica = JSON.parse(await home.ok('sql', '--member', '1', '--root', '--json', '-e', 'show replica status'));
    assert.equal(replica[0].Replica_SQL_Running, 'Yes');
    assert.equal(replica[0].Last_Error, '');
    const typed = await home.start(['sql'], { input: 'select 1 as a, null as b;\nselect "x\ty" as c' }).outcome;
    assert.equal(typed.stdout, 'a\tb\n1\tNULL\nc\nx\\ty\n');
  });

  test('the URL is alone on its line, and its password is in no argument list, log or readable file', async () => {
    const url = new URL((await home.ok('url')).trimEnd());
    assert.equal(url.protocol, 'mysql:');
    assert.notEqual(new URL((await home.ok('url', '--read')).trimEnd()).port, url.port);
    const { state, daemonLog, journal, secrets } = clusterDirectories('mysql', home.env);
    const passwords = Object.values((JSON.parse(await readFile(secrets, 'utf8')) as { passwords: object }).passwords);
    assert.ok(passwords.includes(decodeURIComponent(url.password)));
    const places = [daemonLog, journal, join(state, 'cluster.yaml')];
    for (const pid of await home.processes()) places.push(`/proc/${pid}/cmdline`, `/proc/${pid}/environ`);
    for (const place of places) {
      const text = await readFile(place, 'utf8').catch(() => '');
      for (const password of passwords) assert.ok(!text.includes(String(password)), place);
    }
  });

  test('up again changes nothing; with another resource it shows what changes and makes it so', async () => {
    const before = await pids();
    assert.doesNotMatch((await home.start(['up']).outcome).stderr, /→/);
    assert.deepEqual(await pids(), before);
    const file = join(home.directory, 'cluster.yaml');
    const resource = 'apiVersion: baton.dev/v1alpha1\nkind: MySQLCluster\nspec: {replicas: 2, storage: {size: 20Gi}}\n';
    await writeFile(file, resource);
    const applied = await home.run('up', '-f', file);
    assert.equal(applied.code, 0, applied.stderr);
    assert.match(applied.stderr, /^note: spec\.storage\.size is used on Kubernetes only; ignored here$/m);
    assert.match(applied.stderr, /^spec\.replicas: 3 → 2$/m);
    assert.equal((await home.status()).members.length, 2);
    await home.ok('scale', '3');
    assert.equal((await home.status()).members.length, 3);
  });

  test('a daemon that is killed takes no member along; the next one adopts them', async () => {
    const before = await pids();
    process.kill(await daemonPid(), 'SIGKILL');
    const alone = await until('the daemon is gone', async () => {
      const status = await home.status();
      return status.daemon === null ? status : null;
    });
    assert.equal(alone.state, 'unattended');
    assert.deepEqual(
      alone.members.map(({ pid }) => pid),
      before,
    );
    const refused = await home.run('sql', '-e', 'select 1');
    assert.equal(refused.code, 3);
    assert.match(refused.stderr, /has no daemon\n.*baton start/);
    await home.ok('up');
    assert.deepEqual(await pids(), before);
  });

  test('SIGTERM to the daemon lets the members go on, too', async () => {
    const before = await pids();
    const pid = await daemonPid();
    process.kill(pid, 'SIGTERM');
    await until('the daemon is gone', () => processOf(pid) === null);
    await home.ok('start');
    assert.deepEqual(await pids(), before);
  });

  test('the primary is killed: writes go on at the same address, and explain says why', async () => {
    const { members, primary, endpoints } = await home.status();
    process.kill(members[primary ?? 0]?.pid ?? assert.fail('no primary'), 'SIGKILL');
    await home.ok('sql', '-e', 'insert into test.counter values (5)');
    const later = await home.status();
    assert.notEqual(later.primary, primary);
    assert.deepEqual(later.endpoints, endpoints);
    const told = await home.ok('explain');
    assert.match(told, new RegExp(`decided .*member ${later.primary}.*epoch ${later.epoch}`));
    await home.ok('up');
  });

  test('a switchover and a restart are done when they say so; impossible ones are refused in words', async () => {
    const { primary } = await home.status();
    const target = primary === 0 ? 1 : 0;
    assert.match(
      await home.ok('switchover', '--to', String(target)),
      new RegExp(`^member ${target} is the primary now`),
    );
    assert.equal((await home.status()).primary, target);
    await home.ok('up');
    const before = await pids();
    await home.ok('restart', '2');
    const restarted = await pids();
    assert.notEqual(restarted[2], before[2]);
    assert.deepEqual(restarted.slice(0, 2), before.slice(0, 2));

    const self = await home.run('switchover', '--to', String(target));
    assert.equal(self.code, 1);
    assert.match(self.stderr, new RegExp(`member ${target} is the primary already`));
    const unknown = await home.run('switchover', '--to', '7');
    assert.equal(unknown.code, 2);
    assert.match(unknown.stderr, /there is no member 7\n {2}The members are 0, 1, 2\./);
    assert.equal((await home.status()).primary, target);
  });

  test('stop ends every process and keeps the data; start brings it back', async () => {
    await home.ok('stop');
    assert.deepEqual(await home.processes(), []);
    const status = await home.run('status');
    assert.equal(status.code, 3);
    assert.match(status.stdout, /stopped/);
    await home.ok('start');
    assert.equal(await home.ok('sql', '-e', 'select count(*) n from test.counter'), 'n\n2\n');
    assert.match(await home.ok('logs', '0'), /ready for connections/);
    assert.match(await home.ok('logs'), /"kind":"daemon\.running"/);
  });

  test('down --delete asks for the name, and --yes is an answer: nothing is left', async () => {
    const asked = await home.run('down', '--delete');
    assert.equal(asked.code, 2);
    assert.equal((await home.status()).state, 'healthy');
    await home.ok('down', '--delete', '--yes');
    assert.deepEqual(await home.processes(), []);
    for (const place of ['data', 'state']) assert.deepEqual(await readdir(join(home.directory, place, 'baton')), []);
  });
});

describe('half-way', () => {
  test('Ctrl-C leaves nothing running, and the next up goes on', async () => {
    const up = home.start(['up', '--name', 'half']);
    await up.said(/creating/);
    up.child.kill('SIGINT');
    const { code, stderr } = await up.outcome;
    assert.equal(code, 130, stderr);
    assert.deepEqual(await home.processes(), []);
    await home.ok('up', '--name', 'half');
    await home.ok('down', '--delete', '--yes', '--name', 'half');
  });

  test('a second up of the same name is told in a line, and a third, later, finds it done', async () => {
    const first = home.start(['up', '--name', 'twice']);
    await first.said(/creating/);
    const second = await home.run('up', '--name', 'twice');
    assert.equal(second.code, 1);
    assert.match(second.stderr, /^baton: another "baton up" is bringing up cluster "twice"$/m);
    assert.equal((await first.outcome).code, 0);
    assert.equal((await home.run('up', '--name', 'twice')).code, 0);
    assert.match(await home.ok('list'), /^twice +healthy/m);
    await home.ok('down', '--delete', '--yes', '--name', 'twice');
  });

  test('clusters of several names live side by side', async () => {
    await Promise.all(['one', 'two'].map((name) => home.ok('up', '--name', name, '--replicas', '1')));
    const [one, two] = await Promise.all(['one', 'two'].map((name) => home.status(name)));
    assert.notEqual(one?.endpoints?.primary.port, two?.endpoints?.primary.port);
    const missing = await home.run('status', '--name', 'three');
    assert.equal(missing.code, 3);
    assert.match(missing.stderr, /there is no cluster "three"; those that exist: one, two/);
    for (const name of ['one', 'two']) await home.ok('down', '--delete', '--yes', '--name', name);
  });

  test('a daemon whose owner is gone stops and deletes its cluster', async () => {
    const owner = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    await once(owner, 'spawn');
    const id = processOf(owner.pid ?? 0) ?? assert.fail('no owner');
    const directories = clusterDirectories('owned', home.env);
    Object.assign(process.env, home.env);
    const resource = defaultCluster('owned');
    const client = await startDaemon('owned', directories, { resource, owner: id, deleteAfterOwner: true });
    await until('it is healthy', async () => (await client.status()).state === 'healthy');
    owner.kill('SIGKILL');
    await until('everything is gone', async () => (await home.processes()).length === 0);
    assert.deepEqual(await readdir(join(home.directory, 'data', 'baton')), []);
  });
});
