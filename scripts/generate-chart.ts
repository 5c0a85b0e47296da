/**
 * Writes charts/baton from the builders that `baton install` prints: `node scripts/generate-chart.ts`. A test says when it
 * is due. What values decide is built with words that nothing else has, and these become expressions of the template.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { installObjects } from '../src/kubernetes/install.ts';
import type { KubernetesObject } from '../src/kubernetes/objects/object.ts';
import { toYaml } from '../src/kubernetes/render.ts';

const root = dirname(import.meta.dirname);
const CHART = join(root, 'charts', 'baton');

const NAMESPACE = 'namespace-of-the-release';
const IMAGE = 'image-of-the-values';
const WATCHED = 'namespace-that-is-watched';
const REPLICAS = 424_242;

/** By its path in the chart. */
export function chartFiles(): Readonly<Record<string, string>> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const base = { image: IMAGE, namespace: NAMESPACE, replicas: REPLICAS };
  const everywhere = installObjects(base);
  const watching = installObjects({ ...base, watch: [WATCHED] });
  const of = (objects: readonly KubernetesObject[], ...kinds: string[]): string =>
    template(objects.filter(({ kind }) => kinds.includes(kind)));
  const bound = watching.filter(({ metadata }) => metadata.namespace === WATCHED);
  const rest = everywhere.filter(
    ({ kind }) => !['Namespace', 'CustomResourceDefinition', 'Deployment', 'ClusterRoleBinding'].includes(kind),
  );
  return {
    'Chart.yaml': stringify({
      apiVersion: 'v2',
      name: 'baton',
      description: 'MySQL as a primary with replicas that keeps itself right: the operator of MySQLClusters.',
      type: 'application',
      version,
      appVersion: version,
      kubeVersion: '>=1.29.0-0',
    }),
    'values.yaml': VALUES.replace('VERSION', version),
    'templates/crd.yaml': `{{- if .Values.crd }}\n${kept(of(everywhere, 'CustomResourceDefinition'))}{{- end }}\n`,
    'templates/operator.yaml': template(rest),
    'templates/bindings.yaml': [
      '{{- range .Values.watch }}\n---\n',
      template(bound).replaceAll(WATCHED, '{{ . }}').replaceAll('.Release.', '$.Release.'),
      '{{- else }}\n',
      of(everywhere, 'ClusterRoleBinding'),
      '{{- end }}\n',
    ].join(''),
    'templates/deployment.yaml': deployment(of(watching, 'Deployment')),
    'templates/monitoring.yaml': monitoring(),
    'files/dashboard.json': readFileSync(join(root, 'monitoring', 'dashboard.json'), 'utf8'),
    'files/alerts.yaml': stringify(
      (parse(readFileSync(join(root, 'monitoring', 'alerts.yaml'), 'utf8')) as Ruled).spec,
    ),
  };
}

interface Ruled {
  readonly spec: unknown;
}

const VALUES = `# Made by scripts/generate-chart.ts.

# The operator's image.
image: baton:VERSION
# Where the image is in a private registry: names of Secrets.
imagePullSecrets: []
# How many operators there are; one leads.
replicas: 2
# The namespaces whose clusters it looks after; it can do nothing in others. Empty: all.
watch: []
resources:
  requests: { cpu: 50m, memory: 128Mi }
  limits: { memory: 512Mi }
nodeSelector: {}
# The CustomResourceDefinition comes with the chart, is upgraded with it, and stays when it is uninstalled: with it would go
# every MySQLCluster.
crd: true
# For the Prometheus Operator: a PodMonitor and alerts.
prometheus: false
# For Grafana's sidecar: a ConfigMap with the dashboard.
dashboard: false
`;

function template(objects: readonly KubernetesObject[]): string {
  const text = toYaml(objects);
  if (text.includes('{{')) throw new Error('expected no braces of templates in what is built');
  return text
    .replaceAll(NAMESPACE, '{{ .Release.Namespace }}')
    .replaceAll(IMAGE, '{{ .Values.image | quote }}')
    .replaceAll(String(REPLICAS), '{{ .Values.replicas }}');
}

/** Helm leaves it when the chart is uninstalled. */
const kept = (text: string): string =>
  replaced(text, '\nmetadata:\n', '\nmetadata:\n  annotations:\n    helm.sh/resource-policy: keep\n');

function deployment(text: string): string {
  const argument = `            - --watch=${WATCHED}\n`;
  const resources = /^ {10}resources:\n(?: {12}.*\n)*/m.exec(text)?.[0] ?? '';
  const steps: readonly (readonly [string, string])[] = [
    [argument, '            {{- range .Values.watch }}\n            - --watch={{ . }}\n            {{- end }}\n'],
    [resources, '          resources: {{- toYaml .Values.resources | nindent 12 }}\n'],
    [
      '      serviceAccountName: baton\n',
      [
        '      serviceAccountName: baton',
        '      {{- with .Values.imagePullSecrets }}',
        '      imagePullSecrets:',
        '        {{- range . }}',
        '        - name: {{ . }}',
        '        {{- end }}',
        '      {{- end }}',
        '      {{- with .Values.nodeSelector }}',
        '      nodeSelector: {{- toYaml . | nindent 8 }}',
        '      {{- end }}\n',
      ].join('\n'),
    ],
  ];
  return steps.reduce((done, [from, to]) => replaced(done, from, to), text);
}

function monitoring(): string {
  const scraped = readFileSync(join(root, 'monitoring', 'pod-monitor.yaml'), 'utf8').replace(/^#.*\n/gm, '');
  return [
    '{{- if .Values.prometheus }}',
    replaced(scraped, 'namespace: baton-system', 'namespace: {{ .Release.Namespace }}').trimEnd(),
    '---',
    'apiVersion: monitoring.coreos.com/v1',
    'kind: PrometheusRule',
    'metadata:',
    '  name: baton',
    '  namespace: {{ .Release.Namespace }}',
    '  labels:',
    '    app.kubernetes.io/name: baton',
    'spec: {{- .Files.Get "files/alerts.yaml" | nindent 2 }}',
    '{{- end }}',
    '{{- if .Values.dashboard }}',
    '---',
    'apiVersion: v1',
    'kind: ConfigMap',
    'metadata:',
    '  name: baton-dashboard',
    '  namespace: {{ .Release.Namespace }}',
    '  labels:',
    '    app.kubernetes.io/name: baton',
    '    grafana_dashboard: "1"',
    'data:',
    '  baton.json: {{- .Files.Get "files/dashboard.json" | toYaml | indent 1 }}',
    '{{- end }}\n',
  ].join('\n');
}

function replaced(text: string, from: string, to: string): string {
  if (from === '' || text.split(from).length !== 2) throw new Error(`expected ${JSON.stringify(from)} once`);
  return text.replace(from, () => to);
}

if (import.meta.main) {
  rmSync(CHART, { recursive: true, force: true });
  for (const [path, text] of Object.entries(chartFiles())) {
    mkdirSync(dirname(join(CHART, path)), { recursive: true });
    writeFileSync(join(CHART, path), text);
  }
}
