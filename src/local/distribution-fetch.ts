import { constants } from 'node:fs';
import { access, copyFile, mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { mysqlSources, parseAptSources, parseOsRelease, renderAptSources, type AptSource } from './apt-sources.ts';
import { buildOnce, isDirectory } from './build-once.ts';
import { lastWords, runCommand, type CommandOutcome } from './command.ts';
import { DistributionError } from './distribution-error.ts';

/** What is going on, for a person who waits. The byte counts are there while something is downloaded. */
export type DistributionProgress = {
  step: 'note' | 'index' | 'download' | 'unpack' | 'initialise';
  message: string;
  doneBytes?: number;
  totalBytes?: number;
};

export type FetchDistributionOptions = {
  cacheDir: string;
  /** Environment of apt (proxies). */
  env: NodeJS.ProcessEnv;
  onProgress?: ((progress: DistributionProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** The keyring that every index has to be signed by. Default: the distribution's archive keyring of this host. */
  keyring?: string | undefined;
  /** Runs what was unpacked before it is published, and says which version it is. */
  inspect: (directory: string) => Promise<{ version: string }>;
};

const giveYourOwn = 'Install MySQL 8.0.26 or later yourself and name its directory as basedir.';

const aptDeadlineMs = 3600_000;
const unpackDeadlineMs = 300_000;

/** Debian's names of the two processors that we know the packages and the program loader of. */
const tripletOf: Record<string, string> = { amd64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

/** The name in the cache of a fetched MySQL. */
export const fetchedName = (version: string, arch: string): string => `mysql-${version}-${arch}`;

/** Debian's name of this processor as apt would say it. */
export function debianArch(): string {
  return { x64: 'amd64', arm64: 'arm64' }[process.arch as string] ?? process.arch;
}

/**
 * Gets MySQL's server and clients from the distribution's own packages into the cache, without root and without touching
 * the system: apt runs on a private state, checks signatures against the distribution's keyring, and downloads only.
 * The result runs through the program loader and the C library that came with it, so an older host does not matter.
 *
 * Ends well, or throws a DistributionError or the signal's reason and leaves nothing behind.
 * @returns the directory of the unpacked MySQL.
 */
export async function fetchDistribution(options: FetchDistributionOptions): Promise<string> {
  const { cacheDir, onProgress, signal } = options;
  const arch = debianArch();
  const origin = await findSources(arch);
  if (/["\n\\]/.test(cacheDir)) {
    throw new DistributionError(
      'FETCH_FAILED',
      `apt cannot work in a directory with quotes or backslashes in its name: ${cacheDir}`,
      'Choose another cache directory ($XDG_CACHE_HOME).',
    );
  }
  return buildOnce(cacheDir, async (staging) => {
    const apt = await prepareApt(staging, arch, origin.sources, options.keyring ?? origin.keyring, options);
    onProgress?.({ step: 'index', message: `Looking for MySQL in the packages of ${origin.label}` });
    const update = await apt(['apt-get', 'update']);
    const packages = await choosePackages(apt, update, origin.label);
    const archives = await listArchives(apt, packages);
    await download(apt, packages, archives, { staging, label: origin.label, onProgress });
    const directory = await unpack(staging, archives, arch, { onProgress, signal });
    const { version } = await options.inspect(directory);
    return { directory, name: fetchedName(version, arch) };
  });
}

/* What the host's own apt trusts. */

type Origin = { label: string; sources: AptSource[]; keyring: string };

async function findSources(arch: string): Promise<Origin> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const host = parseOsRelease(osRelease);
  const hasApt = await Promise.all(['/usr/bin/apt-get', '/usr/bin/apt-cache', '/usr/bin/dpkg-deb'].map(isExecutable));
  if (host === null || hasApt.includes(false) || tripletOf[arch] === undefined) {
    const found = /^PRETTY_NAME="?([^"\n]*)/m.exec(osRelease)?.[1] ?? process.platform;
    throw new DistributionError(
      'NO_APT',
      `no MySQL on this host, and it can be fetched only on Debian and Ubuntu (amd64, arm64); this is ${found} (${arch})`,
      giveYourOwn,
    );
  }
  const parts = await readdir('/etc/apt/sources.list.d').catch(() => []);
  const files = [
    '/etc/apt/sources.list',
    ...parts.sort((a, b) => a.localeCompare(b)).map((name) => join('/etc/apt/sources.list.d', name)),
  ];
  const entries = await Promise.all(
    files.map(async (file) => parseAptSources(file, await readFile(file, 'utf8').catch(() => ''))),
  );
  const sources = mysqlSources(host, entries.flat());
  if (sources.length === 0) {
    throw new DistributionError(
      'NO_APT_SOURCE',
      `no MySQL on this host, and /etc/apt names no source of ${host.family} itself to fetch it from`,
      giveYourOwn,
    );
  }
  return {
    label: host.family === 'debian' ? 'Debian unstable' : `Ubuntu ${host.codename}`,
    sources,
    keyring: await findKeyring(host.family),
  };
}

async function findKeyring(family: string): Promise<string> {
  const candidates = ['gpg', 'pgp'].map((ending) => `/usr/share/keyrings/${family}-archive-keyring.${ending}`);
  for (const path of candidates) if (await exists(path)) return path;
  throw new DistributionError(
    'SIGNATURE_REFUSED',
    `no keyring of ${family} on this host to check packages against (${candidates[0]})`,
    `Install ${family === 'debian' ? 'debian-archive-keyring' : 'ubuntu-keyring'}. ${giveYourOwn}`,
  );
}

/* apt on a state of its own. */

type Apt = (argv: string[]) => Promise<CommandOutcome>;

async function prepareApt(
  staging: string,
  arch: string,
  sources: readonly AptSource[],
  keyring: string,
  { env, signal }: FetchDistributionOptions,
): Promise<Apt> {
  await mkdir(join(staging, 'apt/lists/partial'), { recursive: true });
  await mkdir(join(staging, 'apt/archives/partial'), { recursive: true });
  await writeFile(join(staging, 'apt/status'), '');
  await writeFile(join(staging, 'apt/mysql.sources'), renderAptSources(sources, keyring));
  const configuration = join(staging, 'apt/apt.conf');
  await writeFile(configuration, aptConfiguration(join(staging, 'apt'), arch));
  return ([program = '', ...args]) =>
    runCommand([`/usr/bin/${program}`, '-c', configuration, ...args], {
      // English, so that a failure can be told apart by what apt says.
      env: { ...env, LC_ALL: 'C', LANGUAGE: 'C' },
      timeoutMs: aptDeadlineMs,
      signal,
    });
}

/**
 * Read after the host's own configuration: that keeps its proxies and credentials, and this takes away whatever would
 * touch the system (hooks, shared directories), loosen the signatures, or choose other packages (pins, architectures).
 */
function aptConfiguration(dir: string, arch: string): string {
  const hooks = ['Pre-Invoke', 'Post-Invoke', 'Post-Invoke-Success', 'Post-Invoke-Stats'];
  return `
${hooks.map((hook) => `#clear APT::Update::${hook};`).join('\n')}
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
#clear APT::Architectures;
#clear Acquire::Languages;
#clear APT::Default-Release;
Dir::State "${dir}";
Dir::State::lists "${dir}/lists/";
Dir::State::status "${dir}/status";
Dir::State::extended_states "${dir}/extended_states";
Dir::Cache "${dir}";
Dir::Cache::archives "${dir}/archives/";
Dir::Cache::pkgcache "${dir}/pkgcache.bin";
Dir::Cache::srcpkgcache "${dir}/srcpkgcache.bin";
Dir::Etc::sourcelist "${dir}/mysql.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::trusted "/dev/null";
Dir::Etc::trustedparts "/dev/null";
Dir::Log "${dir}";
APT::Architecture "${arch}";
APT::Architectures { "${arch}"; };
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Get::AllowUnauthenticated "false";
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages { "none"; };
Acquire::PDiffs "false";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
`;
}

/** Debian names the packages mysql-server-core, Ubuntu up to 24.10 mysql-server-core-8.0: the newest that we support wins. */
async function choosePackages(apt: Apt, update: CommandOutcome, label: string): Promise<string[]> {
  const known = await apt(['apt-cache', 'pkgnames', 'mysql-server-core']);
  const names = known.stdout.split('\n').filter((name) => /^mysql-server-core(-[\d.]+)?$/.test(name));
  const shown = names.length === 0 ? undefined : await apt(['apt-cache', 'show', '--no-all-versions', ...names]);
  const newest = [
    ...(shown?.stdout ?? '').matchAll(/^Package: (\S+)\n(?:.+\n)*?Version: (?:\d+:)?(\d+)\.(\d+)\.(\d+)/gm),
  ]
    .map(([, name = '', ...version]) => ({ name, rank: version.reduce((sum, part) => sum * 1000 + Number(part), 0) }))
    .filter(({ rank }) => rank >= 8_000_026 && rank < 10_000_000)
    .sort((a, b) => b.rank - a.rank)[0];
  if (newest !== undefined) return [newest.name, newest.name.replace('server', 'client')];
  if (/^[EW]:/m.test(update.stderr) || update.exitCode !== 0)
    throw aptFailure(update, `reading the packages of ${label}`);
  throw new DistributionError('FETCH_FAILED', `the packages of ${label} have no MySQL 8.0.26 to 9.x`, giveYourOwn);
}

type Archive = { uri: string; fileName: string; sizeBytes: number };

const installArgs = (packages: readonly string[]): string[] => [
  'apt-get',
  '-y',
  '-q',
  '--download-only',
  'install',
  ...packages,
];

async function listArchives(apt: Apt, packages: readonly string[]): Promise<Archive[]> {
  const listed = await apt([...installArgs(packages), '--print-uris']);
  if (listed.exitCode !== 0) throw aptFailure(listed, `choosing the packages for ${packages.join(' and ')}`);
  return [...listed.stdout.matchAll(/^'([^']+)' (\S+) (\d+) /gm)].map(([, uri = '', fileName = '', size]) => ({
    uri,
    fileName,
    sizeBytes: Number(size),
  }));
}

type DownloadContext = { staging: string; label: string; onProgress: FetchDistributionOptions['onProgress'] };

async function download(apt: Apt, packages: string[], archives: Archive[], context: DownloadContext): Promise<void> {
  const { staging, label, onProgress } = context;
  const totalBytes = archives.reduce((sum, archive) => sum + archive.sizeBytes, 0);
  await requireSpace(staging, totalBytes);
  let doneBytes = 0;
  // Never backwards: apt renames a file from one directory to another while they are being counted.
  const report = (countedBytes: number): void => {
    doneBytes = Math.max(doneBytes, Math.min(countedBytes, totalBytes));
    onProgress?.({
      step: 'download',
      message: `Fetching MySQL from ${label}: ${archives.length} packages, ${inMB(totalBytes)} MB (no root needed, signatures checked)`,
      doneBytes,
      totalBytes,
    });
  };
  report(0);
  const dir = join(staging, 'apt/archives');
  const timer = setInterval(() => void sizeOf(dir).then(report), 250);
  const fetched = await apt(installArgs(packages)).finally(() => clearInterval(timer));
  if (fetched.exitCode !== 0) throw aptFailure(fetched, `downloading MySQL from ${label}`);
  report(totalBytes);
}

/** Unpacked and indexed, the packages need about nine times what is downloaded (measured: 66 MB become 410 MB and 110 MB). */
async function requireSpace(dir: string, downloadBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dir);
  const neededBytes = downloadBytes * 9;
  if (bavail * bsize >= neededBytes) return;
  throw new DistributionError(
    'NO_DISK_SPACE',
    `fetching MySQL needs ${inMB(neededBytes)} MB of disk for a moment, and ${inMB(bavail * bsize)} MB are free beside ${dir}`,
    'Make room, or put the cache on another disk ($XDG_CACHE_HOME).',
  );
}

const inMB = (bytes: number): number => Math.ceil(bytes / 1e6);

/** Bytes in the files of a directory and of the directories right in it; a file that goes away meanwhile counts nothing. */
async function sizeOf(dir: string): Promise<number> {
  const names = await readdir(dir, { recursive: true }).catch(() => []);
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(dir, name)).then(
        (found) => (found.isFile() ? found.size : 0),
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Tells apt's failures apart by its words, since it has one exit code for all of them. */
export function aptFailure({ stderr }: Pick<CommandOutcome, 'stderr'>, during: string): DistributionError {
  // The first complaint is the cause, what follows are its consequences.
  const complaint = /^[EW]: *(.+)$/m.exec(stderr)?.[1]?.slice(0, 300) ?? lastWords(stderr);
  if (
    /NO_PUBKEY|BADSIG|EXPKEYSIG|is not signed|GPG error|OpenPGP signature|could not be verified|sqv returned/i.test(
      stderr,
    )
  ) {
    return new DistributionError(
      'SIGNATURE_REFUSED',
      `${during}: the signature could not be checked against the distribution's keyring, so nothing was used: ${complaint}`,
      `Update the keyring package and the clock of this host. ${giveYourOwn}`,
    );
  }
  if (/No space left|enough free space/i.test(stderr)) {
    return new DistributionError(
      'NO_DISK_SPACE',
      `${during}: the disk is full: ${complaint}`,
      'Make room and run it again.',
    );
  }
  const unreachable =
    /resolv(e|ing) |Could not connect|Cannot initiate the connection|[Cc]onnection (timed out|refused)|Unable to connect|unreachable|Proxy/;
  if (unreachable.test(stderr)) {
    return new DistributionError(
      'NO_NETWORK',
      `no MySQL on this host, and the package mirror cannot be reached: ${complaint}`,
      `Connect, or set http_proxy, and run it again. ${giveYourOwn}`,
    );
  }
  return new DistributionError(
    'FETCH_FAILED',
    `${during} failed: ${complaint}`,
    `A mirror in the middle of an update heals by itself: run it again later. ${giveYourOwn}`,
  );
}

