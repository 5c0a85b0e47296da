/**
 * mysqld that is asked to stop (SIGTERM, SHUTDOWN) answers OK to commits that wait for an acknowledgement, 0.2 s later at
 * the earliest; first, within some 2 ms, it says in its log that it was asked. Whoever hears that can kill it in time.
 */
import { watch, type FSWatcher } from 'node:fs';
import { readLogFrom } from './start-failure.ts';

const TOLD_TO_STOP = /^\S+ \d+ \[System\] \[MY-\d+\] \[Server\] Received SHUTDOWN from user /m;

/**
 * Calls `told` once, when a line after `fromBytes` says so. Returns the way to end it; null if the system can't watch
 * the file, out of inotify watches for instance.
 */
export function onToldToStop(logFile: string, fromBytes: number, told: () => void): (() => void) | null {
  let seenBytes = fromBytes;
  let reading = false;
  let changed = false;
  let watcher: FSWatcher;
  const read = async (): Promise<void> => {
    changed = true;
    if (reading) return;
    reading = true;
    while (changed) {
      changed = false;
      const text = await readLogFrom(logFile, seenBytes).catch(() => '');
      const lines = text.slice(0, text.lastIndexOf('\n') + 1);
      seenBytes += Buffer.byteLength(lines);
      if (!TOLD_TO_STOP.test(lines)) continue;
      watcher.close();
      return told();
    }
    reading = false;
  };
  try {
    watcher = watch(logFile, { persistent: false }, () => void read());
  } catch {
    return null;
  }
  watcher.on('error', () => watcher.close());
  return () => watcher.close();
}
