/**
 * What people ask of a cluster besides its spec: annotations of the MySQLCluster, which `baton switchover` and `baton
 * restart` write. Each names what it is about (the epoch that is to end, the very Pods), so that one that is carried out
 * twice, late, or by an operator that takes over in the middle does nothing that was not meant.
 */
import * as z from 'zod';

export const SWITCHOVER_ANNOTATION = 'baton.dev/switchover';
export const RESTART_ANNOTATION = 'baton.dev/restart';

export interface SwitchoverRequest {
  /** The answer has the same. */
  readonly id: string;
  /** The epoch whose primary is to hand over; in a later one there is nothing to do. */
  readonly epoch: number;
  /** The ordinal of the next primary; null: the member that is furthest. */
  readonly to: number | null;
  /** Whoever asked waits no longer, in milliseconds since 1970. */
  readonly untilMs: number;
}

/** In the status: what became of the newest request. */
export interface SwitchoverAnswer {
  readonly id: string;
  readonly done: boolean;
  readonly reason: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
}

/** The Pods that are to be replaced, each by its name and uid; one that has another uid by now has been. */
export type RestartRequest = Readonly<Record<string, string>>;

const Switchover = z.object({
  id: z.string().min(1).max(64),
  epoch: z.int().min(0),
  to: z.int().min(0).nullable(),
  untilMs: z.number(),
});
const Restart = z.record(z.string(), z.string());

type Annotations = Readonly<Record<string, string>> | undefined;

/** Null if there is none, or none that makes sense. */
export const switchoverAsked = (annotations: Annotations): SwitchoverRequest | null =>
  parsed(Switchover, annotations?.[SWITCHOVER_ANNOTATION]);

export const restartAsked = (annotations: Annotations): RestartRequest =>
  parsed(Restart, annotations?.[RESTART_ANNOTATION]) ?? {};

function parsed<T>(schema: z.ZodType<T>, text: string | undefined): T | null {
  if (text === undefined) return null;
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

export interface Now {
  readonly epoch: number;
  /** The primary's ordinal. */
  readonly primary: number | null;
  readonly nowMs: number;
}

/** What a request comes to without anything being done, or null if it is to be carried out. */
export function moot(
  asked: SwitchoverRequest,
  { epoch, primary, nowMs }: Now,
): Pick<SwitchoverAnswer, 'done' | 'reason'> | null {
  if (epoch > asked.epoch) {
    const done = asked.to === null || asked.to === primary;
    return { done, reason: `member ${primary} has become the primary meanwhile` };
  }
  if (nowMs > asked.untilMs) return { done: false, reason: 'nobody took it up while it was waited for' };
  return null;
}
