/**
 * The SQL that the controller speaks, as far as it speaks it, and the clients' few statements. A statement that is not known
 * here is an error of the simulator, and ends it: what the product says to MySQL has to be modelled before it is believed.
 */
import { runClone } from './clone.ts';
import { Gtids } from './gtids.ts';
import type { ServerSession, Answer } from './server-session.ts';

export type Row = Readonly<Record<string, unknown>>;

type Done = (answer: Answer) => void;
type Handler = (session: ServerSession, match: RegExpExecArray, values: readonly unknown[], done: Done) => void;

const OK: Answer = { rows: [] };
const STOP_MS = 0.5;
/** The number of the applier's own connection. */
const APPLIER = 5;

function row(values: Row): Answer {
  return { rows: [values] };
}

const bit = (value: boolean): number => (value ? 1 : 0);

/** Each with what it stands for; the first that matches the statement, its white space folded. */
const STATEMENTS: readonly (readonly [RegExp, Handler])[] = [
  [
    /^SELECT JSON_OBJECT\(/,
    (session, { input }, [holder], done) => {
      if (session.server.data.hollow && input.includes(' FROM baton.epoch '))
        done({ errno: 1146, message: "Table 'baton.epoch' doesn't exist" });
      else done(row({ seen: observed(session, Number(holder)) }));
    },
  ],
  [
    /^SELECT @@global\./,
    ({ server }, { input }, _, done) => {
      const asked = input.matchAll(/(?:@@global\.|variable_name = ')(\w+)'?\)? AS (\w+)/g);
      done(row(Object.fromEntries([...asked].map(([, name = '', as = '']) => [as, variable(server, name)]))));
    },
  ],
  [/^SELECT 1$/, (_session, _match, _values, done) => done(row({ 1: 1 }))],
  [
    /^SET SESSION (.*)$/,
    (session, [, settings = ''], _, done) => {
      const logged = /sql_log_bin = (\d)/.exec(settings)?.[1];
      if (logged !== undefined) session.logged = logged === '1';
      const seconds = /(?<!innodb_)lock_wait_timeout = (\d+)/.exec(settings)?.[1];
      if (seconds !== undefined) session.lockWaitMs = Number(seconds) * 1000;
      done(OK);
    },
  ],
  [
    /^SELECT GET_LOCK\('([^']+)', (\d+)\) AS got/,
    (session, [, name = '', seconds = '0'], _, done) => {
      const { server } = session;
      server.getLock(name, session, Number(seconds) * 1000, (got) =>
        done(row({ got: bit(got), holder: server.locks.get(name)?.id ?? null })),
      );
    },
  ],
  [
    /^KILL CONNECTION (\d+)$/,
    (session, [, id], _, done) => session.server.withAcl(() => kill(session, Number(id), done)),
  ],
  [/^DO SLEEP\(([\d.]+)\)$/, (session, [, seconds], _, done) => pause(session, Number(seconds) * 1000, () => done(OK))],

  // Replication
  [/^STOP REPLICA IO_THREAD$/, (session, _, _values, done) => session.server.receiver.stop(() => done(OK))],
  [
    /^STOP REPLICA$/,
    ({ server }, _, _values, done) =>
      server.receiver.stop(() => server.applier.stop(() => server.after(STOP_MS, () => done(OK)))),
  ],
  [
    /^START REPLICA(?: (IO|SQL)_THREAD)?$/,
    ({ server }, [, thread], _, done) => {
      if (server.data.replica === null)
        return done({ errno: 1871, message: 'Replica failed to initialize connection metadata structure' });
      if (thread !== 'SQL') server.receiver.start();
      if (thread !== 'IO') server.applier.start();
      server.released = true;
      done(OK);
    },
  ],
  [
    /^SELECT GTID_SUBTRACT\(RECEIVED_TRANSACTION_SET/,
    ({ server }, _, _values, done) => {
      const { data } = server;
      const unapplied = new Gtids();
      for (const one of data.relay) if (!data.executed.has(one)) unapplied.add(one);
      done(
        data.replica === null
          ? OK
          : row({ unapplied: unapplied.toString(), amid: server.applier.amid ? APPLIER : null }),
      );
    },
  ],
  [
    /^SELECT SERVICE_STATE AS state FROM performance_schema.replication_applier_status /,
    ({ server }, _, _values, done) => done(row({ state: server.applier.on ? 'ON' : 'OFF' })),
  ],
  [
    /^SELECT HOST AS host, PORT AS port, USER AS user FROM performance_schema.replication_connection_configuration/,
    ({ server: { data } }, _, _values, done) => {
      if (data.replica === null) return done(OK);
      const { host, port, user } = data.replica;
      done(row({ host, port, user }));
    },
  ],
  [
    /^CHANGE REPLICATION SOURCE TO /,
    ({ server }, _, [host, port, user], done) => {
      if (server.receiver.state !== 'off' || server.applier.on) {
        return done({ errno: 3021, message: 'This operation cannot be performed with a running replica' });
      }
      server.data.dropRelay();
      server.applier.last = null;
      server.data.replica = { host: String(host), port: Number(port), user: String(user), sourceUuid: '' };
      done(OK);
    },
  ],
  [
    /^RESET REPLICA ALL$/,
    ({ server }, _, _values, done) => {
      if (server.receiver.state !== 'off' || server.applier.on) {
        return done({ errno: 3081, message: 'This operation cannot be performed with running replication threads' });
      }
      server.data.dropRelay();
      server.data.replica = null;
      server.applier.error = '';
      server.receiver.error = '';
      done(OK);
    },
  ],

  // Semi-synchronous replication
  [
    /^SET GLOBAL rpl_semi_sync_replica_enabled = (ON|OFF)$/,
    (session, [, on], _, done) => set(session, () => (session.server.replicaEnabled = on === 'ON'), done),
  ],
  [
    /^SET GLOBAL rpl_semi_sync_source_enabled = (ON|OFF)$/,
    (session, [, on], _, done) => {
      const { server } = session;
      // Its thread for acknowledgements ends when something happens on a connection, or after a second.
      const ms = server.source.enabled && on === 'OFF' ? server.world.random.between(0, 1000) : 0;
      set(
        session,
        () => server.setSourceEnabled(on === 'ON'),
        (answer) => pause(session, ms, () => done(answer)),
      );
    },
  ],
  [
    /^SET GLOBAL rpl_semi_sync_source_wait_for_replica_count = (\d+)$/,
    (session, [, count], _, done) => set(session, () => session.server.setRequired(Number(count)), done),
  ],

  // Open and closed
  [
    /^SET GLOBAL super_read_only = ON$/,
    (session, _, _values, done) =>
      session.server.withAcl(() => session.server.close(session, session.lockWaitMs, (failure) => done(failure ?? OK))),
  ],
  [
    /^SET GLOBAL super_read_only = OFF$/,
    (session, _, _values, done) => set(session, () => (session.server.superReadOnly = false), done),
  ],
  [
    /^SET GLOBAL read_only = OFF$/,
    (session, _, _values, done) =>
      set(
        session,
        () => {
          session.server.superReadOnly = false;
          session.server.readOnly = false;
          session.server.released = true;
        },
        done,
      ),
  ],
  [
    /^SET GLOBAL offline_mode = (ON|OFF)$/,
    (session, [, on], _, done) => set(session, () => session.server.setOffline(on === 'ON'), done),
  ],
  // What nothing here depends on, and whatever the resource sets, in backquotes.
  [
    /^SET GLOBAL (event_scheduler|`.*`) = (.*)$/,
    (session, [, name, value], _, done) =>
      set(session, () => name === '`sync_relay_log`' && (session.server.syncsRelay = value === '1'), done),
  ],
  [
    /^SET GLOBAL rpl_semi_sync_source_timeout = (\d+)$/,
    (session, [, ms], _, done) => set(session, () => (session.server.timeoutMs = Number(ms)), done),
  ],
  [
    /^SELECT .* COUNT\(\*\) AS n FROM information_schema\.EVENTS /,
    (_session, _match, _values, done) => done(row({ n: 0 })),
  ],
  [/^SELECT EVENT_SCHEMA AS s, /, (_session, _match, _values, done) => done(OK)],

  // Accounts
  [
    /^ALTER USER (.*) ACCOUNT (LOCK|UNLOCK)$/,
    (session, [, users = '', what], _, done) => {
      const { server } = session;
      server.withAcl(() => {
        if (server.waitsToClose)
          return pause(session, session.lockWaitMs, () => done({ errno: 1205, message: 'Lock wait timeout exceeded' }));
        if (server.superReadOnly)
          return done({ errno: 1290, message: 'The MySQL server is running with the --super-read-only option' });
        for (const [, ordinal] of users.matchAll(/baton_replica_(\d+)/g)) {
          if (what === 'LOCK') server.data.unlocked.delete(Number(ordinal));
          else server.data.unlocked.add(Number(ordinal));
        }
        done(OK);
      });
    },
  ],
  [
    /^SELECT MAX\(ID\) AS last FROM performance_schema.processlist$/,
    ({ server }, _, _values, done) => done(row({ last: Math.max(...server.sessions.keys()) })),
  ],
  [
    /^SELECT ID, USER FROM performance_schema.processlist WHERE USER IN \((.*)\) OR \(USER = 'unauthenticated user' AND ID <= (\d+)\)$/,
    ({ server }, [, users = '', last], _, done) => {
      const named = new Set([...users.matchAll(/'([^']+)'/g)].map(([, user]) => user));
      done({
        rows: [...server.sessions.values()]
          .filter(({ user, id }) => named.has(user) || (user === '' && id <= Number(last)))
          .map(({ id, user }) => ({ ID: id, USER: user === '' ? 'unauthenticated user' : user })),
      });
    },
  ],
  [
    /^SELECT ID FROM performance_schema.processlist WHERE USER IS NOT NULL AND USER NOT LIKE 'baton\\_%' .*?(AND ID IN .*)?$/,
    ({ server }, [, inTheWay], _, done) =>
      done({
        rows: [...server.sessions.values()]
          .filter(({ user }) => user !== '' && !user.startsWith('baton_'))
          // Writers in the way; but a commit that waits for an acknowledgement is let be.
          .filter(() => inTheWay === undefined)
          .map(({ id }) => ({ ID: id })),
      }),
  ],
  [
    /^SELECT ID FROM performance_schema.processlist WHERE USER LIKE 'baton\\_replica\\_%'$/,
    ({ server }, _, _values, done) =>
      done({
        rows: [...server.sessions.values()]
          .filter(({ user }) => user.startsWith('baton_replica_'))
          .map(({ id }) => ({ ID: id })),
      }),
  ],

  // Binlogs
  [
    /^SHOW BINARY LOGS$/,
    ({ server }, _, _values, done) => done({ rows: server.data.files.map(({ name }) => ({ Log_name: name })) }),
  ],
  [
    /^SHOW BINLOG EVENTS IN \? LIMIT 3$/,
    ({ server }, _, [file], done) => {
      const before = server.data.before(String(file));
      done(
        before === null
          ? { errno: 1220, message: 'Could not find target log' }
          : row({ Event_type: 'Previous_gtids', Info: before.toString() }),
      );
    },
  ],
  [
    /^PURGE BINARY LOGS TO \?$/,
    ({ server }, _, [file], done) => {
      server.data.purgeTo(String(file));
      server.world.onPurged(server);
      done(OK);
    },
  ],

  // Clone
  [/^SET GLOBAL clone_valid_donor_list = \?$/, (session, _, _values, done) => set(session, () => undefined, done)],
  [
    /^CLONE INSTANCE FROM 'baton_clone'@\?:(\d+) IDENTIFIED BY \?$/,
    (session, _, [host], done) => {
      if (session.server.superReadOnly)
        done({ errno: 1290, message: 'The MySQL server is running with the --super-read-only option' });
      else runClone(session, String(host), (failure) => done(failure));
    },
  ],

  // Rows of the controller's own, and of clients
  [
    /^REPLACE INTO baton.epoch /,
    (session, _, [clusterId, epoch, term], done) =>
      write(session, { kind: 'epoch', clusterId: String(clusterId), epoch: Number(epoch), term: Number(term) }, done),
  ],
  [/^INSERT INTO baton.barrier /, (session, _, _values, done) => write(session, { kind: 'barrier' }, done)],
  [/^INSERT INTO row /, (session, _, [id], done) => write(session, { kind: 'row', id: Number(id) }, done)],
  [
    /^SELECT \* FROM row$/,
    (session, _, [since], done) => {
      session.server.world.onRead(session.server, Number(since));
      done(OK);
    },
  ],
  [/^CREATE USER /, (session, _, _values, done) => write(session, { kind: 'account' }, done)],
];

interface Known {
  readonly handler: Handler;
  readonly match: RegExpExecArray;
}

/** Most statements come again, letter by letter. */
const known = new Map<string, Known>();
const MOST_KNOWN = 5000;

function understand(sql: string): Known {
  const text = sql.replaceAll(/\s+/g, ' ').trim();
  for (const [pattern, handler] of STATEMENTS) {
    const match = pattern.exec(text);
    if (match !== null) return { handler, match };
  }
  throw new Error(`the simulated server does not know this statement: ${text}`);
}

export function execute(session: ServerSession, sql: string, values: readonly unknown[], done: Done): void {
  let statement = known.get(sql);
  if (statement === undefined) {
    statement = understand(sql);
    if (known.size < MOST_KNOWN) known.set(sql, statement);
  }
  statement.handler(session, statement.match, values, done);
}

function variable(server: ServerSession['server'], name: string): unknown {
  const { data, source, superReadOnly, readOnly, waiting, settings } = server;
  switch (name) {
    case 'gtid_executed':
      return data.executed.toString();
    case 'super_read_only':
      return bit(superReadOnly);
    case 'read_only':
      return bit(readOnly);
    case 'rpl_semi_sync_source_enabled':
      return bit(source.enabled);
    case 'rpl_semi_sync_source_wait_for_replica_count':
      return source.required;
    case 'rpl_semi_sync_source_wait_point':
      return settings.get(name);
    case 'Rpl_semi_sync_source_status':
      return source.active ? 'ON' : 'OFF';
    case 'Rpl_semi_sync_source_wait_sessions':
      return waiting;
    case 'rpl_semi_sync_source_timeout':
      return server.timeoutMs;
    case 'rpl_semi_sync_source_wait_no_replica':
      return bit(server.isOn(name));
    case 'sync_binlog':
    case 'innodb_flush_log_at_trx_commit':
      return settings.get(name);
    default:
      throw new Error(`the simulated server has no variable ${name}`);
  }
}

/** SET of a global variable hangs while an account statement waits. */
function set(session: ServerSession, change: () => void, done: Done): void {
  session.server.withAcl(() => {
    change();
    done(OK);
  });
}

function pause(session: ServerSession, ms: number, over: () => void): void {
  let waits = true;
  const end = (): void => {
    if (!waits) return;
    waits = false;
    over();
  };
  session.interrupt = end;
  session.server.after(ms, end);
}

function kill(session: ServerSession, id: number, done: Done): void {
  if (id === APPLIER) {
    session.server.after(1, () => session.server.applier.kill());
    return done(OK);
  }
  const victim = session.server.sessions.get(id);
  if (victim === undefined) return done({ errno: 1094, message: `Unknown thread id: ${id}` });
  victim.kill();
  done(OK);
}

function write(session: ServerSession, content: Parameters<ServerSession['server']['write']>[1], done: Done): void {
  if (!session.logged) throw new Error('an unlogged write of a row is not modelled');
  session.server.write(session, content, (failure) => done(failure ?? OK));
}

/** The answer to the observation, in the shape that its SQL gives it. */
function observed({ server }: ServerSession, holder: number): unknown {
  const { data, source, receiver, applier } = server;
  const controllers = [...server.sessions.values()].filter(({ user }) => user.startsWith('baton_replica_'));
  const next = data.relay[data.applied];
  const age = (atMs: number | undefined): number | null =>
    atMs === undefined ? null : Math.max(0, (server.world.nowMs() - atMs) / 1000);
  return {
    uuid: data.serverUuid,
    version: server.world.version,
    locked: bit(server.locks.get('baton.controller')?.id === holder),
    executed: data.executed.toString(),
    purged: data.purged.toString(),
    readOnly: bit(server.superReadOnly),
    anyReadOnly: bit(server.readOnly),
    offline: bit(server.offline),
    enabled: bit(source.enabled),
    required: source.required,
    status: {
      Rpl_semi_sync_source_status: source.active ? 'ON' : 'OFF',
      Rpl_semi_sync_source_wait_sessions: String(server.waiting),
      // That it was started so, not that anybody hears it.
      Rpl_semi_sync_replica_status: receiver.acking ? 'ON' : 'OFF',
    },
    applierWaits: bit(
      server.waiting > 0 &&
        server.errantWrites === 0 &&
        [...server.sessions.values()].every((one) => one.committingSinceMs === null),
    ),
    waitsForRoom: server.waitsForRoom,
    unlocked: [...data.unlocked].map((ordinal) => `baton_replica_${ordinal}`),
    connected: controllers.map(({ user }) => user),
    receiver:
      data.replica === null
        ? null
        : {
            host: data.replica.host,
            port: data.replica.port,
            uuid: data.replica.sourceUuid,
            state: receiver.state === 'on' ? 'ON' : receiver.state === 'connecting' ? 'CONNECTING' : 'OFF',
            error: receiver.error,
            received: data.received.toString(),
            heard: receiver.silentMs / 1000,
          },
    applier: applier.on ? 'ON' : 'OFF',
    applierErrors: applier.error === '' ? null : [applier.error],
    behind: applier.on ? age(next?.writtenAtMs) : null,
    lastApplied: age(applier.last?.writtenAtMs),
    transaction: oldestTransaction(server),
    epoch:
      data.epoch === null ? null : { clusterId: data.epoch.clusterId, epoch: data.epoch.epoch, term: data.epoch.term },
    clone: cloneState(server),
    cloneBytes: { done: server.cloning?.bytesDone ?? null, total: server.cloning?.bytesTotal ?? null },
  };
}

/** In whole seconds, as information_schema has it; of clients, also those that are gone or killed. */
function oldestTransaction({ sessions, world }: ServerSession['server']): number | null {
  const since = [...sessions.values()].flatMap(({ user, committingSinceMs }) =>
    committingSinceMs === null || user.startsWith('baton_') ? [] : [committingSinceMs],
  );
  return since.length === 0 ? null : Math.floor((world.nowMs() - Math.min(...since)) / 1000);
}

function cloneState({ cloning, data }: ServerSession['server']): unknown {
  if (cloning !== null) return { state: 'In Progress', error: '' };
  if (data.cloned === null) return null;
  return data.cloned === 'completed'
    ? { state: 'Completed', error: '' }
    : { state: 'Failed', error: 'the donor was lost' };
}
