/** What people change, while a client writes; and what they get wrong. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Writer, verify } from './ledger.ts';
import { measured } from './measure.ts';
import { Scene, TEST_IMAGE, lab, onKubernetes } from './scene.ts';

const asController = (scene: Scene, pod: string, sql: string): Promise<string> =>
  scene.kubectl([
    'exec',
    pod,
    '-c',
    'mysql',
    '--',
    'bash',
    '-c',
    `mysql --defaults-file=/etc/baton-internal/client.cnf -BNe "${sql}"`,
  ]);

test(
  'scaled 1 → 3 → 2 → 3 → 2 → 3 under writes: a claim that was left behind is used again, also one that is too old to catch up',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 1 } });
    const writer = await Writer.begin(scene);
    const gaps: number[] = [];
    const scaleTo = async (replicas: number): Promise<void> => {
      await scene.kubectl(['scale', 'mysqlcluster/mysql', `--replicas=${replicas}`]);
      await scene.healthy(180_000);
      gaps.push(writer.takeGap().ms);
    };
    for (const replicas of [3, 2, 3]) await scaleTo(replicas);
    const former = await asController(scene, 'mysql-2', 'SELECT @@server_uuid');
    await scaleTo(2);
    await writer.writesAgain();
    for (const pod of ['mysql-0', 'mysql-1']) {
      await asController(scene, pod, 'FLUSH BINARY LOGS; DO SLEEP(1); PURGE BINARY LOGS BEFORE NOW()');
    }
    await scaleTo(3);
    assert.notEqual(await asController(scene, 'mysql-2', 'SELECT @@server_uuid'), former);
    measured(t, { what: 'gap while members are added and taken away', unit: 'ms', values: gaps });
    assert.ok(Math.max(...gaps) < 2000);
    const claims = await scene.kubectl(['get', 'pvc', '-o', 'name']);
    assert.equal(claims.split('\n').length, 3);
    await verify(scene, writer);
  },
);

test(
  'another image, and a setting that only a restart changes: replicas one by one, the primary last, after a switchover',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 } });
    const writer = await Writer.begin(scene);
    const other = process.env['BATON_TEST_OTHER_IMAGE'] ?? `${TEST_IMAGE}-again`;
    if (process.env['BATON_TEST_OTHER_IMAGE'] === undefined) await lab('tag', TEST_IMAGE, other);
    const pods = (path: string): Promise<string> =>
      scene.kubectl(['get', 'pods', '-o', `jsonpath={.items[*].${path}}`]);
    const before = await pods('metadata.uid');
    await wait(2000);
    writer.takeGap();
    await scene.apply({ replicas: 3, mysql: { image: other, config: { back_log: 321 } } });
    await scene.until(async () => {
      const found = await Promise.all(
        ['mysql-0', 'mysql-1', 'mysql-2'].map((name) =>
          scene.query(name, 'SELECT @@back_log AS b').then(
            ([row]) => Number(row?.['b']),
            () => 0,
          ),
        ),
      );
      return found.every((value) => value === 321);
    }, 240_000);
    await scene.healthy();
    measured(t, { what: 'gap while image and setting are rolled out', unit: 'ms', values: [writer.takeGap().ms] });
    const after = await pods('metadata.uid');
    assert.equal(
      after.split(' ').some((uid) => before.includes(uid)),
      false,
    );
    assert.deepEqual([...new Set((await pods('spec.containers[*].image')).split(' '))], [other]);
    await verify(scene, writer);
  },
);

test('all Pods deleted at once: the cluster comes back by itself, with everything', onKubernetes, async (t) => {
  await using scene = await Scene.begin({ spec: { replicas: 3 } });
  const writer = await Writer.begin(scene);
  const pods = async (): Promise<string[]> =>
    (await scene.kubectl(['get', 'pods', '-o', 'jsonpath={.items[*].metadata.uid}'])).split(' ');
  const before = await pods();
  await wait(2000);
  writer.takeGap();
  await scene.kubectl(['delete', 'pods', '--all', '--force', '--grace-period=0', '--wait=false']);
  await scene.until(async () => {
    const now = await pods();
    return now.length === 3 && !now.some((uid) => before.includes(uid));
  }, 60_000);
  await scene.until(async () => (await scene.status()).state !== 'healthy', 30_000);
  await scene.healthy(120_000);
  await writer.writesAgain(60_000);
  measured(t, { what: 'gap after forced deletion of all Pods at once', unit: 'ms', values: [writer.takeGap().ms] });
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
  'a Pod that can’t run is told of in the status, which says which and why; put right, it is replaced',
  onKubernetes,
  async () => {
    await using scene = await Scene.begin({ spec: { replicas: 1 } });
    const says = (what: RegExp): Promise<void> =>
      scene.until(async () => {
        const { members = [] } = await scene.status();
        return members.some(({ name, detail }) => name === 'mysql-1' && what.test(detail));
      }, 60_000);
    await scene.apply({ replicas: 2, mysql: { image: 'docker.io/local/none:1' } });
    await says(/Image.*docker\.io\/local\/none:1/);
    await scene.apply({ replicas: 2, podTemplate: { spec: { nodeSelector: { disk: 'such-as-none-has' } } } });
    await says(/Unschedulable.*node/);
    await scene.apply({ replicas: 2 });
    await scene.healthy(120_000);
  },
);

test('a StorageClass that does not exist is told of in the status', onKubernetes, async () => {
  await using scene = await Scene.begin({
    spec: { replicas: 2, storage: { className: 'none' } },
    volumes: 0,
    unwell: true,
  });
  await scene.until(async () => {
    const { members = [] } = await scene.status();
    return members.length === 2 && members.every(({ detail }) => /class "none", has no volume/.test(detail));
  }, 60_000);
});

test('a volume that is full is told of in the status; with room again, writes go on', onKubernetes, async () => {
  await using scene = await Scene.begin({ spec: { replicas: 1 }, volumes: 1, volumeMib: 400 });
  const writer = await Writer.begin(scene);
  const inPod = (script: string): Promise<string> =>
    scene.kubectl(['exec', 'mysql-0', '-c', 'mysql', '--', 'bash', '-c', script]);
  await inPod('dd if=/dev/zero of=/var/lib/mysql/filler bs=1M 2>/dev/null; true');
  await scene.until(async () => {
    const { members = [] } = await scene.status();
    return members.some(({ detail }) => /No space left on device|Disk is full|disk full/.test(detail));
  }, 60_000);
  await inPod('rm /var/lib/mysql/filler');
  // mysqld tries again once a minute.
  await writer.writesAgain(90_000);
  await verify(scene, writer);
});

test('a change that makes no sense is refused by the API server, which names the field', onKubernetes, async () => {
  await using scene = await Scene.begin({ spec: { replicas: 1 } });
  const patch = (spec: unknown): Promise<string> =>
    scene.kubectl(['patch', 'mysqlcluster', 'mysql', '--type=merge', '-p', JSON.stringify({ spec })]);
  await assert.rejects(patch({ replicas: 0 }), /spec\.replicas/);
  await assert.rejects(patch({ replicas: 16 }), /spec\.replicas/);
  await assert.rejects(patch({ storage: { size: '1Gi' } }), /spec\.storage\.size/);
  await assert.rejects(patch({ durability: { mode: 'quorum' } }), /spec\.durability\.mode/);
});
