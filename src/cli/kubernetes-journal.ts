/** What happened to a cluster in a Kubernetes: from Events, which tell the news, and from the operators' logs, which have it all. */
import type { JournalEntry } from '../control/port.ts';
import type { ApiClient, ListPage } from '../kubernetes/api/client.ts';
import { podLog } from '../kubernetes/api/pods.ts';
import { PODS, SEEN_EVENTS, type ClusterObject, type Pod } from '../kubernetes/api/resources.ts';
import { OPERATOR_LABELS } from '../kubernetes/objects/network-policy.ts';
import { entryOf, type EventObject } from '../kubernetes/recorder.ts';
import { CommandError, EXIT } from './exit.ts';

const WATCH_SECONDS = 300;

export interface LogTail {
  /** How many of the newest lines first. */
  readonly tail: number;
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/** Those about this very cluster, and none of its name before it. */
const about = ({ metadata: { namespace, uid } }: ClusterObject) => ({
  namespace,
  fieldSelector: `involvedObject.kind=MySQLCluster,involvedObject.uid=${uid}`,
});

/** The newest last; and where to go on from. */
export async function listEvents(
  client: ApiClient,
  object: ClusterObject,
): Promise<{ entries: JournalEntry[]; version: string }> {
  const events: EventObject[] = [];
  let [next, version]: [string | null, string] = [null, ''];
  do {
    const page: ListPage<EventObject> = await client.list<EventObject>(SEEN_EVENTS, about(object), next);
    events.push(...page.items);
    ({ next, resourceVersion: version } = page);
  } while (next !== null);
  const entries = events.map(entryOf).filter((entry) => entry !== null);
  return { entries: entries.sort((a, b) => (a.at < b.at ? -1 : 1)), version };
}

/** What Events tell from now on, until `signal` aborts. */
export async function* eventsFromNow(
  client: ApiClient,
  object: ClusterObject,
  signal: AbortSignal,
): AsyncGenerator<JournalEntry> {
  const options = { signal, timeoutSeconds: WATCH_SECONDS, silenceMs: 2 * WATCH_SECONDS * 1000 };
  let { version } = await listEvents(client, object);
  while (!signal.aborted) {
    for await (const { type, object: event } of client.watch<EventObject>(
      SEEN_EVENTS,
      about(object),
      version,
      options,
    )) {
      // The place is no longer kept: what came meanwhile is passed over.
      if (type === 'ERROR') ({ version } = await listEvents(client, object));
      if (type === 'ERROR') break;
      version = event.metadata.resourceVersion;
      const entry = type === 'ADDED' ? entryOf(event) : null;
      if (entry !== null) yield entry;
    }
  }
}

/** All that the operators in a namespace have logged of a cluster (`NAMESPACE/NAME`). */
export async function* operatorJournal(
  client: ApiClient,
  operatorNamespace: string,
  cluster: string,
  options: LogTail,
): AsyncGenerator<JournalEntry> {
  for await (const line of operatorLog(client, operatorNamespace, options)) {
    const entry = logged(line, cluster);
    if (entry !== null) yield entry;
  }
}

/** Lines of the operators' logs, in the order of their times; as they come if they are followed. */
export async function* operatorLog(
  client: ApiClient,
  operatorNamespace: string,
  { tail, follow, signal }: LogTail,
): AsyncGenerator<string> {
  const labelSelector = Object.entries(OPERATOR_LABELS)
    .map(([label, value]) => `${label}=${value}`)
    .join(',');
  const { items } = await client.list<Pod>(PODS, { namespace: operatorNamespace, labelSelector });
  if (items.length === 0) {
    throw new CommandError(
      EXIT.notRunning,
      'NO_OPERATOR',
      `there is no operator in the namespace ${operatorNamespace}`,
      'Name the right one: --operator-namespace',
    );
  }
  const logs = items.map(({ metadata }) => {
    const place = { namespace: operatorNamespace, pod: metadata.name };
    return podLog(client, place, { container: 'operator', tail, follow, signal });
  });
  if (follow) return yield* merged(logs);
  const all = (await Promise.all(logs.map((log) => collected(log)))).flat();
  // Each begins with its time.
  yield* all.sort((a, b) => (a < b ? -1 : 1)).slice(-tail);
}

/** An operator's line of log as an entry of one cluster's journal; null for all others. */
export function logged(line: string, cluster: string): JournalEntry | null {
  if (!line.includes(cluster)) return null;
  try {
    const said = JSON.parse(line) as Record<string, unknown>;
    const { at, event, text, epoch, term, ms } = said;
    if (said['cluster'] !== cluster || typeof text !== 'string' || typeof epoch !== 'number') return null;
    return {
      at: String(at),
      epoch,
      term: Number(term),
      kind: String(event),
      text,
      ...(typeof ms === 'number' ? { ms } : {}),
    };
  } catch {
    return null;
  }
}

async function collected<T>(from: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of from) all.push(one);
  return all;
}

/** Whatever comes next of several, until all have ended. */
export async function* merged<T>(all: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const next = async (from: AsyncGenerator<T>) => ({ from, result: await from.next() });
  const pending = new Map(all.map((from) => [from, next(from)]));
  try {
    while (pending.size > 0) {
      const { from, result } = await Promise.race(pending.values());
      if (result.done === true) pending.delete(from);
      else {
        pending.set(from, next(from));
        yield result.value;
      }
    }
  } finally {
    for (const from of all) void from.return(undefined).catch(() => undefined);
  }
}
