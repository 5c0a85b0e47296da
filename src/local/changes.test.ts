import assert from 'node:assert/strict';
import { test } from 'node:test';

import { defaultCluster, validateCluster } from '../spec/parse.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { ChangeRefusedError, changesBetween, changeWords } from './changes.ts';

const before = defaultCluster('main');

function changed(spec: Record<string, unknown>): MySQLCluster {
  return validateCluster({ ...before, spec: { ...before.spec, ...spec } });
}

test('the same resource changes nothing', () => {
  assert.deepEqual(changesBetween(before, changed({}), true), []);
});

test('each change is told with what it was and what it becomes', () => {
  const after = changed({ replicas: 5, mysql: { config: { max_connections: 500 } }, lag: { readMaxSeconds: 3 } });
  assert.deepEqual(changesBetween(before, after, true).map(changeWords), [
    'spec.lag.readMaxSeconds: 10 → 3',
    'spec.mysql.config.max_connections: the default → 500',
    'spec.replicas: 3 → 5',
  ]);
});

test('what a running cluster cannot change is refused with what to do, and may change while it is stopped', () => {
  const after = changed({ endpoints: { primary: { port: 3306 } } });
  assert.throws(() => changesBetween(before, after, true), refused(/spec\.endpoints\.primary\.port/, /baton stop/));
  assert.deepEqual(changesBetween(before, after, false).map(changeWords), [
    'spec.endpoints.primary.port: the default → 3306',
  ]);
});

test('whether reads may go to the primary changes live, unlike the rest of the read endpoint', () => {
  const after = changed({ endpoints: { read: { includePrimary: 'always' } } });
  assert.equal(changesBetween(before, after, true)[0]?.how, 'live');
});

test('what was settled when the cluster was made never changes', () => {
  for (const spec of [{ storage: { path: '/srv' } }, { credentials: { applicationUser: 'shop' } }]) {
    for (const running of [true, false]) {
      assert.throws(() => changesBetween(before, changed(spec), running), refused(/was settled/, /another name/));
    }
  }
});

function refused(message: RegExp, hint: RegExp) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof ChangeRefusedError);
    assert.match(error.message, message);
    assert.match(error.hint, hint);
    return true;
  };
}
