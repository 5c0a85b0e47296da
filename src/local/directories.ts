/** Where things are kept on one machine (XDG Base Directory Specification 0.8). All directories are private to the user. */
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, readdir } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';

export interface ClusterDirectories {
  /** The members' directories: what may grow large. */
  readonly data: string;
  /** Everything below but the socket. */
  readonly state: string;
  /** The record's versions (RecordFiles). */
  readonly record: string;
  readonly journal: string;
  /** Passwords, mode 0600. */
  readonly secrets: string;
  readonly daemonLog: string;
  /** The resource as it was last applied. */
  readonly resource: string;
  /** Of all clusters: fetched servers, templates. */
  readonly cache: string;
  /** For sockets; short. */
  readonly runtime: string;
  /** The daemon's. */
  readonly socket: string;
}

/** sizeof(sun_path) less its final zero (unix(7)). */
export const maxSocketPathBytes = 107;

/** Looks nothing up on disk. `name` is one that a resource may have: a DNS label. */
export function clusterDirectories(name: string, env: NodeJS.ProcessEnv): ClusterDirectories {
  const state = join(stateHome(env), name);
  const runtime = runtimeDirectory(env, state, name);
  return {
    data: join(xdg(env, 'XDG_DATA_HOME', '.local/share'), name),
    state,
    record: join(state, 'record'),
    journal: join(state, 'journal.jsonl'),
    secrets: join(state, 'secrets.json'),
    daemonLog: join(state, 'daemon.log'),
    resource: join(state, 'cluster.yaml'),
    cache: xdg(env, 'XDG_CACHE_HOME', '.cache'),
    runtime,
    socket: join(runtime, `${name}.sock`),
  };
}

/** Makes them, mode 0700. Rejects if one of them belongs to another user. */
export async function makeClusterDirectories(directories: ClusterDirectories): Promise<void> {
  const { data, state, record, cache, runtime } = directories;
  for (const directory of [data, state, record, cache, runtime]) await makePrivateDirectory(directory);
}

/** The names of the clusters that this user has, running or not, in alphabetical order. */
export async function listClusters(env: NodeJS.ProcessEnv): Promise<string[]> {
  const entries = await readdir(stateHome(env), { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
}

/** Makes a directory that only this user can enter. In a place that all may write to, somebody else may have been first. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const found = await lstat(directory);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new DirectoryNotOwnError(directory, found.isDirectory() ? `one of user ${found.uid}` : 'something else');
  }
  if ((found.mode & 0o077) !== 0) await chmod(directory, 0o700);
}

/** A directory that has to be this user's alone is not. */
export class DirectoryNotOwnError extends Error {
  override readonly name = 'DirectoryNotOwnError';
  readonly code = 'DIRECTORY_NOT_OWN';
  readonly hint =
    'Remove it, or set XDG_DATA_HOME, XDG_STATE_HOME, XDG_CACHE_HOME or XDG_RUNTIME_DIR to a place of your own.';

  constructor(directory: string, found: string) {
    super(`expected a directory of this user at ${directory}, found ${found}`);
  }
}

function stateHome(env: NodeJS.ProcessEnv): string {
  return xdg(env, 'XDG_STATE_HOME', '.local/state');
}

function xdg(env: NodeJS.ProcessEnv, variable: string, fallback: string): string {
  const value = env[variable];
  // The specification has relative paths ignored.
  const base = value !== undefined && isAbsolute(value) ? value : join(env['HOME'] || homedir(), fallback);
  return join(base, 'baton');
}

/** The session's own runtime directory, else the state directory; where sockets would get too long there, a short one. */
function runtimeDirectory(env: NodeJS.ProcessEnv, state: string, name: string): string {
  const session = env['XDG_RUNTIME_DIR'];
  const candidates = [...(session !== undefined && isAbsolute(session) ? [join(session, 'baton')] : []), state];
  const fits = candidates.find((directory) => Buffer.byteLength(join(directory, `${name}.sock`)) <= maxSocketPathBytes);
  if (fits !== undefined) return fits;
  const digest = createHash('sha256').update(state).digest('hex').slice(0, 12);
  return join(env['TMPDIR'] ?? tmpdir(), `baton-${process.getuid?.() ?? 0}-${digest}`);
}
