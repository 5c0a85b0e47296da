/** Who may do what: nobody but the controller can open a member, or have a write acknowledged by nobody (docs/mysql.md). */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { MAX_MEMBERS, replicationUser } from '../../src/mysql/names.ts';
import { Session, isRefusal } from '../../src/mysql/session.ts';
import { Servers, passwords, soon } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

const DANGEROUS = [
  'SYSTEM_VARIABLES_ADMIN',
  'SUPER',
  'SHUTDOWN',
  'CONNECTION_ADMIN',
  'SESSION_VARIABLES_ADMIN',
  'REPLICATION_SLAVE_ADMIN',
  'BINLOG_ADMIN',
  'CLONE_ADMIN',
  'GRANT OPTION',
];

/** None of these is the application's to do, on a server that is open. */
const REFUSED = [
  'SET GLOBAL super_read_only = ON',
  'SET GLOBAL rpl_semi_sync_source_enabled = OFF',
  'SET PERSIST max_connections = 10',
  'SET SESSION sql_log_bin = 0',
  'SHUTDOWN',
  'RESTART',
  'STOP REPLICA',
  'RESET BINARY LOGS AND GTIDS',
  'PURGE BINARY LOGS BEFORE NOW()',
  'FLUSH BINARY LOGS',
  'FLUSH TABLES WITH READ LOCK',
  'UNINSTALL PLUGIN rpl_semi_sync_source',
  'REPLACE INTO baton.epoch VALUES (1, "x", 99, 99)',
  'DROP TABLE baton.barrier',
  'DROP DATABASE baton',
  'CREATE TABLE baton.mine (n INT)',
  'SELECT * FROM mysql.user',
  'UPDATE mysql.user SET Super_priv = "Y" WHERE User = "app"',
  'INSERT INTO mysql.global_grants VALUES ("app", "%", "SYSTEM_VARIABLES_ADMIN", "N")',
  'DROP TABLE mysql.component',
  'GRANT SELECT ON *.* TO CURRENT_USER()',
  `ALTER USER 'baton_controller'@'%' IDENTIFIED BY 'x'`,
  `ALTER USER 'root'@'localhost' IDENTIFIED BY 'x'`,
  `ALTER USER 'baton_clone'@'%' IDENTIFIED BY 'x'`,
  `ALTER USER 'baton_replica_1'@'%' ACCOUNT LOCK`,
  `DROP USER 'baton_replica_1'@'%'`,
  `RENAME USER 'baton_replica_1'@'%' TO 'gone'@'%'`,
  `REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'baton_clone'@'%'`,
  `SET PASSWORD FOR 'baton_replica_1'@'%' = 'x'`,
];

for (const database of ['shop', null]) {
  describe(database === null ? 'with every schema' : 'with a schema of its own', async () => {
    const server = await servers.born(0, { application: { user: 'app', database } });

    test('the accounts are in no binlog', async () => {
      assert.equal(await server.executed(), '');
    });

    test('root has the password that it was given, quotes and all', async () => {
      const root = await createConnection({ socketPath: server.socket, user: 'root', password: passwords.root });
      await root.end();
    });

    test('every member has an account to replicate by, locked at birth', async () => {
      for (const ordinal of [0, 1, MAX_MEMBERS - 1]) {
        const target = { ...server.address, user: replicationUser(ordinal), password: passwords.replication };
        await assert.rejects(Session.open(target, soon()), (error: unknown) => {
          assert.equal((error as { errno: number }).errno, 3118);
          return isRefusal(error);
        });
      }
    });

    test('only root and the controller have what could open a member or skip an acknowledgement', async () => {
      const rows = await server.ask(
        `SELECT DISTINCT GRANTEE AS grantee FROM information_schema.USER_PRIVILEGES
          WHERE PRIVILEGE_TYPE IN (${DANGEROUS.map((name) => `'${name}'`).join()}) OR IS_GRANTABLE = 'YES' ORDER BY GRANTEE`,
      );
      // mysql.session is MySQL's own, and locked.
      assert.deepEqual(
        rows.map(({ grantee }) => grantee),
        [`'baton_controller'@'%'`, `'mysql.session'@'localhost'`, `'root'@'localhost'`, `'tester'@'%'`],
      );
    });

    test('the application may use its schemas, and nothing else', async () => {
      const acting = await server.open(0);
      const application = await server.session('application');
      if (database === null) await application.query('CREATE DATABASE shop', [], soon());
      await application.run(
        [
          'CREATE TABLE shop.orders (n INT PRIMARY KEY)',
          'ALTER TABLE shop.orders ADD COLUMN note TEXT',
          'CREATE VIEW shop.all_orders AS SELECT * FROM shop.orders',
          'CREATE TRIGGER shop.t BEFORE INSERT ON shop.orders FOR EACH ROW SET NEW.note = "new"',
          'CREATE EVENT shop.e ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.orders',
          'CREATE PROCEDURE shop.p() SELECT 1',
          'CALL shop.p()',
          'INSERT INTO shop.orders (n) VALUES (1)',
        ],
        soon(),
      );
      const allowed: string[] = [];
      for (const statement of [...REFUSED, `KILL ${acting.id}`]) {
        await application.query(statement, [], soon()).then(
          () => allowed.push(statement),
          (error: unknown) => {
            // Access denied in its many forms; or the session has no right to see that there is such a thing.
            const { errno, message } = error as { errno: number; message: string };
            assert.ok(
              [1044, 1045, 1094, 1095, 1142, 1227, 1370, 1410, 3619, 3857].includes(errno),
              `${statement}: ${message}`,
            );
          },
        );
      }
      assert.deepEqual(allowed, []);
    });

    if (database === null) {
      test('it may make accounts, and give them nothing that it has not', async () => {
        const application = await server.session('application');
        await application.run([`CREATE USER 'friend'@'%' IDENTIFIED BY 'x'`, `DROP USER 'friend'@'%'`], soon());
      });
    }
  });
}

test('the controller gets in when there are too many connections, when nobody else is let in, and through its own door', async () => {
  await using server = await servers.source(0);
  await server.ask('SET GLOBAL max_connections = 4');
  await assert.rejects(
    (async () => {
      for (let i = 0; i < 8; i++) await server.session('application');
    })(),
    (error: unknown) => {
      assert.equal((error as { errno: number }).errno, 1040);
      return isRefusal(error);
    },
  );
  const controller = await server.acting();
  await controller.query('SET GLOBAL offline_mode = ON', [], soon());
  await assert.rejects(server.session('application'), (error: unknown) => {
    assert.equal((error as { errno: number }).errno, 3032);
    return isRefusal(error);
  });
  await server.acting();
  await server.ask('SET GLOBAL offline_mode = OFF');
  await assert.rejects(server.session('application', soon(), server.adminPort), { errno: 1227 });
});

test('a wrong password and a host that is not welcome are refusals, not silence', async () => {
  await using server = await servers.source(0);
  const refused = Session.open({ ...server.address, user: 'app', password: 'wrong' }, soon());
  await assert.rejects(refused, (error: unknown) => {
    assert.equal((error as { errno: number }).errno, 1045);
    return isRefusal(error);
  });
});
