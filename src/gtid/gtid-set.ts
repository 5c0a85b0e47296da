/**
 * The number of a transaction, as the server that wrote it counted: a number while it is safe, a bigint beyond.
 * Equal values always have the same type, so `===` is right, and `<` compares the two exactly.
 */
type Gno = number | bigint;

/**
 * Transactions of one key, as strictly ascending edges: at an even index a run begins, at the odd index after it the run has ended.
 * `1-3:7` is `[1, 4, 7, 8]`. Adjacent runs have merged, so equal sets have equal edges.
 */
type Edges = readonly Gno[];

const NONE: Edges = [];

/** Which parts of two overlapping sets to keep: bit 1 for what only the first has, bit 2 for only the second, bit 3 for both. */
const UNION = 0b1110;
const INTERSECTION = 0b1000;
const DIFFERENCE = 0b0010;

/** The longest tag of a GTID (MySQL manual, "GTID Format and Storage"). */
const MAX_TAG_LENGTH = 32;
/** The highest number that a transaction can have: 2^63 - 2. */
const MAX_GNO = 2n ** 63n - 2n;
const UUID_LENGTH = 36;

/** Bounds of the caches behind {@link GtidSet.parse}: of whole texts, and of what stands between two commas. */
const CACHED_TEXTS = 1024;
const CACHED_TEXT_LENGTH = 1024;

/**
 * The text is not a GTID set. The message is one line, and marks the place with ▸.
 * `at` is the offset in the text, in UTF-16 units from 0; `expected` and `found` say what was wrong there.
 */
export class GtidSetError extends Error {
  readonly code = 'GTID_SET_SYNTAX';
  readonly hint =
    'A GTID set looks like 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:9,4f22ab58-71ca-11e1-9e33-c80aa9429562:1:backup:1-3.';
  readonly text: string;
  readonly at: number;
  readonly expected: string;
  readonly found: string;

  constructor(text: string, at: number, expected: string) {
    const found = at < text.length ? JSON.stringify(text.slice(at, at + 12)) : 'the end';
    super(`Not a GTID set: expected ${expected} at character ${at + 1}, found ${found}: ${excerpt(text, at)}`);
    this.name = 'GtidSetError';
    this.text = text;
    this.at = at;
    this.expected = expected;
    this.found = found;
  }
}

function excerpt(text: string, at: number): string {
  const [from, to] = [Math.max(0, at - 60), Math.min(text.length, at + 30)];
  return JSON.stringify(
    `${from > 0 ? '…' : ''}${text.slice(from, at)}▸${text.slice(at, to)}${to < text.length ? '…' : ''}`,
  );
}

/**
 * A set of transactions, as MySQL's `@@gtid_executed`, `RECEIVED_TRANSACTION_SET` and `GTID_SUBTRACT` speak of them. Immutable.
 * Every operation returns one of its operands, or `GtidSet.EMPTY`, rather than an equal copy wherever it can tell cheaply.
 */
export class GtidSet {
  static readonly EMPTY: GtidSet = new GtidSet([], []);

  static readonly #parsed = new Map<string, GtidSet>();
  /** Parts of one source each. From one look at a server to the next, most of them are the same. */
  static readonly #parts = new Map<string, GtidSet>();
  /** One string for each key, so that comparing keys is comparing addresses. */
  static readonly #keys = new Map<string, string>();

  // Not #private, so that a deep comparison of two objects sees what is in their sets.
  /** `uuid` or `uuid:tag`, ascending: a UUID's length is fixed, so this is MySQL's order, too: untagged first, then by tag. */
  private readonly keys: readonly string[];
  /** What is in the set of the key at the same index; never empty. */
  private readonly edges: readonly Edges[];
  #text: string | undefined;

  private constructor(keys: readonly string[], edges: readonly Edges[]) {
    this.keys = keys;
    this.edges = edges;
  }

