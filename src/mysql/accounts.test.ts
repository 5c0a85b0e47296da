import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialSql, type Application } from './accounts.ts';
import { MAX_MEMBERS, replicationUser } from './names.ts';

const passwords = {
  root: `it's`,
  controller: 'back\\slash',
  replication: 'r',
  clone: 'c',
  application: `'; DROP DATABASE mysql; -- `,
};

function lines(application: Application = { user: 'app', database: 'shop' }): string[] {
  return initialSql(passwords, application).trimEnd().split('\n');
}

test('an init file: one statement a line, each ended, none logged, closed again at the end', () => {
  const statements = lines();
  for (const statement of statements) assert.match(statement, /^[A-Z].*;$/);
  assert.equal(statements[0], 'SET sql_log_bin = 0;');
  assert.equal(statements.at(-1), 'SET GLOBAL super_read_only = ON;');
});

test('passwords stay inside their quotes', () => {
  const text = lines().join('\n');
  assert.ok(text.includes(`IDENTIFIED BY 'it''s';`));
  assert.ok(text.includes(`IDENTIFIED BY 'back\\\\slash';`));
  assert.ok(text.includes(`IDENTIFIED BY '''; DROP DATABASE mysql; -- ';`));
});

test('an account to replicate by for every ordinal that a resource may have, locked', () => {
  const created = lines().filter((line) => line.startsWith(`CREATE USER 'baton_replica_`));
  assert.equal(created.length, MAX_MEMBERS);
  for (const [ordinal, line] of created.entries()) {
    assert.ok(line.startsWith(`CREATE USER '${replicationUser(ordinal)}'@'%'`));
    assert.ok(line.endsWith(' ACCOUNT LOCK;'));
  }
});

test('the application owns its schema and no other; its name may be any', () => {
  const grants = lines({ user: `o'neil`, database: 'odd`name' }).filter((line) => line.includes(`TO 'o''neil'@'%'`));
  assert.equal(grants.length, 1);
  assert.match(grants[0] ?? '', / ON `odd``name`\.\* TO /);
});

test('an application with every schema has none of the accounts, and none of the controller rows', () => {
  const revokes = lines({ user: 'app', database: null }).filter((line) => line.startsWith('REVOKE SELECT'));
  assert.deepEqual(
    revokes.map((line) => / ON (\S+) FROM /.exec(line)?.[1]),
    ['`mysql`.*', '`baton`.*'],
  );
});
