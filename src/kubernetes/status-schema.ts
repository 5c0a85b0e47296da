/** The status of a MySQLCluster: what people and tools read, and the record, which is the brain's own. */

/** A node of a structural schema. */
export type Schema = Readonly<Record<string, unknown>>;

const text = (description: string): Schema => ({ type: 'string', description });
const whole = (description: string): Schema => ({ type: 'integer', format: 'int32', description });

export const STATES = [
  'creating',
  'restoring',
  'healthy',
  'degraded',
  'switching',
  'failing-over',
  'blocked',
  'lost',
  'stopped',
] as const;

export function statusSchema(): Schema {
  return {
    type: 'object',
    description: 'What the cluster is. Written by the operator.',
    properties: {
      observedGeneration: {
        type: 'integer',
        format: 'int64',
        description: 'The generation of the spec that this is about.',
      },
      state: {
        ...text('What the cluster is doing: healthy, or why it is not, in one word.'),
        enum: [...STATES],
      },
      reason: text('Why it is in this state, in words.'),
      primary: text('The Pod of the member that takes writes.'),
      ready: text('Members that are as they should be, of those that are wanted: 3/3.'),
      version: text("The primary's MySQL."),
      replicas: whole('How many members there are.'),
      readyReplicas: whole('How many members are as they should be.'),
      selector: text("Selects the members' Pods."),
      epoch: { type: 'integer', format: 'int64', description: 'Grows with every change of the primary.' },
      durability: {
        type: 'object',
        description: 'What an acknowledged write is promised now.',
        properties: {
          mode: text('The mode in force.'),
          required: whole('How many members besides the primary have received a write before it is acknowledged.'),
          exposed: text('What would be lost with the primary now; absent if nothing.'),
        },
      },
      members: {
        type: 'array',
        description: 'The members, by ordinal.',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: {
          type: 'object',
          required: ['name'],
          properties: {
            name: text('Its Pod.'),
            ordinal: whole('Its number.'),
            role: { ...text('What it is.'), enum: ['primary', 'replica'] },
            state: text('What it is doing: serving, following, joining and so on.'),
            detail: text('What there is to say of it, in words.'),
            serverUuid: text('Which data it has: another one for every data directory.'),
            lagSeconds: {
              type: 'number',
              description: 'How far it is behind the primary; absent if it cannot be told.',
            },
          },
        },
      },
      restarting: {
        type: 'array',
        description: 'The members that are to be restarted still, by ordinal.',
        items: { type: 'integer', format: 'int32' },
      },
      switchover: {
        type: 'object',
        description: 'What became of the switchover that was asked for last.',
        properties: {
          id: text('Of the request.'),
          done: { type: 'boolean', description: 'Whether another member is the primary now.' },
          reason: text('Why, or why not, in words.'),
          ms: whole('How long it took, in milliseconds.'),
        },
      },
      conditions: conditions(),
      record: {
        type: 'object',
        description:
          "The operator's own memory, by which a successor goes on. Do not edit: a guess here can lose data.",
        'x-kubernetes-preserve-unknown-fields': true,
      },
    },
  };
}

/** As in meta/v1, so that `kubectl wait --for=condition=Ready` works. */
function conditions(): Schema {
  return {
    type: 'array',
    description:
      'Ready: it takes writes. Progressing: it is being changed. Degraded: something is missing. Blocked: writes wait, or it cannot go on without help.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
    items: {
      type: 'object',
      required: ['type', 'status', 'lastTransitionTime', 'reason', 'message'],
      properties: {
        type: { ...text('Which condition.'), maxLength: 316 },
        status: { ...text('Whether it holds.'), enum: ['True', 'False', 'Unknown'] },
        observedGeneration: { type: 'integer', format: 'int64', description: 'The generation that it was judged by.' },
        lastTransitionTime: { ...text('Since when.'), format: 'date-time' },
        reason: { ...text('Why, as one word.'), maxLength: 1024 },
        message: { ...text('Why, in words.'), maxLength: 32_768 },
      },
    },
  };
}
