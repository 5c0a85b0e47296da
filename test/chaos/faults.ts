/** What may happen to a cluster of real processes, and what may be asked of it. Each ends by itself, or is ended. */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ProcessId } from '../../src/cluster/view.ts';
import { signalProcess } from '../../src/local/process-identity.ts';
import type { Random } from '../simulation/random.ts';
import type { Clients } from './clients.ts';
import { CUTS, type Link } from './links.ts';
import type { Spec, Stage } from './stage.ts';

/** What a fault has to go by, drawn anew for each. */
export interface Scene {
  readonly stage: Stage;
  readonly clients: Clients;
  readonly random: Random;
  readonly primary: number;
  readonly replicas: readonly number[];
  /** Aborts when the time is over: whatever is broken is mended at once. */
  readonly signal: AbortSignal;
  readonly tell: (text: string) => void;
}

interface Fault {
  readonly weight: number;
  /** Only on a healthy cluster, as the first of what happens at once: it takes a member's data, or asks mysqld nicely. */
  readonly first?: boolean;
  readonly possible?: (scene: Scene) => boolean;
  /** Resolves when it is over and mended. */
  readonly run: (scene: Scene) => Promise<void>;
}

export type FaultName = keyof typeof FAULTS;

export const FAULTS = {
  'kill the primary': { weight: 10, run: (scene) => kill(scene, [scene.primary]) },
  'kill a replica': { weight: 5, run: (scene) => kill(scene, [scene.random.pick(scene.replicas)]) },
  'kill several': { weight: 4, run: (scene) => kill(scene, some(scene, [scene.primary, ...scene.replicas], 2)) },
  'stop a replica': {
    weight: 2,
    first: true,
    run: async ({ stage, random, replicas, tell }) => {
      const ordinal = random.pick(replicas);
      tell(`SIGTERM to member ${ordinal}`);
      await stage.signal(ordinal, 'SIGTERM');
    },
  },
  'freeze the primary': { weight: 7, run: (scene) => freeze(scene, [scene.primary]) },
  'freeze replicas': { weight: 5, run: (scene) => freeze(scene, some(scene, scene.replicas, 1)) },
  'freeze several': { weight: 3, run: (scene) => freeze(scene, some(scene, [scene.primary, ...scene.replicas], 2)) },
  'kill the daemon': { weight: 6, run: (scene) => daemonGone(scene, 'SIGKILL') },
  'stop the daemon': { weight: 2, run: (scene) => daemonGone(scene, 'SIGTERM') },
  'freeze the daemon': {
    weight: 3,
    run: async ({ stage, random, signal, tell }) => {
      const daemon = await stage.daemon();
      if (daemon === null) return;
      const ms = random.between(300, 4000);
      tell(`SIGSTOP to the daemon for ${ms.toFixed(0)} ms`);
      signalProcess(daemon, 'SIGSTOP');
      await pause(ms, signal);
      signalProcess(daemon, 'SIGCONT');
    },
  },
  'lose a replica’s data': {
    weight: 3,
    first: true,
    run: (scene) => loseData(scene, scene.random.pick(scene.replicas)),
  },
  'lose the primary’s data': { weight: 3, first: true, run: (scene) => loseData(scene, scene.primary) },
  'fill a disk': {
    weight: 3,
    possible: ({ stage, primary, replicas }) => stage.diskOf === primary || replicas.includes(stage.diskOf ?? -1),
    run: fillDisk,
  },
  'cut one link': {
    weight: 5,
    run: (scene) => {
      const [source = 0, replica = 0] = some(scene, [scene.primary, ...scene.replicas], 2, 2);
      return cut(scene, both(source, replica), `the link of ${source} and ${replica}`);
    },
  },
  'cut off the primary': { weight: 5, run: (scene) => isolate(scene, scene.primary) },
  'cut off a replica': { weight: 4, run: (scene) => isolate(scene, scene.random.pick(scene.replicas)) },
  halves: {
    weight: 4,
    run: (scene) => {
      const members = shuffled(scene, [scene.primary, ...scene.replicas]);
      const middle = 1 + scene.random.int(members.length - 1);
      const [left, right] = [members.slice(0, middle), members.slice(middle)];
      const links = left.flatMap((one) => right.flatMap((other) => both(one, other)));
      return cut(scene, links, `${left.join(', ')} from ${right.join(', ')}`);
    },
  },
  'a ring of majorities': {
    weight: 3,
    possible: ({ replicas }) => replicas.length >= 3,
    run: (scene) => {
      const ring = shuffled(scene, [scene.primary, ...scene.replicas]);
      const links = ring.flatMap((one, at) =>
        ring.flatMap((other, with_) => {
          const apart = Math.abs(at - with_);
          return apart > 1 && apart < ring.length - 1 ? [{ source: one, replica: other }] : [];
        }),
      );
      return cut(scene, links, `all but the ring ${ring.join(', ')}`);
    },
  },
  'end replication connections': {
    weight: 3,
    run: async ({ stage, primary, tell }) => {
      tell(`KILL of every replication connection at member ${primary}`);
      const root = await stage.root(primary);
      try {
        const [rows] = await root.query(
          "SELECT ID AS id FROM performance_schema.processlist WHERE USER LIKE 'baton\\_replica\\_%'",
        );
        for (const { id } of rows as { id: number }[]) await root.query(`KILL ${id}`).catch(() => {});
      } finally {
        root.destroy();
      }
    },
  },
  'a burst of connections': {
    weight: 3,
    run: async ({ clients, random, tell }) => {
      const count = 50 + random.int(150);
      const opened = await clients.burst(count, random.between(200, 2000));
      tell(`${opened} of ${count} connections at once were open`);
    },
  },
  switchover: {
    weight: 8,
    run: async ({ stage, random, replicas, tell }) => {
      const to = random.chance(0.3) ? null : random.pick(replicas);
      const client = await stage.client();
      tell(`a switchover to ${to ?? 'any member'}`);
      const { primary } = await needed(client).switchover(to, AbortSignal.timeout(30_000));
      tell(`the switchover is done: member ${primary}`);
    },
  },
  restart: {
    weight: 3,
    run: async (scene) => {
      const ordinals = scene.random.chance(0.3) ? [] : some(scene, [scene.primary, ...scene.replicas], 1);
      scene.tell(`a restart of ${ordinals.length === 0 ? 'all' : ordinals.join(', ')}`);
      await needed(await scene.stage.client()).restart(ordinals);
    },
  },
  scale: {
    weight: 4,
    run: async (scene) => {
      const { stage, random } = scene;
      const now = stage.spec.replicas ?? 3;
      const replicas = random.pick([2, 3, 4, 5, 6].filter((count) => count !== now && Math.abs(count - now) <= 2));
      await apply(scene, { ...stage.spec, replicas });
    },
  },
  configure: {
    weight: 4,
    run: (scene) => {
      const { random, stage } = scene;
      const { mysql = {}, durability = {}, detection = {}, ...rest } = stage.spec;
      const config = { ...mysql.config };
      const mode = durability.mode === 'adaptive' ? undefined : 'adaptive';
      switch (random.pick(['setting', 'restart', 'mode', 'powerLoss', 'detection'])) {
        case 'setting':
          return apply(scene, {
            ...stage.spec,
            mysql: { ...mysql, config: { ...config, long_query_time: 1 + random.int(9) } },
          });
        case 'restart':
          return apply(scene, {
            ...stage.spec,
            mysql: { ...mysql, config: { ...config, innodb_read_io_threads: 1 + random.int(7) } },
          });
        case 'mode':
          return apply(scene, {
            ...rest,
            mysql,
            detection,
            durability: { ...durability, ...(mode === undefined ? { mode: 'quorum' } : { mode }) },
          });
        case 'powerLoss':
          return apply(scene, {
            ...rest,
            mysql,
            detection,
            durability: { ...durability, powerLoss: durability.powerLoss !== true },
          });
        default:
          return apply(scene, { ...rest, mysql, durability, detection: { timeoutSeconds: random.pick([0.5, 1, 2]) } });
      }
    },
  },
} as const satisfies Record<string, Fault>;

