// What others build on is what stations send: the published schemas are those of the code, and hold for real messages.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { examples } from '../../protocol/mqtt/examples.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import { schemaIds } from '../../protocol/mqtt/schema-ids.ts';
import { parseTopic } from '../../protocol/mqtt/topics.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { publishedFiles, repositoryRoot } from '../../scripts/docs-mqtt/published.ts';
import { messageSchemas } from '../../scripts/docs-mqtt/schemas.ts';
import { Monitor } from '../report/monitor.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';

const ajv = new Ajv2020({ strict: true, allErrors: true });
formats.default(ajv);
for (const { schema } of messageSchemas()) ajv.addSchema(schema);

function validator(id: string): ValidateFunction {
  const validate = ajv.getSchema(id);
  if (!validate) throw new Error(`no schema ${id}`);
  return validate;
}

function errorsOf(id: string, payload: unknown): string {
  const validate = validator(id);
  return validate(payload) ? '' : `${id}: ${ajv.errorsText(validate.errors)}`;
}

describe('the published contract', () => {
  test('is that of the code: after a change, npm run docs:mqtt', async () => {
    for (const [path, text] of await publishedFiles()) {
      expect(readFileSync(new URL(path, repositoryRoot), 'utf8') === text, `${path} is stale`).toBe(true);
    }
  });

  test('has a schema for each id that a station names in its info', () => {
    expect(messageSchemas().map(({ id }) => id)).toEqual(schemaIds);
  });

  test('lets a station send what readers of today do not know', () => {
    const payload = examples().get('urn:dock:v1:event:session-finished')?.payload ?? {};
    const later = { ...payload, later: 1, data: { ...(payload['data'] as object), later: 1 } };
    expect(errorsOf('urn:dock:v1:event:session-finished', later)).toBe('');
    expect(errorsOf('urn:dock:v1:event:session-finished', { ...payload, data: {} })).toContain('listed');
  });

  test('is an AsyncAPI document without an error', async () => {
    const text = readFileSync(new URL('protocol/mqtt/published/asyncapi.json', repositoryRoot), 'utf8');
    const { document, diagnostics } = await new Parser().parse(text);
    expect(diagnostics.filter(({ severity }) => severity <= 1)).toEqual([]);
    expect(document?.channels().all().length).toBe(11);
  });
});

describe('the schemas', () => {
  test.each([...examples()])('hold for the example of %s', (id, { payload }) => {
    expect(errorsOf(id, payload)).toBe('');
  });

  test('hold for every message of a station with cameras that are emptied and refused', async () => {
    await using station = await TestStation.start({
      bays: 2,
      config: { post: { headcount: 1 } },
    });
    await using monitor = await Monitor.on(station.agent.brokerUrl);
    const { store } = storeOf({ 'A.MP4': 100_000, 'B.MP4': 1 });
    for (const bay of [1, 2, 1]) {
      station.plug(bay, sampleCamera({ serialNumber: `BC-${bay}`, store }, systemClock));
      await station.untilPhase(bay, 'ready', 'refused');
      await station.unplug(bay);
      await station.untilPhase(bay, 'empty');
    }
    await station.until(
      'the last event',
      async () => monitor.events().at(-1)?.body['type'] === 'camera-undocked',
    );
    const seen = new Set<string>();
    for (const { topic, body } of monitor.received) {
      const { channel = '', name = '' } = parseTopic(topic) ?? {};
      expect(errorsOf(`urn:dock:v1:${channel}`, body)).toBe('');
      if (channel === 'event') expect(errorsOf(`urn:dock:v1:event:${name}`, body)).toBe('');
      expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThanOrEqual(maxPayloadBytes);
      seen.add(channel === 'event' ? name : channel);
    }
    expect([...seen]).toEqual(
      expect.arrayContaining(['status', 'bay', 'camera', 'quota', 'camera-docked', 'session-finished']),
    );
  });
});