  /**
   * Reads a set in any form that MySQL accepts: white space, empty parts, upper case, and UUIDs and intervals in any order.
   * Throws a {@link GtidSetError} for anything else.
   */
  static parse(text: string): GtidSet {
    if (text === '') return GtidSet.EMPTY;
    const known = GtidSet.#parsed.get(text);
    if (known !== undefined) return known;
    const set = GtidSet.#ofParts(text) ?? GtidSet.#from(new Reader(text).read());
    if (text.length <= CACHED_TEXT_LENGTH) remember(GtidSet.#parsed, text, set);
    return set;
  }

  /** As MySQL prints it, with sources that ascend; null if the text is not like that, or has more of a source than a part. */
  static #ofParts(text: string): GtidSet | null {
    if (text.length > CACHED_TEXT_LENGTH) return null;
    const keys: string[] = [];
    const edges: Edges[] = [];
    for (const part of text.split(',')) {
      const set = GtidSet.#parts.get(part) ?? GtidSet.#ofPart(part);
      const [key] = set?.keys ?? [];
      const last = keys.at(-1);
      if (set === null || key === undefined || (last !== undefined && key <= last)) return null;
      keys.push(key);
      edges.push(set.edges[0] ?? NONE);
    }
    return new GtidSet(keys, edges);
  }

  static #ofPart(part: string): GtidSet | null {
    if (!PART.test(part)) return null;
    const set = GtidSet.#from(new Reader(part).read());
    if (set.keys.length !== 1) return null;
    remember(GtidSet.#parts, part, set);
    return set;
  }

  /** The union of all the texts; none gives the empty set. */
  static of(...texts: string[]): GtidSet {
    return texts.reduce((set, text) => set.union(GtidSet.parse(text)), GtidSet.EMPTY);
  }

  static #from(intervals: ReadonlyMap<string, Gno[]>): GtidSet {
    const keys: string[] = [];
    const edges: Edges[] = [];
    for (const key of [...intervals.keys()].sort()) {
      const merged = mergeIntervals(intervals.get(key) ?? []);
      if (merged.length === 0) continue;
      const known = GtidSet.#keys.get(key);
      if (known === undefined) remember(GtidSet.#keys, key, key);
      keys.push(known ?? key);
      edges.push(merged);
    }
    return GtidSet.#make(keys, edges);
  }

  static #make(keys: readonly string[], edges: readonly Edges[]): GtidSet {
    return keys.length === 0 ? GtidSet.EMPTY : new GtidSet(keys, edges);
  }

  get isEmpty(): boolean {
    return this.keys.length === 0;
  }

  /** How many transactions are in the set. */
  get count(): bigint {
    let count = 0n;
    for (const edges of this.edges) {
      for (let i = 0; i < edges.length; i += 2) count += BigInt(edge(edges, i + 1)) - BigInt(edge(edges, i));
    }
    return count;
  }

  /** What is in this set, in the other, or in both. */
  union(other: GtidSet): GtidSet {
    if (this.contains(other)) return this;
    if (other.contains(this)) return other;
    return this.#combine(other, UNION);
  }

  /** What is in this set and not in the other: MySQL's `GTID_SUBTRACT(this, other)`. */
  subtract(other: GtidSet): GtidSet {
    if (other.isEmpty) return this;
    if (other.contains(this)) return GtidSet.EMPTY;
    return this.#combine(other, DIFFERENCE);
  }

  /** What is in both sets. */
  intersect(other: GtidSet): GtidSet {
    if (this.contains(other)) return other;
    if (other.contains(this)) return this;
    return this.#combine(other, INTERSECTION);
  }

  /** Whether everything in the other set is in this one: MySQL's `GTID_SUBSET(other, this)`. A set contains itself. */
  contains(other: GtidSet): boolean {
    if (this === other) return true;
    if (other.keys.length > this.keys.length) return false;
    let i = 0;
    for (let j = 0; j < other.keys.length; j++) {
      const key = other.keys[j];
      while (i < this.keys.length && this.keys[i] !== key) i++;
      if (i === this.keys.length || !covers(this.edges[i] ?? NONE, other.edges[j] ?? NONE)) return false;
    }
    return true;
  }

  equals(other: GtidSet): boolean {
    if (this === other) return true;
    if (this.keys.length !== other.keys.length) return false;
    return (
      this.keys.every((key, i) => key === other.keys[i]) &&
      this.edges.every((edges, i) => sameEdges(edges, other.edges[i] ?? NONE))
    );
  }

  /** Only the transactions that the server with this UUID wrote, with any tag or none. */
  ofSource(uuid: string): GtidSet {
    return this.#where(uuid, true);
  }

  /** Only the transactions that other servers than the one with this UUID wrote. */
  withoutSource(uuid: string): GtidSet {
    return this.#where(uuid, false);
  }

  /** The UUIDs of the servers that wrote the transactions: lower case, ascending, each once. */
  sources(): string[] {
    return [...new Set(this.keys.map((key) => key.slice(0, UUID_LENGTH)))];
  }

  /** The highest number among the untagged transactions of this server, 0n if there are none. */
  lastOf(uuid: string): bigint {
    if (uuid.length !== UUID_LENGTH) return 0n;
    const last = this.edges[this.keys.indexOf(uuid.toLowerCase())]?.at(-1);
    return last === undefined ? 0n : BigInt(last) - 1n;
  }

  /**
   * What MySQL prints for this set, without the newline after each comma. Equal sets have equal texts.
   */
  toString(): string {
    return (this.#text ??= this.#print());
  }

  toJSON(): string {
    return this.toString();
  }

  #combine(other: GtidSet, keep: number): GtidSet {
    const keys: string[] = [];
    const edges: Edges[] = [];
    for (let i = 0, j = 0; i < this.keys.length || j < other.keys.length;) {
      const mine = this.keys[i];
      const theirs = other.keys[j];
      const key = theirs === undefined || (mine !== undefined && mine <= theirs) ? mine : theirs;
      const a = mine === key ? this.edges[i++] : NONE;
      const b = theirs === key ? other.edges[j++] : NONE;
      const combined = combineEdges(a ?? NONE, b ?? NONE, keep);
      if (key === undefined || combined.length === 0) continue;
      keys.push(key);
      edges.push(combined);
    }
    return GtidSet.#make(keys, edges);
  }

  #where(uuid: string, wanted: boolean): GtidSet {
    const source = uuid.toLowerCase();
    const chosen = (key: string): boolean => isOfSource(key, source) === wanted;
    if (this.keys.every(chosen)) return this;
    return GtidSet.#make(
      this.keys.filter(chosen),
      this.edges.filter((_, i) => chosen(this.keys[i] ?? '')),
    );
  }

  #print(): string {
    let text = '';
    let source = '';
    for (const [i, key] of this.keys.entries()) {
      if (source !== '' && isOfSource(key, source)) {
        text += key.slice(UUID_LENGTH);
      } else {
        text += source === '' ? key : `,${key}`;
        source = key.slice(0, UUID_LENGTH);
      }
      text += printEdges(this.edges[i] ?? NONE);
    }
    return text;
  }
}

