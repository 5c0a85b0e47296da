/**
 * The CustomResourceDefinition, from the one schema that also checks files (src/spec/resource.ts): structural, every field
 * described, defaults filled in by the API server. What JSON Schema can't say is said in CEL: rules between fields, and what
 * must not change. Needs Kubernetes 1.29, whose CEL knows quantities.
 */
import { resourceSchema, type Field } from '../spec/fields.ts';
import { API_VERSION, KIND } from '../spec/resource.ts';
import { RESERVED_SUFFIXES, type KubernetesObject } from './objects/object.ts';
import { statusSchema, type Schema } from './status-schema.ts';

export const PLURAL = 'mysqlclusters';
export const [GROUP = '', VERSION = ''] = API_VERSION.split('/');

interface Rule {
  readonly rule: string;
  /** What was expected; after a semicolon, what to do instead. */
  readonly message: string;
  readonly fieldPath?: string;
}

export function customResourceDefinition(): KubernetesObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind: KIND, listKind: `${KIND}List`, plural: PLURAL, singular: 'mysqlcluster', shortNames: ['mysql'] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: resource() },
          subresources: {
            status: {},
            scale: {
              specReplicasPath: '.spec.replicas',
              statusReplicasPath: '.status.replicas',
              labelSelectorPath: '.status.selector',
            },
          },
          additionalPrinterColumns: [
            column('State', '.status.state', 'What the cluster is doing.'),
            column('Primary', '.status.primary', 'The member that takes writes.'),
            column('Ready', '.status.ready', 'Members that are as they should be, of those that are wanted.'),
            { ...column('Why', '.status.reason', 'Why it is in this state.'), priority: 1 },
            { ...column('Version', '.status.version', "The primary's MySQL."), priority: 1 },
            { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
          ],
        },
      ],
    },
  };
}

const column = (name: string, jsonPath: string, description: string) => ({
  name,
  type: 'string',
  jsonPath,
  description,
});

function resource(): Schema {
  const whole = resourceSchema();
  const { name } = whole.properties?.['metadata']?.properties ?? {};
  return {
    type: 'object',
    description: 'A MySQL primary with replicas.',
    properties: {
      apiVersion: { type: 'string', description: whole.properties?.['apiVersion']?.description },
      kind: { type: 'string', description: whole.properties?.['kind']?.description },
      // Of metadata a CRD may say no more than what names are allowed.
      metadata: {
        type: 'object',
        properties: { name: { type: 'string', maxLength: name?.maxLength, pattern: name?.pattern } },
      },
      spec: structural(whole.properties?.['spec'] ?? {}, 'spec'),
      status: statusSchema(),
    },
    'x-kubernetes-validations': RULES[''],
  };
}

const KEPT = ['description', 'type', 'default', 'enum', 'minimum', 'maximum', 'maxLength', 'pattern'] as const;

function structural(field: Field, path: string): Schema {
  const node: Record<string, unknown> = {};
  for (const key of KEPT) if (field[key] !== undefined) node[key] = field[key];
  if (field['x-baton-platform'] === 'local') node['description'] = `${field.description} Ignored on Kubernetes.`;
  if (field.type === 'integer') node['format'] = 'int32';
  if (field.type === 'string' && field.maxLength === undefined && field.enum === undefined) node['maxLength'] = 64;
  const rules = RULES[path];
  if (rules !== undefined) node['x-kubernetes-validations'] = rules;
  if (field.properties !== undefined) {
    const children = Object.entries(field.properties);
    node['properties'] = Object.fromEntries(
      children.map(([name, child]) => [name, structural(child, `${path}.${name}`)]),
    );
  } else if (field.type === 'object') Object.assign(node, openMap(path));
  return node;
}

/** A map whose names are not ours. Its values are text or numbers or flags, which a structural schema has no word for. */
function openMap(path: string): Schema {
  if (path === 'spec.podTemplate') return { 'x-kubernetes-preserve-unknown-fields': true };
  if (path.startsWith('spec.resources.')) return { additionalProperties: { 'x-kubernetes-int-or-string': true } };
  return { maxProperties: 1000, additionalProperties: { 'x-kubernetes-preserve-unknown-fields': true } };
}

/** By the path of the field that they are about. */
const RULES: Readonly<Record<string, readonly Rule[]>> = {
  '': [
    {
      rule: RESERVED_SUFFIXES.map((suffix) => `!self.metadata.name.endsWith('${suffix}')`).join(' && '),
      message: `metadata.name: expected a name that does not end in ${RESERVED_SUFFIXES.join(' or ')}; another cluster's Service could have it`,
    },
  ],
  // The API server judges `spec: {}`, the default, too, before the defaults of what is below it: hence each has().
  spec: [
    {
      rule: `!(has(self.durability) && has(self.durability.mode) && self.durability.mode == 'quorum' && has(self.replicas) && self.replicas < 2)`,
      message:
        'expected adaptive or asynchronous with one replica; quorum needs a second member: raise replicas or leave mode out',
      fieldPath: '.durability.mode',
    },
    {
      rule: `!(has(self.durability) && has(self.durability.mode) && self.durability.mode == 'asynchronous' && has(self.durability.powerLoss) && self.durability.powerLoss)`,
      message: 'expected false with mode asynchronous; no replica acknowledges, so there is nothing to make durable',
      fieldPath: '.durability.powerLoss',
    },
  ],
  'spec.mysql.version': [
    {
      rule: `self.matches('^(8|9)[.]') && !self.matches('^8[.]0[.]([0-9]|1[0-9]|2[0-5])$')`,
      message: 'expected a MySQL version from 8.0.26 to 9.x; older ones lack the replication that Baton relies on',
    },
    {
      rule: `int(self.split('.')[0]) * 1000 + int(self.split('.')[1]) >= int(oldSelf.split('.')[0]) * 1000 + int(oldSelf.split('.')[1])`,
      message:
        'expected no older version than before; MySQL does not read the data of a newer one: restore it into a new cluster',
    },
  ],
  'spec.storage': [
    {
      rule: `has(self.className) == has(oldSelf.className) && (!has(self.className) || self.className == oldSelf.className)`,
      message: 'expected the class to stay; volumes do not change theirs: make another cluster',
      fieldPath: '.className',
    },
  ],
  'spec.storage.size': [
    {
      rule: `quantity(self).compareTo(quantity('1Gi')) >= 0`,
      message: 'expected a size of at least 1Gi, such as 10Gi',
    },
    {
      rule: `quantity(self).compareTo(quantity(oldSelf)) >= 0`,
      message: 'expected no less than before; volumes can grow and not shrink',
    },
  ],
  'spec.credentials': [
    {
      rule: `has(self.database) == has(oldSelf.database) && (!has(self.database) || self.database == oldSelf.database)`,
      message: 'expected the database to stay; it is created with the cluster: create others by SQL',
      fieldPath: '.database',
    },
  ],
  'spec.credentials.applicationUser': [
    {
      rule: `!self.matches('^(root|mysql[.].*|baton.*)$')`,
      message: 'expected an account of yours; root, mysql.* and baton* are taken',
    },
    {
      rule: `self == oldSelf`,
      message: 'expected the account to stay; it is created with the cluster: create others by SQL',
    },
  ],
  'spec.credentials.database': [
    {
      rule: `!self.matches('^(?i)(mysql|sys|information_schema|performance_schema|ndbinfo|baton)$')`,
      message: 'expected a database of your own; MySQL or Baton keep their own in this',
    },
  ],
};
