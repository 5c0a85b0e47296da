/**
 * Who leads: one Lease, renewed while its holder lives. It only keeps two operators from working at once to no purpose;
 * what keeps the data safe is each cluster's term and its members' locks. So an API server that does not answer ends no
 * leadership: nobody else can take the Lease there either. Seen in another's hand, it does.
 */
import { systemClock } from '../control/clock.ts';
import type { ApiClient } from './api/client.ts';
import { isConflict } from './api/errors.ts';
import { LEASES, type Lease } from './api/resources.ts';

export interface LeaderOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  readonly name: string;
  /** Of this process alone. */
  readonly identity: string;
  /** How long a Lease that nobody renews is respected. Default: 4. */
  readonly durationSeconds?: number;
  readonly log: (event: Record<string, unknown>) => void;
}

/** Renewed so many times within its duration. */
const RENEWALS = 4;

export class Leader {
  readonly #options: LeaderOptions;
  readonly #durationMs: number;
  /** The Lease as last seen, and when, by our own clock: others' clocks are not ours. */
  #seen: { readonly version: string; readonly atMs: number } | null = null;
  /** As it was when we renewed it last: still ours if it is still that. */
  #ours: Lease | null = null;
  #leading = false;

  constructor(options: LeaderOptions) {
    this.#options = options;
    this.#durationMs = (options.durationSeconds ?? 4) * 1000;
  }

  get leading(): boolean {
    return this.#leading;
  }

  /** `lead` is called whenever we begin to; its signal aborts when another leads. Until `signal` aborts; never rejects. */
  async run(signal: AbortSignal, lead: (leading: AbortSignal) => Promise<void>): Promise<void> {
    const { log, identity } = this.#options;
    let term: { readonly stop: AbortController; readonly over: Promise<void> } | null = null;
    while (!signal.aborted) {
      const held = await this.#hold();
      if (held === true && term === null) {
        this.#leading = true;
        log({ event: 'leader', text: `${identity} leads` });
        const stop = new AbortController();
        term = { stop, over: lead(stop.signal) };
      } else if (held === false && term !== null) {
        log({ event: 'leader', text: `${identity} no longer leads` });
        this.#leading = false;
        term.stop.abort();
        await term.over;
        term = null;
      }
      await systemClock.sleep(this.#durationMs / RENEWALS, signal);
    }
    if (term === null) return;
    term.stop.abort();
    await term.over;
    this.#leading = false;
    await this.#release();
  }

  /** Null: not known. */
  async #hold(): Promise<boolean | null> {
    const { client, namespace, name, log } = this.#options;
    try {
      if (await this.#renewed()) return true;
      const lease = await client.get<Lease>(LEASES, namespace, name);
      if (lease === null) this.#ours = await client.create<Lease>(LEASES, namespace, this.#lease(null));
      else if (!this.#free(lease)) return false;
      else this.#ours = await client.replace<Lease>(LEASES, namespace, name, this.#lease(lease));
      return true;
    } catch (error) {
      if (isConflict(error)) return this.#leading ? null : false;
      log({ event: 'lease', error: error instanceof Error ? error.message : String(error) });
      return null;
    }
  }

  /** False: it is no longer as we left it, or never was ours. */
  async #renewed(): Promise<boolean> {
    const { client, namespace, name } = this.#options;
    const before = this.#ours;
    if (before === null) return false;
    // Without an answer it is not known what it is now.
    this.#ours = null;
    try {
      this.#ours = await client.replace<Lease>(LEASES, namespace, name, this.#lease(before));
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
  }

  #free({ metadata, spec }: Lease): boolean {
    const holder = spec?.holderIdentity ?? '';
    if (holder === '' || holder === this.#options.identity) return true;
    const now = performance.now();
    if (this.#seen?.version !== metadata.resourceVersion) this.#seen = { version: metadata.resourceVersion, atMs: now };
    return now - this.#seen.atMs > (spec?.leaseDurationSeconds ?? 0) * 1000;
  }

  #lease(before: Lease | null): unknown {
    const { namespace, name, identity } = this.#options;
    const now = microTime(new Date());
    const ours = before?.spec?.holderIdentity === identity;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: before?.metadata ?? { namespace, name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#durationMs / 1000),
        acquireTime: ours ? before?.spec?.acquireTime : now,
        renewTime: now,
        leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (ours || before === null ? 0 : 1),
      },
    };
  }

  /** So that a successor need not wait for it to run out. */
  async #release(): Promise<void> {
    const { client, namespace, name, identity } = this.#options;
    try {
      const lease = await client.get<Lease>(LEASES, namespace, name);
      if (lease?.spec?.holderIdentity !== identity) return;
      await client.replace(LEASES, namespace, name, { ...lease, spec: { ...lease.spec, holderIdentity: '' } });
    } catch {
      // It runs out by itself.
    }
  }
}

/** Kubernetes' MicroTime: exactly six digits. */
export const microTime = (date: Date): string => date.toISOString().replace(/\.(\d{3})Z$/, '.$1000Z');
