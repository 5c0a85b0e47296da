import * as z from 'zod';
import { MySQLClusterSchema } from './resource.ts';

/** A field as the schema has it: what documentation, hints and the CRD need of its JSON Schema. */
export interface Field {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly properties?: Readonly<Record<string, Field>>;
  /** The only platform that uses the field; absent if both do. */
  readonly 'x-baton-platform'?: 'local' | 'kubernetes';
  /** A map whose keys are not ours. */
  readonly 'x-baton-open'?: boolean;
}

let schema: Field | undefined;

/** The whole resource as a JSON Schema (OpenAPI 3.0) of what a user writes. Made once, when first asked for. */
export function resourceSchema(): Field {
  schema ??= z.toJSONSchema(MySQLClusterSchema, { target: 'openapi-3.0', io: 'input' }) as Field;
  return schema;
}

/** Every field with its dotted path, parents before their children, in the schema's order. */
export function* fieldsBelow(field: Field, path = ''): Generator<readonly [path: string, field: Field]> {
  for (const [name, child] of Object.entries(field.properties ?? {})) {
    const childPath = path === '' ? name : `${path}.${name}`;
    yield [childPath, child];
    yield* fieldsBelow(child, childPath);
  }
}

/** The field at a path, or undefined if the schema has none. */
export function fieldAt(path: readonly PropertyKey[]): Field | undefined {
  let field: Field | undefined = resourceSchema();
  for (const name of path) field = field?.properties?.[String(name)];
  return field;
}
