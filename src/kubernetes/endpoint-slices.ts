/**
 * Where `NAME-primary` and `NAME-read` lead: one EndpointSlice each, moved in one write. Each carries the epoch and the term
 * that it is of; an older one never replaces a newer.
 */
import { systemClock } from '../control/clock.ts';
import type { Endpoints, EndpointTarget } from '../control/port.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import type { ApiClient } from './api/client.ts';
import { isConflict } from './api/errors.ts';
import { ENDPOINT_SLICES, type EndpointSlice } from './api/resources.ts';
import { endpointSlice, type EndpointAddress } from './objects/endpoint-slice.ts';
import { namespaceOf, type KubernetesObject, type Ownership } from './objects/object.ts';

export interface EndpointSlicesOptions {
  readonly client: ApiClient;
  readonly cluster: () => MySQLCluster;
  readonly ownership: Ownership;
  /** Where a member is now; null if nowhere. */
  readonly target: (ordinal: number) => EndpointAddress | null;
  /** The term of the brain that points. */
  readonly term: () => number;
  readonly log: (event: Record<string, unknown>) => void;
}

/**
 * A primary that died is left where the Service leads for so long: nobody answers there, and a write that empties the slice
 * before the one that moves it would cost another second (kube-proxy takes changes together). Then it is empty.
 */
const EMPTY_AFTER_MS = 1000;
/**
 * kube-proxy carries a change out at once, and the next, of whatever Service, a second after. So the primary's comes first:
 * one of the read Service waits while the primary is about to move, and comes a moment after it.
 */
const READ_WAITS_MS = 2000;
const READ_AFTER_MS = 100;
const RETRY_MS = 200;

const EPOCH_LABEL = 'baton.dev/epoch';
const TERM_LABEL = 'baton.dev/term';

interface Wish {
  readonly epoch: number;
  readonly term: number;
  readonly targets: readonly EndpointAddress[];
}

export class EndpointSlices implements Endpoints {
  readonly #slices: readonly [Slice, Slice];
  readonly #options: EndpointSlicesOptions;

  constructor(options: EndpointSlicesOptions) {
    this.#options = options;
    this.#slices = [new Slice('primary', options), new Slice('read', options)];
  }

  point(primary: EndpointTarget, read: EndpointTarget): void {
    // Kubernetes has nobody who could let connections wait: they go on until the old primary is closed.
    if (!primary.hold) this.#slices[0].lead(this.#wish(primary), 0);
    const moving = primary.hold || primary.members.length === 0;
    this.#slices[1].lead(this.#wish(read), moving ? READ_WAITS_MS : READ_AFTER_MS);
  }

  #wish({ epoch, members }: EndpointTarget): Wish {
    const targets = members.map((ordinal) => this.#options.target(ordinal)).filter((target) => target !== null);
    return { epoch, term: this.#options.term(), targets };
  }

  /** Clients speak with members directly. */
  openConnections(): null {
    return null;
  }

  /** Stops writing; where the Services lead stays. */
  close(): void {
    for (const slice of this.#slices) slice.close();
  }
}

class Slice {
  readonly #role: 'primary' | 'read';
  readonly #options: EndpointSlicesOptions;
  readonly #over = new AbortController();
  #wish: Wish | null = null;
  #written = '';
  #version: string | undefined;
  #writing = false;
  #waiting: NodeJS.Timeout | null = null;

  constructor(role: 'primary' | 'read', options: EndpointSlicesOptions) {
    this.#role = role;
    this.#options = options;
  }

  lead(wish: Wish, afterMs: number): void {
    if (this.#waiting !== null) clearTimeout(this.#waiting);
    this.#waiting = null;
    const waitMs = wish.targets.length > 0 ? afterMs : EMPTY_AFTER_MS;
    if (waitMs === 0) this.#want(wish);
    else this.#waiting = setTimeout(() => this.#want(wish), waitMs);
  }

  close(): void {
    if (this.#waiting !== null) clearTimeout(this.#waiting);
    this.#over.abort();
  }

  #want(wish: Wish): void {
    this.#wish = wish;
    if (!this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    const { log } = this.#options;
    this.#writing = true;
    while (this.#wish !== null && JSON.stringify(this.#wish) !== this.#written && !this.#over.signal.aborted) {
      const wish = this.#wish;
      try {
        if (!(await this.#move(wish))) break;
        this.#written = JSON.stringify(wish);
      } catch (error) {
        if (isConflict(error)) this.#version = undefined;
        else {
          log({ event: 'endpoints', role: this.#role, error: error instanceof Error ? error.message : String(error) });
          this.#version = undefined;
          await systemClock.sleep(RETRY_MS, this.#over.signal);
        }
      }
    }
    this.#writing = false;
  }

  /** False: another brain has pointed it, in a newer epoch or term. */
  async #move(wish: Wish): Promise<boolean> {
    const { client, log } = this.#options;
    const object = this.#object(wish);
    if (this.#version === undefined) {
      const found = await client.get<EndpointSlice>(ENDPOINT_SLICES, this.#namespace, object.metadata.name);
      const { [EPOCH_LABEL]: epoch = '0', [TERM_LABEL]: term = '0' } = found?.metadata.labels ?? {};
      if (Number(term) > wish.term || Number(epoch) > wish.epoch) {
        log({ event: 'endpoints', role: this.#role, text: `left alone: they are of epoch ${epoch}, term ${term}` });
        return false;
      }
      this.#version = found?.metadata.resourceVersion;
    }
    const { metadata } = await client.apply<EndpointSlice>(object, this.#version);
    this.#version = metadata.resourceVersion;
    const leads = wish.targets.map(({ ordinal }) => ordinal).join(', ');
    log({ event: 'endpoints', role: this.#role, text: `to ${leads === '' ? 'nobody' : leads}`, epoch: wish.epoch });
    return true;
  }

  get #namespace(): string {
    return namespaceOf(this.#options.cluster());
  }

  #object({ epoch, term, targets }: Wish): KubernetesObject {
    const { cluster, ownership } = this.#options;
    const family = targets[0]?.ip.includes(':') === true ? 'IPv6' : 'IPv4';
    const object = endpointSlice(cluster(), this.#role, targets, family, ownership);
    const labels = { ...object.metadata.labels, [EPOCH_LABEL]: String(epoch), [TERM_LABEL]: String(term) };
    return { ...object, metadata: { ...object.metadata, labels } };
  }
}