/* From packages to a directory that runs. */

type UnpackContext = Pick<FetchDistributionOptions, 'onProgress' | 'signal'>;

async function unpack(staging: string, archives: Archive[], arch: string, context: UnpackContext): Promise<string> {
  const root = join(staging, 'root');
  await mkdir(root);
  context.onProgress?.({ step: 'unpack', message: `Unpacking ${archives.length} packages` });
  for (const archive of archives) {
    // apt does not copy what it finds on a local disk already.
    const file = archive.uri.startsWith('file:')
      ? decodeURIComponent(archive.uri.slice('file:'.length))
      : join(staging, 'apt/archives', archive.fileName);
    const unpacked = await runCommand(['/usr/bin/dpkg-deb', '-x', file, root], {
      timeoutMs: unpackDeadlineMs,
      signal: context.signal,
    });
    if (unpacked.exitCode !== 0) throw aptFailure(unpacked, `unpacking ${archive.fileName}`);
    await rm(join(staging, 'apt/archives', archive.fileName), { force: true });
  }
  return assemble(staging, root, tripletOf[arch] ?? arch, context.signal);
}

const keptPrograms = [
  'mysql',
  'mysqlbinlog',
  'mysqldump',
  'mysqladmin',
  'mysqlcheck',
  'mysqlslap',
  'my_print_defaults',
];

