/** The controller dies, or is not alone, at every step of what it does: members go on, and the next one finishes or undoes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

test('with no controller, writes over open connections go on; the next one finds all as it was', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  await writer.rest();
  const { primary, epoch } = scene;
  const direct = await scene.member(primary);
  await scene.cluster.release();
  for (let n = 0; n < 20; n++) assert.equal(await writer.write(direct), 'OK');
  await scene.restartController();
  await scene.until('healthy');
  assert.equal(await writer.write(direct), 'OK', 'and its connection was not touched');
  assert.deepEqual([scene.primary, scene.epoch], [primary, epoch]);
  await verify(scene, [writer]);
});

test('a controller that dies at any step of a failover: the next one finishes it', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  for (const step of [
    /^act seal/,
    /^done seal/,
    /^record failover/,
    /^act prepare/,
    /^done prepare/,
    /^act open/,
    /^done open/,
    /^done write-epoch/,
    /^record member . may follow/,
  ]) {
    await scene.until('healthy');
    const crash = scene.crashAt(step);
    writer.takeLongestGap();
    scene.kill(scene.primary);
    await crash;
    await scene.restartController();
    await writer.writesAgain();
    t.diagnostic(`${step.source}: gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);
  }
  await verify(scene, [writer]);
});

test('a controller that dies at any step of a switchover: the next one undoes it before the record, and finishes it after', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  for (const [step, moved] of [
    [/^act close/, false],
    [/^done close/, false],
    [/^act seal/, false],
    [/^done seal/, null],
    [/^record switchover/, true],
    [/^done prepare/, true],
    [/^done open/, true],
    [/^act write-epoch/, true],
  ] as const) {
    await scene.until('healthy');
    const { primary } = scene;
    const [target = -1] = scene.replicas;
    const crash = scene.crashAt(step);
    writer.takeLongestGap();
    const asked = scene.switchover(target, 2000);
    await crash;
    await scene.restartController();
    await writer.writesAgain();
    t.diagnostic(`${step.source}: gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);
    if (moved !== null) assert.equal(scene.primary, moved ? target : primary, step.source);
    await asked;
  }
  await verify(scene, [writer]);
});

test('a controller that dies at any step of scaling: the next one goes on', async (t) => {
  await using scene = await Scene.begin('{replicas: 2}');
  const writer = await Writer.begin(scene);
  const scale = async (replicas: number, step: RegExp): Promise<void> => {
    const crash = scene.crashAt(step);
    scene.apply(`{replicas: ${replicas}}`);
    await crash;
    await scene.restartController();
    await scene.until(
      () => scene.state === 'healthy' && scene.ackers.length === replicas - 1 && (replicas === 3 || scene.pid(2) < 0),
    );
  };
  for (const [out, back] of [
    [/^act start/, /^act lock-out/],
    [/^done start/, /^done lock-out/],
    [/^record member 2 may follow/, /^act barrier/],
    [/^act follow/, /^record member 2 acknowledges no more/],
    [/^done follow/, /^act retire/],
  ] as const) {
    writer.takeLongestGap();
    await scale(3, out);
    await scale(2, back);
    await writer.writesAgain();
    t.diagnostic(`${out.source}, ${back.source}: gap ${writer.takeLongestGap().ms.toFixed(0)} ms`);
  }
  await verify(scene, [writer]);
});

test('two controllers at once, whatever the first is at: the first ends, and no harm is done', async () => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  await scene.secondController();
  await scene.until('healthy');
  await scene.until(() => scene.ends.some((end) => (end as { code?: string } | null)?.code === 'SUPERSEDED'));
  for (const what of ['failover', 'switchover'] as const) {
    const ends = scene.ends.length;
    const { replicas } = scene;
    const asked = what === 'switchover' ? scene.switchover(replicas[0] ?? -1, 2000) : null;
    if (what === 'failover') scene.kill(scene.primary);
    await scene.secondController();
    await asked;
    await writer.writesAgain();
    await scene.until(() => scene.ends.length > ends);
    await scene.until('healthy');
  }
  await verify(scene, [writer]);
});

test('a replica whose new source was being set when the controller died can be started all the same', async (t) => {
  await using scene = await Scene.begin('{replicas: 3}');
  const writer = await Writer.begin(scene);
  const [replica = -1] = scene.replicas;
  await scene.cluster.release();
  const killer = await scene.root(replica);
  const CHANGE = "CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'nowhere', SOURCE_AUTO_POSITION = 1";
  let broken = false;
  for (let delayMs = 0; !broken && delayMs < 60; delayMs++) {
    const dying = await scene.root(replica);
    await dying.query('STOP REPLICA; RESET REPLICA ALL');
    const change = dying.query(CHANGE).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, (delayMs % 6) * 0.3));
    await killer.query(`KILL ${dying.threadId}`).catch(() => undefined);
    await change;
    const outcome = await killer
      .query(`${CHANGE}; START REPLICA; STOP REPLICA`)
      .catch((error: { errno?: number }) => error.errno);
    broken = outcome === 1872;
  }
  killer.destroy();
  if (!broken) t.diagnostic('MySQL did not get into that state this time');
  await scene.restartController();
  await scene.until('healthy');
  await verify(scene, [writer]);
});

for (const step of [/^done seal/, /^record failover/, /^act open/]) {
  test(`a controller that is paused in a failover at "${step.source.slice(1)}" and goes on when another has finished it: it ends, and does no harm`, async () => {
    await using scene = await Scene.begin('{replicas: 3}');
    const writer = await Writer.begin(scene);
    const paused = await scene.controllerProcess();
    await scene.until(() => scene.ends.length > 0);
    await paused.line(/^state healthy/);
    const seen = paused.line(step);
    scene.kill(scene.primary);
    await seen;
    paused.pause();
    await scene.restartController();
    await writer.writesAgain();
    paused.resume();
    assert.equal(await paused.ended, 'ended SUPERSEDED');
    await writer.writesAgain();
    await verify(scene, [writer]);
  });
}
