/** Events: what `kubectl describe` and `baton explain` show of a cluster. Best effort: none is worth waiting for. */
import { hostname } from 'node:os';
import type { JournalEntry } from '../control/port.ts';
import type { ApiClient } from './api/client.ts';
import { EVENTS, type ApiObject, type ClusterObject } from './api/resources.ts';
import { microTime } from './lease.ts';
import { inCapitals } from './status.ts';

/** A cluster that can't come to rest would drown all others. */
const PER_MINUTE = 30;
/** Kubernetes takes no longer notes. */
const MAX_NOTE = 1000;

export class Recorder {
  readonly #client: ApiClient;
  readonly #object: ClusterObject;
  #left = PER_MINUTE;
  #refilledMs = Date.now();
  #lastFailure = '';

  constructor(client: ApiClient, object: ClusterObject) {
    this.#client = client;
    this.#object = object;
  }

  tell(entry: JournalEntry): void {
    if (entry.kind === 'failed') {
      // It is tried again and again.
      if (entry.text === this.#lastFailure) return;
      this.#lastFailure = entry.text;
    }
    if (!this.#mayTell()) return;
    const { namespace, name, uid, resourceVersion } = this.#object.metadata;
    const now = new Date(entry.at);
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: {
        name: `${name}.${now.getTime().toString(16)}${Math.random().toString(16).slice(2, 8)}`,
        namespace,
        annotations: entryAnnotations(entry),
      },
      eventTime: microTime(now),
      reportingController: 'baton.dev/operator',
      reportingInstance: hostname(),
      regarding: { apiVersion: 'baton.dev/v1alpha1', kind: 'MySQLCluster', namespace, name, uid, resourceVersion },
      ...wordsOf(entry),
      note: entry.text.slice(0, MAX_NOTE),
    };
    this.#client.create(EVENTS, namespace, event).catch(() => undefined);
  }

  #mayTell(): boolean {
    const now = Date.now();
    if (now - this.#refilledMs > 60_000) {
      this.#left = PER_MINUTE;
      this.#refilledMs = now;
    }
    return this.#left-- > 0;
  }
}

const ENTRY = 'baton.dev/';

/** What an Event has no field for. */
const entryAnnotations = ({ kind, epoch, term, ms }: JournalEntry): Record<string, string> => ({
  [`${ENTRY}kind`]: kind,
  [`${ENTRY}epoch`]: String(epoch),
  [`${ENTRY}term`]: String(term),
  ...(ms === undefined ? {} : { [`${ENTRY}ms`]: String(ms) }),
});

const WELL: ReadonlySet<string> = new Set(['healthy', 'creating', 'switching']);

/** An Event's own words: why, as one word in capitals and small letters, and what the operator was about. */
function wordsOf({ kind, text }: JournalEntry): { type: 'Normal' | 'Warning'; reason: string; action: string } {
  const [state = ''] = text.split(':');
  switch (kind) {
    case 'state':
      return { type: WELL.has(state) ? 'Normal' : 'Warning', reason: inCapitals(state), action: 'Observe' };
    case 'record':
      return { type: 'Normal', reason: 'Recorded', action: 'Decide' };
    case 'request':
      return { type: 'Normal', reason: 'Requested', action: 'Decide' };
    default:
      return { type: 'Warning', reason: inCapitals(kind), action: 'Act' };
  }
}

/** The parts of an Event of which an entry of the journal is made again, as the core group has it: who may view, may that. */
export interface EventObject extends ApiObject {
  readonly eventTime?: string | null;
  /** The note. */
  readonly message?: string;
}

/** The entry that an Event tells of; null for one that tells of none. */
export function entryOf({ metadata, eventTime, message }: EventObject): JournalEntry | null {
  const said = (name: string): string | undefined => metadata.annotations?.[`${ENTRY}${name}`];
  const [kind, ms] = [said('kind'), said('ms')];
  if (kind === undefined || typeof eventTime !== 'string') return null;
  const at = new Date(eventTime).toISOString();
  const numbers = { epoch: Number(said('epoch') ?? 0), term: Number(said('term') ?? 0) };
  return { at, ...numbers, kind, text: message ?? '', ...(ms === undefined ? {} : { ms: Number(ms) }) };
}
