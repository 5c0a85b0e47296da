/** Baton as people install it: from install.yaml, as two Pods with an account of their own; and its commands from outside. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Writer, verify } from './ledger.ts';
import { makeImage, operatorImage } from './lab/image.ts';
import { Scene, onKubernetes, run } from './scene.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const INSTALL = join(ROOT, 'install.yaml');

/** The image is what install.yaml names; where the Kubernetes is not the lab, it has to be there. */
async function load(): Promise<void> {
  if (process.env['BATON_TEST_IMAGE'] !== undefined) return;
  const directory = await mkdtemp(join(tmpdir(), 'baton-operator-'));
  try {
    const archive = join(directory, 'baton.tar');
    makeImage(archive);
    await run(join(import.meta.dirname, 'lab', 'kube'), ['load', archive]);
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

/** What the API server refused to the operators so far. */
async function refusals(): Promise<string[]> {
  const pods = (await system('get', 'pods', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ');
  const logs = await Promise.all(pods.map((pod) => system('logs', pod)));
  return logs.flatMap((log) => log.split('\n').filter((line) => /forbidden/i.test(line)));
}

test(
  'install.yaml, then cluster.yaml: all that an operator does, it may do, and no more is asked',
  onKubernetes,
  async (t) => {
    const begun = performance.now();
    await using installed = await install();
    t.diagnostic(`${installed.image}: installed in ${Math.round(performance.now() - begun)} ms`);
    await using scene = await Scene.begin({ spec: { replicas: 2, storage: { whenScaled: 'Delete' } }, operators: 0 });
    const shown = await scene.kubectl(['get', 'mysqlclusters']);
    t.diagnostic(shown);
    assert.match(shown, /NAME +STATE +PRIMARY +READY +AGE\nmysql +healthy +mysql-0 +2\/2/);
    const writer = await Writer.begin(scene);

    await scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=3']);
    await scene.healthy(120_000);

    const first = await leader();
    writer.takeGap();
    await system('delete', 'pod', first, '--force', '--grace-period=0', '--wait=false');
    await scene.until(async () => (await leader()) !== first, 30_000);
    await scene.kubectl(['delete', 'pod', await scene.primary(), '--wait=false']);
    await writer.writesAgain(60_000);
    await scene.healthy(180_000);
    t.diagnostic(`the leader's Pod killed, the primary's deleted: gap ${JSON.stringify(writer.takeGap())}`);

    await scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=2']);
    await scene.until(
      async () => (await scene.kubectl(['get', 'pvc', '-o', 'name'])).split('\n').length === 2,
      120_000,
    );
    await verify(scene, writer);
    await scene.kubectl(['delete', 'mysqlcluster', 'mysql', '--timeout=60s']);
    await scene.until(async () => (await scene.kubectl(['get', 'pods', '-o', 'name'])) === '', 90_000);
    assert.deepEqual(await refusals(), []);
  },
);
