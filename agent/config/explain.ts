import { z } from 'zod';
import { configSchema } from './schema.ts';

/** One key of the configuration, as `dockctl config explain` shows it. */
export interface ExplainedKey {
  readonly key: string;
  readonly type: string;
  readonly unit: string | undefined;
  /** Such as `1 to 999`, or the choices; empty where anything of the type goes. */
  readonly range: string;
  readonly default: unknown;
  readonly sentence: string;
}

interface JsonSchema {
  type?: string;
  properties?: Record<string, JsonSchema>;
  items?: JsonSchema;
  enum?: unknown[];
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  default?: unknown;
  description?: string;
  unit?: string;
}

/** Every key, in the order of the schema. */
export function explainConfig(): ExplainedKey[] {
  return [...keysOf(z.toJSONSchema(configSchema, { io: 'input' }) as JsonSchema, '')];
}

function* keysOf(schema: JsonSchema, prefix: string): Generator<ExplainedKey> {
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    const key = prefix ? `${prefix}.${name}` : name;
    const inner = child.type === 'array' ? child.items : child;
    if (inner?.properties) {
      yield* keysOf(inner, child.type === 'array' ? `${key}[]` : key);
      continue;
    }
    yield {
      key,
      type: child.type ?? typeof child.enum?.[0],
      unit: child.unit,
      range: rangeOf(child),
      default: child.default,
      sentence: child.description ?? '',
    };
  }
}

function rangeOf(schema: JsonSchema): string {
  if (schema.items) return `any of ${rangeOf(schema.items)}`;
  if (schema.enum) return schema.enum.join(', ');
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    return `${schema.minimum ?? ''} to ${schema.maximum ?? ''}`;
  }
  if (schema.pattern !== undefined) return `matches ${schema.pattern}`;
  if (schema.maxLength !== undefined) return `at most ${schema.maxLength} characters`;
  return '';
}
