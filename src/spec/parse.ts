/** From a file's text to a cluster with every default, or to an error that names each mistake and its place. */
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  type Document,
  type Node,
} from 'yaml';
import type { z } from 'zod';
import { fieldAt, fieldsBelow, resourceSchema } from './fields.ts';
import { nearest } from './nearest.ts';
import { ignoredOn, type Platform } from './platform.ts';
import { type Problem, ResourceError } from './problem.ts';
import { API_VERSION, KIND, MySQLClusterSchema, type MySQLCluster, type MySQLClusterInput } from './resource.ts';

/** A resource is a page; what is larger is something else. */
const MAX_CHARACTERS = 256 * 1024;
const MAX_DEPTH = 64;
const TOO_DEEP = `nested more than ${MAX_DEPTH} deep`;
/** What Kubernetes adds to a resource that it stores: read past, so that `kubectl get -o yaml` is a valid file. */
const SERVER_METADATA = new Set(
  'creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName generation managedFields ownerReferences resourceVersion selfLink uid'.split(
    ' ',
  ),
);

type Path = readonly PropertyKey[];
/** Where a path stands in the text it came from. */
type Locate = (path: Path, part: 'key' | 'value') => string | undefined;
type Problems = [Problem, ...Problem[]];

/**
 * The cluster that a YAML text describes.
 *
 * @param file its name in messages; default `cluster.yaml`
 * @param platform whose `notes` are wanted: a line for each field that is set and not used there
 * @throws {ResourceError} listing everything that is wrong, each with its line
 */
export function parseCluster(
  text: string,
  file = 'cluster.yaml',
  platform: Platform = 'local',
): { cluster: MySQLCluster; notes: string[] } {
  const lines = new LineCounter();
  const document = readDocument(text, file, lines);
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const locate: Locate = (path, part) => place(offsetOf(document, path, part));
  refuseLostKeys(document, place);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw syntaxError(
      file,
      `cannot be read: ${firstLine(error)}`,
      'write the values out in place of anchors and aliases',
    );
  }
  const cluster = validateCluster(value, file, locate);
  return { cluster, notes: ignoredOn(platform, value as MySQLClusterInput) };
}

/** A cluster of this name and otherwise defaults. */
export const defaultCluster = (name: string): MySQLCluster =>
  validateCluster({ apiVersion: API_VERSION, kind: KIND, metadata: { name } });

/**
 * Checks a value and fills in the defaults; so too for a cluster that was changed, such as its `replicas`.
 *
 * @throws {ResourceError} listing everything that is wrong
 */
export function validateCluster(value: unknown, file?: string, locate: Locate = () => undefined): MySQLCluster {
  const input = asResource(value, file, locate);
  const result = MySQLClusterSchema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, input, locate));
  throw new ResourceError(onePerPath(problems).toSorted(byPlace) as Problems);
}

function readDocument(text: string, file: string, lines: LineCounter): Document {
  // oxlint-disable-next-line no-control-regex -- control characters are what tells binary data from text
  if (/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text)) throw syntaxError(file, 'expected YAML text, found binary data', START);
  if (text.length > MAX_CHARACTERS)
    throw syntaxError(file, 'expected a resource of at most 256 KiB, found more', START);
  let documents: Document[];
  try {
    const parsed = parseAllDocuments(text, {
      lineCounter: lines,
      prettyErrors: false,
      uniqueKeys: false,
      merge: true,
      logLevel: 'error',
    });
    documents = [...parsed];
  } catch (error) {
    throw syntaxError(file, `cannot be read: ${firstLine(error)}`, START);
  }
  for (const { errors, warnings } of documents) {
    const [first] = [...errors, ...warnings];
    if (first === undefined) continue;
    const { line, col } = lines.linePos(first.pos[0]);
    // What the parser says when its stack is used up.
    const what = first.message.startsWith('Maximum call stack')
      ? TOO_DEEP
      : `not valid YAML: ${lowerFirst(firstLine(first))}`;
    throw syntaxError(`${file}:${line}:${col}`, what, undefined);
  }
  const filled = documents.filter(
    ({ contents }) => contents !== null && !(isScalar(contents) && contents.value === null),
  );
  const [document] = filled;
  if (document === undefined) throw notAResource(file, 'found nothing: the file is empty', 'nothing', START);
  if (filled.length > 1) {
    throw notAResource(
      file,
      `found ${filled.length} documents`,
      `${filled.length} documents`,
      'give each MySQLCluster a file of its own',
    );
  }
  return document;
}

const START = `a resource begins with "apiVersion: ${API_VERSION}" and "kind: ${KIND}"`;

