import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DaemonGoneError } from '../local/api-client.ts';
import { asFailure, DaemonError } from '../local/failure.ts';
import { parseCluster } from '../spec/parse.ts';
import { badInput, CommandError, errorText, EXIT, exitCodeOf } from './exit.ts';

const fromDaemon = (code: string): DaemonError => new DaemonError({ code, message: 'no', hint: null, stack: null });

test('wrong input ends with 2, wherever it was noticed', () => {
  assert.equal(exitCodeOf(badInput('no')), 2);
  assert.equal(exitCodeOf(fromDaemon('UNKNOWN_MEMBER')), 2);
  assert.equal(exitCodeOf(fromDaemon('BASEDIR_WITHOUT_MYSQLD')), 2);
  assert.throws(
    () => parseCluster('kind: x'),
    (error) => exitCodeOf(error) === 2,
  );
});

test('a daemon that is gone ends with 3, what was refused with 1, what is unexpected with 1', () => {
  assert.equal(exitCodeOf(new DaemonGoneError('gone')), 3);
  assert.equal(exitCodeOf(fromDaemon('SWITCHOVER_REFUSED')), 1);
  assert.equal(exitCodeOf(new TypeError('a defect')), 1);
  assert.equal(exitCodeOf(new CommandError(EXIT.timedOut, 'TIMED_OUT', 'late')), 4);
});

test('a person gets a line and a hint; the stack only when asked for', () => {
  const failure = asFailure(badInput('that is not its name', 'Type it again.'));
  assert.equal(errorText(failure, false), 'baton: that is not its name\n  Type it again.\n');
  assert.match(errorText(failure, true), /\n {4}at /);
});

test('a hint that the message holds already is not said twice', () => {
  const error = Object.assign(new Error('spec.replica: unknown field; remove it'), { code: 'X', hint: 'remove it' });
  assert.equal(asFailure(error).hint, null);
});
