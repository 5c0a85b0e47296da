import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import type { ProcessView } from '../../src/cluster/view.ts';
import { LocalMembers } from '../../src/local/members.ts';
import type { LocalMembersOptions } from '../../src/local/members.ts';
import { makeFixture, sql, until } from './member-fixture.ts';
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
  const second = await until('another process', () => {
    const now = running(members, 0);
    return now !== null && now.id.pid !== first.id.pid ? now : null;
  });
  assert.equal(await uuidOf(members, 0), uuid);

  await members.kill(0, first.id);
  assert.deepEqual(running(members, 0)?.id, second.id, 'a former process is not mistaken for the present one');
  await members.kill(0, second.id);
  assert.notDeepEqual(running(members, 0)?.id, second.id);
  await until('a third process', () => running(members, 0));
  assert.equal(await uuidOf(members, 0), uuid);
});

test('members outlive the life that started them, and the next adopts them and restarts them when they die', async () => {
  const options = fixture.options('adopt');
  const earlier = await LocalMembers.open(options);
  await earlier.start(0);
  await sql(portOf(earlier, 0), 'SELECT 1');
  const process0 = running(earlier, 0) ?? assert.fail('not running');
  earlier.close();

  await using members = await open('adopt');
  assert.deepEqual(running(members, 0)?.id, process0.id);
  assert.equal((await sql(portOf(members, 0), 'SELECT 1 AS one'))[0]?.['one'], '1');
  process.kill(process0.id.pid, 'SIGKILL');
  await until('another process', () => {
    const now = running(members, 0);
    return now !== null && now.id.pid !== process0.id.pid;
  });
});

test('a retired member is gone, keeps its data, and is not started by the next life', async () => {
  const options = fixture.options('retire');
  const earlier = await LocalMembers.open(options);
  await earlier.start(0);
  const uuid = await uuidOf(earlier, 0);
  const { id } = running(earlier, 0) ?? assert.fail('not running');
  await earlier.retire(0);
  assert.equal(earlier.list()[0]?.process.kind, 'absent');
  assert.throws(() => process.kill(id.pid, 0), { code: 'ESRCH' });
  earlier.close();

  await using members = await open('retire');
  assert.equal(members.list()[0]?.process.kind, 'absent');
  await members.start(0);
  assert.equal(await uuidOf(members, 0), uuid);
  assert.ok(
    (await readFile(join(fixture.directory, 'retire/member-0/mysqld.log'), 'utf8')).includes('Shutdown complete'),
  );
});
