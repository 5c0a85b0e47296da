import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { defaultCluster, parseCluster, validateCluster } from './parse.ts';
import { ResourceError } from './problem.ts';
import { renderCluster } from './render.ts';

const HEAD = 'apiVersion: baton.dev/v1alpha1\nkind: MySQLCluster\n';
const spec = (body: string): string => `${HEAD}spec: ${body}\n`;

function errorOf(text: string): ResourceError {
  try {
    parseCluster(text);
  } catch (error) {
    assert(error instanceof ResourceError, `not a ResourceError: ${String(error)}`);
    return error;
  }
  assert.fail(`accepted: ${text.slice(0, 200)}`);
}
/** The error's lines without the file's name. */
const linesOf = (text: string): string[] =>
  errorOf(text)
    .message.split('\n')
    .map((line) => line.replace('cluster.yaml:', ''));

describe('a resource that says little', () => {
  for (const [what, text] of Object.entries({
    'two lines': HEAD,
    'an empty spec': spec('{}'),
    'a spec with nothing after it': spec(''),
    'a field with nothing after it': `${HEAD}spec:\n  replicas:\n  mysql:\n    version:\n`,
    'a byte order mark': `\uFEFF${HEAD}`,
    'lines that end as on Windows': HEAD.replaceAll('\n', '\r\n'),
    'document markers': `---\n${HEAD}---\n`,
  })) {
    test(`${what} is the default cluster`, () => {
      assert.deepEqual(parseCluster(text), { cluster: defaultCluster('mysql'), notes: [] });
    });
  }

  test('the defaults are those that the documentation promises', () => {
    const { metadata, spec } = defaultCluster('db');
    assert.equal(metadata.name, 'db');
    assert.equal(spec.replicas, 3);
    assert.deepEqual(spec.durability, { powerLoss: false });
    assert.deepEqual(spec.mysql, { config: {}, primaryConfig: {}, replicaConfig: {} });
    assert.deepEqual(spec.storage, { size: '10Gi', whenScaled: 'Retain', whenDeleted: 'Retain' });
    assert.deepEqual(spec.endpoints, {
      primary: { host: '127.0.0.1' },
      read: { host: '127.0.0.1', includePrimary: 'whenAlone' },
      waitSeconds: 10,
      drainSeconds: 30,
    });
    assert.deepEqual(spec.detection, { timeoutSeconds: 1 });
    assert.deepEqual(spec.lag, { readMaxSeconds: 10, switchoverMaxSeconds: 10 });
  });

  test('two clusters share no map, so that a change of one leaves the other', () => {
    assert.notEqual(defaultCluster('a').spec.mysql.config, defaultCluster('b').spec.mysql.config);
  });

  test('a name that cannot be a DNS label is refused wherever it comes from', () => {
    for (const name of ['', 'My', '1a', 'a-', 'a_b', 'a.b', 'a'.repeat(41)]) {
      assert.throws(() => defaultCluster(name), {
        name: 'ResourceError',
        code: 'INVALID_FIELD',
        path: 'metadata.name',
      });
    }
    assert.equal(defaultCluster('a'.repeat(40)).metadata.name.length, 40);
  });
});

describe('replicas', () => {
  for (const replicas of [1, 2, 4, 15]) {
    test(`${replicas} is accepted`, () => {
      assert.equal(parseCluster(spec(`{replicas: ${replicas}}`)).cluster.spec.replicas, replicas);
    });
  }
  for (const [written, found] of [
    ['-1', '-1'],
    ['1.5', '1.5'],
    ['200', '200'],
    ['16', '16'],
    ['.inf', 'Infinity'],
    ['three', '"three"'],
    ['true', 'true'],
    ['[3]', 'a list'],
    ['{a: 1}', 'a map'],
  ]) {
    test(`${written} is refused with one line`, () => {
      assert.deepEqual(linesOf(spec(`{replicas: ${written}}`)), [
        `3:18: spec.replicas: expected a whole number from 1 to 15, found ${found}`,
      ]);
    });
  }
  test('0 is refused with the command that stops a cluster', () => {
    assert.deepEqual(linesOf(spec('{replicas: 0}')), [
      '3:18: spec.replicas: expected a whole number from 1 to 15, found 0; to stop every member and keep the data, run "baton stop"',
    ]);
  });
  test('a changed count is checked as a written one is', () => {
    const cluster = defaultCluster('mysql');
    assert.throws(() => validateCluster({ ...cluster, spec: { ...cluster.spec, replicas: 0 } }), {
      code: 'INVALID_FIELD',
      path: 'spec.replicas',
      expected: 'a whole number from 1 to 15',
      found: '0',
      hint: 'to stop every member and keep the data, run "baton stop"',
      message:
        'spec.replicas: expected a whole number from 1 to 15, found 0; to stop every member and keep the data, run "baton stop"',
    });
  });
});

