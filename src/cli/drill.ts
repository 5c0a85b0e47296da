/** `drill`: a proof on this very cluster, shown as it goes. */
import { createInterface } from 'node:readline/promises';

import type { DrillCluster, DrillStatus } from '../drill/cluster.ts';
import type { DrillEvent, Report } from '../drill/drill.ts';
import { FAULTS, refuseUnsafe, type Fault } from '../drill/refusal.ts';
import type { ClusterClient } from './cluster-client.ts';
import { Context, type CommonOptions } from './context.ts';
import { badInput, CommandError, EXIT } from './exit.ts';

export interface DrillOptions extends CommonOptions {
  readonly kill?: boolean;
  readonly freeze?: boolean;
  readonly switchover?: boolean;
  readonly times: string;
  readonly yes?: boolean;
}

const mostTimes = 100;

const WORDS: Record<Fault, { readonly will: string; readonly done: string }> = {
  kill: { will: 'kills it with SIGKILL', done: 'killed with SIGKILL' },
  freeze: { will: 'freezes it with SIGSTOP, as if its machine hung', done: 'frozen with SIGSTOP' },
  switchover: { will: 'switches over to another member', done: 'asked to hand over' },
};

export async function drill(options: DrillOptions, interrupted: AbortSignal): Promise<void> {
  const context = new Context(options, interrupted);
  const fault = faultOf(options);
  const times = timesOf(options.times);
  const client = await context.cluster();
  const cluster = drillCluster(client);
  const status = await cluster.status();
  refuseUnsafe(status, fault);
  const { spec } = await client.resource();
  const targetMs = Math.round(spec.targets.failoverSeconds * 1000);
  const tell = context.json ? () => {} : (event: DrillEvent) => show(context, event, times);
  const plan = announcement(context, status, fault, times);
  if (options.yes !== true) await confirm(context, plan, fault);
  else if (!context.json) context.print(plan);
  // Loaded only now: mysql2 is large.
  const engine = await import('../drill/drill.ts');
  try {
    const report = await engine.drill({ cluster, plan: { fault, times, targetMs }, tell, signal: interrupted });
    if (context.json) context.printJson(report);
    else conclude(context, report);
    if (!report.met) process.exitCode = EXIT.failed;
  } catch (error) {
    if (interrupted.aborted) process.stderr.write('Interrupted: no verdict. What the drill wrote is dropped.\n');
    throw error;
  }
}

/** A cluster as a drill sees it. */
export function drillCluster(client: ClusterClient): DrillCluster {
  let login: ReturnType<ClusterClient['credentials']> | null = null;
  return {
    status: () => client.status(),
    // Once: in a Kubernetes each is a port of its own.
    login: () => (login ??= client.credentials()),
    journal: (signal) => client.journal(signal),
    kill: (ordinal) => client.kill(ordinal),
    freeze: (ordinal) => client.freeze(ordinal),
    thaw: (ordinal) => client.thaw(ordinal),
    switchover: (signal) => client.switchover(null, signal),
  };
}

function faultOf(options: DrillOptions): Fault {
  const asked = FAULTS.filter((fault) => options[fault] === true);
  if (asked.length < 2) return asked[0] ?? 'kill';
  throw badInput(`${asked.map((fault) => `--${fault}`).join(' and ')} are several drills: give one of them`);
}

function timesOf(text: string): number {
  const times = Number(text);
  if (Number.isInteger(times) && times >= 1 && times <= mostTimes) return times;
  throw badInput(`expected --times to be from 1 to ${mostTimes}, found ${JSON.stringify(text.slice(0, 60))}`);
}

function announcement(
  context: Context,
  { replicas, primary, durability }: DrillStatus,
  fault: Fault,
  times: number,
): string {
  const often = times === 1 ? '' : `, ${times} times, whichever member it is then`;
  return [
    `Cluster "${context.name}": ${replicas} members, ${durability?.mode ?? ''}, member ${primary ?? ''} is the primary.`,
    `The drill ${WORDS[fault].will}${often}, while clients of its own write.`,
    'All clients of the cluster lose their connections to the primary, and writes stand still for a moment.',
    'What the drill writes is dropped at the end.',
  ].join('\n');
}

async function confirm(context: Context, text: string, fault: Fault): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw badInput(
      `a drill is to be confirmed, and there is no terminal to ask on`,
      `If a moment without writes does no harm: ${context.command(`drill --${fault} --yes`)}`,
    );
  }
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await ask.question(`${text}\nGo on? [y/N] `, { signal: context.interrupted });
    if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError(EXIT.failed, 'DECLINED', 'nothing was done');
  } finally {
    ask.close();
  }
}

function show(context: Context, event: DrillEvent, times: number): void {
  const { bold, dim, red } = context.colours;
  switch (event.kind) {
    case 'writing':
      for (const other of event.others) context.print(`Another drill is under way, or left this: ${place(other)}`);
      return context.print(dim(`Clients write into ${place(event.place)}.`));
    case 'fault': {
      const head = times === 1 ? '' : `${event.round} of ${times}: `;
      return context.print(bold(`\n${head}member ${event.member} ${WORDS[event.fault].done}`));
    }
    case 'step': {
      const { step, atMs, ms, text } = event.step;
      return context.print(`${column(atMs)}  ${dim(`+${ms}`.padStart(6))}  ${step.padEnd(9)} ${dim(text)}`);
    }
    case 'round': {
      const { gapMs, healthyMs } = event.round;
      context.print(`${column(gapMs)}          ${bold('gap')}       writes stood still`);
      return context.print(
        healthyMs === null ? red('it did not become healthy again') : `${column(healthyMs)}          healthy again`,
      );
    }
    default:
      event satisfies never;
  }
}

const column = (ms: number): string => `${ms.toLocaleString('en')} ms`.padStart(11);
const place = (quoted: string): string => quoted.toLowerCase().replaceAll('`', '');

function conclude(context: Context, { writes, met, verdict, left }: Report): void {
  const { bold, dim, green, red } = context.colours;
  context.print('');
  if (writes !== null) {
    const { acknowledged, lost, unanswered } = writes;
    const number = (count: number): string => count.toLocaleString('en');
    const doubtful = unanswered === 0 ? '' : dim(`, ${number(unanswered)} got no answer and were promised nothing`);
    const gone = `${number(lost)} lost`;
    context.print(
      `${number(acknowledged)} writes acknowledged, ${lost === 0 ? green(gone) : red(bold(gone))}${doubtful}`,
    );
  }
  context.print(`${met ? green('Met') : red('Not met')}: ${verdict}`);
  if (left !== null) context.print(red(`Left behind, drop it when you can: drop ${place(left)}`));
}
