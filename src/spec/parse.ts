/** From a text, or a value, to a cluster with every default; or to an error that names each mistake and its place. */
import { fieldAt } from './fields.ts';
import { problemsOf } from './issues.ts';
import { ignoredOn, type Platform } from './platform.ts';
import { type Locate, type Path, type Problem, ResourceError, show } from './problem.ts';
import { API_VERSION, KIND, MySQLClusterSchema, type MySQLCluster, type MySQLClusterInput } from './resource.ts';
import { readYaml } from './yaml.ts';

/** What Kubernetes adds to a resource that it stores: read past, so that `kubectl get -o yaml` is a valid file. */
const SERVER_METADATA = new Set(
  'creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers generateName generation managedFields ownerReferences resourceVersion selfLink uid'.split(
    ' ',
  ),
);

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
  const { value, locate } = readYaml(text, file);
  const cluster = validateCluster(value, locate);
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
export function validateCluster(value: unknown, locate: Locate = () => undefined): MySQLCluster {
  const input = asResource(value, locate);
  const result = MySQLClusterSchema.safeParse(input);
  if (result.success) return result.data;
  throw new ResourceError(problemsOf(result.error.issues, input, locate) as [Problem, ...Problem[]]);
}

const START = `a resource begins with "apiVersion: ${API_VERSION}" and "kind: ${KIND}"`;

/** The value as a MySQLCluster whose fields are still to be checked, without what Kubernetes added to it. */
function asResource(value: unknown, locate: Locate): unknown {
  if (!isRecord(value)) {
    const found = value === null ? 'nothing: it is empty' : show(value);
    throw notThisKind('', `one ${KIND} resource`, found, locate([], 'value'), START);
  }
  for (const [field, wanted] of Object.entries({ kind: KIND, apiVersion: API_VERSION })) {
    const found = value[field];
    if (found === wanted) continue;
    const hint = typeof found === 'string' && found !== '' ? `this Baton reads ${KIND} of ${API_VERSION}` : START;
    throw notThisKind(field, `"${wanted}"`, show(found), locate([field], 'value'), hint);
  }
  const { status: _status, metadata, ...rest } = value;
  const kept = isRecord(metadata)
    ? Object.fromEntries(Object.entries(metadata).filter(([name]) => !SERVER_METADATA.has(name)))
    : metadata;
  return withoutNulls({ metadata: kept, ...rest });
}

function notThisKind(path: string, expected: string, found: string, where: string | undefined, hint: string) {
  const message = `expected ${expected}, found ${found}`;
  return new ResourceError([{ code: 'NOT_A_RESOURCE', path, message, expected, found, hint, where }]);
}

/** `storage:` with nothing after it is a field left out, as it is for Kubernetes; in maps that are not ours nothing is. */
function withoutNulls(value: unknown, path: Path = []): unknown {
  if (!isRecord(value) || fieldAt(path)?.['x-baton-open'] === true) return value;
  const kept = Object.entries(value).filter(([, child]) => child !== null && child !== undefined);
  return Object.fromEntries(kept.map(([name, child]) => [name, withoutNulls(child, [...path, name])]));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
