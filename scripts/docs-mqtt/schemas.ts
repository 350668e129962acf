import { z } from 'zod';
import { channels, type Channel, type ChannelName } from '../../protocol/mqtt/channels.ts';
import { commandRequest, commands, type CommandName } from '../../protocol/mqtt/commands.ts';
import { postAssignment } from '../../protocol/norm/assignment.ts';
import { eventEnvelope, eventTypes, type EventType } from '../../protocol/mqtt/events.ts';
import { channelSchemaId, commandSchemaId, eventSchemaId } from '../../protocol/mqtt/schema-ids.ts';

export type JsonSchema = { readonly [keyword: string]: unknown };

/** A whole message as JSON Schema 2020-12. */
export interface MessageSchema {
  readonly id: string;
  /** Below the folder of published schemas. */
  readonly file: string;
  readonly sentBy: Channel['sentBy'];
  readonly summary: string;
  readonly schema: JsonSchema;
}

/** One for each channel; one for each type of event and each command, which narrow down `data` and `args`. */
export function messageSchemas(): MessageSchema[] {
  const ofChannels = (Object.keys(channels) as ChannelName[]).map((name) => {
    const channel: Channel = channels[name];
    return message(channelSchemaId(name), name, channel, channel.payload);
  });
  const ofEvents = (Object.keys(eventTypes) as EventType[]).map((type) => {
    const payload = eventEnvelope.extend({
      class: z.literal(eventTypes[type].class),
      type: z.literal(type),
      data: eventTypes[type].data,
    });
    const summary = `Event ${type}, of class ${eventTypes[type].class}.`;
    return message(eventSchemaId(type), `event/${type}`, { ...channels.event, summary }, payload);
  });
  const ofCommands = (Object.keys(commands) as CommandName[]).map((name) => {
    const { args, summary }: { args: z.ZodObject; summary: string } = commands[name];
    // An absent `args` stands for an empty one, so it may be absent where no argument is required.
    const payload = commandRequest.extend({ args: args.safeParse({}).success ? args.prefault({}) : args });
    return message(commandSchemaId(name), `command/${name}`, { ...channels.command, summary }, payload);
  });
  return [...ofChannels, ...ofEvents, ...ofCommands];
}

/** What is inside of a signed post assignment: no message, and strict, since a signed statement is followed whole or not. */
export function assignmentSchema(): JsonSchema {
  const { $schema, ...schema } = z.toJSONSchema(postAssignment, { target: 'draft-2020-12' });
  const description = 'Payload of a post assignment, a JWS in compact form with typ dock-post-assignment.';
  return { $schema, $id: 'urn:dock:v1:post-assignment', title: 'post-assignment', description, ...schema };
}

function message(
  id: string,
  file: string,
  { sentBy, summary }: Pick<Channel, 'sentBy' | 'summary'>,
  payload: z.ZodObject,
): MessageSchema {
  const { $schema, ...schema } = z.toJSONSchema(payload, {
    target: 'draft-2020-12',
    // What a sender may leave out of a request is not required there; a station leaves nothing out that has a default.
    io: sentBy === 'station' ? 'output' : 'input',
    override: ({ jsonSchema }) => {
      // Readers ignore what they do not know.
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
      // Dates are told by their format; the pattern of the library says the same in 300 characters.
      if (jsonSchema.format !== undefined) delete jsonSchema.pattern;
      // The bounds of a safe integer say nothing of the contract.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return {
    id,
    file: `${file}.schema.json`,
    sentBy,
    summary,
    schema: { $schema, $id: id, title: id.slice('urn:dock:v1:'.length), description: summary, ...schema },
  };
}
