/** What a resource asks of the brain. */
import type { RoleSettings, Wanted } from '../cluster/view.ts';
import { durabilityFor } from '../spec/durability.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { isStatic, type VariableValue } from '../spec/variables.ts';

/** MySQL counts more than two acknowledgements right only in newer versions (bug 109829). */
const MOST_COUNTED_BEFORE_9 = 2;

export function wantedBy(cluster: MySQLCluster, mysqlVersion: string): Wanted {
  const { spec } = cluster;
  const { mode, required } = durabilityFor(cluster);
  const counted = Number(mysqlVersion.split('.')[0]) >= 9 ? required : Math.min(required, MOST_COUNTED_BEFORE_9);
  // Of a primary, too: it would be set back there, and what it acknowledges after a switchover would not be on its disk.
  const all = { ...spec.mysql.config, sync_relay_log: spec.durability.powerLoss ? 1 : 10_000 };
  return {
    replicas: spec.replicas,
    mode,
    required: counted,
    settings: {
      primary: forRole(all, spec.mysql.primaryConfig),
      replica: forRole(all, spec.mysql.replicaConfig),
    },
    readIncludesPrimary: spec.endpoints.read.includePrimary,
    limits: {
      detectionMs: spec.detection.timeoutSeconds * 1000,
      readLagSeconds: spec.lag.readMaxSeconds,
      switchoverLagSeconds: spec.lag.switchoverMaxSeconds,
      switchoverGraceMs: spec.switchover.graceSeconds * 1000,
      powerLoss: spec.durability.powerLoss,
    },
  };
}

/** What can be set while mysqld runs; the rest is read from my.cnf when it starts. */
function forRole(all: Record<string, VariableValue>, role: Record<string, VariableValue>): RoleSettings {
  const chosen = Object.entries({ ...all, ...role }).filter(([name]) => !isStatic(name));
  const settings = Object.fromEntries(chosen.sort(([a], [b]) => (a < b ? -1 : 1)));
  return { key: JSON.stringify(settings), settings };
}
