export type ResourceErrorCode =
  | 'YAML_SYNTAX'
  | 'NOT_A_RESOURCE'
  | 'UNKNOWN_FIELD'
  | 'DUPLICATE_FIELD'
  | 'INVALID_FIELD'
  | 'REFUSED_VARIABLE';

/** One thing that is wrong with a resource. */
export interface Problem {
  readonly code: ResourceErrorCode;
  /** Dotted, such as `spec.endpoints.read.port`; empty for the file as a whole. */
  readonly path: string;
  /** One clause: what is wrong. */
  readonly message: string;
  readonly expected: string;
  readonly found: string;
  /** What to do next. */
  readonly hint?: string | undefined;
  /** `cluster.yaml:4:3` (line and column count from 1); absent for what came from no file. */
  readonly where?: string | undefined;
}

/** How many problems one error lists. */
const LISTED = 20;

/** A resource that cannot be used. Nothing was changed. The message has one line for each problem. */
export class ResourceError extends Error {
  override readonly name = 'ResourceError';
  readonly problems: readonly [Problem, ...Problem[]];

  constructor(problems: readonly [Problem, ...Problem[]]) {
    const lines = problems.slice(0, LISTED).map(lineOf);
    if (problems.length > LISTED) lines.push(`… and ${problems.length - LISTED} more`);
    super(lines.join('\n'));
    this.problems = problems;
  }

  /** The first problem's; the others are in `problems`. */
  get code(): ResourceErrorCode {
    return this.problems[0].code;
  }
  get path(): string {
    return this.problems[0].path;
  }
  get expected(): string {
    return this.problems[0].expected;
  }
  get found(): string {
    return this.problems[0].found;
  }
  get hint(): string | undefined {
    return this.problems[0].hint;
  }
}

/** `cluster.yaml:4:3: spec.replicas: expected …, found …; hint` */
const lineOf = ({ where, path, message, hint }: Problem): string =>
  [where, path, hint === undefined ? message : `${message}; ${hint}`]
    .filter((part) => part !== undefined && part !== '')
    .join(': ');

/** One thing wrong with a text as a whole, which hides all else. */
export const syntaxError = (where: string | undefined, message: string, hint?: string): ResourceError =>
  new ResourceError([
    { code: 'YAML_SYNTAX', path: '', message, expected: 'YAML', found: 'something else', hint, where },
  ]);

/** A place in a resource, from its root. */
export type Path = readonly PropertyKey[];

/** Where a path stands in the text that a resource came from; undefined if it came from none. */
export type Locate = (path: Path, part: 'key' | 'value') => string | undefined;

/** `spec.storage.size`; a name that is not a plain word is quoted, on one line and short. */
export const dotted = (path: Path): string =>
  path.map((step) => (/^[\w-]{1,64}$/.test(String(step)) ? String(step) : show(String(step)))).join('.');

/** A value in a message, without what it holds. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'a map' : typeof value === 'string' ? 'text' : `a ${typeof value}`;
}

/** A value in a message: short, on one line. */
export function show(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value !== 'string' && typeof value !== 'boolean') return kindOf(value);
  const shown = JSON.stringify(value);
  return shown.length <= 60 ? shown : `${shown.slice(0, 56)}…${typeof value === 'string' ? '"' : ''}`;
}