/** Forgetting everything now and then costs less than keeping an order of use. */
function remember<T>(cache: Map<string, T>, text: string, value: T): void {
  if (cache.size >= CACHED_TEXTS) cache.clear();
  cache.set(text, value);
}

function isOfSource(key: string, uuid: string): boolean {
  return uuid.length === UUID_LENGTH && key.startsWith(uuid);
}

/** Edges are only read at indexes below their length. */
function edge(edges: Edges, index: number): Gno {
  return edges[index] as Gno;
}

function covers(a: Edges, b: Edges): boolean {
  if (a === b) return true;
  let i = 0;
  for (let j = 0; j < b.length; j += 2) {
    while (i < a.length && edge(a, i + 1) < edge(b, j + 1)) i += 2;
    if (i >= a.length || edge(a, i) > edge(b, j)) return false;
  }
  return true;
}

function sameEdges(a: Edges, b: Edges): boolean {
  return a === b || (a.length === b.length && a.every((gno, i) => gno === b[i]));
}

/** Walks over all edges in ascending order, and writes one down wherever what is kept begins or ends. */
function combineEdges(a: Edges, b: Edges, keep: number): Edges {
  if (b.length === 0) return keep & 0b0010 ? a : NONE;
  if (a.length === 0) return keep & 0b0100 ? b : NONE;
  if (a === b) return keep & 0b1000 ? a : NONE;
  const combined: Gno[] = [];
  for (let i = 0, j = 0; i < a.length || j < b.length;) {
    const at = j === b.length || (i < a.length && edge(a, i) <= edge(b, j)) ? edge(a, i) : edge(b, j);
    if (a[i] === at) i++;
    if (b[j] === at) j++;
    // An odd index means that the walk is inside a run of that operand.
    const kept = (keep >> ((i & 1) | ((j & 1) << 1))) & 1;
    if (kept !== (combined.length & 1)) combined.push(at);
  }
  return combined;
}

