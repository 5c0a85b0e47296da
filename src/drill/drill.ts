/**
 * A drill: clients write, something is done to the primary, and what came of it is measured: how long writes stood still,
 * and whether any that was acknowledged is gone.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import type { DrillCluster, DrillStatus } from './cluster.ts';
import { Ledger, type Verdict } from './ledger.ts';
import { refuseUnsafe, type Fault } from './refusal.ts';
import { Steps, type Step } from './steps.ts';

export interface Plan {
  readonly fault: Fault;
  /** How often. */
  readonly times: number;
  /** The longest gap that is accepted, in milliseconds. */
  readonly targetMs: number;
}

export interface Round {
  /** The member that it was done to, which was the primary. */
  readonly member: number;
  /** The primary afterwards, and its epoch; null if there was none in time. */
  readonly primary: number | null;
  readonly epoch: number;
  readonly steps: readonly Step[];
  /** The longest that any client was without an OK, from the fault until the cluster was healthy again. */
  readonly gapMs: number;
  /** From the fault until the cluster was healthy again; null: it was not, in time. */
  readonly healthyMs: number | null;
}

export interface Report {
  readonly fault: Fault;
  readonly targetMs: number;
  readonly rounds: readonly Round[];
  readonly longestGapMs: number;
  /** Null if the writes could not be looked up any more. */
  readonly writes: Verdict | null;
  /** Nothing lost, every gap within the target, the cluster healthy again. */
  readonly met: boolean;
  readonly verdict: string;
  /** What could not be dropped at the end, as in `DATABASE x`; null: nothing is left. */
  readonly left: string | null;
}

export type DrillEvent =
  | { readonly kind: 'writing'; readonly place: string; readonly others: readonly string[] }
  | { readonly kind: 'fault'; readonly round: number; readonly fault: Fault; readonly member: number }
  | { readonly kind: 'step'; readonly step: Step }
  | { readonly kind: 'round'; readonly round: Round };

export interface DrillOptions {
  readonly cluster: DrillCluster;
  readonly plan: Plan;
  readonly tell: (event: DrillEvent) => void;
  /** Ends it early; everything is cleaned up. The promise rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** How long clients write before the first fault. Default 1000. */
  readonly warmUpMs?: number;
  /** How long the cluster may take to be healthy again. Default: two minutes, or ten times the target. */
  readonly recoverMs?: number;
}

const lookMs = 50;
/** After this long without a write nothing is tried. */
const firstWriteMs = 15_000;
/** The journal is told a moment later than it is written. */
const journalMs = 400;

/** Rejects with DrillRefusedError where it would be unsafe; then nothing was done. */
export async function drill(options: DrillOptions): Promise<Report> {
  const { cluster, plan, signal } = options;
  refuseUnsafe(await cluster.status(), plan.fault);
  const ledger = await Ledger.create(() => cluster.login());
  const ended = new AbortController();
  const heard: Heard = { steps: null };
  const listening = listen(options, heard, AbortSignal.any([signal, ended.signal]));
  let rounds: Round[] = [];
  let writes: Verdict | null = null;
  let left: string | null = null;
  try {
    rounds = await rehearse(options, ledger, heard);
    await ledger.stop();
    writes = await ledger.verdict().catch(() => null);
  } finally {
    ended.abort();
    await ledger.stop();
    left = await ledger.drop().then(
      () => null,
      () => ledger.place,
    );
    await listening;
  }
  return report(plan, rounds, writes, left);
}

interface Heard {
  /** Of the round that is under way. */
  steps: Steps | null;
}

async function listen({ cluster, tell }: DrillOptions, heard: Heard, signal: AbortSignal): Promise<void> {
  // Without the journal there are no steps to show; the gap and the writes are measured all the same.
  try {
    for await (const entry of cluster.journal(signal)) {
      for (const step of heard.steps?.take(entry) ?? []) tell({ kind: 'step', step });
    }
  } catch {}
}

