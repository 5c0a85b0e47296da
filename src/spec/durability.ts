import type { MySQLCluster } from './resource.ts';

export type DurabilityMode = NonNullable<MySQLCluster['spec']['durability']['mode']>;

/** What the spec asks for: the mode, and how many acks a commit waits for once every member is in sync. */
export interface Durability {
  readonly mode: DurabilityMode;
  readonly required: number;
}

/**
 * The durability that a cluster wants (docs/clustering.md, what is promised). Required is half of the members, rounded
 * down: 0 for one, 1 for two and three, 2 for four and five. The one in force is the record's, which gets there one safe
 * step at a time, and may be lower where MySQL's version does not count more acks than two right.
 */
export function durabilityFor({ spec: { replicas, durability } }: Pick<MySQLCluster, 'spec'>): Durability {
  const mode = durability.mode ?? (replicas >= 3 ? 'quorum' : 'adaptive');
  switch (mode) {
    case 'quorum':
    case 'adaptive':
      return { mode, required: Math.floor(replicas / 2) };
    case 'asynchronous':
      return { mode, required: 0 };
    default:
      return mode satisfies never;
  }
}
