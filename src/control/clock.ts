/** The one place where the inner rings meet real time and chance. */
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Clock } from './port.ts';

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallTime: () => new Date(),
  sleep: (ms, signal) => wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined),
  deadline: (ms) => AbortSignal.timeout(Math.max(0, Math.ceil(ms))),
  uuid: () => randomUUID(),
};