async function kill({ stage, random, signal, tell }: Scene, ordinals: readonly number[]): Promise<void> {
  for (const [at, ordinal] of ordinals.entries()) {
    if (at > 0 && random.chance(0.5)) await pause(random.between(1, 400), signal);
    tell(`SIGKILL to member ${ordinal}`);
    await stage.signal(ordinal, 'SIGKILL');
  }
}

async function freeze({ stage, random, signal, tell }: Scene, ordinals: readonly number[]): Promise<void> {
  const ms = random.between(200, 6000);
  const frozen: ProcessId[] = [];
  try {
    for (const ordinal of ordinals) {
      tell(`SIGSTOP to member ${ordinal} for ${ms.toFixed(0)} ms`);
      const process = await stage.signal(ordinal, 'SIGSTOP');
      if (process !== null) frozen.push(process);
    }
    await pause(ms, signal);
  } finally {
    for (const process of frozen) signalProcess(process, 'SIGCONT');
  }
  tell(`SIGCONT to ${ordinals.join(', ')}`);
}

async function daemonGone({ stage, random, primary, signal, tell }: Scene, how: NodeJS.Signals): Promise<void> {
  const daemon = await stage.daemon();
  if (daemon === null) return;
  tell(`${how} to the daemon`);
  signalProcess(daemon, how);
  if (random.chance(0.3)) {
    await pause(random.between(0, 500), signal);
    tell(`SIGKILL to member ${primary}, which nobody looks after`);
    await stage.signal(primary, 'SIGKILL');
  }
  await pause(random.between(0, 3000), signal);
  await stage.startDaemon();
  tell('another daemon runs');
}

