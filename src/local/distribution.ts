import { constants } from 'node:fs';
import { access, readdir, readFile, realpath } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';

import { lastWords, runCommand } from './command.ts';
import { DistributionError } from './distribution-error.ts';
import {
  debianArch,
  fetchDistribution,
  fetchedLoader,
  fetchedName,
  type DistributionProgress,
} from './distribution-fetch.ts';

/** A MySQL that can be run here. */
export type Distribution = {
  /** Of the server, three numbers: `8.0.36`, `9.7.4`. */
  version: string;
  /** What to start: mysqld, behind the program loader that it came with where it was fetched. Options follow. */
  serverCommand: string[];
  /** Options that this layout needs, for every start. They go after `--no-defaults` or `--defaults-file`. */
  serverOptions: string[];
  /** The `mysql` client; null when this MySQL came without it. */
  clientCommand: string[] | null;
  /** `mysqlbinlog`; null when this MySQL came without it. */
  binlogCommand: string[] | null;
  origin: 'basedir' | 'path' | 'fetched';
  basedir: string;
};

export type FindDistributionOptions = {
  /** A MySQL to use and no other: the directory with bin/mysqld, sbin/mysqld or libexec/mysqld. */
  basedir?: string | undefined;
  /** Where a fetched MySQL is kept; see defaultCacheDir. */
  cacheDir: string;
  /** PATH and proxies. Default: the process's own. */
  env?: NodeJS.ProcessEnv | undefined;
  onProgress?: ((progress: DistributionProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
};

const oldest = [8, 0, 26] as const;
const newestMajor = 9;

/** Where fetched servers and templates are kept unless somebody says otherwise: `$XDG_CACHE_HOME/baton` or `~/.cache/baton`. */
export function defaultCacheDir(env: NodeJS.ProcessEnv): string {
  const base = env['XDG_CACHE_HOME'];
  // The XDG specification has relative paths ignored.
  return join(base?.startsWith('/') === true ? base : join(env['HOME'] ?? homedir(), '.cache'), 'baton');
}

/**
 * Finds MySQL 8.0.26 to 9.x: the basedir asked for and nothing else; or else mysqld on PATH, one fetched before, or one
 * fetched now from the distribution's packages (which takes a minute and about 66 MB). What is on PATH and does not fit is
 * passed over with a note.
 *
 * Throws a DistributionError, or the reason of the aborted signal.
 */
export async function findDistribution(options: FindDistributionOptions): Promise<Distribution> {
  const { basedir, cacheDir, env = process.env, onProgress, signal } = options;
  if (basedir !== undefined) return fromBasedir(resolve(basedir), signal);

  const onPath = await fromPath(env, onProgress, signal);
  if (onPath !== null) return onPath;
  const cached = await fromCache(cacheDir, onProgress, signal);
  if (cached !== null) return cached;
  const inspect = (directory: string): Promise<Distribution> => describeFetched(directory, signal);
  return inspect(await fetchDistribution({ cacheDir, env, onProgress, signal, inspect }));
}

async function fromBasedir(basedir: string, signal?: AbortSignal): Promise<Distribution> {
  const loader = await fetchedLoader(basedir);
  if (loader !== null) return { ...(await describeFetched(basedir, signal)), origin: 'basedir' };
  for (const dir of ['bin', 'sbin', 'libexec']) {
    const mysqld = join(basedir, dir, 'mysqld');
    if (await isExecutable(mysqld)) return describe({ prefix: [], mysqld, origin: 'basedir', signal });
  }
  throw new DistributionError(
    'BASEDIR_WITHOUT_MYSQLD',
    `no mysqld in ${basedir} (looked for bin/mysqld, sbin/mysqld and libexec/mysqld)`,
    'basedir is the directory MySQL was unpacked or installed to, such as /usr or /usr/local/mysql.',
  );
}

async function fromPath(
  env: NodeJS.ProcessEnv,
  onProgress: FindDistributionOptions['onProgress'],
  signal?: AbortSignal,
): Promise<Distribution | null> {
  // Where distributions keep a server that is not meant to be typed by people.
  const dirs = [...(env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/usr/libexec'];
  const seen = new Set<string>();
  for (const dir of dirs.filter((entry) => entry.startsWith('/'))) {
    const mysqld = join(dir, 'mysqld');
    if (seen.has(mysqld) || !(await isExecutable(mysqld))) continue;
    seen.add(mysqld);
    try {
      await refuseConfined(mysqld);
      return await describe({ prefix: [], mysqld, origin: 'path', signal });
    } catch (error) {
      if (!(error instanceof DistributionError)) throw error;
      onProgress?.({ step: 'note', message: `Passed over: ${error.message}` });
    }
  }
  return null;
}

/** Ubuntu's AppArmor profile lets an installed mysqld write to /var/lib/mysql and nowhere else. */
async function refuseConfined(mysqld: string): Promise<void> {
  const enabled = await readFile('/sys/module/apparmor/parameters/enabled', 'utf8').catch(() => 'N');
  if (!enabled.startsWith('Y')) return;
  const profile = (await realpath(mysqld)).slice(1).replaceAll('/', '.');
  if (!(await isReadable(`/etc/apparmor.d/${profile}`)) || (await isReadable(`/etc/apparmor.d/disable/${profile}`)))
    return;
  throw new DistributionError(
    'MYSQL_DOES_NOT_RUN',
    `AppArmor confines ${mysqld} to the system's own data directory (/etc/apparmor.d/${profile})`,
    'Name another MySQL as basedir, or let one be fetched.',
  );
}

/** The newest one fetched before. One that is damaged is reported, not replaced: servers may be running from it. */
async function fromCache(
  cacheDir: string,
  onProgress: FindDistributionOptions['onProgress'],
  signal?: AbortSignal,
): Promise<Distribution | null> {
  const names = (await readdir(cacheDir).catch(() => []))
    .filter((name) => name === fetchedName(parseVersion(name.slice('mysql-'.length)).join('.'), debianArch()))
    .sort((a, b) => compareVersions(parseVersion(b.slice('mysql-'.length)), parseVersion(a.slice('mysql-'.length))));
  for (const name of names) {
    try {
      return await describeFetched(join(cacheDir, name), signal);
    } catch (error) {
      if (!(error instanceof DistributionError)) throw error;
      if (error.code !== 'MYSQL_TOO_OLD' && error.code !== 'MYSQL_TOO_NEW') throw error;
      onProgress?.({ step: 'note', message: `Passed over: ${error.message}` });
    }
  }
  return null;
}

async function describeFetched(directory: string, signal?: AbortSignal): Promise<Distribution> {
  const again = `If no server is running from it, remove ${directory}: the next start fetches it again.`;
  const loader = await fetchedLoader(directory);
  if (loader === null) {
    throw new DistributionError('MYSQL_DOES_NOT_RUN', `${directory} is damaged: lib has no program loader`, again);
  }
  const prefix = [loader, '--library-path', join(directory, 'lib')];
  try {
    return await describe({ prefix, mysqld: join(directory, 'sbin/mysqld'), origin: 'fetched', signal });
  } catch (error) {
    if (!(error instanceof DistributionError) || !/^MYSQL_(DOES_NOT_RUN|LACKS_PLUGIN)$/.test(error.code)) throw error;
    throw new DistributionError(error.code, `${directory} is damaged: ${error.message}`, again, { cause: error });
  }
}

type Candidate = { prefix: string[]; mysqld: string; origin: Distribution['origin']; signal?: AbortSignal | undefined };

/** Asks the server itself for its version and its directories, which no two packagers lay out alike. */
async function describe({ prefix, mysqld, origin, signal }: Candidate): Promise<Distribution> {
  const serverCommand = [...prefix, mysqld];
  const ask = (...args: string[]): ReturnType<typeof runCommand> =>
    runCommand([...serverCommand, ...args], { timeoutMs: 30_000, signal });

  const said = await ask('--no-defaults', '--version');
  const version = supportedVersion(mysqld, said.stdout, said.stderr);
  // It exits with 1 where the compiled-in data directory does not exist, after having said everything.
  const dirs = parseDirectories((await ask('--no-defaults', '--verbose', '--help')).stdout);
  const basedir = resolve(dirs.get('basedir') ?? dirname(dirname(mysqld)));
  const pluginDir = resolve(dirs.get('plugin-dir') ?? join(basedir, 'lib/plugin'));
  await requirePlugins(mysqld, pluginDir);

  const options = [`--basedir=${basedir}`, `--plugin-dir=${pluginDir}`];
  for (const name of ['lc-messages-dir', 'character-sets-dir']) {
    const dir = dirs.get(name);
    if (dir?.startsWith('/') === true) options.push(`--${name}=${resolve(dir)}`);
  }
  // Packagers compile in a directory under /var, without which the server does not start.
  options.push('--secure-file-priv=NULL');
  const client = async (name: string): Promise<string[] | null> => {
    for (const dir of [join(basedir, 'bin'), dirname(mysqld)]) {
      if (await isExecutable(join(dir, name))) return [...prefix, join(dir, name)];
    }
    return null;
  };
  return {
    version,
    serverCommand,
    serverOptions: options,
    clientCommand: await client('mysql'),
    binlogCommand: await client('mysqlbinlog'),
    origin,
    basedir,
  };
}

/** The table of variables at the end of `mysqld --verbose --help`. */
function parseDirectories(help: string): Map<string, string> {
  const rows = help.matchAll(/^(basedir|plugin-dir|lc-messages-dir|character-sets-dir)[ \t]+(\/.*)$/gm);
  return new Map([...rows].map(([, name = '', value = '']) => [name, value.trim()]));
}

/** @throws DistributionError for MariaDB, and for a MySQL that is too old or too new. */
export function supportedVersion(mysqld: string, stdout: string, stderr = ''): string {
  const full = /\bVer (\S+)/.exec(stdout)?.[1];
  const version = parseVersion(full ?? '');
  if (full === undefined || version.length !== 3) {
    throw new DistributionError(
      'MYSQL_DOES_NOT_RUN',
      `${mysqld} --version did not say its version: ${lastWords(stderr || stdout) || 'it said nothing'}`,
      'Run it by hand to see why, or name another MySQL as basedir.',
    );
  }
  const wanted = `MySQL ${oldest.join('.')} to ${newestMajor}.x is needed`;
  if (/mariadb/i.test(stdout)) {
    throw new DistributionError(
      'MARIADB',
      `${mysqld} is MariaDB ${version.join('.')}, whose replication is not MySQL's; ${wanted}`,
      'Name the directory of a MySQL as basedir, or leave it out to have one found or fetched.',
    );
  }
  if (compareVersions(version, oldest) < 0) {
    throw new DistributionError(
      'MYSQL_TOO_OLD',
      `${mysqld} is MySQL ${full}; ${wanted}`,
      'Upgrade it, name another as basedir, or leave basedir out to have one found or fetched.',
    );
  }
  if ((version[0] ?? 0) > newestMajor) {
    throw new DistributionError(
      'MYSQL_TOO_NEW',
      `${mysqld} is MySQL ${full}, which this release has not been tried with; ${wanted}`,
      'Look for a newer release of baton, or name another MySQL as basedir.',
    );
  }
  return version.join('.');
}

const parseVersion = (text: string): number[] => (/^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);

function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (const [index, part] of a.entries()) if (part !== (b[index] ?? 0)) return part - (b[index] ?? 0);
  return 0;
}

async function requirePlugins(mysqld: string, pluginDir: string): Promise<void> {
  const files = ['mysql_clone.so', 'semisync_source.so', 'semisync_replica.so'];
  const found = await Promise.all(files.map((file) => isReadable(join(pluginDir, file))));
  const missing = files.filter((_, index) => found[index] !== true);
  if (missing.length === 0) return;
  throw new DistributionError(
    'MYSQL_LACKS_PLUGIN',
    `${mysqld} has no ${missing.join(', ')} in ${pluginDir}`,
    "Some packagers split plugins off: install theirs, or name a MySQL of MySQL's own build as basedir.",
  );
}

const isExecutable = (path: string): Promise<boolean> => canAccess(path, constants.X_OK);
const isReadable = (path: string): Promise<boolean> => canAccess(path, constants.R_OK);

async function canAccess(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