async function rehearse(options: DrillOptions, ledger: Ledger, heard: Heard): Promise<Round[]> {
  const { cluster, plan, tell, signal, warmUpMs = 1000 } = options;
  tell({ kind: 'writing', place: ledger.place, others: await ledger.others() });
  ledger.start();
  if (!(await until(() => ledger.allWrite, firstWriteMs, signal))) {
    throw new Error(`no write was acknowledged within ${firstWriteMs / 1000} s: ${ledger.lastError}`);
  }
  await rest(warmUpMs, signal);
  const rounds: Round[] = [];
  while (rounds.length < plan.times) {
    const status = await cluster.status();
    refuseUnsafe(status, plan.fault);
    const round = await once(options, ledger, heard, status, rounds.length + 1);
    tell({ kind: 'round', round });
    rounds.push(round);
    if (round.healthyMs === null) break;
    if (rounds.length < plan.times) await rest(warmUpMs, signal);
  }
  return rounds;
}

async function once(
  { cluster, plan, tell, signal, recoverMs = Math.max(120_000, 10 * plan.targetMs) }: DrillOptions,
  ledger: Ledger,
  heard: Heard,
  before: DrillStatus,
  number: number,
): Promise<Round> {
  const { fault } = plan;
  const member = before.primary ?? 0;
  ledger.markGap();
  const sinceMs = performance.now();
  const steps = new Steps(Date.now());
  heard.steps = steps;
  tell({ kind: 'fault', round: number, fault, member });
  let after = before;
  try {
    await strike(cluster, fault, member, signal);
    ledger.markWrites();
    const back = async (): Promise<boolean> => {
      after = await cluster.status();
      // Right after the fault the cluster does not know of it yet, and calls itself healthy.
      if (after.epoch === before.epoch && !steps.over) return false;
      // What hung has been replaced, or may go on now.
      if (fault === 'freeze') await cluster.thaw(member);
      return after.state === 'healthy' && ledger.allWrite;
    };
    const healthy = await until(() => back().catch(() => false), recoverMs, signal);
    const healthyMs = healthy ? Math.round(performance.now() - sinceMs) : null;
    const gapMs = Math.round(ledger.longestGapMs());
    await until(() => steps.over, journalMs, signal);
    const { primary, epoch } = after;
    return { member, primary, epoch, steps: steps.done, gapMs, healthyMs };
  } finally {
    heard.steps = null;
    if (fault === 'freeze') await cluster.thaw(member).catch(() => {});
  }
}

async function strike(cluster: DrillCluster, fault: Fault, member: number, signal: AbortSignal): Promise<void> {
  switch (fault) {
    case 'kill':
      await cluster.kill(member);
      return;
    case 'freeze':
      await cluster.freeze(member);
      return;
    case 'switchover':
      await cluster.switchover(signal);
      return;
    default:
      fault satisfies never;
  }
}

function report(
  { fault, targetMs }: Plan,
  rounds: readonly Round[],
  writes: Verdict | null,
  left: string | null,
): Report {
  const longestGapMs = Math.max(...rounds.map(({ gapMs }) => gapMs));
  const wrong: string[] = [];
  if (writes === null) wrong.push('the writes could not be looked up');
  else if (writes.lost > 0) wrong.push(`${writes.lost} acknowledged writes are lost`);
  if (longestGapMs > targetMs) {
    wrong.push(`writes stood still for ${longestGapMs} ms, and the target is ${targetMs} ms`);
  }
  if (rounds.some(({ healthyMs }) => healthyMs === null)) wrong.push('the cluster did not become healthy again');
  const met = wrong.length === 0;
  const verdict = met
    ? `nothing was lost, and writes stood still for ${longestGapMs} ms at most; the target is ${targetMs} ms`
    : wrong.join('; ');
  return { fault, targetMs, rounds, longestGapMs, writes, met, verdict, left };
}

async function until(holds: () => boolean | Promise<boolean>, limitMs: number, signal: AbortSignal): Promise<boolean> {
  const deadlineMs = performance.now() + limitMs;
  for (;;) {
    signal.throwIfAborted();
    if (await holds()) return true;
    if (performance.now() > deadlineMs) return false;
    await rest(lookMs, signal);
  }
}

async function rest(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
  signal.throwIfAborted();
}
