import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';

import { newClusterRecord } from '../cluster/record.ts';
import type { ClusterRecord } from '../cluster/record.ts';
import { RecordFiles } from './record-files.ts';

const swaps = 40;

// Run as a child: adds one to the term until it has succeeded so often. Exits with how often it could not know.
if (process.argv[2] === 'swapper') {
  const store = new RecordFiles(process.argv[3] ?? '');
  let unknown = 0;
  for (let done = 0; done < swaps;) {
    const found = await store.read();
    const record = found?.record ?? newClusterRecord('c', 'quorum');
    try {
      if ((await store.swap(found?.version ?? 0, { ...record, term: record.term + 1 })) === 'written') done++;
    } catch (error) {
      if ((error as { code?: string }).code !== 'RECORD_OVERTAKEN') throw error;
      unknown++;
    }
  }
  process.exit(unknown);
}

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'baton-record-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const record: ClusterRecord = {
  clusterId: 'a',
  term: 3,
  epoch: 2,
  primary: { ordinal: 1, serverUuid: uuid },
  floor: `${uuid}:1-5`,
  ackers: [{ ordinal: 0, serverUuid: uuid, bootId: 'b' }],
  required: 1,
  mode: 'quorum',
};

test('there is no record at first; what was written is read by another store of the same directory', async () => {
  const store = new RecordFiles(join(dir, 'made'));
  assert.equal(await store.read(), null);
  assert.equal(await store.swap(0, record), 'written');
  assert.deepEqual(await new RecordFiles(join(dir, 'made')).read(), { version: 1, record });
});

test('a swap from any version but the newest is a conflict and changes nothing', async () => {
  const store = new RecordFiles(dir);
  for (let version = 0; version < 4; version++) assert.equal(await store.swap(version, record), 'written');
  for (const version of [0, 1, 2, 3, 5, 9]) {
    assert.equal(await store.swap(version, { ...record, term: 99 }), 'conflict', `from ${version}`);
  }
  assert.deepEqual(await store.read(), { version: 4, record });
});

test('only the last few versions are kept, and no drafts', async () => {
  const store = new RecordFiles(dir);
  for (let version = 0; version < 20; version++) await store.swap(version, record);
  const kept = await readdir(dir);
  assert.equal(kept.length, 8);
  assert.ok(kept.every((name) => name.startsWith('record.')));
});

test('a late link by a brain that was overtaken does not pass for the newest', async () => {
  const store = new RecordFiles(dir);
  for (let version = 0; version < 20; version++) await store.swap(version, record);
  // As if another had linked it and died before it could see that it was late.
  await writeFile(join(dir, 'record.2'), JSON.stringify({ ...record, term: 1 }));
  assert.equal((await store.read())?.version, 20);
  assert.equal(await store.swap(20, record), 'written');
});

test('of several processes that swap at once each succeeds as often as the record says: no swap is lost or doubled', async () => {
  const children = Array.from({ length: 4 }, () => fork(import.meta.filename, ['swapper', dir]));
  const codes = await Promise.all(children.map(async (child) => (await once(child, 'exit'))[0] as number));
  const unknown = codes.reduce((sum, code) => sum + code, 0);
  const found = await new RecordFiles(dir).read();
  const { version = 0 } = found ?? {};
  assert.ok(version >= 4 * swaps && version <= 4 * swaps + unknown, `${version} versions, ${unknown} unknown`);
  assert.equal(found?.record.term, version);
});

const unreadable: readonly (readonly [string, string, RegExp])[] = [
  ['an empty file', '', /found an empty file/],
  ['no JSON', '{"term": ', /found no JSON/],
  ['a field of the wrong type', JSON.stringify({ ...record, epoch: '2' }), /epoch/],
  ['a field that this version does not know', JSON.stringify({ ...record, quorum: 2 }), /quorum/],
  ['a floor that is no GTID set', JSON.stringify({ ...record, floor: 'x' }), /GTID set at floor/],
];
for (const [what, text, message] of unreadable) {
  test(`a newest record with ${what} is an error that names the file, and no older one is taken instead`, async () => {
    const store = new RecordFiles(dir);
    await store.swap(0, record);
    await writeFile(join(dir, 'record.2'), text);
    await assert.rejects(store.read(), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'RECORD_UNREADABLE');
      assert.match(error.message, message);
      assert.ok(error.message.includes(join(dir, 'record.2')));
      return true;
    });
  });
}
