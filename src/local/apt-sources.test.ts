import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { mysqlSources, parseAptSources, parseOsRelease, renderAptSources } from './apt-sources.ts';

const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const bookworm = { family: 'debian', codename: 'bookworm' } as const;
const noble = { family: 'ubuntu', codename: 'noble' } as const;

const bookwormSources = `Types: deb
# a comment in the middle
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: ${debianKeyring}

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: ${debianKeyring}
`;

const nobleSources = `Types: deb
URIs: http://mirror.example/ubuntu/
Suites: noble noble-updates noble-backports
Components: main restricted universe multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

Types: deb
URIs: http://security.example/ubuntu/
Suites: noble-security
Components: main restricted universe multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
`;

describe('the distribution of a host', () => {
  test('Debian and Ubuntu are known, quoted or not', () => {
    assert.deepEqual(parseOsRelease('ID=debian\nVERSION_CODENAME=bookworm\n'), bookworm);
    assert.deepEqual(parseOsRelease('ID="ubuntu"\nID_LIKE=debian\nVERSION_CODENAME=noble\n'), noble);
  });
  test('what is made from Ubuntu fetches as the Ubuntu that it is made from', () => {
    const mint = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=noble\n';
    assert.deepEqual(parseOsRelease(mint), noble);
  });
  test('any other system is not one to fetch on', () => {
    assert.equal(parseOsRelease('ID=fedora\nID_LIKE="rhel"\n'), null);
    assert.equal(parseOsRelease(''), null);
  });
});

describe('reading apt sources', () => {
  test('deb822: each stanza is an entry, with comments and continuation lines', () => {
    const [first, second] = parseAptSources('debian.sources', bookwormSources);
    assert.deepEqual(first, {
      uris: ['http://mirror.example/debian'],
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main'],
      signedBy: [debianKeyring],
      checkValidUntil: true,
    });
    assert.deepEqual(second?.suites, ['bookworm-security']);
    const folded = 'Types: deb\nURIs: http://a.example\n http://b.example\nSuites: sid\nComponents: main\n';
    assert.deepEqual(parseAptSources('x.sources', folded)[0]?.uris, ['http://a.example', 'http://b.example']);
  });
  test('deb822: entries that are off or of source packages are left out', () => {
    assert.deepEqual(parseAptSources('x.sources', `Enabled: no\n${bookwormSources}`).length, 1);
    assert.deepEqual(parseAptSources('x.sources', bookwormSources.replaceAll('Types: deb', 'Types: deb-src')), []);
  });
  test('one line: options, comments, deb-src', () => {
    const text = [
      '# deb http://off.example/debian bookworm main',
      'deb-src http://mirror.example/debian bookworm main',
      `deb [arch=amd64 signed-by=${debianKeyring} check-valid-until=no] http://mirror.example/debian bookworm main contrib # why`,
      'deb http://mirror.example/debian bookworm-updates main',
      '',
    ].join('\n');
    assert.deepEqual(parseAptSources('sources.list', text), [
      {
        uris: ['http://mirror.example/debian'],
        suites: ['bookworm'],
        components: ['main', 'contrib'],
        signedBy: [debianKeyring],
        checkValidUntil: false,
      },
      {
        uris: ['http://mirror.example/debian'],
        suites: ['bookworm-updates'],
        components: ['main'],
        signedBy: [],
        checkValidUntil: true,
      },
    ]);
  });
  test('files that apt itself would not read are not read', () => {
    assert.deepEqual(parseAptSources('debian.sources.disabled', bookwormSources), []);
    assert.deepEqual(parseAptSources('old.list.save', 'deb http://mirror.example/debian bookworm main'), []);
  });
});

describe('where MySQL is fetched from', () => {
  test('Debian: unstable, on the mirror of the host, not on its security archive', () => {
    const entries = parseAptSources('debian.sources', bookwormSources);
    assert.deepEqual(
      mysqlSources(bookworm, entries.reverse()).map(({ uris, suites, components }) => ({ uris, suites, components })),
      [{ uris: ['http://mirror.example/debian'], suites: ['sid'], components: ['main'] }],
    );
  });
  test('Ubuntu: the suites of the host, with universe', () => {
    const chosen = mysqlSources(noble, parseAptSources('ubuntu.sources', nobleSources));
    assert.deepEqual(
      chosen.map(({ suites, components }) => ({ suites, components })),
      [
        { suites: ['noble', 'noble-updates', 'noble-backports'], components: ['main', 'universe'] },
        { suites: ['noble-security'], components: ['main', 'universe'] },
      ],
    );
  });
  test('an entry signed by somebody else is never used, whatever suite it names', () => {
    const foreign = 'deb [signed-by=/etc/apt/keyrings/vendor.gpg] http://vendor.example/debian bookworm main';
    assert.deepEqual(mysqlSources(bookworm, parseAptSources('vendor.list', foreign)), []);
    const lookalike =
      'deb [signed-by=/tmp/my-debian-archive-keyring.gpg.txt] http://vendor.example/debian bookworm main';
    assert.deepEqual(mysqlSources(bookworm, parseAptSources('vendor.list', lookalike)), []);
  });
  test('an entry that names no keyring is used only for a suite of this release with main', () => {
    const plain = (line: string): number => mysqlSources(bookworm, parseAptSources('sources.list', line)).length;
    assert.equal(plain('deb http://mirror.example/debian bookworm main'), 1);
    assert.equal(plain('deb http://mirror.example/debian stable main'), 1);
    assert.equal(plain('deb http://vendor.example/apt nodistro main'), 0);
    assert.equal(plain('deb http://vendor.example/apt bookworm nightly'), 0);
    assert.equal(plain('deb http://mirror.example/debian bookworm-security main'), 0);
    assert.equal(plain('deb cdrom:[Debian]/ bookworm main'), 0);
  });
  test('every entry is written with the keyring given, so that a source cannot bring its own', () => {
    const entries = mysqlSources(
      bookworm,
      parseAptSources('sources.list', 'deb [trusted=yes] http://x.example/ bookworm main'),
    );
    const text = renderAptSources(entries, debianKeyring);
    assert.deepEqual(text.split('\n'), [
      'Types: deb',
      'URIs: http://x.example/',
      'Suites: sid',
      'Components: main',
      `Signed-By: ${debianKeyring}`,
      '',
    ]);
    assert.equal(parseAptSources('mysql.sources', text)[0]?.signedBy[0], debianKeyring);
  });
  test('a snapshot whose age its owner accepted stays accepted', () => {
    const snapshot = 'deb [check-valid-until=no] http://mirror.example/debian/2025 bookworm main';
    const text = renderAptSources(mysqlSources(bookworm, parseAptSources('sources.list', snapshot)), debianKeyring);
    assert.match(text, /^Check-Valid-Until: no$/m);
  });
});
