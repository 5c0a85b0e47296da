/**
 * Which process this is: a pid alone may name another program later, a pid with its start time never does on the same
 * boot. Reads Linux's /proc (proc(5)).
 */
import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

import type { ProcessId } from '../cluster/view.ts';

/** Linux reports times in /proc in hundredths of a second on every architecture (USER_HZ). */
const ticksPerSecond = 100;

/** `startTime` is in ticks since boot, as /proc/PID/stat has it. */
type ProcessStat = { startTime: string; dead: boolean };

/** Reads the text of /proc/PID/stat. A dead process is one that runs no more code, reaped by its parent or not. */
export function parseStat(text: string): ProcessStat {
  // The program's name may hold spaces and brackets of its own: the fields begin after the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, threads, startTime] = [fields[0], fields[17], fields[19]];
  if (startTime === undefined) throw new Error(`expected the fields of /proc/PID/stat, found ${JSON.stringify(text)}`);
  // While other threads of a killed process still finish their system calls, its first thread is a zombie already.
  return { startTime, dead: (state === 'Z' || state === 'X') && Number(threads) <= 1 };
}

/** The process that has this pid now; null if there is none that runs. Throws if /proc can't tell. */
export function processOf(pid: number): ProcessId | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    if (isGoneError(error)) return null;
    throw error;
  }
  const { startTime, dead } = parseStat(text);
  return dead ? null : { pid, startTime };
}

export function processState(id: ProcessId): 'running' | 'gone' | 'unknown' {
  try {
    return processOf(id.pid)?.startTime === id.startTime ? 'running' : 'gone';
  } catch {
    return 'unknown';
  }
}

/** Sends a signal to exactly this process. False if it is gone. Throws if we may not signal it. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (processState(id) === 'gone') return false;
  try {
    return process.kill(id.pid, signal);
  } catch (error) {
    if (isGoneError(error)) return false;
    throw error;
  }
}

/** Whether the process was started with this very argument. */
export async function hasArgument(id: ProcessId, argument: string): Promise<boolean> {
  return (await argumentsOf(id.pid)).includes(argument) && processState(id) === 'running';
}

/** The first running process, other than this one, that was started with exactly this argument. */
export async function findProcess(argument: string): Promise<ProcessId | null> {
  for (const pid of await pids()) {
    if (pid === process.pid || !(await argumentsOf(pid)).includes(argument)) continue;
    const found = processOf(pid);
    if (found !== null) return found;
  }
  return null;
}

/** How long ago the process started, in milliseconds, to a hundredth of a second. */
export function processAgeMs(id: ProcessId): number {
  const uptimeSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  return Math.max(0, Math.round((uptimeSeconds - Number(id.startTime) / ticksPerSecond) * 1000));
}

/** Names the machine's time since it was switched on: what was not yet on disk died with the one before. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

export async function pids(): Promise<number[]> {
  return (await readdir('/proc')).map(Number).filter((pid) => Number.isInteger(pid));
}

async function argumentsOf(pid: number): Promise<string[]> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').then(
    (text) => text.split('\0'),
    () => [],
  );
}

function isGoneError(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ESRCH';
}
