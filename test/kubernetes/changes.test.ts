/** What people change, while a client writes; and what they get wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Writer, verify } from './ledger.ts';
import { Scene, onKubernetes } from './scene.ts';

test(
  'scaled 1 → 3 → 2 under writes: every claim stays, and the one that comes back is used again',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 1 } });
    const writer = await Writer.begin(scene);
    for (const replicas of [3, 2, 3]) {
      await scene.kubectl(['scale', 'mysqlcluster/mysql', `--replicas=${replicas}`]);
      await scene.healthy(180_000);
      t.diagnostic(`${replicas} members: longest gap ${JSON.stringify(writer.takeGap())}`);
    }
    const claims = await scene.kubectl(['get', 'pvc', '-o', 'name']);
    assert.equal(claims.split('\n').length, 3);
    await verify(scene, writer);
  },
);

test(
  'a setting that only a restart changes: replicas one by one, the primary last, after a switchover',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 } });
    const writer = await Writer.begin(scene);
    const before = await scene.kubectl(['get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}']);
    writer.takeGap();
    await scene.apply({ replicas: 3, mysql: { config: { back_log: 321 } } });
    await scene.until(async () => {
      const pods = (await scene.status()).members ?? [];
      const found = await Promise.all(
        pods.map(({ name }) =>
          scene.query(name, 'SELECT @@back_log AS b').then(
            ([row]) => Number(row?.['b']),
            () => 0,
          ),
        ),
      );
      return found.length === 3 && found.every((value) => value === 321);
    }, 240_000);
    await scene.healthy();
    t.diagnostic(`longest gap ${JSON.stringify(writer.takeGap())}`);
    const after = await scene.kubectl(['get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}']);
    assert.equal(
      after.split(' ').some((uid) => before.includes(uid)),
      false,
    );
    await verify(scene, writer);
  },
);

test('all Pods deleted at once: the cluster comes back by itself, with everything', onKubernetes, async (t) => {
  await using scene = await Scene.begin({ spec: { replicas: 3 } });
  const writer = await Writer.begin(scene);
  writer.takeGap();
  await scene.kubectl(['delete', 'pods', '--all', '--force', '--grace-period=0', '--wait=false']);
  await writer.writesAgain(120_000);
  t.diagnostic(`gap ${JSON.stringify(writer.takeGap())}`);
  await verify(scene, writer);
});

test('an operator that stops, is away and starts again changes nothing by itself', onKubernetes, async () => {
  await using scene = await Scene.begin({ spec: { replicas: 3 } });
  const writer = await Writer.begin(scene);
  const facts = (): Promise<string> =>
    scene.kubectl([
      'get',
      'pods',
      '-o',
      'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[*].restartCount} {end}',
    ]);
  const before = [await facts(), await scene.primary(), (await scene.status()).epoch];
  scene.operators[0]?.kill('SIGTERM');
  await writer.writesAgain();
  scene.startOperator();
  const from = scene.lines.length;
  await scene.until(() => scene.lines.slice(from).some(({ text }) => text?.startsWith('healthy') === true), 30_000);
  assert.deepEqual([await facts(), await scene.primary(), (await scene.status()).epoch], before);
  await verify(scene, writer);
});

test(
  'deleted, and made again under the same name: the volumes are taken up again, with everything',
  onKubernetes,
  async () => {
    await using scene = await Scene.begin({ spec: { replicas: 2 } });
    const writer = await Writer.begin(scene);
    await writer.stop();
    await scene.kubectl(['delete', 'mysqlcluster', 'mysql', '--timeout=60s']);
    await scene.until(async () => (await scene.kubectl(['get', 'pods', '-o', 'name'])) === '', 90_000);
    await scene.apply({ replicas: 2 });
    await scene.healthy(120_000);
    await verify(scene, writer);
  },
);

test(
  'an image that does not exist, put right: the status says which and why, and the members are replaced one by one',
  onKubernetes,
  async () => {
    await using scene = await Scene.begin({ spec: { replicas: 1 } });
    await scene.apply({ replicas: 2, mysql: { image: 'docker.io/local/none:1' } });
    await scene.until(async () => {
      const { members = [] } = await scene.status();
      return members.some(({ name, detail }) => name === 'mysql-1' && detail.includes('docker.io/local/none:1'));
    }, 60_000);
    await scene.apply({ replicas: 2 });
    await scene.healthy(120_000);
  },
);

test('a change that makes no sense is refused by the API server, which names the field', onKubernetes, async () => {
  await using scene = await Scene.begin({ spec: { replicas: 1 } });
  const patch = (spec: unknown): Promise<string> =>
    scene.kubectl(['patch', 'mysqlcluster', 'mysql', '--type=merge', '-p', JSON.stringify({ spec })]);
  await assert.rejects(patch({ replicas: 0 }), /spec\.replicas/);
  await assert.rejects(patch({ replicas: 16 }), /spec\.replicas/);
  await assert.rejects(patch({ storage: { size: '1Gi' } }), /spec\.storage\.size/);
  await assert.rejects(patch({ durability: { mode: 'quorum' } }), /spec\.durability\.mode/);
});
