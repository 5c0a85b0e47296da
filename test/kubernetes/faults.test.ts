/** A primary is taken away in all the ways that Kubernetes knows, while a client writes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Writer, verify } from './ledger.ts';
import { Scene, lab, onKubernetes } from './scene.ts';

const ROUNDS = Number(process.env['BATON_TEST_ROUNDS'] ?? 2);

/** So often: `strike`, writes go on, the cluster is whole again. Shows the gaps, and says the longest. */
async function rounds(
  t: TestContext,
  scene: Scene,
  writer: Writer,
  strike: (primary: string) => Promise<void>,
): Promise<number> {
  const gaps: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const from = scene.lines.length;
    writer.takeGap();
    await strike(await scene.primary());
    // A strike takes a moment to be felt, and so does a Pod that goes in good order.
    await wait(3000);
    await writer.writesAgain(60_000);
    await scene.healthy(180_000);
    const { ms, lastError } = writer.takeGap();
    gaps.push(ms);
    t.diagnostic(`gap ${ms} ms (${lastError})`);
    if (process.env['BATON_TEST_LOG'] !== undefined) {
      for (const { at, event, text, error, ms } of scene.lines.slice(from))
        t.diagnostic(`${at.slice(17)} ${event} ${text ?? ''} ${error ?? ''} ${ms ?? ''}`);
    }
  }
  const sorted = gaps.toSorted((a, b) => a - b);
  t.diagnostic(
    `gaps: median ${sorted[Math.floor(sorted.length / 2)]} ms, worst ${sorted.at(-1)} ms of ${sorted.length}`,
  );
  return sorted.at(-1) ?? 0;
}

const killMysqld = (scene: Scene, pod: string): Promise<string> =>
  scene.kubectl(['exec', pod, '-c', 'mysql', '--', 'bash', '-c', 'kill -9 $(cat /var/lib/mysql/data/mysqld.pid)']);

test('kill -9 of the primary’s mysqld: another takes over, nothing acknowledged is lost', onKubernetes, async (t) => {
  await using scene = await Scene.begin({ spec: { replicas: 3 } });
  const writer = await Writer.begin(scene);
  const worst = await rounds(t, scene, writer, async (pod) => void (await killMysqld(scene, pod)));
  assert.ok(worst < 10_000);
  await verify(scene, writer);
});

test(
  'the primary’s Pod deleted by force: nothing acknowledged is lost, and the cluster is whole again by itself',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 } });
    const writer = await Writer.begin(scene);
    const worst = await rounds(t, scene, writer, async (pod) => {
      await scene.kubectl(['delete', 'pod', pod, '--force', '--grace-period=0', '--wait=false']);
    });
    assert.ok(worst < 10_000);
    await verify(scene, writer);
  },
);

test('the primary’s Pod deleted gracefully: a switchover comes first', onKubernetes, async (t) => {
  await using scene = await Scene.begin({ spec: { replicas: 3 } });
  const writer = await Writer.begin(scene);
  const worst = await rounds(t, scene, writer, async (pod) => {
    await scene.kubectl(['delete', 'pod', pod, '--wait=false']);
  });
  assert.ok(worst < 5000);
  await verify(scene, writer);
});

test(
  'the primary’s node is cut off, and comes back: another takes over long before Kubernetes notices',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 } });
    const writer = await Writer.begin(scene);
    const worst = await rounds(t, scene, writer, async (pod) => {
      const node = await scene.nodeOf(pod);
      await lab('isolate', node);
      try {
        await writer.writesAgain(60_000);
      } finally {
        await lab('heal', node);
      }
    });
    assert.ok(worst < 20_000);
    await verify(scene, writer);
  },
);

test(
  'the leading operator is killed together with the primary’s mysqld: the other operator goes on',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 }, operators: 2 });
    const writer = await Writer.begin(scene);
    const pod = await scene.primary();
    writer.takeGap();
    const [first] = scene.operators;
    first?.kill('SIGKILL');
    await killMysqld(scene, pod);
    await writer.writesAgain(60_000);
    t.diagnostic(`gap ${JSON.stringify(writer.takeGap())}`);
    await verify(scene, writer);
  },
);

test(
  'both operators are gone while the primary dies: an operator that comes later goes on',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 } });
    const writer = await Writer.begin(scene);
    const [operator] = scene.operators;
    assert.ok(operator);
    operator.kill('SIGKILL');
    await once(operator, 'exit');
    await killMysqld(scene, await scene.primary());
    await wait(3000);
    writer.takeGap();
    scene.startOperator();
    await writer.writesAgain(60_000);
    t.diagnostic(`gap ${JSON.stringify(writer.takeGap())}`);
    await verify(scene, writer);
  },
);
