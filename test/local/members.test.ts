import assert from 'node:assert/strict';
import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import type { ProcessId, ProcessView } from '../../src/cluster/view.ts';
import { LocalMembers } from '../../src/local/members.ts';
import { processOf } from '../../src/local/process-identity.ts';
import type { LocalMembersOptions } from '../../src/local/members.ts';
import { controller, makeFixture, myCnf, sql, until } from './member-fixture.ts';
import type { Fixture } from './member-fixture.ts';

let fixture: Fixture;
before(async () => {
  fixture = await makeFixture();
});
after(async () => {
  if (process.env['BATON_TEST_VERBOSE'] !== undefined) console.error(fixture.logged.join('\n'));
  await fixture[Symbol.asyncDispose]();
});

type Running = Extract<ProcessView, { kind: 'running' }>;

/** A cluster's members, all killed at the end whatever the test did to them. */
async function open(name: string, change?: Partial<LocalMembersOptions>): Promise<LocalMembers & AsyncDisposable> {
  const options = fixture.options(name, change);
  const members = await LocalMembers.open(options);
  return Object.assign(members, {
    [Symbol.asyncDispose]: async () => {
      for (const { ordinal } of members.list()) await members.remove(ordinal);
      members.close();
    },
  });
}

function running(members: LocalMembers, ordinal: number): Running | null {
  const process = members.list().find((member) => member.ordinal === ordinal)?.process;
  return process?.kind === 'running' ? process : null;
}

function otherProcess(members: LocalMembers, ordinal: number, than: number): Running | null {
  const now = running(members, ordinal);
  return now !== null && now.id.pid !== than ? now : null;
}

function trouble(members: LocalMembers, ordinal: number): string | null {
  const process = members.list().find((member) => member.ordinal === ordinal)?.process;
  return process?.kind === 'gone' ? process.trouble : null;
}

function portOf(members: LocalMembers, ordinal: number): number {
  return members.layout(ordinal)?.port ?? assert.fail(`no member ${ordinal}`);
}

async function uuidOf(members: LocalMembers, ordinal: number): Promise<string> {
  const [row] = await sql(portOf(members, ordinal), 'SELECT @@server_uuid AS uuid');
  return String(row?.['uuid']);
}

test('a member starts from the template: closed, with an identity of its own, and its secrets gone', async () => {
  await using members = await open('start');
  let changes = 0;
  members.onChange(() => changes++);
  await Promise.all([members.start(0), members.start(1)]);
  assert.ok(running(members, 0));
  const [row] = await sql(
    portOf(members, 0),
    'SELECT @@super_read_only AS closed, @@server_id AS id, @@gtid_executed AS gtids',
  );
  assert.deepEqual({ ...row }, { closed: '1', id: '100', gtids: '' });
  assert.notEqual(await uuidOf(members, 0), await uuidOf(members, 1));
  const home = join(fixture.directory, 'start', 'member-0');
  await until('the init file is deleted', async () => !(await readdir(home)).includes('init.sql'));
  for (const [path, mode] of [
    ['.', 0o700],
    ['data', 0o700],
    ['my.cnf', 0o600],
    ['mysqld.log', 0o600],
  ] as const) {
    assert.equal((await stat(join(home, path))).mode & 0o777, mode, path);
  }
  assert.ok(changes > 0);
});

test('a member that is killed is up again by itself, with its data, and is never shown as the dead process', async () => {
  await using members = await open('kill');
  await members.start(0);
  const uuid = await uuidOf(members, 0);
  const first = running(members, 0) ?? assert.fail('not running');
  process.kill(first.id.pid, 'SIGKILL');
  const second = await until('another process', () => otherProcess(members, 0, first.id.pid));
  assert.equal(await uuidOf(members, 0), uuid);

  await members.kill(0, first.id);
  assert.deepEqual(running(members, 0)?.id, second.id, 'a former process is not mistaken for the present one');
  await members.kill(0, second.id);
  assert.notDeepEqual(running(members, 0)?.id, second.id);
  await until('a third process', () => running(members, 0));
  assert.equal(await uuidOf(members, 0), uuid);
});

test('members outlive the kill -9 of the life that started them, and the next one adopts and supervises them', async () => {
  const life = fork(join(import.meta.dirname, 'member-life.ts'), [fixture.directory, 'adopt']);
  await once(life, 'message');
  const stateFile = join(fixture.directory, 'adopt/member-0.json');
  const { process: started } = JSON.parse(await readFile(stateFile, 'utf8')) as { process: ProcessId };
  life.kill('SIGKILL');
  await once(life, 'exit');

  await using members = await open('adopt');
  assert.equal(running(members, 0)?.id.pid, started.pid);
  await sql(portOf(members, 0), 'SELECT 1');
  const pid = await until('it stays the same', () => running(members, 0)?.id.pid ?? null);
  assert.equal(pid, started.pid);
  process.kill(started.pid, 'SIGKILL');
  await until('another process', () => otherProcess(members, 0, started.pid));
  await sql(portOf(members, 0), 'SELECT 1');
});

