/** One operator, a hundred clusters: members are simulated, all that the operator does is real. Needs no Kubernetes. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { OPERATOR_ENVIRONMENT } from '../../src/kubernetes/install.ts';
import { measured } from './measure.ts';
import { usageOf } from './usage.ts';

const CLUSTERS = 100;
const REST_MS = Number(process.env['BATON_TEST_REST_MS'] ?? 10_000);

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('one operator looks after a hundred clusters', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'baton-many-'));
  const kubeconfig = join(directory, 'config');
  const program = (name: string): string => join(import.meta.dirname, name);
  const members = spawn(process.execPath, [program('simulated-members.ts'), String(CLUSTERS), kubeconfig], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: members.stdout });
  const told = { healthy: 0 };
  lines.on('line', (line) => (told.healthy = Number(line) || 0));
  const children: ChildProcess[] = [members];
  try {
    await once(lines, 'line');
    const operator = spawn(process.execPath, [program('operator-process.ts'), '0'], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, ...OPERATOR_ENVIRONMENT, KUBECONFIG: kubeconfig },
    });
    children.push(operator);
    const begunMs = performance.now();
    while (told.healthy < CLUSTERS) {
      assert.ok(performance.now() - begunMs < 60_000, `${told.healthy} of ${CLUSTERS} are healthy`);
      await wait(100);
    }
    t.diagnostic(`all healthy after ${Math.round(performance.now() - begunMs)} ms`);
    // What came with the start is over.
    await wait(REST_MS);
    const { percentOfCore, residentMb } = await usageOf(operator.pid ?? assert.fail(), REST_MS);
    measured(t, { what: 'operator at rest, 100 clusters: memory', unit: 'MB', values: [residentMb] });
    measured(t, { what: 'operator at rest, 100 clusters: of a core', unit: '%', values: [percentOfCore] });
    assert.equal(told.healthy, CLUSTERS);
    assert.ok(residentMb < 600);
  } finally {
    await Promise.all(children.map(stop));
    await rm(directory, { recursive: true });
  }
});
