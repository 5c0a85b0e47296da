/** What else is measured: planned changes, how long it takes until a cluster is there, and what the operator takes at rest. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { SWITCHOVER_ANNOTATION, type SwitchoverRequest } from '../../src/kubernetes/requests.ts';
import { Writer, verify } from './ledger.ts';
import { measured } from './measure.ts';
import { Scene, onKubernetes } from './scene.ts';
import { usageOf } from './usage.ts';

const ROUNDS = Number(process.env['BATON_TEST_ROUNDS'] ?? 2);
const REST_MS = Number(process.env['BATON_TEST_REST_MS'] ?? 10_000);
test(
  'three members are there soon; at rest the operator takes next to nothing; a switchover is hardly felt',
  onKubernetes,
  async (t) => {
    await using scene = await Scene.begin({ spec: { replicas: 3 } });
    measured(t, { what: 'three members, from apply to healthy', unit: 'ms', values: [scene.healthyAfterMs] });
    assert.ok(scene.healthyAfterMs < 60_000);

    const pid = scene.operators[0]?.pid ?? assert.fail();
    await wait(5000);
    const { percentOfCore, residentMb } = await usageOf(pid, REST_MS);
    measured(t, { what: 'operator at rest, one cluster: memory', unit: 'MB', values: [residentMb] });
    measured(t, { what: 'operator at rest, one cluster: of a core', unit: '%', values: [percentOfCore] });
    assert.ok(residentMb < 300);

    const writer = await Writer.begin(scene);
    const values: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await wait(2000);
      writer.takeGap();
      const from = await scene.primary();
      const request: SwitchoverRequest = {
        id: String(round),
        epoch: (await scene.status()).epoch ?? 0,
        to: null,
        untilMs: Date.now() + 10_000,
      };
      await scene.kubectl([
        'annotate',
        '--overwrite',
        'mysqlcluster/mysql',
        `${SWITCHOVER_ANNOTATION}=${JSON.stringify(request)}`,
      ]);
      await scene.until(async () => (await scene.primary()) !== from, 10_000);
      await scene.healthy();
      await writer.writesAgain();
      values.push(writer.takeGap().ms);
    }
    measured(t, { what: 'gap of a switchover', unit: 'ms', values });
    assert.ok(Math.max(...values) < 3000);
    await verify(scene, writer);
  },
);
