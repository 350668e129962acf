import { channels, type ChannelName } from './channels.ts';
import { commands, type CommandName } from './commands.ts';
import { eventTypes, type EventType } from './events.ts';

/** Names of the published schemas: what `info` lists under `schemas`, and the `$id` in each file. */
export const schemaIds: readonly string[] = [
  ...(Object.keys(channels) as ChannelName[]).map(channelSchemaId),
  ...(Object.keys(eventTypes) as EventType[]).map(eventSchemaId),
  ...(Object.keys(commands) as CommandName[]).map(commandSchemaId),
];

export function channelSchemaId(channel: ChannelName): string {
  return `urn:dock:v1:${channel}`;
}

export function eventSchemaId(type: EventType): string {
  return `urn:dock:v1:event:${type}`;
}

export function commandSchemaId(name: CommandName): string {
  return `urn:dock:v1:command:${name}`;
}
