/** What asking an API server can end in, besides an answer. */

/** The API server answered, and not with what was asked for. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code = 'KUBERNETES_API';
  /** The HTTP status: 404, 409, 410, 422 and so on. */
  readonly status: number;
  /** Kubernetes' own word, such as NotFound, Conflict, Expired, Invalid; empty if it gave none. */
  readonly reason: string;

  constructor(what: string, status: number, reason: string, message: string) {
    super(`${what}: ${message === '' ? `HTTP ${status}` : message}`);
    this.status = status;
    this.reason = reason;
  }
}

/** No answer: whether the request was carried out is not known. */
export class ApiUnreachableError extends Error {
  override readonly name = 'ApiUnreachableError';
  readonly code = 'KUBERNETES_UNREACHABLE';
  readonly hint = 'See whether the API server is up, and whether the kubeconfig and its context name the right one.';

  constructor(what: string, found: string, options?: ErrorOptions) {
    super(`${what}: expected an answer of the API server, found ${found}`, options);
  }
}

export const isNotFound = (error: unknown): boolean => error instanceof ApiError && error.status === 404;
export const isConflict = (error: unknown): boolean => error instanceof ApiError && error.status === 409;
/** The resource version that was asked for is no longer kept. */
export const isExpired = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 410 || error.reason === 'Expired');
