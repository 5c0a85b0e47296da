import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { lastWords, runCommand } from './command.ts';

describe('running a program', () => {
  test('says how it ended and what it said', async () => {
    const outcome = await runCommand(['/bin/sh', '-c', 'echo out; echo err >&2; exit 3'], { timeoutMs: 10_000 });
    assert.deepEqual(outcome, { exitCode: 3, stdout: 'out\n', stderr: 'err\n' });
  });
  test('a program that does not exist is an outcome too', async () => {
    const outcome = await runCommand(['/nonexistent/program'], { timeoutMs: 10_000 });
    assert.equal(outcome.exitCode, null);
    assert.match(outcome.stderr, /ENOENT/);
  });
  test('a deadline ends it', async () => {
    const outcome = await runCommand(['/bin/sh', '-c', 'exec sleep 60'], { timeoutMs: 50 });
    assert.equal(outcome.exitCode, null);
    assert.match(outcome.stderr, /did not end within 0.05 s/);
  });
  test('an abort ends it, throws the reason, and the program is gone by then', async () => {
    const abort = new AbortController();
    let pid = 0;
    const running = runCommand(['/bin/sh', '-c', 'echo $$ >&2; exec sleep 60'], {
      timeoutMs: 60_000,
      signal: abort.signal,
      onStderr: (text) => {
        pid = Number(text);
        abort.abort(new Error('enough'));
      },
    });
    await assert.rejects(running, /enough/);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  });
  test('one that closes its ears is killed, with what it started holding the pipes', async () => {
    const script = "trap '' TERM; sleep 60 & echo $! >&2; wait; wait";
    let child = 0;
    const outcome = await runCommand(['/bin/sh', '-c', script], {
      timeoutMs: 100,
      onStderr: (text) => (child = Number(text)),
    });
    assert.equal(outcome.exitCode, null);
    process.kill(child, 'SIGKILL');
  });
});

test('last words fit on one line', () => {
  assert.equal(lastWords('a\nb\nc\nd\n'), 'b | c | d');
});
