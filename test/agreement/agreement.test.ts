/**
 * The simulated member is what a real one is: the same scripts, step by step, on real servers and on simulated ones; what the
 * brain would see of them is the same after each. Where they differ, the model is wrong.
 */
import assert from 'node:assert/strict';
import { after, describe, it, test } from 'node:test';
import { Servers } from '../mysql/servers.ts';
import { Pair, tried } from './pair.ts';
import { runRandomScript } from './random-script.ts';
import type { Deed } from './side.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

function agreed(what: string, begin: () => Promise<Pair>, script: (pair: Pair) => Promise<void>): void {
  it(what, async () => {
    await using pair = await begin();
    await script(pair);
    if (pair.disagreements !== '') assert.fail(pair.disagreements);
  });
}

const replicating =
  (members: number, required: number): (() => Promise<Pair>) =>
  () =>
    Pair.replicating(servers, members, required);

// Mostly they wait.
describe('simulated as real:', { concurrency: 4 }, () => {
  agreed(
    'born, prepared, opened, followed, written to, and what each is when it starts again',
    replicating(3, 1),
    async (pair) => {
      await pair.write(0);
      await pair.write(1);
      await pair.act(0, { kind: 'apply' });
      await pair.act(0, { kind: 'barrier', purpose: '' });
      await pair.act(0, { kind: 'set-required', required: 2 });
      await pair.act(0, { kind: 'configure', role: { key: 'one', settings: { long_query_time: 5 } } });
      await pair.act(0, { kind: 'enable-events' });
      await pair.fault('kill', 2);
      await pair.write(0);
      await pair.fault('start', 2);
      await pair.follow(2, 0);
      await pair.fault('stop', 1);
      await pair.fault('start', 1);
      await pair.follow(1, 0);
      await pair.fault('kill', 0);
      await pair.fault('start', 0);
      await pair.act(0, { kind: 'open', required: 1 });
      await pair.open(0, 1, [1, 2]);
      await pair.write(0);
    },
  );

  agreed('a commit that waits, and what ends the wait', replicating(2, 1), async (pair) => {
    await pair.write(0);
    await pair.link('cut', 0, 1);
    const killed = await pair.write(0);
    await pair.killSession(0, killed);
    const left = await pair.write(0);
    await pair.leave(left);
    await pair.write(0);
    await pair.act(0, { kind: 'close' });
    await pair.act(0, { kind: 'disarm' });
    await pair.act(0, { kind: 'lock-out', ordinals: [1] });
    await pair.link('mend', 0, 1);
    await pair.act(0, { kind: 'unlock', ordinals: [1] });
    await pair.write(0);
    await pair.fault('freeze', 1);
    await pair.write(0);
    await pair.thaw(1);
    await pair.link('cut', 0, 1);
    await pair.write(0);
    await pair.fault('kill', 0);
    await pair.fault('start', 0);
    await pair.link('mend', 0, 1);
    await pair.act(0, { kind: 'prepare', required: 1, unlocked: [1] });
    await pair.act(0, { kind: 'open', required: 1 });
  });

  agreed('commits that are told OK although nobody acknowledged them', replicating(2, 1), async (pair) => {
    await pair.link('cut', 0, 1);
    await pair.write(0);
    await pair.act(0, { kind: 'set-required', required: 0 });
    await pair.act(0, { kind: 'set-required', required: 2 });
    await pair.write(0);
    await pair.link('mend', 0, 1);
    await pair.act(0, { kind: 'set-required', required: 1 });
    await pair.ask(0, 'SET GLOBAL rpl_semi_sync_source_timeout = 1');
    await pair.link('cut', 0, 1);
    await pair.write(0);
    await pair.act(0, { kind: 'set-required', required: 1 });
    await pair.act(0, { kind: 'set-required', required: 0 });
    await pair.act(0, { kind: 'set-required', required: 1 });
    await pair.write(0);
    await pair.fault('stop', 0);
    await pair.fault('start', 0);
  });

  agreed('an acknowledgement that was lost, and the write that makes up for it', replicating(2, 1), async (pair) => {
    await pair.write(0);
    await pair.link('cutAnswers', 1, 0);
    await pair.write(0);
    await pair.endReplicationConnections(0);
    await pair.link('mend', 0, 1);
    await pair.act(0, { kind: 'barrier', purpose: '' });
  });

  agreed('an account statement that waits lets nobody in', replicating(3, 1), async (pair) => {
    await pair.account(0);
    await pair.link('cut', 0, 1);
    await pair.link('cut', 0, 2);
    await pair.account(0);
    await pair.act(0, { kind: 'unlock', ordinals: [3] });
    await pair.link('mend', 0, 1);
    await pair.link('mend', 0, 2);
    await pair.fault('kill', 0);
    await pair.fault('start', 0);
    await pair.open(0, 1, [1, 2]);
  });

  agreed('a failover, and the former primary with a row of its own', replicating(3, 1), async (pair) => {
    await pair.write(0);
    await pair.link('cut', 0, 2);
    await pair.write(0);
    await pair.link('cut', 0, 1);
    await pair.write(0);
    await pair.fault('kill', 0);
    await pair.act(1, { kind: 'seal' });
    await pair.act(2, { kind: 'seal' });
    await pair.act(1, { kind: 'apply' });
    await pair.act(1, { kind: 'prepare', required: 1, unlocked: [2] });
    await pair.turn(2, 1);
    await pair.act(1, { kind: 'open', required: 1 });
    await pair.follow(2, 1);
    await pair.write(1);
    await pair.fault('start', 0);
    await pair.link('mend', 0, 1);
    await pair.follow(0, 1);
    await pair.act(1, { kind: 'unlock', ordinals: [0, 2] });
    await pair.write(1);
  });

  agreed('a switchover, and back', replicating(2, 1), async (pair) => {
    await pair.write(0);
    await pair.act(0, { kind: 'disarm' });
    await pair.act(0, { kind: 'close' });
    await pair.write(0);
    await pair.act(0, { kind: 'reopen' });
    await pair.write(0);
    await pair.act(0, { kind: 'close' });
    await pair.act(1, { kind: 'seal' });
    await pair.act(1, { kind: 'prepare', required: 1, unlocked: [0] });
    await pair.act(0, { kind: 'disarm' });
    await pair.follow(0, 1);
    await pair.act(1, { kind: 'open', required: 1 });
    await pair.write(1);
    await pair.act(1, { kind: 'apply' });
    await pair.follow(1, 0);
  });

  agreed('what is received and not applied is neither lost nor passed over', replicating(3, 1), async (pair) => {
    await pair.fault('stopApplier', 1);
    await pair.write(0);
    await pair.fault('kill', 1);
    await pair.fault('start', 1);
    await pair.act(1, { kind: 'apply' });
    await pair.follow(1, 0);
    const row = pair.nextRow;
    await pair.obstacle('obstruct', 1, row);
    await pair.write(0);
    await pair.act(1, { kind: 'apply' });
    await pair.write(0);
    await pair.act(1, { kind: 'seal' });
    await pair.obstacle('unobstruct', 1, row);
    await pair.fault('stopApplier', 1);
    await pair.act(1, { kind: 'prepare', required: 1, unlocked: [2] });
    await pair.act(1, { kind: 'prepare', required: 1, unlocked: [2] });
    await pair.act(1, { kind: 'open', required: 2 });
  });

  agreed('purged binlogs, a lost directory, a clone', replicating(3, 1), async (pair) => {
    await pair.write(0);
    await pair.fault('rotate', 0);
    await pair.write(0);
    await pair.purge(0, 0, 1, 2);
    await pair.fault('loseData', 2);
    await pair.fault('start', 2);
    await pair.act(2, { kind: 'apply' });
    await pair.follow(2, 0);
    await pair.clone(2, 1);
    await pair.fault('start', 2);
    await pair.clone(2, 1);
    await pair.follow(2, 0);
    await pair.write(0);
  });

  agreed('a clone waits for a commit that waits, and fails with its donor', replicating(3, 1), async (pair) => {
    await pair.write(0);
    await pair.fault('loseData', 2);
    await pair.fault('start', 2);
    await pair.link('cut', 0, 1);
    await pair.write(0);
    await pair.clone(2, 0);
    await pair.fault('cloneHeldUp', 2);
    await pair.fault('kill', 0);
    await pair.act(2, { kind: 'seal' });
    await pair.fault('start', 0);
    await pair.clone(2, 0);
    await pair.fault('start', 2);
  });

  agreed('one brain after the other, and a lock that is not given up', replicating(2, 1), async (pair) => {
    await pair.act(1, { kind: 'seal' });
    await pair.replaceBrain(1);
    await pair.follow(1, 0);
    await pair.act(0, { kind: 'lock-out', ordinals: [1] });
    await pair.replaceBrain(0);
    await pair.act(0, { kind: 'lock-out', ordinals: [1] });
    await pair.replaceBrain(0);
    await pair.holdLockAndWrite(0);
    await pair.act(0, { kind: 'unlock', ordinals: [1] });
  });

  agreed(
    'silence: a frozen primary, a frozen replica, an errant row, connections that are ended',
    replicating(3, 1),
    async (pair) => {
      await pair.fault('freeze', 0);
      await pair.thaw(0);
      await pair.endReplicationConnections(0);
      await pair.write(0);
      await pair.fault('writeErrant', 1);
      await pair.write(0);
      await pair.fault('freeze', 1);
      await pair.write(0);
      await pair.thaw(1);
      await pair.fault('loseData', 0);
      await pair.fault('start', 0);
      await pair.act(0, { kind: 'prepare', required: 1, unlocked: [1, 2] });
      await pair.act(0, { kind: 'open', required: 1 });
      await pair.write(0);
    },
  );

  agreed('a brain that dies between any two statements', replicating(2, 1), async (pair) => {
    const prepare = { kind: 'prepare', required: 1, unlocked: [0] } as const;
    for (let statements = 1; statements <= 18; statements++) await pair.cutOff(1, prepare, statements);
    for (let statements = 1; statements <= 8; statements++) await pair.followCutOff(1, 0, statements);
    await pair.follow(1, 0);
    await pair.write(0);
  });

  /** Any number as BATON_AGREEMENT_SEED: that script, too. */
  const fresh = Number(process.env['BATON_AGREEMENT_SEED'] ?? Math.floor(Math.random() * 1e9));
  for (const seed of [1, fresh, fresh + 1]) {
    agreed(`a script drawn from seed ${seed}`, replicating(3, 1), (pair) => runRandomScript(pair, seed, 30));
  }
});

/** The compiler knows when one is missing. */
const EVERY: Readonly<Record<Deed['kind'], true>> = {
  seal: true,
  apply: true,
  turn: true,
  follow: true,
  prepare: true,
  open: true,
  'set-required': true,
  unlock: true,
  'lock-out': true,
  close: true,
  reopen: true,
  disarm: true,
  clone: true,
  purge: true,
  'enable-events': true,
  configure: true,
  'write-epoch': true,
  barrier: true,
};

test('everything that the brain does to a server was among it', (t) => {
  if (process.execArgv.some((one) => one.startsWith('--test-name-pattern'))) return t.skip('not all scripts were run');
  assert.deepEqual([...tried].sort(), Object.keys(EVERY).sort());
});
