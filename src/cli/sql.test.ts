import assert from 'node:assert/strict';
import { test } from 'node:test';

import { tableOf, tsvOf } from './sql.ts';

const rows = (names: string[], ...values: unknown[][]) => ({ kind: 'rows', names, rows: values }) as const;

test('tab-separated values are as the mysql client writes them in batch mode', () => {
  assert.equal(tsvOf(rows(['a', 'b'], [1, null], ['x\ty\nz\\', 'é'])), 'a\tb\n1\tNULL\nx\\ty\\nz\\\\\té\n');
});

test('a table has numbers on the right and is aligned for wide characters', () => {
  assert.equal(
    tableOf(rows(['n', 'name'], [1, '数据'], [200, 'x'], [null, 'line\nbreak'])),
    ['   n │ name', '─────┼───────────', '   1 │ 数据', ' 200 │ x', 'NULL │ line break', ''].join('\n'),
  );
  assert.equal(tableOf(rows(['n'])), 'no rows\n');
});

test('bytes that are no text are shown in hexadecimal', () => {
  assert.equal(tsvOf(rows(['b'], [Buffer.from([0xff, 0])], [Buffer.from('text')])), 'b\n0xFF00\ntext\n');
});
