// What the flow does with real messages, as far as that is in its functions; Node-RED itself is not run here.
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { channels } from '../../protocol/mqtt/channels.ts';
import { commandRequest, commands } from '../../protocol/mqtt/commands.ts';
import { examples } from '../../protocol/mqtt/examples.ts';
import { stationTopics } from '../../protocol/mqtt/topics.ts';

const file = new URL('../../scripts/monitoring/node-red/docking-stations.json', import.meta.url);
const flow = z
  .array(
    z.looseObject({
      id: z.string(),
      type: z.string(),
      topic: z.string().default(''),
      datatype: z.string().optional(),
      broker: z.string().optional(),
      func: z.string().default(''),
      wires: z.array(z.array(z.string())).default([]),
    }),
  )
  .parse(JSON.parse(readFileSync(file, 'utf8')));
const topics = stationTopics({ department: 'almaty', post: 'khorgos', station: 'dock-1' });

interface Message {
  readonly topic: string;
  readonly payload?: unknown;
  readonly reset?: boolean;
}

/** A function of the flow with a context of its own. */
function functionOf(id: string): (message: Message) => Message | null {
  const code = flow.find((node) => node.id === id)?.func ?? '';
  const kept = new Map<string, unknown>();
  const context = {
    get: (name: string) => kept.get(name),
    set: (name: string, value: unknown) => void kept.set(name, value),
  };
  const env = { get: () => 'almaty/khorgos/dock-1' };
  const made = runInNewContext(`(msg) => { ${code} }`, { context, env, crypto }) as (
    message: Message,
  ) => Message | null;
  return (message) => made(structuredClone(message));
}

function example(id: string) {
  const found = examples().get(id);
  if (!found) throw new Error(`no example of ${id}`);
  return found;
}

test('every wire ends at a node, every topic is one on which a station speaks', () => {
  const ids = new Map(flow.map((node) => [node.id, node]));
  expect(ids.size).toBe(flow.length);
  for (const to of flow.flatMap(({ wires }) => wires.flat())) expect(ids.has(to), to).toBe(true);
  const spoken = Object.values(channels).map(
    ({ address }) => `dock/v1/+/+/+/${address.replace(/\{\w+\}/, '+')}`,
  );
  const heard = flow.filter(({ type }) => type === 'mqtt in');
  expect(heard.length).toBeGreaterThan(0);
  for (const { topic, broker } of heard) {
    expect(spoken).toContain(topic);
    expect(ids.get(broker ?? '')?.type).toBe('mqtt-broker');
  }
});

test('an alarm is told when it begins and when it is over, not when it comes again', () => {
  const tell = functionOf('dock-raised');
  const { topic, payload } = example('urn:dock:v1:alarm');
  const text = JSON.stringify(payload);
  expect(tell({ topic, payload: text })?.payload).toContain(String(payload['nextStep']));
  expect(tell({ topic, payload: text })).toBeNull();
  expect(tell({ topic, payload: '' })?.payload).toContain('is over');
  expect(tell({ topic, payload: '' })).toBeNull();
});

test('a lost station is told of, and no more when it is back; a will of an earlier connection says nothing', () => {
  const hear = functionOf('dock-lost');
  const { topic, payload } = example('urn:dock:v1:status');
  const at = (session: number, state: string) => hear({ topic, payload: { ...payload, session, state } });
  expect(at(7, 'online')?.reset).toBe(true);
  expect(at(7, 'lost')?.payload).toContain('is lost');
  expect(at(8, 'online')?.reset).toBe(true);
  expect(at(7, 'lost')).toBeNull();
});

test('a gap in the events of a station is told, what was only dropped in between is not', () => {
  const hear = functionOf('dock-gap');
  const at = (seq: number, previousSeq: number) =>
    hear({ topic: topics.event('agent-started'), payload: { seq, previousSeq } });
  expect(at(10, 4)).toBeNull();
  expect(at(15, 10)).toBeNull();
  expect(at(11, 10)).toBeNull();
  expect(at(20, 18)?.payload).toContain('between 15 and 18');
});

test('the request is one that a station takes', () => {
  const request = functionOf('dock-ask')({ topic: '' });
  expect(request?.topic).toBe(topics.command('identify'));
  const { args } = commandRequest.parse(request?.payload);
  commands.identify.args.parse(args);
});
