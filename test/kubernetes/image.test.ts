import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { installObjects } from '../../src/kubernetes/install.ts';
import { assemble, lastStage } from './lab/image.ts';

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
  const { config } = lastStage(readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8'));
  const deployment = installObjects({ image: 'x' }).find(({ kind }) => kind === 'Deployment');
  const text = JSON.stringify(deployment);
  const [user, group] = String(config['User']).split(':');
  assert.match(text, new RegExp(`"runAsUser":${user},"runAsGroup":${group}`));
});

test('an instruction that the lab would not follow is refused', () => {
  assert.throws(() => lastStage('FROM a AS build\nRUN x\nFROM b\nRUN apt-get update'), /found RUN/);
});
