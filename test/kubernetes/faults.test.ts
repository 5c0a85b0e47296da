/** A primary is taken away in all the ways that Kubernetes knows, while a client writes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { Writer, verify } from './ledger.ts';
import { measured } from './measure.ts';
import { Scene, lab, onKubernetes } from './scene.ts';

/** A few, to see that it works; more, to measure. */
const ROUNDS = Number(process.env['BATON_TEST_ROUNDS'] ?? 2);
const DELETIONS = Number(process.env['BATON_TEST_DELETIONS'] ?? ROUNDS);
/** No more rounds are begun then. */
const BUDGET_MS = Number(process.env['BATON_TEST_BUDGET_MS'] ?? 600_000);
const AWAY_MS = Number(process.env['BATON_TEST_AWAY_MS'] ?? 15_000);

const three = { spec: { replicas: 3 } };

/**
 * So often: the cluster rests, `strike`, writes go on, the cluster is whole again. Resolves with the longest pause between two
 * acknowledged writes in each.
 */
async function rounds(
  t: TestContext,
  scene: Scene,
  writer: Writer,
  count: number,
  strike: (primary: string) => Promise<void>,
): Promise<readonly number[]> {
  const gaps: number[] = [];
  const begunMs = performance.now();
  for (let round = 0; round < count && performance.now() - begunMs < BUDGET_MS; round++) {
    // kube-proxy makes a change wait a second that comes soon after another.
    await wait(2000);
    const from = scene.lines.length;
    writer.takeGap();
    await strike(await scene.primary());
    // A strike takes a moment to be felt, and so does a Pod that goes in good order.
    await wait(3000);
    await writer.writesAgain(60_000);
    await scene.healthy(180_000);
    const { ms, lastError } = writer.takeGap();
    gaps.push(ms);
    if (process.env['BATON_TEST_LOG'] === undefined) continue;
    t.diagnostic(`gap ${ms} ms (${lastError})`);
    for (const line of scene.told(from)) t.diagnostic(line);
  }
  return gaps;
}

const worst = (gaps: readonly number[]): number => Math.max(...gaps);

test('kill -9 of the primary’s mysqld: another takes over, nothing acknowledged is lost', onKubernetes, async (t) => {
  await using scene = await Scene.begin(three);
  const writer = await Writer.begin(scene);
  const values = await rounds(t, scene, writer, ROUNDS, (pod) => scene.killMysqld(pod));
  measured(t, { what: 'gap after kill -9 of the primary’s mysqld', unit: 'ms', values });
  assert.ok(worst(values) < 5000);
  await verify(scene, writer);
});

test(
  'the primary’s Pod deleted by force: nothing acknowledged is lost, and the cluster is whole again by itself',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin(three);
    const writer = await Writer.begin(scene);
    const values = await rounds(t, scene, writer, DELETIONS, async (pod) => {
      await scene.kubectl(['delete', 'pod', pod, '--force', '--grace-period=0', '--wait=false']);
    });
    measured(t, { what: 'gap after forced deletion of the primary’s Pod', unit: 'ms', values });
    assert.ok(worst(values) < 5000);
    await verify(scene, writer);
  },
);

test('the primary’s Pod deleted, then its node drained: a switchover comes first', onKubernetes, async (t) => {
  await using scene = await Scene.begin(three);
  const writer = await Writer.begin(scene);
  const deleted = await rounds(t, scene, writer, ROUNDS, async (pod) => {
    await scene.kubectl(['delete', 'pod', pod, '--wait=false']);
  });
  measured(t, { what: 'gap of a graceful deletion of the primary’s Pod', unit: 'ms', values: deleted });
  const drained = await rounds(t, scene, writer, ROUNDS, async (pod) => {
    const node = await scene.nodeOf(pod);
    const only = ['--pod-selector=app.kubernetes.io/name=mysql', '--delete-emptydir-data', '--timeout=90s'];
    await scene.kubectl(['drain', node, ...only]);
    try {
      await scene.until(async () => (await scene.primary()) !== pod, 10_000);
    } finally {
      await scene.kubectl(['uncordon', node]);
    }
  });
  measured(t, { what: 'gap of a drain of the primary’s node', unit: 'ms', values: drained });
  assert.ok(worst([...deleted, ...drained]) < 3000);
  await verify(scene, writer);
});

test(
  'the primary’s node is cut off, and comes back: another takes over long before Kubernetes notices; so for a replica’s',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin(three);
    const writer = await Writer.begin(scene);
    const away = async (pod: string): Promise<void> => {
      const node = await scene.nodeOf(pod);
      await lab('isolate', node);
      try {
        await writer.writesAgain(60_000);
        await wait(2000);
      } finally {
        await lab('heal', node);
      }
    };
    const values = await rounds(t, scene, writer, ROUNDS, away);
    measured(t, { what: 'gap after loss of the primary’s node', unit: 'ms', values });
    assert.ok(worst(values) < 10_000);
    const replicas = await rounds(t, scene, writer, ROUNDS, async (primary) => {
      await away(['mysql-0', 'mysql-1', 'mysql-2'].find((pod) => pod !== primary) ?? '');
    });
    measured(t, { what: 'gap after loss of a replica’s node', unit: 'ms', values: replicas });
    assert.ok(worst(replicas) < 5000);
    await verify(scene, writer);
  },
);

