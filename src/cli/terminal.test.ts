import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { clip, coloursFor, columns, Screen, Ticker, widthOf } from './terminal.ts';

const written = (change: object = {}): { stream: NodeJS.WriteStream; text: () => string } => {
  let text = '';
  const stream = { columns: 40, rows: 10, write: (more: string) => ((text += more), true), ...change };
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => text };
};

test('colours are for terminals alone, and NO_COLOR turns them off', () => {
  assert.equal(coloursFor({ isTTY: true }, {}).red('x'), '\u001B[31mx\u001B[39m');
  assert.equal(
    coloursFor({ isTTY: true }, { NO_COLOR: '' }).red('x'),
    '\u001B[31mx\u001B[39m',
    'empty counts as unset',
  );
  assert.equal(coloursFor({ isTTY: true }, { NO_COLOR: '1' }).red('x'), 'x');
  assert.equal(coloursFor({}, {}).red('x'), 'x');
});

test('columns are as wide as what they show, colours and wide characters counted as seen', () => {
  assert.deepEqual(
    columns([
      ['a', '\u001B[1mbold\u001B[22m', 'end'],
      ['数据', 'x', ''],
    ]),
    ['a     \u001B[1mbold\u001B[22m  end', '数据  x'],
  );
  assert.equal(widthOf('é'), 1, 'a combining mark takes no room');
});

test('what is too wide is cut, and says so', () => {
  assert.equal(clip('short', 5), 'short');
  assert.equal(clip('longer', 5), 'long…');
  assert.equal(clip('数据数据', 5), '数据…');
});

test('where nothing can be redrawn, progress is a line for each change, and quick changes make one', async () => {
  const { stream, text } = written();
  const ticker = new Ticker(stream, {});
  ticker.show('starting');
  await sleep(20);
  for (const step of ['one', 'two', 'three']) ticker.show(step);
  ticker.show('three, a little later', 'three');
  await sleep(900);
  ticker.end();
  assert.equal(text(), 'starting\nthree\n');
});

test('on a terminal, progress is one line that is redrawn, and gone at the end', () => {
  const { stream, text } = written({ isTTY: true });
  const ticker = new Ticker(stream, {});
  ticker.show('a line that is much too long for a terminal of forty columns');
  ticker.end();
  const [before, shown, after] = text().split('\r\u001B[2K');
  assert.deepEqual([before, after], ['', '']);
  assert.match(shown ?? '', /^⠋ a line that is .*… \(0\.0 s\)$/);
});

test('a screen is redrawn where it stands, and never taller than the terminal', () => {
  const { stream, text } = written({ isTTY: true, rows: 3 });
  const screen = new Screen(stream);
  screen.draw(['1', '2', '3', '4']);
  screen.draw(['5']);
  assert.ok(!text().includes('3'));
  assert.ok(text().includes('\u001B[2A\r5'));
});
