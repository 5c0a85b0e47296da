/** Writes docs/resource.md from the schema: `node scripts/generate-resource-docs.ts`. A unit test says when it is due. */
import { writeFileSync } from 'node:fs';
import { type Field, fieldsBelow, resourceSchema } from '../src/spec/fields.ts';
import { OWNED_VARIABLES } from '../src/spec/variables.ts';

const INTRODUCTION = `# The resource: \`kind: MySQLCluster\`

<!-- Made by scripts/generate-resource-docs.ts from src/spec: change the schema, not this page. -->

One YAML file says what a cluster should be; Baton converges to it, on one machine (\`baton up -f cluster.yaml\`) and on
Kubernetes (\`kubectl apply -f cluster.yaml\`) alike. Everything but the first two lines has a default:

\`\`\`yaml
apiVersion: baton.dev/v1alpha1
kind: MySQLCluster
\`\`\`

[examples/cluster.yaml](../examples/cluster.yaml) is a good start, [examples/full.yaml](../examples/full.yaml) has every
field. A field that only one platform uses is noted and ignored on the other. An unknown field, a field given twice, a
value of the wrong kind: each is refused with its line and what to write instead, and nothing is changed.
`;

/** docs/resource.md as it should be. */
export function resourceDocs(): string {
  const schema = resourceSchema();
  const sections = [INTRODUCTION, section('metadata', schema.properties?.['metadata'])];
  const spec = schema.properties?.['spec'];
  const leaves = Object.entries(spec?.properties ?? {}).filter(([, field]) => field.properties === undefined);
  sections.push(section('spec', { ...spec, properties: Object.fromEntries(leaves) }));
  for (const [name, field] of Object.entries(spec?.properties ?? {})) {
    if (field.properties !== undefined) sections.push(section(`spec.${name}`, field));
  }
  sections.push(variables());
  return sections.join('\n');
}

function section(title: string, field: Field | undefined): string {
  const rows = [...fieldsBelow(field ?? {}, title)].filter(([, { properties }]) => properties === undefined);
  const lines = rows.map(([path, child]) => {
    const cells = [`\`${path.slice(title.length + 1)}\``, typeOf(child), defaultOf(child), descriptionOf(child)];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return [
    `## ${title}`,
    '',
    descriptionOf(field),
    '',
    '| Field | Type | Default | |',
    '|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}

function typeOf({ type, enum: values, minimum, maximum }: Field): string {
  if (values !== undefined) return values.map((value) => `\`${String(value)}\``).join(' or ');
  const range = minimum === undefined || maximum === undefined ? '' : `, ${minimum} to ${maximum}`;
  const names: Record<string, string> = {
    integer: 'whole number',
    string: 'text',
    object: 'map',
    boolean: 'true or false',
  };
  return `${names[type ?? ''] ?? type ?? ''}${range}`;
}

const defaultOf = ({ default: value }: Field): string =>
  value === undefined ? '—' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;

function descriptionOf(field: Field | undefined): string {
  const only = { local: ' One machine only.', kubernetes: ' Kubernetes only.', both: '' }[
    field?.['x-baton-platform'] ?? 'both'
  ];
  return `${field?.description ?? ''}${only}`;
}

function variables(): string {
  const rows = OWNED_VARIABLES.map(({ names, why }) => `| ${names.map((name) => `\`${name}\``).join(', ')} | ${why} |`);
  return [
    '## MySQL variables that Baton sets itself',
    '',
    'What `spec.mysql.config`, `primaryConfig` and `replicaConfig` may not set, and why. Other spellings of a name (dashes,',
    '`slave` for `replica`, `master` for `source`, the prefixes `loose_`, `skip_`, `disable_`, `enable_`, `maximum_`) are the same',
    'variable. Everything else is yours; names may be written with dashes or underscores, and a flag without a value is `true`.',
    '',
    '| Variables | Why |',
    '|---|---|',
    ...rows,
    '',
  ].join('\n');
}

if (import.meta.main) writeFileSync(new URL('../docs/resource.md', import.meta.url), resourceDocs());
