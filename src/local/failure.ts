/** An error as it travels from the daemon to whoever asked. */
export interface Failure {
  /** Stable: callers may switch on it. */
  readonly code: string;
  /** What was expected and what was found; usually one line. */
  readonly message: string;
  /** What to do next; null if there is nothing to say. */
  readonly hint: string | null;
  readonly stack: string | null;
}

export function asFailure(error: unknown): Failure {
  if (!(error instanceof Error)) return { code: 'UNEXPECTED', message: String(error), hint: null, stack: null };
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  return {
    code: typeof code === 'string' ? code : 'UNEXPECTED',
    message: error.message,
    // A ResourceError's messages hold their hints already.
    hint: typeof hint === 'string' && !error.message.includes(hint) ? hint : null,
    stack: error.stack ?? null,
  };
}

/** One that came from the daemon, here again. */
export class DaemonError extends Error {
  override readonly name = 'DaemonError';
  readonly code: string;
  readonly hint: string | null;
  readonly daemonStack: string | null;

  constructor({ code, message, hint, stack }: Failure) {
    super(message);
    this.code = code;
    this.hint = hint;
    this.daemonStack = stack;
  }
}
