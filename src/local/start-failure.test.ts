import assert from 'node:assert/strict';
import { test } from 'node:test';

import { explainLog } from './start-failure.ts';

const at = '2030-01-01T00:00:00.000000Z';
const aborting = `${at} 0 [ERROR] [MY-010119] [Server] Aborting`;

const logs: readonly (readonly [string, string, RegExp])[] = [
  [
    'a full disk',
    `${at} 1 [ERROR] [MY-012639] [InnoDB] Write to file ./ibtmp1 failed at offset 0, 1048576 bytes should have been written, only 0 were written. Operating system error number 28.`,
    /^the disk is full$/,
  ],
  [
    'a read-only file system',
    `${at} 1 [ERROR] [MY-012592] [InnoDB] Operating system error number 30 in a file operation.`,
    /^the file system is read-only$/,
  ],
  [
    "another process's lock",
    `${at} 1 [ERROR] [MY-012574] [InnoDB] Unable to lock ./ibdata1 error: 11`,
    /in use: another process holds the lock/,
  ],
  [
    'data of a newer MySQL',
    `${at} 1 [ERROR] [MY-013171] [InnoDB] Cannot boot server version 80046 on data directory built by version 90704. Downgrade is not supported`,
    /of MySQL 9\.7\.4, newer than this server/,
  ],
  [
    'data of a newer MySQL, as later versions say it',
    `${at} 1 [ERROR] [MY-014061] [Server] Invalid MySQL server downgrade: Cannot downgrade from 90704 to 90200. Target MySQL server does not support it.`,
    /of MySQL 9\.7\.4, newer than this server/,
  ],
  [
    'an address in use',
    `${at} 0 [ERROR] [MY-010262] [Server] Can't start server: Bind on TCP/IP port: Address already in use\n${at} 0 [ERROR] [MY-010257] [Server] Do you already have another mysqld server running on port: 25000 ?`,
    /address is used by another program/,
  ],
  [
    'a setting that does not exist',
    `${at} 0 [ERROR] [MY-000067] [Server] unknown variable 'no_such_setting=1'.`,
    /does not know the setting 'no_such_setting=1'/,
  ],
  [
    'no permission',
    `${at} 1 [ERROR] [MY-012592] [InnoDB] Operating system error number 13 in a file operation.`,
    /^it has no permission for its files$/,
  ],
  [
    'anything else: its first error, with its number',
    `${at} 0 [ERROR] [MY-010187] [Server] Could not open file './x' for error logging.\n${at} 0 [ERROR] [MY-010095] [Server] Failed to do more.`,
    /^Could not open file '.\/x' for error logging\. \(MY-010187\)$/,
  ],
];

for (const [what, log, words] of logs) {
  test(`the log of a server that failed for ${what} is told in one line`, () => {
    assert.match(
      explainLog(`${at} 0 [System] [MY-010116] [Server] starting as process 7\n${log}\n${aborting}\n`) ?? '',
      words,
    );
  });
}

test('a log without an error explains nothing', () => {
  assert.equal(explainLog(`${at} 0 [Warning] [MY-1] [Server] disk is full of joy\n${aborting}`), null);
  assert.equal(explainLog(''), null);
});
