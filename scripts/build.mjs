/**
 * Bundles src into dist: the command line, the daemon and the API for tests, which share chunks. Plain JavaScript, since the
 * oldest Node that we run on reads no types. Each file appears as a whole and the entries last, so that several builds at
 * once, and programs that run meanwhile, do not disturb each other.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
/** Elsewhere, if an argument says where. */
const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const begun = new Date();
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const sources = {
  baton: 'src/cli/main.ts',
  'kubectl-baton': 'src/cli/kubectl-baton.ts',
  daemon: 'src/local/daemon.ts',
  sdk: 'src/sdk/index.ts',
};
const present = Object.entries(sources).filter(([, path]) => existsSync(join(root, path)));

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(present),
  outdir: dist,
  chunkNames: 'chunk-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
  legalComments: 'none',
  define: {
    BATON_VERSION: JSON.stringify(version),
    BATON_MEMBER_SCRIPT: JSON.stringify(readFileSync(join(root, 'src/kubernetes/scripts/member.sh'), 'utf8')),
  },
  // What is CommonJS among the dependencies asks for Node's own modules by require.
  banner: { js: `import{createRequire as batonRequire}from'node:module';const require=batonRequire(import.meta.url);` },
  write: false,
  logLevel: 'warning',
});

mkdirSync(dist, { recursive: true });
const isChunk = (path) => path.includes('/chunk-');
for (const { path, contents } of outputFiles.sort((a, b) => Number(isChunk(b.path)) - Number(isChunk(a.path)))) {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, contents, { mode: path.endsWith('baton.js') ? 0o755 : 0o644 });
  // As old as what it was made from: a source that changed meanwhile is newer.
  utimesSync(draft, begun, begun);
  renameSync(draft, path);
}

const anHourAgo = Date.now() - 3_600_000;
const made = new Set(outputFiles.map(({ path }) => path));
for (const path of readdirSync(dist).map((name) => join(dist, name))) {
  if (!made.has(path) && isChunk(path) && statSync(path).mtimeMs < anHourAgo) rmSync(path, { force: true });
}
