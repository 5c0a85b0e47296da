import { readFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

/** Linux counts a process's time in hundredths of a second. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  readonly percentOfCore: number;
  readonly residentMb: number;
}

/** What a process takes within the next `ms`. */
export async function usageOf(pid: number, ms: number): Promise<Usage> {
  const before = await cpuSeconds(pid);
  const begunMs = performance.now();
  await wait(ms);
  const seconds = (performance.now() - begunMs) / 1000;
  const percentOfCore = (100 * ((await cpuSeconds(pid)) - before)) / seconds;
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const residentMb = Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) / 1024;
  return { percentOfCore: Math.round(percentOfCore * 10) / 10, residentMb: Math.round(residentMb) };
}

async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}