test(
  'only the link from the operator to the primary is cut: no failover, for the replicas hear it; nobody notices',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin(three);
    const writer = await Writer.begin(scene);
    const [pod, { epoch }] = [await scene.primary(), await scene.status()];
    const address = await scene.addressOf(pod);
    await wait(2000);
    writer.takeGap();
    await lab('cut', address, '33062');
    try {
      await scene.until(async () => (await scene.status()).state !== 'healthy', 20_000);
      t.diagnostic(`status: ${(await scene.status()).reason ?? ''}`);
      await wait(10_000);
    } finally {
      await lab('mend', address, '33062');
    }
    await scene.healthy();
    const { ms, lastError } = writer.takeGap();
    assert.equal(lastError, '');
    assert.ok(ms < 1000, `writes stood still for ${ms} ms`);
    assert.equal((await scene.status()).epoch, epoch);
    assert.equal(await scene.primary(), pod);
    await verify(scene, writer);
  },
);

test(
  'the leading operator is killed in the middle of failovers, of a switchover, of a scale-out: the other goes on',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ ...three, operators: 2 });
    const writer = await Writer.begin(scene);
    /** Kills whoever leads as soon as it says so. */
    const killAt = async (said: RegExp, strike: () => Promise<unknown>): Promise<number> => {
      // One fault at a time: a Pod may still be going that is healthy otherwise.
      const going = ['get', 'pods', '-o', 'jsonpath={.items[*].metadata.deletionTimestamp}'];
      await scene.until(async () => (await scene.kubectl(going)) === '', 90_000);
      await scene.healthy(120_000);
      await wait(1000);
      writer.takeGap();
      const leader = scene.leader ?? assert.fail('nobody leads');
      const reached = scene.whenSaid(said, () => leader.kill('SIGKILL'), 60_000);
      await strike();
      await reached;
      scene.startOperator();
      await scene.until(() => scene.leader !== leader, 30_000);
      await writer.writesAgain(60_000);
      await scene.healthy(120_000);
      return writer.takeGap().ms;
    };
    const gaps: number[] = [];
    for (const step of [/^failing-over.*sealing/, /^failover: /, /^done open member|^open member/]) {
      gaps.push(await killAt(step, async () => scene.killMysqld(await scene.primary())));
    }
    measured(t, {
      what: 'gap after kill -9 of the primary’s mysqld and of the operator in its failover',
      unit: 'ms',
      values: gaps,
    });
    for (const step of [/^switching: the old primary closes/, /^switchover: /]) {
      const ms = await killAt(step, async () =>
        scene.kubectl(['delete', 'pod', await scene.primary(), '--wait=false']),
      );
      t.diagnostic(`killed in a switchover: gap ${ms} ms`);
    }
    await scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=2']);
    await scene.healthy(120_000);
    const ms = await killAt(/^start member 2/, () => scene.kubectl(['scale', 'mysqlcluster/mysql', '--replicas=3']));
    t.diagnostic(`killed in a scale-out: gap ${ms} ms`);
    assert.ok(ms < 1000);
    await verify(scene, writer);
  },
);

test(
  'both operators are gone while the primary dies: nothing is lost, and an operator that comes later goes on',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ ...three, operators: 2 });
    const writer = await Writer.begin(scene);
    for (const operator of scene.operators) {
      operator.kill('SIGKILL');
      await once(operator, 'exit');
    }
    await writer.writesAgain();
    await scene.killMysqld(await scene.primary());
    await wait(AWAY_MS);
    const begun = performance.now();
    scene.startOperator();
    await writer.writesAgain(60_000);
    const values = [Math.round(performance.now() - begun)];
    measured(t, {
      what: 'from the start of an operator to a write, after the primary died without one',
      unit: 'ms',
      values,
    });
    await verify(scene, writer);
  },
);

test('the API server is killed during a failover: it goes on when that is back', onKubernetes, async (t) => {
  await using scene = await Scene.begin(three);
  const writer = await Writer.begin(scene);
  const pod = await scene.primary();
  // Nobody can be asked to do it later.
  await scene.killMysqld(pod, 2);
  await lab('stop', 'apiserver');
  try {
    await scene.until(() => scene.told().some((line) => line.includes('failing-over')), 15_000, true);
    await wait(5000);
    t.diagnostic(scene.told().slice(-5).join(' | '));
  } finally {
    await lab('start-apiserver');
  }
  const begun = performance.now();
  await writer.writesAgain(60_000);
  const values = [Math.round(performance.now() - begun)];
  measured(t, { what: 'from the API server’s start to a write, after it died in a failover', unit: 'ms', values });
  await verify(scene, writer);
});

test('an API server that is away for a while stops no cluster', onKubernetes, async () => {
  await using scene = await Scene.begin({ spec: { replicas: 2 } });
  const writer = await Writer.begin(scene);
  const { epoch } = await scene.status();
  await wait(2000);
  writer.takeGap();
  await lab('stop', 'apiserver');
  try {
    await wait(AWAY_MS);
  } finally {
    await lab('start-apiserver');
  }
  const { ms } = writer.takeGap();
  assert.ok(ms < 1000, `writes stood still for ${ms} ms`);
  await scene.until(
    () =>
      scene.status().then(
        () => true,
        () => false,
      ),
    30_000,
    true,
  );
  await verify(scene, writer);
  assert.equal((await scene.status()).epoch, epoch);
});
