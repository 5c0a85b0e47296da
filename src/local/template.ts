import { createHash } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { buildOnce, isDirectory } from './build-once.ts';
import { lastWords, runCommand } from './command.ts';
import { DistributionError } from './distribution-error.ts';
import type { DistributionProgress } from './distribution-fetch.ts';
import type { Distribution } from './distribution.ts';
import { explainLog } from './start-failure.ts';

export type EnsureTemplateOptions = {
  distribution: Distribution;
  /** Where templates are kept; see defaultCacheDir. */
  cacheDir: string;
  onProgress?: ((progress: DistributionProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
};

const initialiseDeadlineMs = 180_000;
const startDeadlineMs = 120_000;

/**
 * Part of a template's name: it changes with what a template is made of, so that one made by an older release is left alone.
 */
const recipe = 1;

/**
 * A data directory to copy members from, so that a member starts in a second and not in four. It is initialised (root@localhost
 * without a password, nothing else), was stopped cleanly, never wrote a binary log, and has nothing that makes a server
 * one of a kind: no server_uuid (auto.cnf), no private keys. mysqld makes those anew when it starts on a copy.
 *
 * Made once for a server's version and path; several processes may ask at once.
 * Throws a DistributionError (TEMPLATE_FAILED), or the reason of the aborted signal, and leaves nothing behind.
 * @returns its path. Never start a server on it: copyTemplate.
 */
export async function ensureTemplate({
  distribution,
  cacheDir,
  onProgress,
  signal,
}: EnsureTemplateOptions): Promise<string> {
  const name = templateName(distribution);
  if (await isDirectory(join(cacheDir, name))) return join(cacheDir, name);
  onProgress?.({
    step: 'initialise',
    message: `Initialising a data directory of MySQL ${distribution.version}, once for all members`,
  });
  return buildOnce(cacheDir, async (staging) => {
    const dataDir = join(staging, 'data');
    await initialise(distribution, dataDir, signal);
    await startAndStop(distribution, dataDir, signal);
    for (const file of await readdir(dataDir)) {
      if (isOneOfAKind(file)) await rm(join(dataDir, file), { recursive: true, force: true });
    }
    // Copied, because a copy is sparse: a third of the size, and read faster by every copy after.
    await copyDirectory(dataDir, join(staging, name), ['--sparse=always']);
    return { directory: join(staging, name), name };
  });
}

export function templateName({ version, serverCommand, serverOptions }: Distribution): string {
  const identity = JSON.stringify([recipe, version, serverCommand, serverOptions]);
  return `template-${version}-${createHash('sha256').update(identity).digest('hex').slice(0, 12)}`;
}

/** Also the buffer pool's dump, which would have a copy read pages that nobody asked for. */
const isOneOfAKind = (file: string): boolean =>
  /^(auto\.cnf|mysqld-auto\.cnf|ib_buffer_pool|.*\.(pem|pid|err)|(binlog|[\w.-]+-bin)\.(\d+|index))$/.test(file);

const commonOptions = (distribution: Distribution, dataDir: string): string[] => [
  '--no-defaults',
  ...distribution.serverOptions,
  `--datadir=${dataDir}`,
  '--disable-log-bin',
  // mysqld refuses to run as root unless it is told to.
  ...(process.getuid?.() === 0 ? ['--user=root'] : []),
];

async function initialise(distribution: Distribution, dataDir: string, signal?: AbortSignal): Promise<void> {
  // With its default redo log, since a small one makes initialising wait for checkpoints.
  const argv = [...distribution.serverCommand, ...commonOptions(distribution, dataDir), '--initialize-insecure'];
  const made = await runCommand(argv, { timeoutMs: initialiseDeadlineMs, signal });
  if (made.exitCode !== 0) throw templateFailure(distribution, 'initialising a data directory', made.stderr);
}

/** A redo log of 8 MiB instead of 100, and whatever else a first start puts right, is then in every copy. */
async function startAndStop(distribution: Distribution, dataDir: string, signal?: AbortSignal): Promise<void> {
  // A socket's path may have 107 bytes, and a cache directory may be deep.
  const socketDir = await mkdtemp(join(tmpdir().length < 80 ? tmpdir() : '/tmp', 'baton-'));
  const argv = [
    ...distribution.serverCommand,
    ...commonOptions(distribution, dataDir),
    ...smallRedoLog(distribution.version),
    '--skip-networking',
    '--loose-mysqlx=OFF',
    `--socket=${join(socketDir, 's')}`,
    `--pid-file=${join(dataDir, 'mysqld.pid')}`,
  ];
  let log = '';
  let asked = false;
  try {
    const ended = await runCommand(argv, {
      timeoutMs: startDeadlineMs,
      signal,
      onStderr: (text, server) => {
        log += text;
        if (!asked && log.includes(': ready for connections. Version')) asked = server.kill('SIGTERM');
      },
    });
    if (!asked || ended.exitCode !== 0) {
      throw templateFailure(distribution, 'the first start of a data directory', ended.stderr);
    }
  } finally {
    await rm(socketDir, { recursive: true, force: true });
  }
}

/** Its capacity is a setting since 8.0.30 (manual, "Redo Log"); before, it is as large as its files. */
function smallRedoLog(version: string): string[] {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  return major > 8 || minor > 0 || patch >= 30
    ? ['--innodb-redo-log-capacity=8M']
    : ['--innodb-log-file-size=4M', '--innodb-log-files-in-group=2'];
}

function templateFailure(distribution: Distribution, during: string, log: string): DistributionError {
  return new DistributionError(
    'TEMPLATE_FAILED',
    `${during} with MySQL ${distribution.version} (${distribution.basedir}) failed: ${explainLog(log) ?? (lastWords(log) || 'it said nothing')}`,
    'If the disk has room and the server is whole, run it again with --debug to see its log.',
    { cause: log },
  );
}

/**
 * Copies a template to `target` for one member, 0700, with its place on the disk: InnoDB writes into the pages that it has
 * and asks nobody. Where there is no room for one that a sparse or shared copy did without, the server ends, and its next
 * life finds a torn page.
 * @throws DistributionError: DATADIR_NOT_EMPTY when there is something at `target` already, which is never overwritten;
 * NO_DISK_SPACE.
 */
export async function copyTemplate(template: string, target: string): Promise<void> {
  await copyDirectory(template, target, ['--sparse=never', '--reflink=never']);
}

function noRoomFor(directory: string): DistributionError {
  return new DistributionError(
    'NO_DISK_SPACE',
    `no room for a data directory at ${directory}`,
    'Make room and run it again.',
  );
}

async function copyDirectory(template: string, target: string, options: readonly string[]): Promise<void> {
  await mkdir(target, { recursive: true, mode: 0o700 });
  if ((await readdir(target)).length > 0) {
    throw new DistributionError(
      'DATADIR_NOT_EMPTY',
      `a new member's data directory must be empty, and ${target} is not`,
      'Remove it if nobody needs what is in it.',
    );
  }
  const argv = ['cp', '-a', ...options, `${template}/.`, target];
  const copied = await runCommand(argv, { timeoutMs: startDeadlineMs });
  if (copied.exitCode !== 0) {
    if (/no space/i.test(copied.stderr)) throw noRoomFor(target);
    // A cp that is not GNU's knows neither option.
    await cp(template, target, { recursive: true, preserveTimestamps: true });
  }
  await chmod(target, 0o700);
}
