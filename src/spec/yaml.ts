/** From a file's text to the value it holds, and to the line and column of everything in it. */
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
import { dotted, type Locate, type Path, type Problem, ResourceError, syntaxError } from './problem.ts';

/** A resource is a page; what is larger is something else. */
const MAX_CHARACTERS = 256 * 1024;
const MAX_DEPTH = 64;
const TOO_DEEP = `nested more than ${MAX_DEPTH} deep`;
const SHOULD_BE = 'a resource is a short YAML file';

/**
 * The value that a YAML text holds; null for an empty one. Bounded in size, depth and aliases, so that no text makes it
 * run long or out of stack.
 *
 * @throws {ResourceError} if it is not one YAML document, or a key would be lost
 */
export function readYaml(text: string, file: string): { value: unknown; locate: Locate } {
  const lines = new LineCounter();
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const document = readDocument(text, file, lines, place);
  if (document === undefined) return { value: null, locate: () => file };
  refuseLostKeys(document, place);
  return { value: valueOf(document, file), locate: (path, part) => place(offsetOf(document, path, part)) };
}

function readDocument(
  text: string,
  file: string,
  lines: LineCounter,
  place: (offset: number) => string,
): Document | undefined {
  // oxlint-disable-next-line no-control-regex -- control characters are what tells binary data from text
  if (/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text))
    throw syntaxError(file, 'expected YAML text, found binary data', SHOULD_BE);
  if (text.length > MAX_CHARACTERS)
    throw syntaxError(file, 'expected a resource of at most 256 KiB, found more', SHOULD_BE);
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
    throw syntaxError(file, `cannot be read: ${firstLine(error)}`, SHOULD_BE);
  }
  for (const { errors, warnings } of documents) {
    const [first] = [...errors, ...warnings];
    if (first === undefined) continue;
    // What the parser says when its stack is used up.
    const what = first.message.startsWith('Maximum call stack')
      ? TOO_DEEP
      : `not valid YAML: ${lowerFirst(firstLine(first))}`;
    throw syntaxError(place(first.pos[0]), what);
  }
  const filled = documents.filter(
    ({ contents }) => contents !== null && !(isScalar(contents) && contents.value === null),
  );
  if (filled.length > 1) {
    throw syntaxError(file, `expected one resource, found ${filled.length} documents`, 'give each a file of its own');
  }
  return filled[0];
}

function valueOf(document: Document, file: string): unknown {
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const what = lowerFirst(firstLine(error));
    throw syntaxError(file, `cannot be read: ${what}`, 'write the values out in place of anchors and aliases');
  }
  if (depthOf(value) > MAX_DEPTH) throw syntaxError(file, TOO_DEEP, SHOULD_BE);
  return value;
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
  if (problems.length > 0) throw new ResourceError(problems as [Problem, ...Problem[]]);
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

/** Depth of nesting, looked at no deeper than the limit: an alias of its own parent nests for ever. */
function depthOf(value: unknown, depth = 1): number {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return depth;
  return Object.values(value).reduce((deepest: number, child) => Math.max(deepest, depthOf(child, depth + 1)), depth);
}

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]?.slice(0, 120) ?? '';
const lowerFirst = (sentence: string): string => sentence.slice(0, 1).toLowerCase() + sentence.slice(1);