/**
 * Keeps MySQL's own files and the libraries that its programs and plugins say they need, in the shape that mysqld looks
 * for beside itself: sbin, bin, lib/mysql/plugin, share/mysql; the libraries and the program loader in lib.
 */
async function assemble(staging: string, root: string, triplet: string, signal?: AbortSignal): Promise<string> {
  const directory = join(staging, 'mysql');
  for (const dir of ['sbin', 'bin', 'lib', 'share']) await mkdir(join(directory, dir), { recursive: true });
  await rename(join(root, 'usr/sbin/mysqld'), join(directory, 'sbin/mysqld'));
  for (const program of keptPrograms) {
    await rename(join(root, 'usr/bin', program), join(directory, 'bin', program)).catch(() => {});
  }
  await rename(join(root, 'usr/lib/mysql'), join(directory, 'lib/mysql'));
  for (const name of await readdir(join(root, 'usr/share'))) {
    if (name.startsWith('mysql')) await rename(join(root, 'usr/share', name), join(directory, 'share', name));
  }

  const libraryDirs = ['usr/lib', 'lib'].flatMap((lib) => [join(root, lib, triplet), join(root, lib)]);
  const loader = await findLoader(libraryDirs);
  const plugins = (await readdir(join(directory, 'lib/mysql/plugin'))).filter((name) => name.endsWith('.so'));
  const programs = (await readdir(join(directory, 'bin'))).map((name) => join(directory, 'bin', name));
  const users = [
    join(directory, 'sbin/mysqld'),
    ...programs,
    ...plugins.map((name) => join(directory, 'lib/mysql/plugin', name)),
  ];
  const libraries = new Set<string>([loader]);
  for (const user of users) {
    for (const library of await librariesOf(loader, libraryDirs, user, signal)) libraries.add(library);
  }
  // Loaded by name at run time, to resolve users and hosts; part of libc itself since 2.34.
  for (const dir of libraryDirs) {
    const names = await readdir(dir).catch(() => []);
    for (const name of names) if (/^lib(nss_(files|dns)|resolv)\.so\.\d+$/.test(name)) libraries.add(join(dir, name));
  }
  for (const library of libraries) await copyFile(library, join(directory, 'lib', basename(library)));
  await rm(root, { recursive: true, force: true });
  return directory;
}

