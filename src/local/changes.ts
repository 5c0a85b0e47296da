/** What a changed resource changes on one machine, and how each change gets there. */
import { isDeepStrictEqual } from 'node:util';

import type { MySQLCluster } from '../spec/resource.ts';

export interface Change {
  /** Dotted, such as `spec.replicas`. */
  readonly path: string;
  readonly from: unknown;
  readonly to: unknown;
  /** `live`: while the cluster runs, with restarts of members where MySQL needs them. `start`: only while it is stopped. */
  readonly how: 'live' | 'start';
}

/** The resource asks for something that can't be had now; nothing was changed. */
export class ChangeRefusedError extends Error {
  override readonly name = 'ChangeRefusedError';
  readonly code = 'CHANGE_REFUSED';
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** By path, the longest that fits; what is not here is live. */
const HOW: Readonly<Record<string, Change['how'] | 'never'>> = {
  'metadata.name': 'never',
  'spec.storage.path': 'never',
  'spec.credentials.applicationUser': 'never',
  'spec.credentials.database': 'never',
  'spec.mysql.basedir': 'start',
  'spec.mysql.version': 'start',
  'spec.endpoints.primary': 'start',
  'spec.endpoints.read': 'start',
  'spec.endpoints.read.includePrimary': 'live',
  'spec.endpoints.waitSeconds': 'start',
};

/**
 * @param running whether the cluster's daemon runs
 * @throws ChangeRefusedError
 */
export function changesBetween(before: MySQLCluster, after: MySQLCluster, running: boolean): Change[] {
  return differences(before, after, '').map(({ path, from, to }) => {
    const how = howOf(path);
    if (how === 'never') {
      throw new ChangeRefusedError(
        `${path} was settled when the cluster was made: it is ${words(from)}, and can't become ${words(to)}`,
        'Put it back, or bring up another cluster by another name.',
      );
    }
    if (how === 'start' && running) {
      throw new ChangeRefusedError(
        `${path} can't change from ${words(from)} to ${words(to)} while the cluster runs`,
        'Stop it first (baton stop), then run this again; the data stays.',
      );
    }
    return { path, from, to, how };
  });
}

/** `spec.replicas: 3 → 5` */
export function changeWords({ path, from, to }: Change): string {
  return `${path}: ${words(from)} → ${words(to)}`;
}

function howOf(path: string): Change['how'] | 'never' {
  for (let prefix = path; prefix !== ''; prefix = prefix.slice(0, Math.max(0, prefix.lastIndexOf('.')))) {
    const how = HOW[prefix];
    if (how !== undefined) return how;
  }
  return 'live';
}

function differences(before: unknown, after: unknown, path: string): { path: string; from: unknown; to: unknown }[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMap(before) || !isMap(after)) return [{ path, from: before, to: after }];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => differences(before[name], after[name], path === '' ? name : `${path}.${name}`));
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function words(value: unknown): string {
  return value === undefined ? 'the default' : typeof value === 'string' ? value : JSON.stringify(value);
}
