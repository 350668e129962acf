import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { z } from 'zod';

const input = z.strictObject({
  name_override: z.string(),
  servers: z.array(z.string()),
  topics: z.tuple([z.string()]),
  qos: z.literal(1),
  client_id: z.string().optional(),
  persistent_session: z.boolean().optional(),
  topic_tag: z.literal(''),
  tls_ca: z.string(),
  tls_cert: z.string(),
  tls_key: z.string(),
  data_format: z.enum(['json', 'value']),
  data_type: z.literal('string').optional(),
  fieldinclude: z.array(z.string()).optional(),
  fieldexclude: z.array(z.string()).optional(),
  json_string_fields: z.array(z.string()).default([]),
  json_time_key: z.literal('ts').optional(),
  json_time_format: z.literal('2006-01-02T15:04:05.000Z07:00').optional(),
  topic_parsing: z.tuple([z.strictObject({ topic: z.string(), tags: z.string() })]),
});
export type TelegrafInput = z.output<typeof input>;

const configuration = z.strictObject({
  inputs: z.strictObject({ mqtt_consumer: z.array(input) }),
  processors: z.strictObject({
    starlark: z.tuple([z.strictObject({ namepass: z.array(z.string()), source: z.string() })]),
  }),
  outputs: z.record(z.string(), z.unknown()),
});

/** The configuration that is handed to the control room. Throws on options it is not known to need. */
export function telegrafConfiguration(): z.output<typeof configuration> {
  const file = new URL('../../scripts/monitoring/telegraf/dock.conf', import.meta.url);
  return configuration.parse(parse(readFileSync(file, 'utf8')));
}

export interface Point {
  readonly measurement: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly fields: Readonly<Record<string, string | number>>;
}

/** What Telegraf makes of a message: numbers by themselves, text where it is asked for, tags from the topic. */
export function pointOf(from: TelegrafInput, topic: string, payload: Record<string, unknown>): Point {
  const levels = topic.split('/');
  const names = from.topic_parsing[0].tags.split('/');
  const tags = Object.fromEntries(
    names.map((name, index) => [name, levels[index] ?? ''] as const).filter(([name]) => name !== '_'),
  );
  const isKept = (name: string): boolean =>
    from.fieldexclude?.includes(name) !== true && from.fieldinclude?.includes(name) !== false;
  const fields = Object.entries(flat(payload)).filter(
    ([name, value]) => isKept(name) && (typeof value === 'number' || from.json_string_fields.includes(name)),
  );
  return { measurement: from.name_override, tags, fields: Object.fromEntries(fields) };
}

/** Telegraf names what lies deeper by its way: data_bytes, bays_0_bay. */
function flat(value: object, way = ''): Record<string, string | number> {
  return Object.assign(
    {},
    ...Object.entries(value).map(([name, inner]: [string, unknown]) => {
      if (typeof inner === 'object' && inner !== null) return flat(inner, `${way}${name}_`);
      return typeof inner === 'string' || typeof inner === 'number' ? { [`${way}${name}`]: inner } : {};
    }),
  ) as Record<string, string | number>;
}
