/** On what, with what and when something was measured. */
import { execFile } from 'node:child_process';
import { readFile, statfs } from 'node:fs/promises';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { Distribution } from '../../src/local/distribution.ts';
import type { Setting } from './result.ts';

const run = promisify(execFile);

/** By their magic numbers (statfs(2)). */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
  0x2fc12fc1: 'zfs',
};

export async function describe(root: string, distribution: Distribution): Promise<Setting> {
  const processors = cpus();
  const { type } = await statfs(tmpdir());
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const disk = FILE_SYSTEMS[type] ?? `file system ${type.toString(16)}`;
  return {
    at: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: await commitOf(root),
    machine: `${processors.length} × ${processors[0]?.model ?? 'unknown processor'}, ${memory}, ${disk}, ${await system()}`,
    versions: `MySQL ${distribution.version}, Node ${process.versions.node}`,
    loadBefore: loadavg()[0] ?? 0,
  };
}

async function system(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const name = /^PRETTY_NAME="?([^"\n]+)/m.exec(text)?.[1] ?? process.platform;
  return `${name}, Linux ${release().split('-')[0] ?? ''}`;
}

/** With a plus if what was measured is not quite that. */
async function commitOf(root: string): Promise<string> {
  const git = async (...args: string[]): Promise<string> => (await run('git', ['-C', root, ...args])).stdout.trim();
  try {
    const [commit, changes] = [await git('rev-parse', '--short', 'HEAD'), await git('status', '--porcelain', 'src')];
    return changes === '' ? commit : `${commit}+`;
  } catch {
    return 'unknown';
  }
}