test('a process that was started but not yet noted when the daemon died is found and adopted', async () => {
  const earlier = await LocalMembers.open(fixture.options('unnoted'));
  await earlier.start(0);
  await sql(portOf(earlier, 0), 'SELECT 1');
  const { id } = running(earlier, 0) ?? assert.fail('not running');
  earlier.close();
  const stateFile = join(fixture.directory, 'unnoted/member-0.json');
  const state = JSON.parse(await readFile(stateFile, 'utf8')) as object;
  await writeFile(stateFile, JSON.stringify({ ...state, process: null }));
  await using members = await open('unnoted');
  assert.deepEqual(running(members, 0)?.id, id);
});

test('a retired member is gone, keeps its data, and is not started by the next life', async () => {
  const options = fixture.options('retire');
  const earlier = await LocalMembers.open(options);
  await earlier.start(0);
  const uuid = await uuidOf(earlier, 0);
  const { id } = running(earlier, 0) ?? assert.fail('not running');
  await earlier.retire(0);
  assert.equal(earlier.list()[0]?.process.kind, 'absent');
  assert.equal(processOf(id.pid), null);
  earlier.close();

  await using members = await open('retire');
  assert.equal(members.list()[0]?.process.kind, 'absent');
  await members.start(0);
  assert.equal(await uuidOf(members, 0), uuid);
  assert.ok(
    (await readFile(join(fixture.directory, 'retire/member-0/mysqld.log'), 'utf8')).includes('Shutdown complete'),
  );
});

test('restart ends the process in an orderly way and another takes its place; a former process is left alone', async () => {
  await using members = await open('restart');
  await members.start(0);
  await sql(portOf(members, 0), 'SELECT 1');
  const { id } = running(members, 0) ?? assert.fail('not running');
  await members.restart(0, { ...id, startTime: '1' });
  assert.deepEqual(running(members, 0)?.id, id);
  await members.restart(0, id);
  await until('another process', () => otherProcess(members, 0, id.pid));
  await sql(portOf(members, 0), 'SELECT 1');
});

test('a frozen process is still running, does not answer, and can be retired', async () => {
  await using members = await open('freeze');
  await members.start(0);
  await sql(portOf(members, 0), 'SELECT 1');
  assert.equal(members.freeze(0), true);
  assert.ok(running(members, 0));
  await members.retire(0, { graceMs: 50 });
  assert.equal(running(members, 0), null);
});