describe('what is no resource gets one line', () => {
  const start = 'a resource begins with "apiVersion: baton.dev/v1alpha1" and "kind: MySQLCluster"';
  const bomb = Array.from({ length: 12 }, (_, i) => `a${i}: &a${i} [${`${i === 0 ? 'x' : `*a${i - 1}`}, `.repeat(9)}]`);
  for (const [what, text, code, line] of [
    [
      'an empty file',
      '',
      'NOT_A_RESOURCE',
      `cluster.yaml: expected one MySQLCluster resource, found nothing: it is empty; ${start}`,
    ],
    ['only comments', '# hello\n', 'NOT_A_RESOURCE', /found nothing/],
    ['a list', '- a\n- b\n', 'NOT_A_RESOURCE', /found a list; a resource begins with/],
    ['a word', 'hello', 'NOT_A_RESOURCE', /found "hello"; a resource begins with/],
    [
      'two resources',
      `${HEAD}---\n${HEAD}`,
      'YAML_SYNTAX',
      /expected one resource, found 2 documents; give each a file of its own/,
    ],
    [
      'another kind',
      'apiVersion: apps/v1\nkind: StatefulSet\n',
      'NOT_A_RESOURCE',
      'cluster.yaml:2:7: kind: expected "MySQLCluster", found "StatefulSet"; this Baton reads MySQLCluster of baton.dev/v1alpha1',
    ],
    [
      'another version',
      'apiVersion: baton.dev/v1\nkind: MySQLCluster\n',
      'NOT_A_RESOURCE',
      'cluster.yaml:1:13: apiVersion: expected "baton.dev/v1alpha1", found "baton.dev/v1"; this Baton reads MySQLCluster of baton.dev/v1alpha1',
    ],
    [
      'no kind',
      'apiVersion: baton.dev/v1alpha1\n',
      'NOT_A_RESOURCE',
      /kind: expected "MySQLCluster", found nothing; a resource begins with/,
    ],
    ['binary data', '\x7fELF\x02\x01\0\0', 'YAML_SYNTAX', /found binary data/],
    ['a bracket left open', spec('{replicas: [1'), 'YAML_SYNTAX', /^cluster.yaml:\d+:\d+: not valid YAML: /],
    [
      'tabs',
      `${HEAD}spec:\n\treplicas: 3\n`,
      'YAML_SYNTAX',
      'cluster.yaml:4:1: not valid YAML: tabs are not allowed as indentation',
    ],
    ['a tag', spec('!python/object {}'), 'YAML_SYNTAX', /unresolved tag/],
    ['an alias of nothing', spec('*x'), 'YAML_SYNTAX', /anchors and aliases/],
    ['an alias of itself', `${HEAD}spec: &x\n  podTemplate: *x\n`, 'YAML_SYNTAX', /nested more than 64 deep/],
    ['a bomb of aliases', `${HEAD}${bomb.join('\n')}\n`, 'YAML_SYNTAX', /anchors and aliases/],
    ['a file too large', `${HEAD}#${'x'.repeat(300_000)}`, 'YAML_SYNTAX', /at most 256 KiB/],
    ['brackets without end', '['.repeat(200_000), 'YAML_SYNTAX', /nested more than 64 deep/],
    ['lists without end', '- '.repeat(100_000), 'YAML_SYNTAX', /nested more than 64 deep/],
    ['one long tag', '!'.repeat(100_000), 'YAML_SYNTAX', /not valid YAML/],
    ['many keys', Array.from({ length: 20_000 }, (_, i) => `a${i}: 1`).join('\n'), 'NOT_A_RESOURCE', /found nothing/],
  ] as const) {
    test(what, () => {
      const error = errorOf(text);
      assert.equal(error.code, code);
      assert.equal(error.message.includes('\n'), false);
      assert(error.message.length < 300, error.message);
      if (typeof line === 'string') assert.equal(error.message, line);
      else assert.match(error.message, line);
    });
  }

  test('whatever the text, it is a cluster or a ResourceError of short lines', () => {
    const word = fc.constantFrom(
      ...'spec replicas mysql config 3 -1 null yes &a *a ? ! | > - : { } [ ] , # " \' << % @ ~'.split(' '),
      '\n',
      '  ',
      '---\n',
      HEAD,
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(word, { maxLength: 40 }).map((words) => words.join(' ')),
          fc.array(word).map((words) => HEAD + words.join('')),
        ),
        (text) => {
          try {
            parseCluster(text);
          } catch (error) {
            assert(error instanceof ResourceError, `not a ResourceError: ${String(error)}`);
            for (const line of error.message.split('\n')) assert(line.length < 500, line);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('mistakes in fields', () => {
  test('all are listed in the order of the file, each with its place and what to write instead', () => {
    const text = `${HEAD}metadata:
  name: db
  lables: {}
spec:
  replcas: 3
  version: "8.4"
  durability:
    mode: Quorum
  mysql:
    version: 8.4
    config:
      gtid-mode: OFF
      skip-name-resolve:
  storage:
    whenScaled: Keep
  frobnicate: 1
`;
    assert.deepEqual(linesOf(text), [
      '5:3: metadata.lables: unknown field; did you mean "labels"?',
      '7:3: spec.replcas: unknown field; did you mean "replicas"?',
      '8:3: spec.version: unknown field; did you mean "spec.mysql.version"?',
      '10:11: spec.durability.mode: expected one of "quorum", "adaptive", "asynchronous", found "Quorum"; did you mean "quorum"?',
      '12:14: spec.mysql.version: expected a MySQL version from 8.0.26 to 9.x, such as "8.4", found 8.4; write it in quotes: "8.4"',
      '14:18: spec.mysql.config.gtid-mode: Baton sets this itself: every decision rests on GTID sets; remove it',
      '15:25: spec.mysql.config.skip-name-resolve: expected text on one line, a number, or true or false, found nothing; to switch it on, write true',
      '17:17: spec.storage.whenScaled: expected one of "Retain", "Delete", found "Keep"',
      '18:3: spec.frobnicate: unknown field; known here: replicas, durability, mysql, storage, resources, credentials, tls, detection, lag, endpoints, switchover, targets, podTemplate',
    ]);
  });

  test('the error carries each problem as data', () => {
    const { problems, code, path, found } = errorOf(spec('{replcas: 3, lag: 4}'));
    assert.deepEqual([code, path, found], ['UNKNOWN_FIELD', 'spec.replcas', 'replcas']);
    assert.deepEqual(problems[1], {
      code: 'INVALID_FIELD',
      path: 'spec.lag',
      message: 'expected a map of fields, found 4',
      expected: 'a map of fields',
      found: '4',
      hint: undefined,
      where: 'cluster.yaml:3:25',
    });
  });

  test('a field given twice is refused, since one of the two would be lost', () => {
    assert.deepEqual(linesOf(`${HEAD}spec:\n  replicas: 1\n  lag: {}\n  replicas: 2\nkind: MySQLCluster\n`), [
      '6:3: spec.replicas: given more than once; keep one of them',
      '7:1: kind: given more than once; keep one of them',
    ]);
  });

  test('more than twenty are counted, not listed', () => {
    const fields = Array.from({ length: 30 }, (_, index) => `zz${index}: 1`).join(', ');
    const lines = linesOf(spec(`{${fields}}`));
    assert.equal(lines.length, 21);
    assert.equal(lines.at(-1), '… and 10 more');
  });

  test('a password in the file is neither accepted nor repeated', () => {
    for (const body of [
      '{credentials: {password: hunter2}}',
      '{credentials: hunter2}',
      '{credentials: {rootPassword: {a: hunter2}}}',
    ]) {
      assert.doesNotMatch(errorOf(spec(body)).message, /hunter2/);
    }
    assert.match(errorOf(spec('{credentials: {password: hunter2}}')).message, /Baton makes them, or reads the Secret/);
  });

  test('names that JavaScript gives a meaning are names like any other', () => {
    assert.match(errorOf(`${HEAD}__proto__: {spec: {replicas: 1}}\n`).message, /__proto__: unknown field/);
    assert.match(errorOf(spec('{constructor: 1, toString: 2}')).message, /constructor: unknown field/);
    assert.match(errorOf(spec('{mysql: {config: {__proto__: 1}}}')).message, /config.__proto__: unknown field/);
  });

  for (const [body, line] of [
    [
      '{durability: {mode: quorum}, replicas: 1}',
      'spec.durability.mode: expected "adaptive" or "asynchronous" with one replica, found "quorum"; quorum needs a second member: raise replicas or leave mode out',
    ],
    [
      '{durability: {mode: asynchronous, powerLoss: true}}',
      'spec.durability.powerLoss: expected false with mode asynchronous, found true; no replica acknowledges, so there is nothing to make durable',
    ],
    ['{durability: {powerLoss: yes}}', 'spec.durability.powerLoss: expected true or false, found "yes"'],
    [
      '{durability: {powerLoss: "true"}}',
      'spec.durability.powerLoss: expected true or false, found "true"; write it without quotes',
    ],
    [
      '{endpoints: {primary: {port: 3306}, read: {port: 3306}}}',
      'spec.endpoints.read.port: expected another port than endpoints.primary.port, found 3306; leave one of them out to have it chosen',
    ],
    ['{endpoints: {primary: {port: 0}}}', 'spec.endpoints.primary.port: expected a port from 1 to 65535, found 0'],
    [
      '{endpoints: {primary: {port: 70000}}}',
      'spec.endpoints.primary.port: expected a port from 1 to 65535, found 70000',
    ],
    [
      '{endpoints: {read: {host: "a b"}}}',
      'spec.endpoints.read.host: expected an IP address or a host name of this machine, such as "127.0.0.1", found "a b"',
    ],
    ['{storage: {size: 3gb}}', 'spec.storage.size: expected a size of at least 1Gi, such as "10Gi", found "3gb"'],
    ['{storage: {size: 500Mi}}', 'spec.storage.size: expected a size of at least 1Gi, such as "10Gi", found "500Mi"'],
    [
      '{storage: {size: 10}}',
      'spec.storage.size: expected a size of at least 1Gi, such as "10Gi", found 10; write it in quotes: "10"',
    ],
    ['{storage: {path: data}}', 'spec.storage.path: expected an absolute path, found "data"'],
    [
      '{mysql: {version: "5.7"}}',
      'spec.mysql.version: expected a MySQL version from 8.0.26 to 9.x, found "5.7"; older ones lack the replication that Baton relies on: upgrade, such as to "8.4"',
    ],
    [
      '{mysql: {version: "8.0.25"}}',
      'spec.mysql.version: expected a MySQL version from 8.0.26 to 9.x, found "8.0.25"; older ones lack the replication that Baton relies on: upgrade, such as to "8.4"',
    ],
    [
      '{mysql: {version: "10.11"}}',
      'spec.mysql.version: expected a MySQL version from 8.0.26 to 9.x, found "10.11"; 10.11 is MariaDB\'s numbering, and Baton runs MySQL alone',
    ],
    [
      '{mysql: {version: latest}}',
      'spec.mysql.version: expected a MySQL version from 8.0.26 to 9.x, such as "8.4", found "latest"',
    ],
    ['{mysql: {image: ""}}', 'spec.mysql.image: expected the name of a container image, found ""'],
    [
      '{credentials: {applicationUser: root}}',
      'spec.credentials.applicationUser: expected an account of yours, found "root"; root, mysql.* and baton* are taken',
    ],
    [
      '{credentials: {database: mysql}}',
      'spec.credentials.database: expected a database of your own, found "mysql"; MySQL or Baton keep their own in this',
    ],
    [
      '{detection: {timeoutSeconds: 0}}',
      'spec.detection.timeoutSeconds: expected a number of seconds from 0.2 to 60, found 0',
    ],
    [
      '{detection: {timeoutSeconds: 1s}}',
      'spec.detection.timeoutSeconds: expected a number of seconds from 0.2 to 60, found "1s"',
    ],
    [
      '{resources: {limits: {memory: lots}}}',
      'spec.resources.limits.memory: expected a quantity, such as "500m" or 2, found "lots"',
    ],
    ['[]', 'spec: expected a map of fields, found a list'],
  ] as const) {
    test(`spec: ${body}`, () => {
      assert.deepEqual(
        linesOf(spec(body)).map((line) => line.replace(/^\d+:\d+: /, '')),
        [line],
      );
    });
  }
});

describe('one file for both platforms', () => {
  const both = spec(
    '{storage: {className: fast, path: /srv/mysql, size: 10Gi}, podTemplate: {spec: {x: null}}, mysql: {version: "8.4"}}',
  );

  test('what only Kubernetes uses is noted on one machine, unless it is the default anyway', () => {
    assert.deepEqual(parseCluster(both).notes, [
      'spec.storage.className is used on Kubernetes only; ignored here',
      'spec.podTemplate is used on Kubernetes only; ignored here',
    ]);
  });
  test('and the other way round', () => {
    assert.deepEqual(parseCluster(both, 'cluster.yaml', 'kubernetes').notes, [
      'spec.storage.path is used on one machine only; ignored here',
    ]);
  });
  test('a Pod template is passed through as it is, nulls too', () => {
    assert.deepEqual(parseCluster(both).cluster.spec.podTemplate, { spec: { x: null } });
  });
  test('what `kubectl get -o yaml` prints is a valid file', () => {
    const text = `${HEAD}metadata:\n  name: db\n  uid: 0a\n  resourceVersion: "7"\n  generation: 2\n  creationTimestamp: "2026-01-01T00:00:00Z"\n  managedFields: [{}]\n  finalizers: [a]\nspec:\n  replicas: 2\nstatus: {record: {term: 1}}\n`;
    const { cluster } = parseCluster(text);
    assert.deepEqual(cluster.metadata, { name: 'db' });
    assert.equal(cluster.spec.replicas, 2);
  });
  test('anchors and merge keys work, as with kubectl', () => {
    const { cluster } = parseCluster(`${HEAD}spec:\n  lag: &lag {readMaxSeconds: 3}\n  <<: {replicas: 2}\n`);
    assert.deepEqual([cluster.spec.replicas, cluster.spec.lag.readMaxSeconds], [2, 3]);
  });
});

describe('a cluster as YAML', () => {
  test('reads back as the same cluster', () => {
    const { cluster } = parseCluster(
      spec('{replicas: 2, mysql: {config: {sql_mode: "", event_scheduler: "ON", a_ratio: 1.5, log_raw: false}}}'),
    );
    assert.deepEqual(parseCluster(renderCluster(cluster)).cluster, cluster);
  });
  test('text that Kubernetes would read as something else is quoted', () => {
    const { cluster } = parseCluster(spec('{mysql: {version: "8.4", config: {event_scheduler: "on"}}}'));
    assert.match(renderCluster(cluster), /event_scheduler: "on"/);
    assert.match(renderCluster(cluster), /version: "8.4"/);
  });
  test('nothing is folded or aliased', () => {
    const shared = { a: 'word '.repeat(60) };
    const text = renderCluster(
      validateCluster({ ...defaultCluster('db'), spec: { podTemplate: { x: shared, y: shared } } }),
    );
    assert.doesNotMatch(text, /[&*]a/);
    assert.equal(text.match(/(word ){60}/g)?.length, 2);
  });
});

describe('the examples', () => {
  const example = (name: string) =>
    parseCluster(readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8'), name);

  test('cluster.yaml is the default cluster, in words', () => {
    assert.deepEqual(example('cluster.yaml'), { cluster: defaultCluster('mysql'), notes: [] });
  });
  test('full.yaml parses and reads back', () => {
    const { cluster } = example('full.yaml');
    assert.deepEqual(parseCluster(renderCluster(cluster)).cluster, cluster);
  });
});
