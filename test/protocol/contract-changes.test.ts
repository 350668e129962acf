// Readers of a version that is out go on reading, and their requests go on being understood.
import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { examples } from '../../protocol/mqtt/examples.ts';
import { messageSchemas, type JsonSchema } from '../../scripts/docs-mqtt/schemas.ts';
import { contractBreaks } from './contract-changes.ts';

interface StoredMessage {
  readonly schema: JsonSchema & { readonly $id: string };
  readonly example: unknown;
}

const folder = new URL('contract-versions/', import.meta.url);
const versions = readdirSync(folder).map((file) => ({
  file,
  messages: JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as StoredMessage[],
}));
const schemasNow = new Map(messageSchemas().map(({ id, schema }) => [id, schema]));

function isValid(schema: JsonSchema, payload: unknown): boolean {
  const ajv = new Ajv2020({ strict: true });
  formats.default(ajv);
  return ajv.validate(schema, payload);
}

test('a version is stored', () => {
  expect(versions.map(({ file }) => file)).toContain('v1.0.json');
});

describe.each(versions)('since $file', ({ messages }) => {
  test.each(messages.map(({ schema, example }) => ({ id: schema.$id, schema, example })))(
    '$id only gained what may be absent',
    ({ id, schema, example }) => {
      const now = schemasNow.get(id) ?? {};
      expect(contractBreaks(schema, now)).toEqual([]);
      expect(isValid(now, example)).toBe(true);
      expect(isValid(schema, examples().get(id)?.payload)).toBe(true);
    },
  );
});

describe('a break is found when', () => {
  const before: JsonSchema = {
    type: 'object',
    properties: {
      state: { type: 'string', enum: ['a', 'b'] },
      count: { type: 'integer', minimum: 0 },
      note: { type: 'string' },
      parts: {
        type: 'array',
        items: { type: 'object', properties: { x: { type: 'number' } }, required: ['x'] },
      },
    },
    required: ['state', 'count'],
  };
  const properties = before['properties'] as Record<string, JsonSchema>;
  const withFields = (fields: Record<string, JsonSchema>): JsonSchema => ({
    ...before,
    properties: { ...properties, ...fields },
  });
  const { note: _note, ...withoutNote } = properties;

  test.each<[string, JsonSchema, string]>([
    ['a field is gone', { ...before, properties: withoutNote }, 'note is gone'],
    [
      'a field has another type',
      withFields({ count: { type: 'string', minimum: 0 } }),
      'count: type changed',
    ],
    [
      'a value is new',
      withFields({ state: { type: 'string', enum: ['a', 'b', 'c'] } }),
      'state: other values',
    ],
    ['a value is gone', withFields({ state: { type: 'string', enum: ['a'] } }), 'state: other values'],
    ['a limit moved', withFields({ count: { type: 'integer', minimum: 1 } }), 'count: minimum changed'],
    ['a limit is new', withFields({ note: { type: 'string', maxLength: 9 } }), 'note: maxLength changed'],
    ['a field became optional', { ...before, required: ['state'] }, 'count is not certain any more'],
    [
      'a field became required',
      { ...before, required: ['state', 'count', 'note'] },
      'note is newly required',
    ],
    [
      'unknown fields are refused',
      { ...before, additionalProperties: false },
      'additionalProperties changed',
    ],
    ['an element changed', withFields({ parts: { type: 'array', items: { type: 'string' } } }), 'parts[]'],
    ['a schema is gone', {}, 'type changed'],
  ])('%s', (_what, now, expected) => {
    expect(contractBreaks(before, now).join('\n')).toContain(expected);
  });

  test('and none when an optional field and a description are new', () => {
    const now = withFields({ later: { type: 'string' }, note: { type: 'string', description: 'remark' } });
    expect(contractBreaks(before, now)).toEqual([]);
  });
});