/** Over when it has data anew: until then no other member's may be lost. */
async function loseData({ stage, random, signal, tell }: Scene, ordinal: number): Promise<void> {
  // Its home is where a file system is mounted.
  if (ordinal === stage.diskOf) return;
  const before = await stage.serverUuid(ordinal);
  tell(`the data of member ${ordinal} is deleted`);
  await stage.loseData(ordinal);
  if (random.chance(0.5)) await stage.signal(ordinal, 'SIGKILL');
  const deadlineMs = performance.now() + RENEWED_MS;
  while ((await stage.serverUuid(ordinal)) === before && !signal.aborted && performance.now() < deadlineMs) {
    await pause(50, signal);
  }
  tell(`member ${ordinal} has new data`);
}

const RENEWED_MS = 60_000;

async function fillDisk({ stage, random, signal, tell }: Scene): Promise<void> {
  const filler = join(stage.home(stage.diskOf ?? 0), 'filler');
  tell(`the disk of member ${String(stage.diskOf)} is filled`);
  await promisify(execFile)('sh', ['-c', `cat /dev/zero > ${filler} || true`]);
  await pause(random.between(500, 6000), signal);
  await rm(filler, { force: true });
  tell(`the disk of member ${String(stage.diskOf)} has room again`);
}

function isolate(scene: Scene, ordinal: number): Promise<void> {
  const others = [scene.primary, ...scene.replicas].filter((other) => other !== ordinal);
  return cut(
    scene,
    others.flatMap((other) => both(ordinal, other)),
    `member ${ordinal} from all others`,
  );
}

async function cut({ stage, random, signal, tell }: Scene, links: readonly Link[], what: string): Promise<void> {
  const how = random.pick(CUTS);
  const ms = random.between(100, 7000);
  tell(`cut (${how}) for ${ms.toFixed(0)} ms: ${what}`);
  stage.links.cut(links, how);
  await pause(ms, signal);
  stage.links.mend(links);
  tell(`mended: ${what}`);
}

async function apply({ stage, tell }: Scene, spec: Spec): Promise<void> {
  tell(`asked for: ${(await stage.apply(spec)).join('; ') || 'nothing new'}`);
}

const both = (one: number, other: number): Link[] => [
  { source: one, replica: other },
  { source: other, replica: one },
];

function needed<T>(client: T | null): T {
  if (client === null) throw new Error('there is no daemon to ask');
  return client;
}

function shuffled<T>({ random }: Scene, items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, at: random.unit() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

/** At least so many of them. */
function some<T>(scene: Scene, items: readonly T[], least: number, most = items.length): T[] {
  const count = Math.min(items.length, least + scene.random.int(most - least + 1));
  return shuffled(scene, items).slice(0, count);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
