/** Baton as people install it: from install.yaml, as two Pods with an account of their own; and its commands from outside. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { Writer, verify } from './ledger.ts';
import { makeImage, operatorImage } from './lab/image.ts';
import { Scene, onKubernetes, run } from './scene.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const INSTALL = join(ROOT, 'install.yaml');
const CHART = join(ROOT, 'charts', 'baton');
const LAB = join(import.meta.dirname, 'lab', 'kube');

/** The image is what install.yaml names; where the Kubernetes is not the lab, it has to be there. */
async function load(): Promise<void> {
  if (process.env['BATON_TEST_IMAGE'] !== undefined) return;
  const directory = await mkdtemp(join(tmpdir(), 'baton-operator-'));
  try {
    const archive = join(directory, 'baton.tar');
    makeImage(archive);
    await run(LAB, ['load', archive]);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const system = (...args: string[]): Promise<string> => run('kubectl', ['-n', 'baton-system', ...args]);

async function install(): Promise<AsyncDisposable & { readonly image: string }> {
  await load();
  await run('kubectl', ['apply', '--server-side', '--force-conflicts', '-f', INSTALL]);
  await system('rollout', 'status', 'deployment/baton', '--timeout=90s');
  return {
    image: operatorImage(),
    async [Symbol.asyncDispose]() {
      await run('kubectl', ['delete', '-f', INSTALL, '--timeout=60s']);
    },
  };
}

const leader = async (): Promise<string> =>
  (await system('get', 'lease', 'baton', '-o', 'jsonpath={.spec.holderIdentity}')).replace(/_.*$/, '');

/** Helm, as the lab builds it. */
const helm = (...args: string[]): Promise<string> => run(LAB, ['helm', ...args]);

/** What the API server refused to the operators so far. */
async function refusals(): Promise<string[]> {
  const pods = (await system('get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ');
  const logs = await Promise.all(pods.map((pod) => system('logs', pod)));
  return logs.flatMap((log) => log.split('\n').filter((line) => /forbidden/i.test(line)));
}

const PROGRAM = join(ROOT, 'src', 'cli', 'main.ts');

interface Said {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `baton` on the scene's cluster, as whoever a kubeconfig says. */
const batonOf =
  (scene: Scene, kubeconfig: string) =>
  (...args: string[]): Promise<Said> =>
    new Promise((resolve) => {
      const place = ['-n', scene.namespace, '--kubeconfig', kubeconfig];
      execFile(process.execPath, [PROGRAM, ...args, ...place], (error, out, err) => {
        resolve({ code: error === null ? 0 : Number(error.code), out, err });
      });
    });

async function succeeded(asked: Promise<Said>): Promise<string> {
  const { code, out, err } = await asked;
  assert.equal(code, 0, err);
  return out;
}

test('install.yaml, then cluster.yaml: all that an operator does, it may do', onKubernetes, async (t) => {
  const begun = performance.now();
  await using installed = await install();
  t.diagnostic(`${installed.image}: installed in ${Math.round(performance.now() - begun)} ms`);
  // Members that are slow on a busy machine are none that are gone: a drill is refused where one is missing for a moment.
  const spec = { replicas: 2, storage: { whenScaled: 'Delete' }, detection: { timeoutSeconds: 5 } };
  await using scene = await Scene.begin({ spec, operators: 0 });
  const shown = await scene.kubectl(['get', 'mysqlclusters']);
  assert.match(shown, /NAME +STATE +PRIMARY +READY +AGE\nmysql +healthy +mysql-0 +2\/2/);
  const writer = await Writer.begin(scene);

  await scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=3']);
  await scene.healthy(120_000);

  await t.test('the commands say and do on it what they do on one machine', () =>
    shownOnFailure(scene, () => useCommands(scene)),
  );

  const first = await leader();
  writer.takeGap();
  await system('delete', 'pod', first, '--force', '--grace-period=0', '--wait=false');
  await scene.until(async () => ![first, ''].includes(await leader()), 30_000);
  await scene.kubectl(['delete', 'pod', await scene.primary(), '--wait=false']);
  await writer.writesAgain(60_000);
  await scene.healthy(180_000);
  t.diagnostic(`the leader's Pod killed, the primary's deleted: gap ${JSON.stringify(writer.takeGap())}`);

  await scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=2']);
  await scene.until(async () => (await scene.kubectl(['get', 'pvc', '-o', 'name'])).split('\n').length === 2, 120_000);
  await verify(scene, writer);
  await scene.kubectl(['delete', 'mysqlcluster', 'mysql', '--timeout=60s']);
  await scene.until(async () => (await scene.kubectl(['get', 'pods', '-o', 'name'])) === '', 90_000);
  assert.deepEqual(await refusals(), [], 'what was asked of the API server was allowed');
});

/** The kubeconfig of somebody who may edit this namespace, as Kubernetes' own role has it, and nothing else. */
async function editor(scene: Scene, directory: string): Promise<string> {
  await scene.kubectl(['create', 'serviceaccount', 'dev']);
  await scene.kubectl([
    'create',
    'rolebinding',
    'dev',
    '--clusterrole=edit',
    `--serviceaccount=${scene.namespace}:dev`,
  ]);
  const token = await scene.kubectl(['create', 'token', 'dev']);
  const text = await run('kubectl', ['config', 'view', '--raw', '--flatten', '--minify', '-o', 'json']);
  const config = JSON.parse(text) as { users: { user: unknown }[] };
  for (const one of config.users) one.user = { token };
  const path = join(directory, 'kubeconfig');
  await writeFile(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

/** What there is to go by when something failed. */
async function shownOnFailure<T>(scene: Scene, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const pods = (await system('get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ');
    for (const pod of pods) console.error(pod, await system('logs', pod, '--tail=30'));
    console.error(await scene.kubectl(['get', 'mysqlcluster', 'mysql', '-o', 'yaml']));
    throw error;
  }
}

async function useCommands(scene: Scene): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-editor-'));
  try {
    const asEditor = await editor(scene, directory);
    await useAs(scene, batonOf(scene, asEditor), batonOf(scene, process.env['KUBECONFIG'] ?? ''));
    await forwarded(scene, asEditor);
    await asPlugin(scene);
  } finally {
    await rm(directory, { recursive: true });
  }
}

type Baton = ReturnType<typeof batonOf>;

async function useAs(scene: Scene, baton: Baton, asAdmin: Baton): Promise<void> {
  const status = JSON.parse(await succeeded(baton('status', '--json'))) as Record<string, unknown>;
  assert.deepEqual([status['state'], status['primary'], status['replicas']], ['healthy', 0, 3]);
  assert.match(await succeeded(baton('status')), /MEMBER +ROLE +STATE[^]*0 +primary +writable[^]*LAST EVENTS/);
  assert.match(await succeeded(baton('list')), /mysql +healthy/);
  assert.equal((await baton('status', '--name', 'nope')).code, 3);
  assert.equal((await baton('status', '--context', 'nope')).code, 2);

  assert.match(await succeeded(baton('switchover', '--to', '1')), /member 1 is the primary now \(\d+ ms\)/);
  assert.equal(await scene.primary(), 'mysql-1');
  assert.match((await baton('switchover', '--to', '1')).err, /no switchover: /);
  const asked = await scene.kubectl(['get', 'mysqlcluster', 'mysql', '-o', 'jsonpath={.metadata.annotations}']);
  assert.doesNotMatch(asked, /baton.dev\/switchover/, 'what was answered is asked for no more');
  assert.match(await succeeded(baton('explain')), /asked for +a switchover to member 1[^]*is now +healthy/);
  assert.match(await succeeded(asAdmin('explain', '--all', '--json')), /"kind":"done"/);
  assert.match(await succeeded(asAdmin('logs', '--lines', '5')), /"event"/);
  assert.match(await succeeded(baton('logs', '1')), /ready for connections/);

  assert.match(await succeeded(baton('sql', '-e', 'select @@hostname')), /mysql-1/);
  assert.match(await succeeded(baton('sql', '--read', '-e', 'select @@hostname')), /mysql-[02]/);
  assert.match(await succeeded(baton('sql', '--member', '2', '-e', 'select @@hostname')), /mysql-2/);
  assert.match(await succeeded(baton('url')), new RegExp(`^mysql://app:.*@mysql-primary.${scene.namespace}.svc:3306`));

  const before = await scene.kubectl(['get', 'pod', 'mysql-2', '-o', 'jsonpath={.metadata.uid}']);
  assert.match(await succeeded(baton('restart', '2')), /restarted member 2/);
  assert.notEqual(await scene.kubectl(['get', 'pod', 'mysql-2', '-o', 'jsonpath={.metadata.uid}']), before);
  for (const fault of ['--kill', '--freeze']) {
    // The status is half a second old at most: it may still show what was before the restart.
    await wait(1000);
    await scene.healthy();
    // Whether it is fast enough depends on the machine, and is measured elsewhere.
    const { out, err } = await asAdmin('drill', fault, '--yes');
    assert.match(out, /endpoint[^]* 0 lost/, err);
  }
}

/** `url --forward`: a port of this machine that leads to the primary until it is told to stop. */
async function forwarded(scene: Scene, kubeconfig: string): Promise<void> {
  const args = ['url', '--forward', '-n', scene.namespace, '--kubeconfig', kubeconfig];
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const connection = await createConnection(line);
    const [rows] = await connection.query<RowDataPacket[]>('select @@hostname as h, repeat("x", 1000000) as x');
    assert.equal(rows[0]?.['h'], await scene.primary());
    assert.equal(String(rows[0]?.['x']).length, 1_000_000);
    await connection.end();
  } finally {
    child.kill('SIGINT');
  }
  const [code] = (await once(child, 'exit')) as [number | null];
  assert.equal(code, 0);
}

/** kubectl looks for kubectl-baton on PATH. */
async function asPlugin(scene: Scene): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'baton-plugin-'));
  try {
    const plugin = join(directory, 'kubectl-baton');
    const program = join(ROOT, 'src', 'cli', 'kubectl-baton.ts');
    await writeFile(plugin, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
    await chmod(plugin, 0o755);
    const env = { ...process.env, PATH: `${directory}:${process.env['PATH'] ?? ''}` };
    const out = await new Promise<string>((resolve, reject) => {
      execFile('kubectl', ['baton', 'status', '-n', scene.namespace], { env }, (error, stdout) =>
        error === null ? resolve(stdout) : reject(error),
      );
    });
    assert.match(out, /^mysql +healthy/);
  } finally {
    await rm(directory, { recursive: true });
  }
}

test('the chart installs the same; MySQLClusters outlive it', onKubernetes, async () => {
  await load();
  await helm('lint', '--strict', CHART);
  const options = ['-n', 'baton-system', '--create-namespace', '--set', 'replicas=1', '--wait', '--timeout', '90s'];
  await helm('install', 'baton', CHART, ...options);
  try {
    await using scene = await Scene.begin({ spec: { replicas: 1 }, operators: 0 });
    await helm('upgrade', 'baton', CHART, ...options, '--set', `watch={${scene.namespace}}`);
    await scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=2']);
    await scene.healthy(120_000);
    await helm('uninstall', 'baton', '-n', 'baton-system', '--wait');
    assert.match(await scene.kubectl(['get', 'mysqlclusters']), /healthy/);
  } finally {
    await helm('uninstall', 'baton', '-n', 'baton-system', '--ignore-not-found', '--wait');
  }
});
