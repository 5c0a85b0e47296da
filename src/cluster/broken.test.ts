import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { act, acker, decideAll, LATER_MS, replica, rows, view } from './view-fixture.ts';

const only1 = { record: { ackers: [acker(1)] } };

describe('an applier that stopped with an error', () => {
  for (const [what, received] of [
    ['with rows still to apply', '0:1-100'],
    ['with nothing left to apply, as one that can not be started', '0:1-90'],
  ] as const) {
    it(`is tried again every 3 s, then its member is rebuilt: ${what}`, () => {
      const broken = replica(2, '0:1-90', {
        replica: { applierError: '13124: no metadata', applier: 'off', received: rows(received) },
      });
      const views = Array.from({ length: 17 }, (_, second) =>
        view([broken], { ...only1, nowMs: LATER_MS + second * 1000 }),
      );
      const decisions = decideAll(views);
      const seconds = (kind: 'apply' | 'rebuild'): number[] =>
        decisions.flatMap((decision, second) => (act(decision, kind, 2) === undefined ? [] : [second]));
      assert.deepEqual(seconds('apply'), [0, 3, 6, 9, 12]);
      assert.deepEqual(seconds('rebuild'), [15, 16]);
    });
  }
});
