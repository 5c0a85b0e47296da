/** What Prometheus scrapes: a snapshot as text (its exposition format, version 0.0.4), made when it is asked for. */
import { STATES } from './status-schema.ts';
import type { Latest } from './status.ts';

export interface Measured {
  readonly namespace: string;
  readonly name: string;
  readonly latest: Latest | null;
  /** Something keeps the operator from looking after it as it is asked for. */
  readonly hindered: boolean;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: (cluster: Measured & { readonly latest: Latest }) => Iterable<Sample>;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

const METRICS: readonly Metric[] = [
  {
    name: 'baton_cluster_state',
    help: 'The state of the cluster: 1 for the one that holds.',
    samples: ({ latest }) => STATES.map((state) => [{ state }, Number(state === latest.decision.state)]),
  },
  {
    name: 'baton_cluster_epoch',
    help: 'Grows with every change of the primary.',
    samples: ({ latest }) => [[{}, latest.view.record.epoch]],
  },
  {
    name: 'baton_cluster_term',
    help: 'Grows with every operator that takes over.',
    samples: ({ latest }) => [[{}, latest.view.record.term]],
  },
  {
    name: 'baton_cluster_members_wanted',
    help: 'Members that the resource asks for.',
    samples: ({ latest }) => [[{}, latest.view.wanted.replicas]],
  },
  {
    name: 'baton_cluster_acks_required',
    help: 'Members besides the primary that have received a write before it is acknowledged.',
    samples: ({ latest }) => [[{}, latest.view.record.required]],
  },
  {
    name: 'baton_cluster_ackers',
    help: 'Members that may acknowledge.',
    samples: ({ latest }) => [[{}, latest.view.record.ackers.length]],
  },
  {
    name: 'baton_cluster_writable',
    help: 'Whether the primary takes writes.',
    samples: ({ latest }) => [[{}, Number(latest.decision.primary.members.length > 0)]],
  },
  {
    name: 'baton_member_up',
    help: 'Whether the member answers.',
    samples: ({ latest }) =>
      latest.view.members.map(({ ordinal, contact }) => [member(ordinal), Number(contact.kind === 'answers')]),
  },
  {
    name: 'baton_member_primary',
    help: 'Whether the member is the primary.',
    samples: ({ latest }) =>
      latest.view.members.map(({ ordinal }) => [
        member(ordinal),
        Number(latest.view.record.primary?.ordinal === ordinal),
      ]),
  },
  {
    name: 'baton_member_lag_seconds',
    help: 'How far a replica is behind the primary.',
    *samples({ latest }) {
      for (const { ordinal, contact } of latest.view.members) {
        const lag = contact.kind === 'answers' ? contact.server.lagSeconds : null;
        if (lag !== null && latest.view.record.primary?.ordinal !== ordinal) yield [member(ordinal), lag];
      }
    },
  },
  {
    name: 'baton_member_waiting_commits',
    help: 'Commits that wait for an acknowledgement.',
    *samples({ latest }) {
      for (const { ordinal, contact } of latest.view.members) {
        if (contact.kind === 'answers') yield [member(ordinal), contact.server.source.waiting];
      }
    },
  },
];

const member = (ordinal: number) => ({ member: String(ordinal) });

export function metricsText(clusters: readonly Measured[], leading: boolean): string {
  const lines = [
    '# HELP baton_operator_leader Whether this operator leads.',
    '# TYPE baton_operator_leader gauge',
    `baton_operator_leader ${Number(leading)}`,
    '# HELP baton_operator_memory_bytes Resident memory of this operator.',
    '# TYPE baton_operator_memory_bytes gauge',
    `baton_operator_memory_bytes ${process.memoryUsage.rss()}`,
  ];
  const tell = (metric: string, { namespace, name }: Measured, [labels, value]: Sample): void => {
    const all = Object.entries({ namespace, cluster: name, ...labels });
    lines.push(`${metric}{${all.map(([label, text]) => `${label}="${text}"`).join(',')}} ${value}`);
  };
  lines.push(
    '# HELP baton_cluster_hindered Whether something keeps the operator from looking after the cluster as it is asked for.',
    '# TYPE baton_cluster_hindered gauge',
  );
  for (const cluster of clusters) tell('baton_cluster_hindered', cluster, [{}, Number(cluster.hindered)]);
  for (const { name, help, samples } of METRICS) {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`);
    for (const cluster of clusters) {
      if (cluster.latest === null) continue;
      for (const sample of samples({ ...cluster, latest: cluster.latest })) tell(name, cluster, sample);
    }
  }
  return `${lines.join('\n')}\n`;
}
