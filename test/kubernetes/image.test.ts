import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { installObjects } from '../../src/kubernetes/install.ts';
import { assemble, lastStage } from './lab/image.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

test('the image is Node, the bundle and nothing else; what is in it runs', () => {
  const rootfs = mkdtempSync(join(tmpdir(), 'baton-rootfs-'));
  try {
    const { copies, config } = assemble(rootfs);
    const files = readdirSync(rootfs, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(rootfs.length));
    const others = files.filter(
      (file) => !/^\/opt\/baton\/dist\/(chunk-[A-Z0-9]+|baton|kubectl-baton|daemon|sdk)\.js$/.test(file),
    );
    assert.deepEqual(others.toSorted(), ['/opt/baton/package.json', '/usr/local/bin/node']);
    for (const { to } of copies)
      assert.ok(
        files.some((file) => file === to || file.startsWith(`${to}/`)),
        to,
      );
    const [node = '', program = ''] = config['Entrypoint'] as string[];
    const said = execFileSync(join(rootfs, node), [join(rootfs, program), 'version', '--json'], { encoding: 'utf8' });
    const { version } = JSON.parse(readFileSync(join(rootfs, '/opt/baton/package.json'), 'utf8')) as {
      version: string;
    };
    assert.equal((JSON.parse(said) as { baton: string }).baton, version);
  } finally {
    rmSync(rootfs, { recursive: true });
  }
});

test('the image runs as the user that the install names', () => {
  const { config } = lastStage(read('Dockerfile'));
  const deployment = installObjects({ image: 'x' }).find(({ kind }) => kind === 'Deployment');
  const text = JSON.stringify(deployment);
  const [user, group] = String(config['User']).split(':');
  assert.match(text, new RegExp(`"runAsUser":${user},"runAsGroup":${group}`));
});

test('an instruction that the lab would not follow is refused', () => {
  assert.throws(() => lastStage('FROM a AS build\nRUN x\nFROM b\nRUN apt-get update'), /found RUN/);
});

/** What an image of Docker's is built from: the files that .dockerignore leaves, those of them that the first stage copies. */
function copyAsTheBuildStage(directory: string): void {
  const [all, ...kept] = read('.dockerignore').trim().split('\n');
  assert.equal(all, '*');
  const context = join(directory, 'context');
  for (const line of kept) {
    assert.match(line, /^!/);
    const path = line.slice(1);
    mkdirSync(dirname(join(context, path)), { recursive: true });
    cpSync(join(ROOT, path), join(context, path), { recursive: true });
  }
  const lines = read('Dockerfile').split('\n');
  for (const line of lines.slice(
    0,
    lines.findLastIndex((one) => one.startsWith('FROM ')),
  )) {
    const [word, ...operands] = line.split(' ');
    if (word !== 'COPY') continue;
    const to = operands.pop() ?? '';
    for (const from of operands) {
      const target = to.endsWith('/') ? join(to, from) : to;
      cpSync(join(context, from), join(directory, 'src', target), { recursive: true });
    }
  }
}

test('what the Dockerfile copies for its build is all that the build needs', () => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-build-'));
  try {
    copyAsTheBuildStage(directory);
    // For what its `npm install` installs: the same lock.
    symlinkSync(join(ROOT, 'node_modules'), join(directory, 'src', 'node_modules'));
    execFileSync(process.execPath, ['scripts/build.mjs'], { cwd: join(directory, 'src') });
    const said = execFileSync(process.execPath, [join(directory, 'src', 'dist', 'baton.js'), 'install']);
    assert.equal(said.toString(), read('install.yaml'));
  } finally {
    rmSync(directory, { recursive: true });
  }
});
