/**
 * Reads a host's own apt sources, to fetch from the mirror and with the keyring that its owner already trusts.
 * Formats: sources.list(5), both the one-line and the deb822 style. Pure.
 */

/** One `deb` entry. Fields as in sources.list(5); options that we do not use are not kept. */
export type AptSource = {
  uris: string[];
  suites: string[];
  components: string[];
  /** Keyring files named by the entry; empty when it names none (then any key of the host's trusted set may sign it). */
  signedBy: string[];
  /** False for a snapshot whose owner said that its age is all right. */
  checkValidUntil: boolean;
};

export type DistributionFamily = 'debian' | 'ubuntu';

export type AptHost = { family: DistributionFamily; codename: string };

/** What os-release(5) says; null for a system that is neither Debian nor Ubuntu nor made from them. */
export function parseOsRelease(text: string): AptHost | null {
  const fields = new Map(
    [...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, key = '', value = '']) => [
      key,
      value.trim().replace(/^(['"])(.*)\1$/, '$2'),
    ]),
  );
  const names = `${fields.get('ID') ?? ''} ${fields.get('ID_LIKE') ?? ''}`.split(/\s+/);
  // Ubuntu says that it is like Debian, so it is asked first.
  const family = (['ubuntu', 'debian'] as const).find((name) => names.includes(name));
  const codename =
    fields.get('UBUNTU_CODENAME') ?? fields.get('VERSION_CODENAME') ?? fields.get('DEBIAN_CODENAME') ?? '';
  return family === undefined ? null : { family, codename };
}

/** Reads one file of sources; `fileName` tells the style by its ending. Entries that cannot be understood are left out. */
export function parseAptSources(fileName: string, text: string): AptSource[] {
  if (fileName.endsWith('.sources')) return parseDeb822(text);
  if (fileName.endsWith('.list')) return text.split('\n').flatMap(parseOneLine);
  return [];
}

function parseOneLine(line: string): AptSource[] {
  const entry = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?([^#]+)/.exec(line);
  if (entry === null) return [];
  const options = new Map(
    (entry[1] ?? '')
      .trim()
      .split(/\s+/)
      .map((option) => [option.split('=')[0]?.toLowerCase() ?? '', option.split('=').slice(1).join('=')] as const),
  );
  const [uri, suite, ...components] = words(entry[2]);
  if (uri === undefined || suite === undefined) return [];
  return [
    {
      uris: [uri],
      suites: [suite],
      components,
      signedBy: (options.get('signed-by') ?? '').split(',').filter((path) => path !== ''),
      checkValidUntil: options.get('check-valid-until') !== 'no',
    },
  ];
}

function parseDeb822(text: string): AptSource[] {
  const withoutComments = text.replace(/^#.*\n?/gm, '');
  return withoutComments.split(/\n[ \t]*\n/).flatMap((stanza) => {
    const fields = new Map(
      [...stanza.matchAll(/^([\w-]+):[ \t]*((?:.*)(?:\n[ \t]+.*)*)/gm)].map(([, key = '', value = '']) => [
        key.toLowerCase(),
        value,
      ]),
    );
    const disabled = /^(no|false|off|0)$/i.test(fields.get('enabled')?.trim() ?? 'yes');
    if (disabled || !words(fields.get('types')).includes('deb')) return [];
    return [
      {
        uris: words(fields.get('uris')),
        suites: words(fields.get('suites')),
        components: words(fields.get('components')),
        signedBy: words(fields.get('signed-by')),
        checkValidUntil: fields.get('check-valid-until')?.trim().toLowerCase() !== 'no',
      },
    ];
  });
}

const words = (value: string | undefined): string[] => (value ?? '').split(/\s+/).filter((word) => word !== '');

/**
 * The sources to fetch MySQL from: the distribution's own entries, each to be checked against the distribution's own
 * keyring whatever the entry said, so that an entry wrongly taken for the distribution's cannot get anything in.
 *
 * - Debian: stable has MariaDB only, so the suite is `sid` of the host's own mirror.
 * - Ubuntu: the host's own suites (release, -updates, -security), with `universe`, where some releases keep MySQL.
 *
 * @returns an empty list when the host has no source of its own distribution.
 */
export function mysqlSources(host: AptHost, sources: readonly AptSource[]): AptSource[] {
  const own = sources
    .filter((source) => isOwn(host, source))
    .map((source) => ({ ...source, uris: source.uris.filter(isFetchable) }));
  const usable = own.filter((source) => source.uris.length > 0);
  if (host.family === 'ubuntu') return usable.map((source) => ({ ...source, components: ['main', 'universe'] }));

  // The security archive has no unstable suite: only entries for the release itself name a mirror that has.
  const mirror = usable.find((source) => source.suites.some((suite) => !suite.includes('-') && !suite.includes('/')));
  return mirror === undefined ? [] : [{ ...mirror, suites: ['sid'], components: ['main'] }];
}

const isFetchable = (uri: string): boolean => !/^cdrom:/i.test(uri);

function isOwn(host: AptHost, source: AptSource): boolean {
  const keyrings = source.signedBy.filter((path) => path.startsWith('/'));
  if (keyrings.length > 0) return keyrings.some((path) => isArchiveKeyring(host.family, path));
  const aliases =
    host.family === 'debian' ? ['stable', 'oldstable', 'testing', 'unstable', 'sid', host.codename] : [host.codename];
  return (
    source.components.includes('main') && source.suites.some((suite) => aliases.includes(suite.split(/[-/]/)[0] ?? ''))
  );
}

const isArchiveKeyring = (family: DistributionFamily, path: string): boolean =>
  new RegExp(`/${family}-archive-[\\w-]+\\.(gpg|pgp|asc)$`).test(path);

/** The entries as a deb822 file, each signed by `keyring`. */
export function renderAptSources(sources: readonly AptSource[], keyring: string): string {
  return sources
    .map((source) =>
      [
        'Types: deb',
        `URIs: ${source.uris.join(' ')}`,
        `Suites: ${source.suites.join(' ')}`,
        `Components: ${source.components.join(' ')}`,
        `Signed-By: ${keyring}`,
        ...(source.checkValidUntil ? [] : ['Check-Valid-Until: no']),
        '',
      ].join('\n'),
    )
    .join('\n');
}
