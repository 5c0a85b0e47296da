/**
 * `spec.podTemplate` over the Pod that Baton makes, much as `kubectl patch` would do it:
 * - maps are merged, and null takes a field away;
 * - containers, volumes, env, mounts and ports are merged one by one (by name, mountPath, containerPort), new ones added at the end;
 * - tolerations are added; any other list is replaced.
 * What members' safety rests on stays: the selector's labels, Baton's volumes and mounts, and how `prepare` and `mysql` are
 * started and stopped. The grace period may only be longer.
 */
import type { PodTemplate } from './pod-template.ts';

type Part = Readonly<Record<string, unknown>>;

/** A `spec.podTemplate` that no Pod can be made of. `path` names the field. */
export class PodTemplateError extends Error {
  readonly code = 'POD_TEMPLATE_INVALID';
  readonly path: string;
  readonly hint =
    'spec.podTemplate is written like the template of a StatefulSet: metadata and spec, lists with dashes';

  constructor(path: string, expected: string, found: unknown) {
    const kind = Array.isArray(found) ? 'a list' : found === null ? 'nothing' : typeof found;
    super(`${path}: expected ${expected}, found ${kind}`);
    this.path = path;
  }
}

/** What tells the items of a list apart. */
const KEY: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  env: 'name',
  volumes: 'name',
  imagePullSecrets: 'name',
  volumeMounts: 'mountPath',
  ports: 'containerPort',
};

const START: readonly string[] = ['command', 'args', 'lifecycle'];

export function mergePodTemplate(ours: PodTemplate, theirs: unknown): PodTemplate {
  const { metadata, spec } = merge({ ...ours }, theirs, 'spec.podTemplate') as unknown as PodTemplate;
  const graceSeconds = [ours, { spec }].map(({ spec: { terminationGracePeriodSeconds: it } }) => Number(it) || 0);
  return {
    metadata: {
      ...metadata,
      labels: { ...metadata?.labels, ...ours.metadata.labels },
      annotations: { ...metadata?.annotations, ...ours.metadata.annotations },
    },
    spec: {
      ...spec,
      terminationGracePeriodSeconds: Math.max(...graceSeconds),
      initContainers: keep(ours.spec.initContainers, spec.initContainers),
      containers: keep(ours.spec.containers, spec.containers),
      volumes: restore(ours.spec['volumes'], spec['volumes'], 'name'),
    },
  };
}

function merge(ours: Part, theirs: unknown, path: string): Part {
  if (!isPart(theirs)) throw new PodTemplateError(path, 'a map of fields', theirs);
  const result: Record<string, unknown> = { ...ours };
  for (const [name, value] of Object.entries(theirs)) {
    const merged = mergeField(name, ours[name], value, `${path}.${name}`);
    if (merged === undefined) delete result[name];
    else result[name] = merged;
  }
  return result;
}

/** Undefined: without the field. */
function mergeField(name: string, ours: unknown, theirs: unknown, path: string): unknown {
  if (theirs === null || theirs === undefined) return undefined;
  if (name === 'tolerations') return [...(Array.isArray(ours) ? ours : []), ...list(theirs, path)];
  const key = KEY[name];
  if (key !== undefined) return mergeList(Array.isArray(ours) ? (ours as Part[]) : [], list(theirs, path), key, path);
  if (isPart(ours)) return merge(ours, theirs, path);
  return theirs;
}

function mergeList(ours: readonly Part[], theirs: readonly Part[], key: string, path: string): Part[] {
  const merged = ours.map((item) => {
    const over = theirs.find((other) => other[key] === item[key]);
    // A volume is one thing or another: its sources can't be mixed.
    if (over === undefined || path.endsWith('.volumes')) return over ?? item;
    return merge(item, over, `${path}.${String(item[key])}`);
  });
  return [...merged, ...theirs.filter((item) => !ours.some((other) => other[key] === item[key]))];
}

function list(value: unknown, path: string): Part[] {
  if (!Array.isArray(value)) throw new PodTemplateError(path, 'a list', value);
  for (const [at, item] of value.entries())
    if (!isPart(item)) throw new PodTemplateError(`${path}.${at}`, 'a map', item);
  return value as Part[];
}

/** Our containers, in their place, whatever was said of how they start and what they mount. */
function keep(ours: readonly Part[], merged: readonly Part[] | undefined): Part[] {
  return restoreWith(ours, merged ?? [], 'name', (own, item) => {
    const result: Record<string, unknown> = { ...item };
    for (const field of START) {
      if (own[field] === undefined) delete result[field];
      else result[field] = own[field];
    }
    return {
      ...result,
      env: restore(own['env'], item['env'], 'name'),
      volumeMounts: restore(own['volumeMounts'], item['volumeMounts'], 'mountPath'),
      ...(own['ports'] === undefined ? {} : { ports: restore(own['ports'], item['ports'], 'containerPort') }),
    };
  });
}

const restore = (ours: unknown, merged: unknown, key: string): Part[] =>
  restoreWith(ours as Part[], Array.isArray(merged) ? (merged as Part[]) : [], key, (own) => own);

function restoreWith(
  ours: readonly Part[],
  merged: readonly Part[],
  key: string,
  settle: (own: Part, item: Part) => Part,
): Part[] {
  const kept = ours.map((own) => settle(own, merged.find((item) => item[key] === own[key]) ?? own));
  return [...kept, ...merged.filter((item) => !ours.some((own) => own[key] === item[key]))];
}

const isPart = (value: unknown): value is Part => typeof value === 'object' && value !== null && !Array.isArray(value);
