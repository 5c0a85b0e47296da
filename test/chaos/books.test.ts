/** The check of the check: whatever breaks a rule is noticed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JournalEntry } from '../../src/control/port.ts';
import { Books, epochsOf } from './books.ts';
import { Gaps } from './gaps.ts';

const violated = (act: (books: Books) => void): string => {
  const books = new Books();
  act(books);
  return books.violations.join('; ');
};

test('a read that finds less than what was known when it began went back', () => {
  const read = (value: number) => (books: Books) => {
    books.registerWritten(7, 0);
    books.registerRead(value, books.registerFloor);
  };
  assert.match(violated(read(6)), /reads went back: the register was 7, and a read that began later found 6/);
  assert.equal(violated(read(7)), '');
  assert.equal(violated(read(9)), '', 'a write that was not answered may be there');
  const late = (books: Books): void => {
    const floor = books.registerFloor;
    books.registerWritten(7, 0);
    books.registerRead(6, floor);
  };
  assert.equal(violated(late), '', 'a read that began before may find what was there before');
});

test('no two writes of the register are told the same, and none less than what was known', () => {
  const twice = (books: Books): void => {
    books.registerWritten(1, 0);
    books.registerWritten(1, 0);
  };
  assert.match(violated(twice), /two writes of the register/);
  assert.match(
    violated((books) => books.registerWritten(3, 5)),
    /a write that began later made it 3/,
  );
});

test('money is neither made nor lost', () => {
  assert.match(
    violated((books) => books.bankRead('member 2', 10, 999)),
    /the bank held 999 in 10 accounts/,
  );
  assert.match(
    violated((books) => books.bankRead('primary', 0, 0)),
    /in 0 accounts/,
  );
  assert.equal(
    violated((books) => books.bankRead('member 2', 0, 0)),
    '',
    'a replica that is being filled has none yet',
  );
  assert.equal(
    violated((books) => books.bankRead('primary', 10, 1000)),
    '',
  );
});

test('a row that nobody wrote before and is there already is no error like others', () => {
  assert.match(
    violated((books) => books.failed('write', { code: 'ER_DUP_ENTRY', message: 'x' })),
    /there already/,
  );
  assert.equal(
    violated((books) => books.failed('write', { code: 'ECONNRESET', message: 'x' })),
    '',
  );
});

const at = (second: number): number => Date.parse(`2026-01-01T00:00:${String(second).padStart(2, '0')}.000Z`);
const record = (second: number, epoch: number, primary: number): JournalEntry => ({
  at: new Date(at(second)).toISOString(),
  epoch,
  term: 1,
  kind: 'record',
  text: `failover: because [epoch ${epoch}, primary ${primary}, S {}, k 1, quorum]`,
});

test('none but the primary says OK', () => {
  const entries = [record(10, 1, 0), record(20, 2, 1), record(25, 2, 1), record(30, 3, 0)];
  const ok = (ordinal: number, sent: number, got: number): string =>
    violated((books) => {
      books.directOk({ ordinal, sentMs: at(sent), gotMs: at(got) });
      books.judgeDirectOks(entries);
    });
  assert.equal(ok(0, 15, 15), '');
  assert.equal(ok(1, 22, 22), '');
  assert.equal(ok(0, 19, 22), '', 'sent while it was the primary, and the answer was slow');
  assert.match(ok(0, 21, 22), /member 0 said OK .* and was not the primary/);
  assert.match(ok(1, 31, 31), /member 1 said OK/);
  assert.match(ok(2, 22, 22), /member 2 said OK/);
  assert.equal(ok(0, 31, 32), '');
});

test('an epoch whose record is not in the journal, for its daemon was killed, may have been any member’s', () => {
  const other: JournalEntry = { ...record(22, 2, 0), kind: 'state', text: 'failing-over: member 1 is being opened' };
  for (const entries of [
    [record(10, 1, 0), other, record(30, 3, 0)],
    [record(10, 1, 0), record(30, 3, 0)],
  ]) {
    const books = new Books();
    books.directOk({ ordinal: 1, sentMs: at(21), gotMs: at(21) });
    books.judgeDirectOks(entries);
    assert.deepEqual(books.violations, []);
  }
  assert.deepEqual(
    epochsOf([record(10, 1, 0), other, record(30, 3, 2)]).map(({ primary }) => primary),
    [0, null, 2],
  );
});

test('pauses are counted for whatever they overlap, the one that still lasts included', async () => {
  const books = new Books();
  const fromMs = performance.now();
  books.ok();
  await new Promise((resolve) => setTimeout(resolve, 60));
  books.ok();
  const untilMs = performance.now();
  assert.ok(books.longestPauseMs(fromMs, untilMs) >= 55);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.ok(books.longestPauseMs(untilMs + 1, performance.now()) >= 55);
});

test('the table shows how often, how long, and how it is spread', () => {
  const gaps = new Gaps();
  for (const ms of [50, 150, 250, 20_000]) gaps.add('kill the primary', ms);
  const [, row] = gaps.table().split('\n');
  assert.match(row ?? '', /^kill the primary +4 +250 +20\.0s +▂ 1 +▄ 2 +▂ 1$/);
});
