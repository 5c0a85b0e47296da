/** Our sets are MySQL's: the same operations on the same random sets have the same results. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { GtidSet } from '../../src/gtid/gtid-set.ts';
import { Servers } from './servers.ts';

const servers = await Servers.begin();
after(() => servers[Symbol.asyncDispose]());

const uuids = [
  '0a000000-0000-4000-8000-00000000000a',
  '0b000000-0000-4000-8000-00000000000b',
  'ffffffff-ffff-4fff-bfff-ffffffffffff',
];
const interval = fc
  .tuple(
    fc.oneof(
      { weight: 9, arbitrary: fc.bigInt(1n, 30n) },
      { weight: 1, arbitrary: fc.bigInt(2n ** 62n, 2n ** 63n - 10n) },
    ),
    fc.bigInt(0n, 7n),
  )
  .map(([first, more]) => (more === 0n ? `${first}` : `${first}-${first + more}`));
/** Tags are known from 8.3 on. */
const part = (tags: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...uuids), fc.constantFrom(...tags), fc.array(interval, { minLength: 1, maxLength: 5 }))
    .map(([uuid, tag, intervals]) => [uuid, ...(tag === '' ? [] : [tag]), ...intervals].join(':'));

test('GTID_SUBTRACT, GTID_SUBSET and what MySQL prints, on random sets', async () => {
  await using server = await servers.born();
  const [major = 0, minor = 0] = servers.distribution.version.split('.').map(Number);
  const tags = major > 8 || (major === 8 && minor >= 3) ? ['', '', 'backup', 'a_1'] : [''];
  const sets = fc.array(part(tags), { maxLength: 5 }).map((parts) => parts.join(','));
  await fc.assert(
    fc.asyncProperty(sets, sets, async (a, b) => {
      const [row] = await server.ask(
        `SELECT GTID_SUBTRACT(?, ?) AS difference, GTID_SUBSET(?, ?) AS subset, GTID_SUBTRACT(?, '') AS printed`,
        [a, b, a, b, a],
      );
      const [mine, others] = [GtidSet.parse(a), GtidSet.parse(b)];
      const printed = (value: unknown): string => String(value).replaceAll('\n', '');
      assert.equal(mine.subtract(others).toString(), printed(row?.['difference']));
      assert.equal(others.contains(mine), Number(row?.['subset']) === 1);
      assert.equal(mine.toString(), printed(row?.['printed']));
      assert.ok(GtidSet.parse(String(row?.['difference'])).equals(mine.subtract(others)));
    }),
    { numRuns: 1500 },
  );
});

test('what MySQL refuses as a set is refused here, too', async () => {
  await using server = await servers.born();
  const uuid = uuids[0] ?? '';
  for (const text of [
    uuid,
    `${uuid}:`,
    `${uuid}:0`,
    `${uuid}:x-1`,
    `${uuid}:1-`,
    `${uuid.slice(1)}:1`,
    `${uuid}:1;2`,
    'x',
  ]) {
    const answer = await server.value('SELECT GTID_SUBTRACT(?, "")', [text]).catch(() => 'refused');
    let ours: string;
    try {
      ours = GtidSet.parse(text).toString();
    } catch {
      ours = 'refused';
    }
    assert.equal(ours, answer, text);
  }
});
