/**
 * Virtual time. It stands still while anything runs, and jumps to the next event when nothing does: promises included,
 * whose continuations all run before the next event, so one order of events gives one history.
 */

/** How far apart the moments of `about` are. */
const ABOUT_MS = 10;

export interface Timer {
  readonly atMs: number;
  readonly order: number;
  run: (() => void) | null;
}

export class VirtualTime {
  nowMs = 0;
  events = 0;
  readonly #heap: Timer[] = [];
  #order = 0;
  readonly #together = new Map<number, (() => void)[]>();
  #promised = false;
  #stopped = false;

  /** Runs `run` after `ms`. Set the timer's `run` to null to call it off. */
  after(ms: number, run: () => void): Timer {
    const timer = { atMs: this.nowMs + Math.max(0, ms), order: this.#order++, run };
    this.#push(timer);
    return timer;
  }

  /** Runs `run` after `ms` and a little more, together with others; it can't be called off. */
  about(ms: number, run: () => void): void {
    const atMs = (Math.floor((this.nowMs + ms) / ABOUT_MS) + 1) * ABOUT_MS;
    const together = this.#together.get(atMs);
    if (together !== undefined) return void together.push(run);
    const runs = [run];
    this.#together.set(atMs, runs);
    this.after(atMs - this.nowMs, () => {
      this.#together.delete(atMs);
      for (const one of runs) one();
    });
  }

  /** To be called by whatever settles a promise: what hangs on it has to run before time goes on. */
  promised(): void {
    this.#promised = true;
  }

  /** Ends the `run` under way after the present event. */
  stop(): void {
    this.#stopped = true;
  }

  /** Lets events happen until `untilMs`. Rejects with whatever an event throws. */
  run(untilMs: number): Promise<void> {
    this.#stopped = false;
    return new Promise((resolve, reject) => {
      // A tick that a microtask asks for comes when no microtask is left.
      const drained = (): void => process.nextTick(step);
      const step = (): void => {
        try {
          while (!this.#stopped) {
            const next = this.#heap[0];
            if (next === undefined || next.atMs > untilMs) {
              this.nowMs = untilMs;
              resolve();
              return;
            }
            this.#pop();
            if (next.run === null) continue;
            this.nowMs = next.atMs;
            this.events++;
            this.#promised = false;
            next.run();
            if (!this.#promised) continue;
            queueMicrotask(drained);
            return;
          }
          resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      queueMicrotask(drained);
    });
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(timer, heap[parent] as Timer)) break;
      heap[at] = heap[parent] as Timer;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return;
    let at = 0;
    while (true) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer)) child++;
      if (!before(heap[child] as Timer, last)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
