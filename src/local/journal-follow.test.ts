import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { followLines } from './journal-follow.ts';

test('lines that are appended arrive, whole, also when the file appears later or is moved aside', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'baton-follow-'));
  const path = join(directory, 'journal.jsonl');
  const leave = new AbortController();
  try {
    const lines = followLines(path, leave.signal);
    const next = async (): Promise<string | undefined> => (await lines.next()).value as string | undefined;
    const first = next();
    await writeFile(path, 'one\ntwo, in ');
    assert.equal(await first, 'one');
    const second = next();
    await appendFile(path, 'halves\n');
    assert.equal(await second, 'two, in halves');
    const third = next();
    await appendFile(path, 'last of the old\n');
    await rename(path, `${path}.1`);
    await writeFile(path, 'first of the new\n');
    assert.equal(await third, 'last of the old');
    assert.equal(await next(), 'first of the new');
    const end = next();
    leave.abort();
    assert.equal(await end, undefined);
  } finally {
    leave.abort();
    await rm(directory, { recursive: true, force: true });
  }
});
