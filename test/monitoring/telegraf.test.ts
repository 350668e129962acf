// Neither Telegraf nor Grafana is run here: that they ask for topics, fields and tags that there are, can be told.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { publishedSchema } from './published-schema.ts';
import { pointOf, telegrafConfiguration, type TelegrafInput } from './telegraf.ts';

const { inputs, processors } = telegrafConfiguration();
const script = processors.starlark[0];

const dashboard = z
  .object({
    panels: z.array(
      z.object({ id: z.number(), title: z.string(), targets: z.array(z.object({ query: z.string() })) }),
    ),
    templating: z.object({ list: z.array(z.object({ type: z.string(), query: z.string() })) }),
  })
  .parse(JSON.parse(readFileSync(monitoringFile('grafana/docking-stations.json'), 'utf8')));

test.each(inputs.mqtt_consumer)('$name_override listens where a station speaks', (input) => {
  const [{ topic, tags }] = input.topic_parsing;
  expect(input.topics).toEqual([topic]);
  expect(tags.split('/').slice(0, 5)).toEqual(['_', '_', 'department', 'post', 'station']);
  expect(tags.split('/').length).toBe(topic.split('/').length);
  expect(topic).toMatch(/^dock\/v1\/\+\/\+\/\+\//);
  expect(publishedSchema(input.topics[0])).toBeDefined();
});

test.each(inputs.mqtt_consumer)('$name_override asks for texts that there are', (input) => {
  const properties = publishedSchema(input.topics[0])?.properties ?? {};
  for (const name of [...input.json_string_fields, input.json_time_key ?? 'ts'])
    expect(properties[name]?.type, name).toBe('string');
});

test('the script makes of an alarm what the schema has', () => {
  const alarm = inputs.mqtt_consumer.find(({ data_format }) => data_format === 'value');
  expect(script.namepass).toEqual([alarm?.name_override]);
  const asked = [...script.source.matchAll(/alarm\["(\w+)"\]/g)].map(([, name = '']) => name);
  expect(asked.length).toBeGreaterThan(0);
  for (const name of asked) expect(publishedSchema(alarm?.topics[0] ?? '')?.required).toContain(name);
});

test('what the dashboard asks for, Telegraf has written', () => {
  const written = new Map(inputs.mqtt_consumer.map((input) => [input.name_override, columns(input)]));
  const queries = [
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ query }) => query)),
    ...dashboard.templating.list.filter(({ type }) => type === 'query').map(({ query }) => query),
  ];
  expect(queries.length).toBeGreaterThan(10);
  for (const query of queries) {
    const [, measurement = ''] = /FROM "(\w+)"/.exec(query) ?? [];
    const own = [...query.matchAll(/AS "(\w+)"/g)].map(([, name]) => name);
    const known = new Set([measurement, ...own, ...(written.get(measurement) ?? [])]);
    const asked = [...query.replace(/WITH KEY = "(\w+)"/, '').matchAll(/"(\w+)"/g)].map(([, name]) => name);
    expect(
      asked.filter((name) => !known.has(name)),
      query,
    ).toEqual([]);
  }
});

test('each panel of the dashboard has a number of its own', () => {
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
});

/** Tags and fields of the points of an input, when a message says all that it can. */
function columns(input: TelegrafInput): string[] {
  const properties = Object.entries(publishedSchema(input.topics[0])?.properties ?? {});
  const all = properties.map(([name, { type, enum: values }]) => {
    const isNumber = type === 'number' || type === 'integer' || typeof values?.[0] === 'number';
    return [name, isNumber ? 1 : 'text'] as const;
  });
  const { tags, fields } = pointOf(input, input.topics[0], Object.fromEntries(all));
  const scripted = script.namepass.includes(input.name_override)
    ? [...script.source.matchAll(/metric\.fields\["(\w+)"\] =/g)].map(([, name = '']) => name)
    : [];
  return [...Object.keys(tags), ...Object.keys(fields), ...scripted];
}

function monitoringFile(path: string): URL {
  return new URL(`../../scripts/monitoring/${path}`, import.meta.url);
}