const syntaxError = (where: string, message: string, hint: string | undefined): ResourceError =>
  new ResourceError([
    { code: 'YAML_SYNTAX', path: '', message, expected: 'YAML', found: 'something else', hint, where },
  ]);

const notAResource = (
  where: string | undefined,
  message: string,
  found: string,
  hint: string,
  path = '',
): ResourceError =>
  new ResourceError([
    {
      code: 'NOT_A_RESOURCE',
      path,
      message: path === '' ? `expected one ${KIND} resource, ${message}` : message,
      expected: `one ${KIND} resource`,
      found,
      hint,
      where,
    },
  ]);

/** The value as a MySQLCluster whose fields are still to be checked, without what Kubernetes added to it. */
function asResource(value: unknown, file: string | undefined, locate: Locate): Record<string, unknown> {
  if (!isRecord(value)) {
    const found = Array.isArray(value) ? 'a list' : show(value);
    throw notAResource(file, `found ${found}`, found, START);
  }
  if (depthOf(value) > MAX_DEPTH) throw syntaxError(file ?? '', TOO_DEEP, START);
  for (const [field, wanted] of [
    ['kind', KIND],
    ['apiVersion', API_VERSION],
  ] as const) {
    const found = value[field];
    if (found === wanted) continue;
    const message = `expected "${wanted}", found ${found === undefined || found === null ? 'nothing' : show(found)}`;
    const hint = typeof found === 'string' && found !== '' ? `this Baton reads ${KIND} of ${API_VERSION}` : START;
    throw notAResource(locate([field], 'value') ?? file, message, show(found), hint, field);
  }
  const { status: _status, metadata, ...rest } = value;
  const kept = isRecord(metadata)
    ? Object.fromEntries(Object.entries(metadata).filter(([name]) => !SERVER_METADATA.has(name)))
    : metadata;
  return withoutNulls({ metadata: kept, ...rest }) as Record<string, unknown>;
}

/** `storage:` with nothing after it is a field left out, as it is for Kubernetes; in maps that are not ours nothing is. */
function withoutNulls(value: unknown, path: Path = []): unknown {
  if (!isRecord(value) || fieldAt(path)?.['x-baton-open'] === true) return value;
  const kept = Object.entries(value).filter(([, child]) => child !== null && child !== undefined);
  return Object.fromEntries(kept.map(([name, child]) => [name, withoutNulls(child, [...path, name])]));
}

/** A value that fails a check often fails the next one, too: one line is enough, and why it is refused at all the best. */
function onePerPath(problems: readonly Problem[]): Problem[] {
  const first = new Map<string, Problem>();
  for (const problem of problems) {
    if (!first.has(problem.path) || problem.code === 'REFUSED_VARIABLE') first.set(problem.path, problem);
  }
  return [...first.values()];
}

function problemsOf(issue: z.core.$ZodIssue, input: unknown, locate: Locate): Problem[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField([...issue.path, key], locate));
  const path = dotted(issue.path);
  const value = valueAt(input, issue.path);
  // Somebody may have put a password where it does not belong: it must not come out in a log.
  const found = path === 'spec.credentials' ? kindOf(value) : show(value);
  const where = locate(issue.path, 'value');
  const isMapExpected = issue.code === 'invalid_type' && issue.expected === 'object';
  const [expected = '', ...advice] = (isMapExpected ? 'a map of fields' : issue.message).split('; ');
  const hint = advice.join('; ') || slipHint(issue, value);
  if (issue.code === 'custom' && issue.params?.['refused'] === true) {
    return [{ code: 'REFUSED_VARIABLE', path, message: expected, expected: 'it left out', found, hint, where }];
  }
  return [
    { code: 'INVALID_FIELD', path, message: `expected ${expected}, found ${found}`, expected, found, hint, where },
  ];
}

/** For the commonest slips. YAML reads 8.4 as a number and "3" as text. */
function slipHint(issue: z.core.$ZodIssue, value: unknown): string | undefined {
  if (value === null && issue.code === 'invalid_union') return 'to switch it on, write true';
  if (issue.code === 'invalid_value' && typeof value === 'string') {
    const meant = nearest(value, issue.values.map(String));
    return meant === undefined ? undefined : `did you mean "${meant}"?`;
  }
  if (issue.code !== 'invalid_type') return undefined;
  if (issue.expected === 'string' && ['number', 'boolean'].includes(typeof value))
    return `write it in quotes: "${String(value)}"`;
  const wantsPlain = ['number', 'int', 'boolean'].includes(issue.expected);
  return wantsPlain && typeof value === 'string' && /^(\d+(\.\d+)?|true|false)$/.test(value)
    ? 'write it without quotes'
    : undefined;
}

const NO_PASSWORDS =
  'passwords are not kept in this file: Baton makes them, or reads the Secret that credentials.secretName names';