test('a rebuild saves what only the old data has, sets it aside, and starts an empty member under a new identity', async () => {
  await using members = await open('rebuild');
  await members.start(0);
  const port = portOf(members, 0);
  const open1 = 'SET GLOBAL super_read_only = OFF';
  await sql(port, open1, 'CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY, word TEXT)');
  await sql(port, open1, "INSERT INTO d.t VALUES (1, 'kept'), (2, 'it''s')");
  const uuid = await uuidOf(members, 0);
  await assert.rejects(members.rebuild(0, '3e11fa47-71ca-11e1-9e33-c80aa9429562', '', ''), {
    code: 'OTHER_INCARNATION',
  });

  await members.rebuild(0, uuid, `${uuid}:1-3`, `${uuid}:3`);
  assert.deepEqual(members.list()[0]?.aside, { serverUuid: uuid, rows: `${uuid}:1-3` });
  assert.notEqual(await uuidOf(members, 0), uuid);
  const [fresh] = await sql(portOf(members, 0), 'SELECT @@server_id AS id, @@gtid_executed AS gtids');
  assert.deepEqual({ ...fresh }, { id: '200', gtids: '' });

  const home = join(fixture.directory, 'rebuild/member-0');
  assert.ok((await readdir(join(home, 'aside', uuid))).includes('ibdata1'));
  const saved = await readdir(join(home, 'saved'));
  assert.equal(saved.length, 2, saved.join());
  const file = join(home, 'saved', saved.find((name) => !name.includes('replay')) ?? '');
  const text = await readFile(file, 'utf8');
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.match(text, new RegExp(`^-- Saved: ${uuid}:3$`, 'm'));
  assert.match(text, /INSERT INTO `d`.`t`/);
  assert.match(text, /@2='kept'/);
  assert.doesNotMatch(text, /CREATE TABLE/, 'what the cluster has too is not in it');
  const { clientCommand } = fixture.distribution;
  const replay = await readFile(file.replace('.sql', '.replay.sql'), 'utf8');
  assert.match(replay, /BINLOG '/);
  if (clientCommand !== null) {
    await sql(portOf(members, 0), open1, 'CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY, word TEXT)');
    const [client = '', ...args] = clientCommand;
    const socket = members.layout(0)?.socket ?? '';
    execFileSync(client, [...args, '--no-defaults', `--socket=${socket}`, '--user=root'], { input: replay });
    assert.equal((await sql(portOf(members, 0), 'SELECT COUNT(*) AS n FROM d.t'))[0]?.['n'], '2');
  }

  await members.dropAside(0);
  assert.equal(members.list()[0]?.aside, null);
  assert.deepEqual(await readdir(join(home, 'aside')), []);
  assert.equal((await readdir(join(home, 'saved'))).length, 2);
});

test('a rebuild that a killed daemon left half-done is finished by the next, whichever step it had reached', async () => {
  for (const step of ['intended', 'moved'] as const) {
    const name = `resume-${step}`;
    const earlier = await LocalMembers.open(fixture.options(name));
    await earlier.start(0);
    const uuid = await uuidOf(earlier, 0);
    await earlier.stop(0, { signal: 'SIGKILL' });
    earlier.close();
    const home = join(fixture.directory, name, 'member-0');
    const state = JSON.parse(await readFile(`${home}.json`, 'utf8')) as object;
    const rebuilding = { discard: uuid, rows: '', errant: '', saveAs: 'x' };
    await writeFile(`${home}.json`, JSON.stringify({ ...state, wanted: true, rebuilding }));
    if (step === 'moved') {
      await mkdir(join(home, 'aside'));
      execFileSync('mv', [join(home, 'data'), join(home, 'aside', uuid)]);
    }
    await using members = await open(name);
    await until('it runs', () => running(members, 0));
    assert.notEqual(await uuidOf(members, 0), uuid);
    assert.equal(members.list()[0]?.aside?.serverUuid, uuid);
    assert.equal((await sql(portOf(members, 0), 'SELECT @@server_id AS id'))[0]?.['id'], '200');
  }
});

test('a member that is cloned into ends by itself, and is up again at once with its own identity', async () => {
  await using members = await open('clone');
  await Promise.all([members.start(0), members.start(1)]);
  await sql(portOf(members, 0), 'SET GLOBAL super_read_only = OFF', 'CREATE DATABASE cloned');
  const uuid = await uuidOf(members, 1);
  const { id } = running(members, 1) ?? assert.fail('not running');
  const donor = portOf(members, 0);
  await sql(
    portOf(members, 1),
    'SET GLOBAL super_read_only = OFF',
    `SET GLOBAL clone_valid_donor_list = '127.0.0.1:${donor}'`,
  );
  const { user, password } = controller;
  await sql(portOf(members, 1), `CLONE INSTANCE FROM '${user}'@'127.0.0.1':${donor} IDENTIFIED BY '${password}'`).catch(
    () => {},
  );
  await until('another process', () => otherProcess(members, 1, id.pid));
  assert.equal((await sql(portOf(members, 1), "SHOW DATABASES LIKE 'cloned'")).length, 1);
  assert.equal(await uuidOf(members, 1), uuid);
});

test('without room for new data beside the old a rebuild is refused in words, and the member runs on', async (t) => {
  const mount = join(fixture.directory, 'small');
  await mkdir(mount);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=400m', 'baton-test', mount], { stdio: 'ignore' });
  } catch {
    return t.skip('mounting is not allowed here');
  }
  try {
    await using members = await open('small', { diskCheckMs: 50 });
    await members.start(0);
    const uuid = await uuidOf(members, 0);
    const filler = join(mount, 'filler');
    await writeFile(filler, Buffer.alloc(200 * 1024 ** 2));
    await assert.rejects(members.rebuild(0, uuid, '', ''), { code: 'NO_ROOM', message: /not enough disk/ });
    assert.equal(await uuidOf(members, 0), uuid);
    assert.match(
      members.list()[0]?.trouble ?? '',
      /not enough disk to rebuild beside the old data: \d+ MiB needed, \d+ MiB free/,
    );
    await rm(filler);
    await until('the trouble is over', () => members.list()[0]?.trouble === null);
    execFileSync('sh', ['-c', `head -c 500m /dev/zero > '${filler}' || true`], { stdio: 'ignore' });
    await until('the full disk is told', () => members.list()[0]?.trouble?.startsWith('disk full') ?? false);
    await members.stop(0, { signal: 'SIGKILL' });
    assert.equal(members.list()[0]?.process.kind, 'absent', 'a full disk is no reason not to stop');
    await rm(filler);
  } finally {
    execFileSync('umount', [mount]);
  }
});

