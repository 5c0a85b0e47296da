/** `baton drill`, on real clusters. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';

import type { Report } from '../../src/drill/drill.ts';
import { makeHome, type Home } from './baton-command.ts';
import { until } from './member-fixture.ts';

const home: Home = await makeHome();
after(() => home[Symbol.asyncDispose]());

async function up(spec: string): Promise<void> {
  const file = join(home.directory, 'cluster.yaml');
  await writeFile(file, `apiVersion: baton.dev/v1alpha1\nkind: MySQLCluster\nspec: ${spec}\n`);
  await home.ok('up', '-f', file);
}

const databases = async (): Promise<string> => home.ok('sql', '-e', 'show databases');

test('kill, freeze and switchover: each in its steps, nothing lost, and nothing left', async (t) => {
  await up('{replicas: 3, targets: {failoverSeconds: 30}}');
  for (const fault of ['kill', 'freeze', 'switchover']) {
    const { primary, epoch } = await home.status();
    const report = JSON.parse(await home.ok('drill', `--${fault}`, '--yes', '--json')) as Report;
    const [round] = report.rounds;
    assert.ok(round !== undefined && report.rounds.length === 1);
    assert.equal(round.member, primary);
    assert.notEqual(round.primary, primary);
    assert.ok(round.epoch > epoch);
    const steps = round.steps.map(({ step }) => step).filter((step) => step !== 'apply');
    const first = fault === 'switchover' ? ['drain', 'close'] : ['detect'];
    assert.deepEqual(steps, [...first, 'seal', 'choose', 'promote', 'endpoint']);
    assert.ok(round.gapMs > 0 && round.gapMs === report.longestGapMs);
    assert.ok(report.writes !== null && report.writes.acknowledged > 100);
    assert.equal(report.writes.lost, 0);
    assert.equal(report.met, true);
    assert.equal(report.left, null);
    assert.doesNotMatch(await databases(), /drill/);
    t.diagnostic(`${fault}: gap ${round.gapMs} ms, ${report.writes.acknowledged} writes`);
  }
});

test('a target that is not met ends with 1, and a person is told what happened', async () => {
  await up('{replicas: 3, targets: {failoverSeconds: 0.05}}');
  const { code, stdout } = await home.run('drill', '--freeze', '--yes', '--times', '2');
  assert.equal(code, 1);
  assert.match(stdout, /The drill freezes it .*, 2 times/);
  assert.match(stdout, /1 of 2: member \d frozen/);
  assert.match(stdout, /^ +[\d,]+ ms +\+\d+ {2}detect +the primary, member \d, does not answer/m);
  assert.match(stdout, /2 of 2: member \d frozen/);
  assert.match(stdout, /writes acknowledged, 0 lost/);
  assert.match(stdout, /^Not met: writes stood still for \d+ ms, and the target is 50 ms$/m);
});

test('a write that was acknowledged and is gone is noticed: the check can fail', async () => {
  const drill = home.start(['drill', '--switchover', '--times', '2', '--yes', '--json']);
  const database = await until('it writes', async () => /baton_drill_\w+/.exec(await databases())?.[0] ?? null);
  const sql = (statement: string) => home.run('sql', '--json', '-e', statement.replace('TABLE', `${database}.writes`));
  await until('there are rows', async () => (await sql('select n from TABLE limit 6, 1')).stdout.includes('"n"'));
  const emptied = await sql('delete from TABLE order by n limit 7');
  assert.match(emptied.stdout, /"affectedRows":7/);
  const { code, stdout } = await drill.outcome;
  assert.equal(code, 1);
  const report = JSON.parse(stdout) as Report;
  assert.equal(report.writes?.lost, 7);
  assert.match(report.verdict, /^7 acknowledged writes are lost/);
});

test('without a terminal it wants --yes; several faults at once are no drill', async () => {
  const asked = await home.run('drill');
  assert.equal(asked.code, 2);
  assert.match(asked.stderr, /is to be confirmed.*\n.*drill --kill --yes/);
  assert.equal((await home.run('drill', '--kill', '--freeze', '--yes')).code, 2);
  assert.equal((await home.run('drill', '--times', 'x', '--yes')).code, 2);
});

test('Ctrl-C in the middle: nothing stays frozen, and nothing is left', async () => {
  const drill = home.start(['drill', '--freeze', '--yes', '--times', '50']);
  await new Promise<void>((resolve) => {
    drill.child.stdout?.on('data', (text: string) => {
      if (text.includes('frozen')) resolve();
    });
  });
  drill.child.kill('SIGINT');
  const { code, stderr } = await drill.outcome;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /no verdict/);
  await home.ok('up');
  assert.doesNotMatch(await databases(), /drill/);
});

test('a degraded cluster is left alone, with the reason', async () => {
  const { members } = await home.status();
  const { ordinal, pid } = members.find(({ role }) => role === 'replica') ?? assert.fail('no replica');
  assert.ok(pid !== null);
  process.kill(pid, 'SIGSTOP');
  await until('it is degraded', async () => (await home.status()).state === 'degraded');
  const { epoch } = await home.status();
  const refused = await home.run('drill', '--yes', '--json');
  process.kill(pid, 'SIGCONT');
  assert.equal(refused.code, 1);
  const { error } = JSON.parse(refused.stderr) as { error: { code: string; message: string; hint: string } };
  assert.equal(error.code, 'DRILL_REFUSED');
  assert.match(error.message, new RegExp(`found it degraded: member ${ordinal} not in sync`));
  await home.ok('up');
  assert.equal((await home.status()).epoch, epoch);
  await home.ok('down', '--delete', '--yes');
});

test('an account that may use one database only is drilled in a table of its own there', async () => {
  await up('{replicas: 2, credentials: {database: shop}, targets: {failoverSeconds: 30}}');
  await home.ok('sql', '-e', 'create table orders (n int primary key)');
  const report = JSON.parse(await home.ok('drill', '--yes', '--json')) as Report;
  assert.equal(report.writes?.lost, 0);
  assert.equal(report.left, null);
  assert.equal(await home.ok('sql', '-e', 'show tables'), 'Tables_in_shop\norders\n');
  await home.ok('down', '--delete', '--yes');
});
