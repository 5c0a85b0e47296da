/**
 * The accounts that every member is born with. They are made from an init file before the server listens, with
 * sql_log_bin=0, so that gtid_executed stays empty and every member has the same.
 */
import { CLONE_USER, CONTROLLER_USER, MAX_MEMBERS, SCHEMA, replicationUser } from './names.ts';

export interface Passwords {
  readonly root: string;
  readonly controller: string;
  readonly replication: string;
  readonly clone: string;
  readonly application: string;
}

export interface Application {
  readonly user: string;
  /** A schema that the application's user owns; null: it may use every schema but the system's and Baton's. */
  readonly database: string | null;
}

/** What the controller does, privilege by privilege (MySQL manual, section "Privileges Provided by MySQL"). */
const CONTROLLER_PRIVILEGES = [
  'REPLICATION_SLAVE_ADMIN', // start, stop and configure replication
  'SYSTEM_VARIABLES_ADMIN', // super_read_only, semi-synchronous replication, SET PERSIST
  'SESSION_VARIABLES_ADMIN', // sql_log_bin
  'CONNECTION_ADMIN', // kill sessions, offline_mode, log in while it is on
  'SERVICE_CONNECTION_ADMIN', // the administrative address
  'CLONE_ADMIN', // be filled from a donor
  'BINLOG_ADMIN', // purge what every member has
  'SYSTEM_USER', // kill a session of a user who has it
];

/** What the application's user may do in a schema: everything but hand out what it has. */
const APPLICATION_PRIVILEGES =
  'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, LOCK TABLES, ' +
  'EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER';

function text(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function name(value: string): string {
  return `\`${value.replaceAll('`', '``')}\``;
}

/** Every statement on a line of its own, as an init file wants it. Contains passwords: mode 0600, and gone after use. */
export function initialSql(passwords: Passwords, application: Application): string {
  const controller = `${text(CONTROLLER_USER)}@'%'`;
  const app = `${text(application.user)}@'%'`;
  const statements = [
    'SET sql_log_bin = 0',
    'SET GLOBAL super_read_only = OFF',
    `ALTER USER 'root'@'localhost' IDENTIFIED BY ${text(passwords.root)}`,
    `CREATE DATABASE ${name(SCHEMA)}`,
    `CREATE TABLE ${name(SCHEMA)}.epoch (id TINYINT PRIMARY KEY, cluster CHAR(36) CHARACTER SET ascii NOT NULL, ` +
      `epoch BIGINT NOT NULL, term BIGINT NOT NULL)`,
    `CREATE TABLE ${name(SCHEMA)}.barrier (id TINYINT PRIMARY KEY, passed BIGINT NOT NULL)`,
    `CREATE USER '${CLONE_USER}'@'%' IDENTIFIED BY ${text(passwords.clone)}`,
    // SYSTEM_USER: nobody without it may change the account, whatever else they may.
    `GRANT BACKUP_ADMIN, SYSTEM_USER ON *.* TO '${CLONE_USER}'@'%'`,
    ...Array.from({ length: MAX_MEMBERS }, (_, ordinal) => `'${replicationUser(ordinal)}'@'%'`).flatMap((user) => [
      `CREATE USER ${user} IDENTIFIED BY ${text(passwords.replication)} ACCOUNT LOCK`,
      `GRANT REPLICATION SLAVE ON *.* TO ${user}`,
      `GRANT SYSTEM_USER ON *.* TO ${user}`,
    ]),
    `CREATE USER ${app} IDENTIFIED BY ${text(passwords.application)}`,
    ...(application.database === null
      ? [
          `GRANT ${APPLICATION_PRIVILEGES}, CREATE USER, PROCESS ON *.* TO ${app}`,
          // With partial_revokes; without, it could make itself whatever it likes by writing to mysql.user.
          ...['mysql', SCHEMA].map((schema) => `REVOKE ${APPLICATION_PRIVILEGES} ON ${name(schema)}.* FROM ${app}`),
          `REVOKE INSERT, UPDATE, DELETE, CREATE, DROP, ALTER ON sys.* FROM ${app}`,
        ]
      : [
          `CREATE DATABASE IF NOT EXISTS ${name(application.database)}`,
          `GRANT ${APPLICATION_PRIVILEGES} ON ${name(application.database)}.* TO ${app}`,
        ]),
    // Last: the administrative address is open while this still runs, and the controller would see a member that is not closed.
    `CREATE USER ${controller} IDENTIFIED BY ${text(passwords.controller)}`,
    `GRANT RELOAD, PROCESS, REPLICATION CLIENT, REPLICATION SLAVE, CREATE USER, SELECT, EVENT ON *.* TO ${controller}`,
    `GRANT ${CONTROLLER_PRIVILEGES.join(', ')} ON *.* TO ${controller}`,
    `GRANT ALL ON ${name(SCHEMA)}.* TO ${controller}`,
    // To enable events for those who made them, who may be gone; before 8.2 it was one privilege.
    `SET @definers = IF(VERSION() REGEXP '^8[.][01][.]', 'SET_USER_ID', 'SET_ANY_DEFINER, ALLOW_NONEXISTENT_DEFINER')`,
    `SET @granting = CONCAT('GRANT ', @definers, ' ON *.* TO ''${CONTROLLER_USER}''@''%''')`,
    'PREPARE granting FROM @granting',
    'EXECUTE granting',
    'DEALLOCATE PREPARE granting',
    'SET GLOBAL super_read_only = ON',
  ];
  return statements.map((statement) => `${statement};\n`).join('');
}