const loaderPattern = /^ld-linux-[\w-]+\.so\.\d+$/;

async function findLoader(dirs: readonly string[]): Promise<string> {
  for (const dir of dirs) {
    const name = (await readdir(dir).catch(() => [])).find((entry) => loaderPattern.test(entry));
    if (name !== undefined) return join(dir, name);
  }
  throw new DistributionError(
    'FETCH_FAILED',
    'the packages of MySQL came without a program loader (libc6)',
    giveYourOwn,
  );
}

/** What the loader would load for `user`; only from the packages, since a library of the host may go away or not fit. */
async function librariesOf(
  loader: string,
  dirs: readonly string[],
  user: string,
  signal?: AbortSignal,
): Promise<string[]> {
  const listed = await runCommand([loader, '--inhibit-cache', '--library-path', dirs.join(':'), '--list', user], {
    timeoutMs: 30_000,
    signal,
  });
  const found = [...listed.stdout.matchAll(/=> (\/.+?) \(0x/g)].map(([, path = '']) => path);
  const ours = found.filter((path) => dirs.some((dir) => path.startsWith(`${dir}/`)));
  const complete = listed.exitCode === 0 && ours.length === found.length && !listed.stdout.includes('not found');
  // A plugin may need something that only its own package would bring (none that we use does); a program may not.
  if (complete || user.endsWith('.so')) return ours;
  throw new DistributionError(
    'FETCH_FAILED',
    `${basename(user)} needs libraries that its packages did not bring: ${lastWords(listed.stdout + listed.stderr)}`,
    giveYourOwn,
  );
}

/** The loader of a MySQL that was fetched into `directory`; null when it is not one. */
export async function fetchedLoader(directory: string): Promise<string | null> {
  if (!(await isDirectory(join(directory, 'lib')))) return null;
  return findLoader([join(directory, 'lib')]).catch(() => null);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