test('transactions that can not be saved are not discarded: the rebuild is refused and the old data runs on', async () => {
  const { distribution } = fixture;
  await using members = await open('unsaved', { distribution: { ...distribution, binlogCommand: null } });
  await members.start(0);
  const uuid = await uuidOf(members, 0);
  await sql(portOf(members, 0), 'SET GLOBAL super_read_only = OFF', 'CREATE DATABASE d');
  await assert.rejects(members.rebuild(0, uuid, `${uuid}:1`, `${uuid}:1`), { code: 'ERRANT_NOT_SAVED' });
  assert.equal(await uuidOf(members, 0), uuid);
  assert.equal(members.list()[0]?.aside, null);
});

test('a half-written transaction at the end of a log does not keep the whole ones from being saved', async () => {
  await using members = await open('torn');
  await members.start(0);
  const uuid = await uuidOf(members, 0);
  await sql(portOf(members, 0), 'SET GLOBAL super_read_only = OFF', 'CREATE DATABASE d', 'CREATE DATABASE e');
  await members.stop(0, { signal: 'SIGKILL' });
  const home = join(fixture.directory, 'torn/member-0');
  const binlog = join(home, 'data/binlog.000001');
  await writeFile(binlog, (await readFile(binlog)).subarray(0, -20));
  await members.rebuild(0, uuid, `${uuid}:1-2`, `${uuid}:1`);
  const [readable] = (await readdir(join(home, 'saved'))).filter((name) => !name.includes('replay'));
  assert.match(await readFile(join(home, 'saved', readable ?? ''), 'utf8'), /create database d/i);
});

test('when another program has taken its port meanwhile, a member says so and starts on another', async () => {
  await using members = await open('ports');
  await members.start(0);
  await sql(portOf(members, 0), 'SELECT 1');
  const port = portOf(members, 0);
  await members.stop(0, { signal: 'SIGKILL' });
  const thief = createServer().listen(port, '127.0.0.1');
  try {
    await once(thief, 'listening');
    await members.start(0);
    assert.notEqual(portOf(members, 0), port);
    await sql(portOf(members, 0), 'SELECT 1');
    const said = fixture.logged.find((line) => line.includes(`port ${port} is used by another program`));
    assert.ok(said?.includes(`(pid ${process.pid})`), said);
  } finally {
    thief.close();
  }
});

test('a data directory that vanishes is reported while the server runs; the next start is a new, empty member', async () => {
  await using members = await open('vanish', { diskCheckMs: 50 });
  await members.start(0);
  const uuid = await uuidOf(members, 0);
  await until('the first start is noted', async () =>
    (await readFile(join(fixture.directory, 'vanish/member-0.json'), 'utf8')).includes('"born": true'),
  );
  // As whole as a directory vanishes with its disk.
  await rename(join(fixture.directory, 'vanish/member-0'), join(fixture.directory, 'vanished'));
  await until('the trouble is told', () => members.list()[0]?.trouble?.startsWith('directory gone') ?? false);
  const { id } = running(members, 0) ?? assert.fail('not running');
  await members.kill(0, id);
  await until('another process', () => otherProcess(members, 0, id.pid));
  assert.notEqual(await uuidOf(members, 0), uuid);
  assert.equal((await sql(portOf(members, 0), 'SELECT @@server_id AS id'))[0]?.['id'], '200');
  await until('the trouble is over', () => members.list()[0]?.trouble === null);
});

test('a server that can not start says why in a line, is tried again ever more rarely, and starts when it can', async () => {
  let broken = true;
  const configFor: LocalMembersOptions['configFor'] = (member) => myCnf(member) + (broken ? 'no_such_setting=1\n' : '');
  await using members = await open('broken', { configFor });
  await members.start(0);
  const text = await until('the reason', () => trouble(members, 0));
  assert.match(text, /ended at its start \(exit code \d+\): this MySQL does not know the setting 'no_such_setting=1?/);
  broken = false;
  await until('it runs', () => running(members, 0));
  await sql(portOf(members, 0), 'SELECT 1');
  assert.equal(trouble(members, 0), null);
});

test('data of a running server is not started a second time: the reason names the lock', async () => {
  await using owner = await open('lock-a');
  await owner.start(0);
  await sql(portOf(owner, 0), 'SELECT 1');
  const dataDir = owner.layout(0)?.dataDir ?? '';
  await using members = await open('lock-b', { configFor: (member) => myCnf({ ...member, dataDir }) });
  await members.start(0);
  const text = await until('the reason', () => members.list()[0]?.trouble ?? trouble(members, 0));
  assert.match(text, /in use: another process holds the lock/);
});

test('a path too long for a socket is no obstacle', async () => {
  const deep = join('deep', 'd'.repeat(60), 'e'.repeat(60));
  const runtimeDir = join(fixture.directory, 'run');
  await using members = await open(deep, { runtimeDir });
  await members.start(0);
  await sql(portOf(members, 0), 'SELECT 1');
  assert.ok((members.layout(0)?.socket ?? '').startsWith(runtimeDir));
});