/** Makes edges of intervals `[from, to, from, to…]` that may overlap and come in any order. */
function mergeIntervals(intervals: Gno[]): Edges {
  if (intervals.every((gno, i) => i === 0 || edge(intervals, i - 1) < gno)) return intervals;
  const pairs: (readonly [from: Gno, to: Gno])[] = [];
  for (let i = 0; i < intervals.length; i += 2) pairs.push([edge(intervals, i), edge(intervals, i + 1)]);
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const merged: Gno[] = [];
  for (const [from, to] of pairs) {
    const end = merged.at(-1);
    if (end === undefined || from > end) merged.push(from, to);
    else if (to > end) merged[merged.length - 1] = to;
  }
  return merged;
}

function printEdges(edges: Edges): string {
  let text = '';
  for (let i = 0; i < edges.length; i += 2) {
    const first = edge(edges, i);
    const end = edge(edges, i + 1);
    text += end === following(first) ? `:${first}` : `:${first}-${BigInt(end) - 1n}`;
  }
  return text;
}

/** One untagged source, with numbers that are surely safe. */
const PART = /^\s*[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::[1-9][0-9]{0,14}(?:-[1-9][0-9]{0,14})?)+$/;
const SPACE = /[ \t\n\v\f\r]*/y;
/** MySQL reads UUIDs in braces and without dashes, too, and prints them with dashes only. */
const DASHED = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const UUID = new RegExp(`${DASHED}|\\{${DASHED}\\}|[0-9a-f]{32}`, 'iy');
const TAG = /[a-z_][a-z0-9_]*/iy;
const DIGITS = /[0-9]+/y;

/** Reads one text from left to right. */
class Reader {
  readonly #text: string;
  readonly #intervals = new Map<string, Gno[]>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Intervals `[from, to, from, to…]` by key, `to` being one past the last, as they stand in the text. */
  read(): ReadonlyMap<string, Gno[]> {
    this.#space();
    while (this.#at < this.#text.length) {
      if (this.#skip(',')) continue;
      this.#source();
      if (this.#at < this.#text.length && this.#text[this.#at] !== ',') this.#refuse('a colon, a comma or the end');
    }
    return this.#intervals;
  }

  #source(): void {
    const uuid = dashed(this.#take(UUID)?.toLowerCase() ?? this.#refuse('a server UUID'));
    let key = uuid;
    while (this.#skip(':')) {
      const start = this.#at;
      const tag = this.#take(TAG);
      if (tag === undefined) {
        this.#interval(key);
      } else if (tag.length > MAX_TAG_LENGTH) {
        this.#at = start;
        this.#refuse(`a tag of at most ${MAX_TAG_LENGTH} characters`);
      } else {
        key = `${uuid}:${tag.toLowerCase()}`;
      }
    }
  }

  #interval(key: string): void {
    const first = this.#number(1);
    // MySQL takes a run that ends before it begins, even at 0, for an empty one.
    const last = this.#skip('-') ? this.#number(0) : first;
    if (last < first) return;
    const intervals = this.#intervals.get(key);
    if (intervals === undefined) this.#intervals.set(key, [first, following(last)]);
    else intervals.push(first, following(last));
  }

  #number(least: 0 | 1): Gno {
    const start = this.#at;
    const digits = this.#take(DIGITS);
    const number = digits === undefined ? -1 : gno(digits);
    if (number >= least && number <= MAX_GNO) return number;
    this.#at = start;
    return this.#refuse(`a transaction number from ${least} to ${MAX_GNO}`);
  }

  #take(token: RegExp): string | undefined {
    token.lastIndex = this.#at;
    const taken = token.exec(this.#text)?.[0];
    if (taken !== undefined) {
      this.#at += taken.length;
      this.#space();
    }
    return taken;
  }

  #skip(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    this.#space();
    return true;
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)?.[0].length ?? 0;
  }

  #refuse(expected: string): never {
    throw new GtidSetError(this.#text, this.#at, expected);
  }
}

function dashed(uuid: string): string {
  if (uuid.length === UUID_LENGTH) return uuid;
  if (uuid.startsWith('{')) return uuid.slice(1, -1);
  return [uuid.slice(0, 8), uuid.slice(8, 12), uuid.slice(12, 16), uuid.slice(16, 20), uuid.slice(20)].join('-');
}

function gno(digits: string): Gno {
  const number = Number(digits);
  return Number.isSafeInteger(number) ? number : BigInt(digits);
}

function following(gno: Gno): Gno {
  return typeof gno === 'number' && gno < Number.MAX_SAFE_INTEGER ? gno + 1 : BigInt(gno) + 1n;
}
