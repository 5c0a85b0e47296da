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
