/**
 * Steps drawn from a seed. Left out is what depends on how long something takes, and what the simulated member does not
 * model: what is in the rows, so that the controller's own, which each primary begins anew, are not written here.
 */
import { Random } from '../simulation/random.ts';
import type { Pair } from './pair.ts';

const MEMBERS = [0, 1, 2] as const;

export async function runRandomScript(pair: Pair, seed: number, steps: number): Promise<void> {
  const script = new RandomScript(pair, seed);
  for (let step = 0; step < steps; step++) await script.step();
}

class RandomScript {
  readonly #pair: Pair;
  readonly #random: Random;
  readonly #down = new Set<number>();
  readonly #cut = new Map<string, readonly [number, number]>();
  readonly #written: { readonly at: number; readonly name: string }[] = [];
  #primary = 0;

  constructor(pair: Pair, seed: number) {
    this.#pair = pair;
    this.#random = new Random(seed, 'script');
  }

  /** The first that is drawn and possible. */
  async step(): Promise<void> {
    for (;;) {
      const kind = this.#random.weighted(WEIGHTS);
      const done = this[kind]();
      if (done !== null) return done;
    }
  }

  #up(...others: readonly number[]): number[] {
    return MEMBERS.filter((ordinal) => this.#pair.member(ordinal) !== null && !others.includes(ordinal));
  }

  #one(among: readonly number[]): number | null {
    return among.length === 0 ? null : this.#random.pick(among);
  }

  /** Commits that wait hold up more than this script wants to know of. */
  #isIdle(ordinal: number): boolean {
    return this.#pair.member(ordinal)?.source.waiting === 0;
  }

  // ── What clients do ───────────────────────────────────────────────────────────────────────────────────────────────

  write(): Promise<void> | null {
    const at = this.#random.chance(0.8) ? this.#primary : this.#random.pick(MEMBERS);
    if (!this.#up().includes(at)) return null;
    return this.#pair.write(at).then((name) => void this.#written.push({ at, name }));
  }

  leave(): Promise<void> | null {
    const one = this.#written.pop();
    if (one === undefined || !this.#up().includes(one.at)) return null;
    return this.#pair.leave(one.name);
  }

  // ── What happens to members ───────────────────────────────────────────────────────────────────────────────────────

  kill(): Promise<void> | null {
    const ordinal = this.#one(this.#up());
    if (ordinal === null || this.#down.size > 1) return null;
    this.#down.add(ordinal);
    return this.#pair.fault(this.#random.pick(['kill', 'kill', 'stop'] as const), ordinal);
  }

  loseData(): Promise<void> | null {
    const ordinal = this.#one([...this.#down]);
    return ordinal === null ? null : this.#pair.fault('loseData', ordinal);
  }

  start(): Promise<void> | null {
    const ordinal = this.#one([...this.#down]);
    if (ordinal === null) return null;
    this.#down.delete(ordinal);
    return this.#pair.fault('start', ordinal);
  }

  freeze(): Promise<void> | null {
    const ordinal = this.#one(this.#up());
    if (ordinal === null) return null;
    return this.#pair.fault('freeze', ordinal).then(() => this.#pair.thaw(ordinal));
  }

  cut(): Promise<void> | null {
    const one = this.#random.pick(MEMBERS);
    const other = this.#random.pick(MEMBERS);
    if (one >= other || this.#cut.has(`${one} ${other}`)) return null;
    this.#cut.set(`${one} ${other}`, [one, other]);
    return this.#pair.link('cut', one, other);
  }

  mend(): Promise<void> | null {
    const [name, link] = [...this.#cut][0] ?? [];
    if (name === undefined || link === undefined) return null;
    this.#cut.delete(name);
    return this.#pair.link('mend', ...link);
  }

  endConnections(): Promise<void> | null {
    const ordinal = this.#one(this.#up());
    return ordinal === null ? null : this.#pair.endReplicationConnections(ordinal);
  }

  stopApplier(): Promise<void> | null {
    const ordinal = this.#one(this.#up().filter((one) => this.#pair.member(one)?.replica?.applier === 'on'));
    return ordinal === null ? null : this.#pair.fault('stopApplier', ordinal);
  }

  rotate(): Promise<void> | null {
    const ordinal = this.#one(this.#up().filter((one) => this.#isIdle(one)));
    return ordinal === null ? null : this.#pair.fault('rotate', ordinal);
  }

  // ── What the brain does, whether or not it should ─────────────────────────────────────────────────────────────────

  purge(): Promise<void> | null {
    const ordinal = this.#one(this.#up());
    return ordinal === null ? null : this.#pair.purge(ordinal, ...this.#up());
  }

  follow(): Promise<void> | null {
    const ordinal = this.#one(this.#up(this.#primary));
    return ordinal === null ? null : this.#pair.follow(ordinal, this.#primary);
  }

  replicaAct(): Promise<void> | null {
    const ordinal = this.#one(this.#up(this.#primary));
    if (ordinal === null) return null;
    return this.#pair.act(ordinal, { kind: this.#random.pick(['seal', 'apply', 'disarm'] as const) });
  }

  primaryAct(): Promise<void> | null {
    const ordinal = this.#primary;
    if (!this.#up().includes(ordinal)) return null;
    const ordinals = MEMBERS.filter((one) => one !== ordinal && this.#random.chance(0.6));
    return this.#random.pick([
      () => this.#pair.act(ordinal, { kind: 'set-required', required: this.#random.pick([0, 1, 1, 2]) }),
      () => this.#pair.act(ordinal, { kind: 'unlock', ordinals }),
      () => this.#pair.act(ordinal, { kind: 'lock-out', ordinals }),
      () => this.#pair.act(ordinal, { kind: this.#random.pick(['close', 'reopen', 'disarm'] as const) }),
      () => this.#pair.act(ordinal, { kind: 'configure', role: { key: 'x', settings: { long_query_time: 3 } } }),
    ])();
  }

  promote(): Promise<void> | null {
    const ordinal = this.#one(this.#up());
    if (ordinal === null) return null;
    this.#primary = ordinal;
    const others = MEMBERS.filter((one) => one !== ordinal);
    return this.#pair.open(ordinal, this.#random.pick([0, 1, 1]), others);
  }

  replaceBrain(): Promise<void> | null {
    const ordinal = this.#one(this.#up());
    return ordinal === null ? null : this.#pair.replaceBrain(ordinal);
  }
}

const WEIGHTS = {
  write: 8,
  leave: 1,
  kill: 3,
  loseData: 0.5,
  start: 4,
  freeze: 1,
  cut: 2,
  mend: 3,
  endConnections: 1,
  stopApplier: 1,
  rotate: 1,
  purge: 1,
  follow: 4,
  replicaAct: 2,
  primaryAct: 4,
  promote: 1.5,
  replaceBrain: 0.5,
} as const satisfies Partial<Record<keyof RandomScript, number>>;
