/** Waiting for a cluster to be as it is wanted, in words, with a deadline. */
import { awaited, isSettled, type Status } from '../local/status.ts';
import type { ClusterClient } from './cluster-client.ts';
import type { Context } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Ticker } from './terminal.ts';

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly ticker: Ticker;
  /** Whether this is what was waited for. Default: all that the resource asks for is there. */
  readonly until?: (status: Status) => boolean;
  /** As `baton up`: one at a time. */
  readonly claim?: boolean;
  /** Called with every status before it is judged; resolves with what is to be judged. */
  readonly onStatus?: (status: Status) => Promise<Status>;
}

/** How long something may look final before it is taken for it: members come back, and a start is tried again. */
const PATIENCE_MS = 15_000;

export async function waitFor(context: Context, client: ClusterClient, options: WaitOptions): Promise<Status> {
  const { timeoutMs, ticker, until = isSettled, claim = false, onStatus } = options;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([context.interrupted, deadline]);
  let latest: Status | null = null;
  let hopelessSinceMs: number | null = null;
  const judge = (status: Status): void => {
    const why = hopeless(status);
    if (why === null) hopelessSinceMs = null;
    else if (performance.now() - (hopelessSinceMs ??= performance.now()) > PATIENCE_MS) {
      throw new CommandError(EXIT.failed, 'CLUSTER_FAILED', why, `What happened: ${context.command('explain')}`);
    }
  };
  for await (const seen of client.watch({ claim, signal })) {
    const status = onStatus === undefined ? seen : await onStatus(seen);
    latest = status;
    if (until(status)) return status;
    ticker.show(progressWords(status), progressKey(status));
    judge(status);
  }
  if (context.interrupted.aborted) throw new CommandError(EXIT.interrupted, 'INTERRUPTED', 'interrupted');
  if (!deadline.aborted) throw new CommandError(EXIT.failed, 'STOPPED', 'the cluster was stopped meanwhile');
  const waited = latest === null ? 'nobody answered' : awaited(latest);
  throw new CommandError(
    EXIT.timedOut,
    'TIMED_OUT',
    `not done within ${timeoutMs / 1000} s: ${waited}`,
    `It goes on: ${context.command('status --watch')}`,
  );
}

function progressWords(status: Status): string {
  const { progress } = status;
  if (progress === null || status.state !== 'starting') return `${status.state}: ${awaited(status)}`;
  const { message, doneBytes, totalBytes } = progress;
  if (doneBytes === undefined || totalBytes === undefined || totalBytes === 0) return message;
  const part = Math.min(1, doneBytes / totalBytes);
  const bar = '━'.repeat(Math.round(part * 20)).padEnd(20, '·');
  return `${message} ${bar} ${Math.round(part * 100)} % of ${Math.round(totalBytes / 1e6)} MB`;
}

/** Where nothing can be redrawn, a download is told in quarters. */
function progressKey(status: Status): string {
  const { progress } = status;
  if (progress === null || status.state !== 'starting') return progressWords(status);
  const { message, doneBytes, totalBytes } = progress;
  const quarter = doneBytes === undefined || !totalBytes ? 0 : Math.floor((4 * doneBytes) / totalBytes);
  return `${message} ${quarter}`;
}

/** Why waiting longer is of no use, or null. */
function hopeless(status: Status): string | null {
  if (status.state === 'lost') return status.reason;
  if (status.state !== 'creating') return null;
  const broken = status.members.find(({ reason }) => reason.includes('mysqld ended at its start'));
  return broken === undefined ? null : `member ${broken.ordinal} does not come up: ${broken.reason}`;
}
