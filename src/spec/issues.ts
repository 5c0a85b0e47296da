/** What the schema finds wrong, in words and with its place. */
import type { z } from 'zod';
import { fieldAt, fieldsBelow, resourceSchema } from './fields.ts';
import { nearest } from './nearest.ts';
import { dotted, kindOf, type Locate, type Path, type Problem, show } from './problem.ts';

/** One problem for each field that is wrong, in the order of the text. */
export function problemsOf(issues: readonly z.core.$ZodIssue[], input: unknown, locate: Locate): Problem[] {
  const problems = issues.flatMap((issue) => describe(issue, input, locate));
  return onePerPath(problems).toSorted(byPlace);
}

function describe(issue: z.core.$ZodIssue, input: unknown, locate: Locate): Problem[] {
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

/** A value that fails a check often fails the next one, too: one line is enough, and why it is refused at all the best. */
function onePerPath(problems: readonly Problem[]): Problem[] {
  const first = new Map<string, Problem>();
  for (const problem of problems) {
    if (!first.has(problem.path) || problem.code === 'REFUSED_VARIABLE') first.set(problem.path, problem);
  }
  return [...first.values()];
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce((at: unknown, step) => (at as Record<PropertyKey, unknown> | undefined)?.[step], value);
}

/** In the order of the text, by line and then column. */
function byPlace(a: Problem, b: Problem): number {
  const place = ({ where }: Problem): readonly number[] => (where ?? '').split(':').slice(-2).map(Number);
  const [[lineA = 0, columnA = 0], [lineB = 0, columnB = 0]] = [place(a), place(b)];
  return lineA - lineB || columnA - columnB;
}
