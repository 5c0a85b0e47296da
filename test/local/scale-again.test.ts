/** The same ordinal, again: what a member was before it left is no reason to keep it out. */
import { test } from 'node:test';
import { Writer, verify } from './ledger.ts';
import { Scene } from './scene.ts';

test('a member that left, its data deleted, joins again as a new one', async () => {
  const spec = (replicas: number): string => `{replicas: ${replicas}, storage: {whenScaled: Delete}}`;
  await using scene = await Scene.begin(spec(2));
  const writer = await Writer.begin(scene);
  const scale = async (replicas: number): Promise<void> => {
    scene.apply(spec(replicas));
    const running = (): number => [0, 1, 2].filter((ordinal) => scene.pid(ordinal) > 0).length;
    await scene.until(() => scene.state === 'healthy' && running() === replicas, 20_000);
  };
  await scale(3);
  const former = await scene.uuid(2);
  await scale(2);
  await scale(3);
  if ((await scene.uuid(2)) === former) throw new Error('it came back as what it was');
  await verify(scene, [writer], 3);
});
