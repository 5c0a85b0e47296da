/** What a MySQLCluster's status says, from the newest decision and what it rests on. */
import type { Decision } from '../cluster/decision.ts';
import type { MemberView, View } from '../cluster/view.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import type { Condition } from './api/resources.ts';
import { namesOf, selectorText } from './objects/object.ts';

export interface Latest {
  readonly decision: Decision;
  readonly view: View;
}

/** What keeps the operator from looking after a cluster at all; null: nothing. */
export interface Hindrance {
  readonly reason: string;
  readonly message: string;
}

const WELL: ReadonlySet<string> = new Set(['writable', 'following', 'ready']);

/** As a JSON merge patch; null takes a field away. */
export function statusOf(
  cluster: MySQLCluster | null,
  generation: number,
  latest: Latest | null,
  hindrance: Hindrance | null,
  before: readonly Condition[],
): Record<string, unknown> {
  const conditions = conditionsOf(generation, latest, hindrance, before);
  if (cluster === null || latest === null) {
    return {
      observedGeneration: generation,
      ...(hindrance === null ? {} : { reason: hindrance.message }),
      ...(cluster === null ? {} : { selector: selectorText(cluster) }),
      conditions,
    };
  }
  const { decision, view } = latest;
  const names = namesOf(cluster);
  const { record } = view;
  const shown = decision.members.filter(({ ordinal }) => ordinal < view.wanted.replicas || isHere(view, ordinal));
  const ready = shown.filter(({ ordinal, state }) => ordinal < view.wanted.replicas && WELL.has(state)).length;
  const primary = view.members.find(({ ordinal }) => ordinal === record.primary?.ordinal);
  return {
    observedGeneration: generation,
    state: decision.state,
    reason: hindrance?.message ?? decision.reason,
    primary: record.primary === null ? null : names.pod(record.primary.ordinal),
    ready: `${ready}/${view.wanted.replicas}`,
    version: primary?.contact.kind === 'answers' ? primary.contact.server.version : undefined,
    replicas: view.members.filter(({ process }) => process.kind !== 'absent').length,
    readyReplicas: ready,
    selector: selectorText(cluster),
    epoch: record.epoch,
    durability: { mode: record.mode, required: record.required },
    members: shown.map(({ ordinal, role, state, reason }) => {
      const member = view.members.find((one) => one.ordinal === ordinal);
      const server = member?.contact.kind === 'answers' ? member.contact.server : null;
      const lagSeconds = role === 'primary' ? null : (server?.lagSeconds ?? null);
      return {
        name: names.pod(ordinal),
        ordinal,
        role,
        state,
        // Of one that does not answer, Kubernetes knows more than we.
        detail:
          server === null
            ? (member?.trouble ?? (reason || (troubleOf(member) ?? '')))
            : reason || (member?.disk ?? member?.trouble ?? ''),
        ...(server === null ? {} : { serverUuid: server.serverUuid }),
        ...(lagSeconds === null ? {} : { lagSeconds: Math.round(lagSeconds) }),
      };
    }),
    conditions,
  };
}

function isHere(view: View, ordinal: number): boolean {
  return view.members.some((member) => member.ordinal === ordinal && member.process.kind !== 'absent');
}

function troubleOf(member: MemberView | undefined): string | null {
  if (member === undefined) return null;
  const gone = member.process.kind === 'gone' ? member.process.trouble : null;
  return member.disk ?? member.trouble ?? gone ?? member.failure?.error ?? null;
}

const PROGRESSING: ReadonlySet<string> = new Set(['creating', 'restoring', 'switching', 'failing-over']);

function conditionsOf(
  generation: number,
  latest: Latest | null,
  hindrance: Hindrance | null,
  before: readonly Condition[],
): unknown[] {
  const state = latest?.decision.state ?? 'creating';
  const serves = latest?.decision.primary.members.length !== 0 && latest !== null && state !== 'blocked';
  const reason = hindrance?.reason ?? inCapitals(state);
  const message = hindrance?.message ?? latest?.decision.reason ?? 'the operator begins to look after it';
  const now = new Date().toISOString().replace(/\.\d{3}Z$/, 'Z');
  const condition = (type: string, holds: boolean) => {
    const status = holds ? 'True' : 'False';
    const former = before.find((one) => one.type === type && one.status === status);
    const lastTransitionTime = former?.lastTransitionTime ?? now;
    return { type, status, reason, message, lastTransitionTime, observedGeneration: generation };
  };
  return [
    condition('Ready', serves),
    condition('Progressing', hindrance === null && PROGRESSING.has(state)),
    condition('Degraded', hindrance !== null || state === 'degraded' || state === 'lost' || state === 'blocked'),
    condition('Blocked', hindrance !== null || state === 'blocked' || state === 'lost'),
  ];
}

/** failing-over: FailingOver. */
export const inCapitals = (words: string): string =>
  words.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());
