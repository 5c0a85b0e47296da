/**
 * The operator's image without Docker: what the last stage of the Dockerfile says, done here. Node's libraries, which the
 * Dockerfile's base brings along, are this machine's.
 *
 *     node test/kubernetes/lab/image.ts OUT.tar
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..', '..', '..');

/** As the install names it. */
export const operatorImage = (): string => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return `docker.io/library/baton:${version}`;
};

interface Stage {
  /** What is copied from the build, and where to. */
  readonly copies: readonly { readonly from: string; readonly to: string }[];
  /** As an image's configuration has it. */
  readonly config: Readonly<Record<string, unknown>>;
}

/** Throws at anything that it does not know: it would be missing here. */
export function lastStage(dockerfile: string): Stage {
  const lines = dockerfile
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  const copies: { from: string; to: string }[] = [];
  const config: Record<string, unknown> = {};
  for (const line of lines.slice(lines.findLastIndex((one) => one.startsWith('FROM ')) + 1)) {
    const [, word = '', rest = ''] = /^(\w+) (.*)$/.exec(line) ?? [];
    const [, from, to] = /^--from=build (\S+) (\S+)$/.exec(rest) ?? [];
    if (word === 'COPY' && from !== undefined && to !== undefined) copies.push({ from, to });
    else if (word === 'USER') config['User'] = rest;
    else if (word === 'ENTRYPOINT') config['Entrypoint'] = JSON.parse(rest);
    else if (word === 'CMD') config['Cmd'] = JSON.parse(rest);
    else if (word === 'ENV') config['Env'] = [...((config['Env'] as string[] | undefined) ?? []), rest];
    else throw new Error(`expected COPY --from=build, USER, ENTRYPOINT, CMD or ENV in the last stage, found ${line}`);
  }
  return { copies, config };
}

/** Makes the files of the image below `rootfs`; the base's are not among them. */
export function assemble(rootfs: string): Stage {
  const stage = lastStage(readFileSync(join(root, 'Dockerfile'), 'utf8'));
  const dist = mkdtempSync(join(tmpdir(), 'baton-dist-'));
  try {
    execFileSync(process.execPath, [join(root, 'scripts', 'build.mjs'), dist], { stdio: 'inherit' });
    for (const { from, to } of stage.copies) {
      const target = join(rootfs, to);
      mkdirSync(dirname(target), { recursive: true });
      cpSync(sourceOf(from, dist), target, { recursive: true, dereference: true });
    }
  } finally {
    rmSync(dist, { recursive: true });
  }
  return stage;
}

function sourceOf(from: string, dist: string): string {
  if (from === '/usr/local/bin/node') return realpathSync(process.execPath);
  if (from === '/src/dist') return dist;
  if (from.startsWith('/src/')) return join(root, from.slice('/src/'.length));
  throw new Error(`expected what the build makes or has, found ${from}`);
}

/** The dynamic linker and what it links, from this machine. */
function addLibraries(rootfs: string): void {
  const listed = execFileSync('ldd', [join(rootfs, 'usr/local/bin/node')], { encoding: 'utf8' });
  for (const [library] of listed.matchAll(/\/\S+\.so\S*/g)) {
    const target = join(rootfs, library);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(realpathSync(library), target);
  }
}

export function makeImage(out: string): void {
  const rootfs = mkdtempSync(join(tmpdir(), 'baton-image-'));
  try {
    const { config } = assemble(rootfs);
    addLibraries(rootfs);
    execFileSync('chmod', ['-R', 'a+rX', rootfs]);
    const kube = join(import.meta.dirname, 'kube');
    execFileSync(kube, ['image', operatorImage(), rootfs, JSON.stringify(config), out], { stdio: 'inherit' });
  } finally {
    rmSync(rootfs, { recursive: true });
  }
}

if (import.meta.main) {
  const [, , out] = process.argv;
  if (out === undefined) throw new Error('expected the name of the archive to make');
  makeImage(out);
}
