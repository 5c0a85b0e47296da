import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { aptFailure, fetchedName } from './distribution-fetch.ts';

describe('what apt complains of is told apart', () => {
  const cases = [
    {
      code: 'SIGNATURE_REFUSED',
      stderr:
        "W: GPG error: http://mirror.example/debian sid InRelease: The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6ED0E7B82643E131\nE: The repository 'http://mirror.example/debian sid InRelease' is not signed.\n",
    },
    {
      code: 'SIGNATURE_REFUSED',
      stderr:
        'W: OpenPGP signature verification failed: http://mirror.example/debian sid InRelease: Sub-process /usr/bin/sqv returned an error code (1)\n',
    },
    {
      code: 'NO_NETWORK',
      stderr:
        "W: Failed to fetch http://mirror.example/debian/dists/sid/InRelease  Temporary failure resolving 'mirror.example'\nW: Some index files failed to download.\n",
    },
    {
      code: 'NO_NETWORK',
      stderr:
        'W: Failed to fetch http://mirror.example/debian/dists/sid/InRelease  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)\n',
    },
    {
      code: 'NO_DISK_SPACE',
      stderr: "E: You don't have enough free space in /home/a/.cache/baton/.staging/apt/archives/.\n",
    },
    {
      code: 'FETCH_FAILED',
      stderr: 'E: Failed to fetch http://mirror.example/pool/m/mysql.deb  404  Not Found [IP: 192.0.2.1 80]\n',
    },
  ] as const;
  for (const { code, stderr } of cases) {
    test(`${code}: ${stderr.slice(0, 60)}`, () => {
      const error = aptFailure({ stderr }, 'reading the packages of Debian unstable');
      assert.equal(error.code, code);
      assert.doesNotMatch(error.message, /\n/);
      assert.ok(error.hint.length > 0);
    });
  }
});

test('a fetched MySQL is kept under its version and processor', () => {
  assert.equal(fetchedName('9.7.4', 'arm64'), 'mysql-9.7.4-arm64');
});
