import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';

import type { JournalEntry } from '../control/port.ts';
import { JournalFile, readJournal } from './journal-file.ts';

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'baton-journal-'));
  path = join(dir, 'state', 'journal');
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const entry = (n: number): JournalEntry => ({
  at: '2030-01-01T00:00:00Z',
  epoch: 1,
  term: 1,
  kind: 'act',
  text: `entry ${n}`,
});
const texts = async (limit: number): Promise<string[]> => (await readJournal(path, limit)).map(({ text }) => text);

test('entries are read in the order in which they were written, the last so many of them, private to the user', async () => {
  const journal = new JournalFile(path);
  for (let n = 0; n < 10; n++) journal.write(entry(n));
  await journal.flush();
  assert.deepEqual(await texts(3), ['entry 7', 'entry 8', 'entry 9']);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test('the journal takes at most twice its limit on disk, and reading goes on past the rotation', async () => {
  const journal = new JournalFile(path, { limitBytes: 1_000 });
  for (let n = 0; n < 100; n++) {
    journal.write(entry(n));
    await journal.flush();
  }
  assert.ok((await stat(`${path}.1`)).size < 1_200);
  assert.deepEqual((await texts(12)).at(0), 'entry 88');
  assert.deepEqual((await texts(12)).at(-1), 'entry 99');
});

test('a line that a killed writer left unfinished costs only itself', async () => {
  const journal = new JournalFile(path);
  journal.write(entry(1));
  await journal.flush();
  await appendFile(path, '{"at":"2030');
  journal.write(entry(2));
  await journal.flush();
  assert.deepEqual(await texts(10), ['entry 1', 'entry 2']);
});

test('a journal that can not be written says so once, holds nothing up, and tells later how much is missing', async () => {
  await writeFile(join(dir, 'state'), 'in the way');
  const troubles: string[] = [];
  const journal = new JournalFile(path, { onTrouble: (error) => troubles.push(error.message) });
  for (let n = 0; n < 3; n++) {
    journal.write(entry(n));
    await journal.flush();
  }
  assert.equal(troubles.length, 1);
  await rm(join(dir, 'state'));
  journal.write(entry(3));
  await journal.flush();
  const found = await texts(10);
  assert.equal(found.at(-1), 'entry 3');
  assert.match(found[0] ?? '', /entries were lost/);
});

test('reading a journal that does not exist gives nothing', async () => {
  assert.deepEqual(await texts(5), []);
});
