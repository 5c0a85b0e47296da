/** What the daemon takes while nothing happens. */
import { readFile } from 'node:fs/promises';
import { BatonCluster } from './baton-cluster.ts';
import { sleep, type Bench, type Part } from './bench.ts';
import type { Findings } from './result.ts';
import { median } from './statistics.ts';

const WINDOW_MS = 20_000;
const SETTLE_MS = 10_000;
/** USER_HZ, which is 100 wherever Linux runs. */
const TICK_MS = 10;
const MEMORY_MB = 120;
const CPU_PERCENT = 2;

export const atRest: Part = {
  title: 'The daemon at rest, 3 members',
  run: measure,
};

async function measure(bench: Bench): Promise<Findings> {
  const rounds = bench.rounds(3);
  await using cluster = await BatonCluster.start(bench, 'rest');
  await sleep(SETTLE_MS, bench.signal);
  const memory: number[] = [];
  const cpu: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    const found = await watch(cluster.daemonPid, WINDOW_MS, bench.signal);
    memory.push(found.memoryMb);
    cpu.push(found.cpuPercent);
    bench.progress(
      `${round} of ${rounds}: ${found.memoryMb.toFixed(0)} MB, ${found.cpuPercent.toFixed(1)} % of a core`,
    );
  }
  return {
    series: [
      { label: 'resident memory', unit: 'MB', values: memory },
      { label: 'of a core', unit: '%', values: cpu },
    ],
    verdicts: [
      {
        what: 'daemon at rest, memory',
        baseline: '',
        measured: `${median(memory).toFixed(0)} MB`,
        target: `< ${MEMORY_MB} MB`,
        met: median(memory) < MEMORY_MB,
      },
      {
        what: 'daemon at rest, processor',
        baseline: '',
        measured: `${median(cpu).toFixed(1)} % of a core`,
        target: `< ${CPU_PERCENT} %`,
        met: median(cpu) < CPU_PERCENT,
      },
    ],
    plots: [],
    method: `Three members, no clients, ${SETTLE_MS / 1000} s after the start; each time over ${WINDOW_MS / 1000} s, from /proc.`,
  };
}

export async function watch(
  pid: number,
  windowMs: number,
  signal: AbortSignal,
): Promise<{ memoryMb: number; cpuPercent: number }> {
  const [before, sinceMs] = [await cpuMs(pid), performance.now()];
  await sleep(windowMs, signal);
  const cpuPercent = ((await cpuMs(pid)) - before) / (performance.now() - sinceMs);
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? Number.NaN);
  return { memoryMb: (kib * 1024) / 1e6, cpuPercent: cpuPercent * 100 };
}

async function cpuMs(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
