/**
 * AbortController and its signal, as far as the product uses them. Node's own are events with weak references, and cost a
 * simulation half of its time; importing this puts the plain ones in their place, for this process.
 */
type Listener = () => void;

export class PlainSignal {
  aborted = false;
  #listeners: Listener[] = [];

  get isAwaited(): boolean {
    return this.#listeners.length > 0;
  }

  addEventListener(_type: 'abort', listener: Listener): void {
    this.#listeners.push(listener);
  }

  removeEventListener(_type: 'abort', listener: Listener): void {
    const at = this.#listeners.indexOf(listener);
    if (at >= 0) this.#listeners.splice(at, 1);
  }

  /** Its time is over: what waits for it goes on. */
  end(time: { promised(): void }): void {
    if (this.isAwaited) time.promised();
    this.abort();
  }

  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}

class PlainController {
  readonly signal = new PlainSignal();

  abort(): void {
    this.signal.abort();
  }
}

globalThis.AbortController = PlainController as unknown as typeof AbortController;