function unknownField(path: Path, locate: Locate): Problem {
  const name = String(path.at(-1));
  const siblings = Object.keys(fieldAt(path.slice(0, -1))?.properties ?? {});
  const expected = siblings.join(', ');
  const meant = nearest(name, siblings) ?? elsewhere(name);
  const hint = /password/i.test(name)
    ? NO_PASSWORDS
    : meant === undefined
      ? `known here: ${expected}`
      : `did you mean "${meant}"?`;
  return {
    code: 'UNKNOWN_FIELD',
    path: dotted(path),
    message: 'unknown field',
    expected,
    found: name,
    hint,
    where: locate(path, 'key'),
  };
}

/** Right word, wrong place: `spec.version` is meant to be `spec.mysql.version`. */
function elsewhere(name: string): string | undefined {
  const same = [...fieldsBelow(resourceSchema())].filter(([path]) =>
    path.toLowerCase().endsWith(`.${name.toLowerCase()}`),
  );
  return same.length === 1 ? same[0]?.[0] : undefined;
}

/** Of a key given twice one would be lost, and one named __proto__ would be lost on the way: neither goes unsaid. */
function refuseLostKeys(document: Document, place: (offset: number) => string): void {
  const problems: Problem[] = [];
  const walk = (node: unknown, path: Path): void => {
    if (path.length > MAX_DEPTH) return;
    if (isSeq(node)) node.items.forEach((item, index) => walk(item, [...path, index]));
    if (!isMap(node)) return;
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      const name = keyOf(key);
      const here = [...path, name];
      const where = place((key as Node).range?.[0] ?? 0);
      if (name === '__proto__') problems.push({ ...LOST_NAME, path: dotted(here), where });
      else if (seen.has(name) && name !== '<<') problems.push({ ...GIVEN_TWICE, path: dotted(here), where });
      seen.add(name);
      walk(value, here);
    }
  };
  walk(document.contents, []);
  if (problems.length > 0) throw new ResourceError(problems as Problems);
}

const GIVEN_TWICE = {
  code: 'DUPLICATE_FIELD',
  message: 'given more than once',
  expected: 'the field once',
  found: 'it again',
  hint: 'keep one of them',
} as const;
const LOST_NAME = {
  code: 'UNKNOWN_FIELD',
  message: 'unknown field',
  expected: 'another name',
  found: '__proto__',
  hint: 'remove it',
} as const;

/** Where in the text a path stands, or its nearest ancestor that the text has. */
function offsetOf(document: Document, path: Path, part: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0] ?? 0;
  for (const [index, step] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const next = isMap(node)
      ? node.items.find(({ key }) => keyOf(key) === String(step))
      : isSeq(node)
        ? node.items[Number(step)]
        : undefined;
    if (next === undefined) break;
    const isLast = index === path.length - 1;
    const target = isPair(next) ? (isLast && part === 'key' ? next.key : (next.value ?? next.key)) : next;
    offset = (target as Node).range?.[0] ?? offset;
    node = isPair(next) ? next.value : next;
  }
  return offset;
}

const keyOf = (key: unknown): string => String(isScalar(key) ? key.value : key);

/** `spec.storage.size`; a name that is not a plain word is quoted, on one line and short. */
const dotted = (path: Path): string =>
  path.map((step) => (/^[\w-]{1,64}$/.test(String(step)) ? String(step) : show(String(step)))).join('.');

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Depth of nesting, looked at no deeper than the limit: an alias of its own parent nests for ever. */
function depthOf(value: unknown, depth = 1): number {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return depth;
  return Object.values(value).reduce((deepest: number, child) => Math.max(deepest, depthOf(child, depth + 1)), depth);
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce((at: unknown, step) => (at as Record<PropertyKey, unknown> | undefined)?.[step], value);
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a map' : typeof value === 'string' ? 'text' : `a ${typeof value}`;
}

/** A value in a message: short, on one line. */
function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string' && typeof value !== 'boolean') return kindOf(value);
  const shown = JSON.stringify(value);
  return shown.length <= 60 ? shown : `${shown.slice(0, 56)}…${typeof value === 'string' ? '"' : ''}`;
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]?.slice(0, 120) ?? '';
const lowerFirst = (sentence: string): string => sentence.slice(0, 1).toLowerCase() + sentence.slice(1);

/** In the order of the text, by line and then column. */
function byPlace(a: Problem, b: Problem): number {
  const place = ({ where }: Problem): readonly number[] => (where ?? '').split(':').slice(-2).map(Number);
  const [[lineA = 0, columnA = 0], [lineB = 0, columnB = 0]] = [place(a), place(b)];
  return lineA - lineB || columnA - columnB;
}
