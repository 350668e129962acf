import { channels, type Channel, type ChannelName } from '../../protocol/mqtt/channels.ts';
import { examples } from '../../protocol/mqtt/examples.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import { channelSchemaId } from '../../protocol/mqtt/schema-ids.ts';
import type { JsonSchema, MessageSchema } from './schemas.ts';

const levels = {
  department: 'department of state revenue',
  post: 'checkpoint or customs post',
  station: 'docking station',
  bay: 'number of the bay',
  serialNumber: 'of the camera',
  code: 'of the alarm',
  type: 'of the event',
  name: 'of the command',
} as const;

/** The contract as one AsyncAPI 3 document, from the point of view of a station. */
export function asyncApiDocument(schemas: readonly MessageSchema[]): Record<string, unknown> {
  const names = Object.keys(channels) as ChannelName[];
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Docking station',
      version: '1.0.0',
      description:
        'What a docking station for body cameras says over MQTT and what may be asked of it. Version 1 only ever ' +
        `gains optional fields. Payloads are JSON of at most ${maxPayloadBytes} bytes; what a station sends may carry ` +
        'fields that are not listed here.',
    },
    defaultContentType: 'application/json',
    channels: Object.fromEntries(names.map((name) => [name, channelObject(name, schemas)])),
    operations: Object.fromEntries(names.filter((name) => name !== 'response').map(operation)),
    components: {
      messages: Object.fromEntries(schemas.map((schema) => [messageName(schema.id), message(schema)])),
      schemas: Object.fromEntries(schemas.map(({ id, schema }) => [messageName(id), embedded(schema)])),
    },
  };
}

function channelObject(name: ChannelName, schemas: readonly MessageSchema[]): Record<string, unknown> {
  const { address, summary }: Channel = channels[name];
  const full = `dock/v1/{department}/{post}/{station}/${address}`;
  const parameters = [...full.matchAll(/\{(\w+)\}/g)].map(([, level]) => level as keyof typeof levels);
  return {
    address: full,
    summary,
    parameters: Object.fromEntries(parameters.map((level) => [level, { description: levels[level] }])),
    messages: Object.fromEntries(
      idsOf(name, schemas).map((id) => [
        messageName(id),
        { $ref: `#/components/messages/${messageName(id)}` },
      ]),
    ),
  };
}

function operation(name: ChannelName): [string, Record<string, unknown>] {
  const { sentBy, isRetained, expirySeconds, summary }: Channel = channels[name];
  return [
    sentBy === 'station' ? `send-${name}` : `receive-${name}`,
    {
      action: sentBy === 'station' ? 'send' : 'receive',
      channel: { $ref: `#/channels/${name}` },
      summary,
      bindings: {
        mqtt: {
          qos: 1,
          retain: isRetained,
          ...(expirySeconds !== undefined && { messageExpiryInterval: expirySeconds }),
          bindingVersion: '0.2.0',
        },
      },
      ...(name === 'command' && { reply: { channel: { $ref: '#/channels/response' } } }),
    },
  ];
}

/** A channel whose messages are of many kinds lists each of them instead of what they have in common. */
function idsOf(name: ChannelName, schemas: readonly MessageSchema[]): string[] {
  const own = channelSchemaId(name);
  const kinds = schemas.map(({ id }) => id).filter((id) => id.startsWith(`${own}:`));
  return kinds.length > 0 ? kinds : [own];
}

function message({ id, summary }: MessageSchema): Record<string, unknown> {
  const example = examples().get(id);
  return {
    name: messageName(id),
    summary,
    contentType: 'application/json',
    payload: { $ref: `#/components/schemas/${messageName(id)}` },
    ...(example && { examples: [{ payload: example.payload }] }),
  };
}

/** Within the document a schema is known by its place. */
function embedded({ $id, ...schema }: JsonSchema): JsonSchema {
  return { ...schema, $schema: undefined, 'x-schema-id': $id };
}

/** Names of components take no colons. */
function messageName(id: string): string {
  return id.slice('urn:dock:v1:'.length).replaceAll(':', '.');
}
