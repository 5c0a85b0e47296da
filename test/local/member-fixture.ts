/** Members on real servers, for tests: a directory of their own, a template made once, and nothing left behind. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { defaultCacheDir, findDistribution } from '../../src/local/distribution.ts';
import type { Distribution } from '../../src/local/distribution.ts';
import { copyTemplate, ensureTemplate } from '../../src/local/template.ts';
import type { LocalMembersOptions, MemberLayout } from '../../src/local/members.ts';
import { Session } from '../../src/mysql/session.ts';
import type { Row } from '../../src/mysql/session.ts';

export const controller = { user: 'controller', password: 'not-a-secret' };

export type Fixture = AsyncDisposable & {
  readonly directory: string;
  readonly logged: string[];
  /** The cluster directory is a fresh one for each name. */
  options(name: string, change?: Partial<LocalMembersOptions>): LocalMembersOptions;
  readonly distribution: Distribution;
};

/** @param existing a directory that another process made a fixture in: its template and clusters are used. */
export async function makeFixture(existing?: string): Promise<Fixture> {
  const basedir = process.env['BATON_TEST_BASEDIR'];
  const cacheDir = defaultCacheDir(process.env);
  const distribution = await findDistribution({ basedir, cacheDir });
  const template = await ensureTemplate({ distribution, cacheDir });
  const directory = existing ?? (await mkdtemp(join(tmpdir(), 'baton-members-')));
  const logged: string[] = [];
  return {
    directory,
    distribution,
    logged,
    options: (name, change = {}) => ({
      clusterDir: join(directory, name),
      distribution,
      template,
      copyTemplate,
      configFor: myCnf,
      initSqlFor: () =>
        'SET sql_log_bin = 0;\nSET GLOBAL super_read_only = OFF;\n' +
        `CREATE USER '${controller.user}'@'%' IDENTIFIED BY '${controller.password}';\n` +
        `GRANT ALL ON *.* TO '${controller.user}'@'%';\nSET GLOBAL super_read_only = ON;\n`,
      log: (ordinal, text) => logged.push(`member ${ordinal}: ${text}`),
      ...change,
    }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }),
  };
}

export function myCnf(member: MemberLayout): string {
  return `[mysqld]
datadir=${member.dataDir}
socket=${member.socket}
server_id=${member.serverId}
bind_address=${member.host}
port=${member.port}
admin_address=${member.host}
admin_port=${member.adminPort}
mysqlx=OFF
gtid_mode=ON
enforce_gtid_consistency=ON
log_bin=binlog
relay_log=relay
super_read_only=ON
plugin_load_add=mysql_clone.so
innodb_redo_log_capacity=8M
innodb_buffer_pool_size=32M
performance_schema=OFF
skip_name_resolve=ON
`;
}

/** One statement on a member, in a session of its own; tries until the server answers. */
export async function sql(port: number, ...statements: string[]): Promise<readonly Row[]> {
  const deadline = AbortSignal.timeout(30_000);
  for (;;) {
    let session: Session;
    try {
      session = await Session.open({ host: '127.0.0.1', port, ...controller }, deadline);
    } catch (error) {
      if (deadline.aborted) throw error;
      await sleep(50);
      continue;
    }
    try {
      let rows: readonly Row[] = [];
      for (const statement of statements) rows = await session.query(statement, [], deadline);
      return rows;
    } finally {
      session.destroy();
    }
  }
}

/** Asks every 10 ms until it is so; what it waits for is told when it never is. */
export async function until<T>(
  what: string,
  ask: () => Promise<T | null | false> | T | null | false,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(10);
  }
}
