import { readFileSync } from 'node:fs';
import { channels } from '../../protocol/mqtt/channels.ts';

export interface PublishedSchema {
  readonly properties: Readonly<
    Record<string, { readonly type?: string; readonly enum?: readonly unknown[] }>
  >;
  readonly required: readonly string[];
}

/** Of what comes on the topics that match `dock/v1/DEPARTMENT/POST/STATION/…`, whatever stands in the places of names. */
export function publishedSchema(topic: string): PublishedSchema | undefined {
  const [branch, ...names] = topic.split('/').slice(5);
  const found = Object.entries(channels).find(([, { address }]) => {
    const [own, ...ownNames] = address.split('/');
    return own === branch && ownNames.length === names.length;
  });
  if (!found) return undefined;
  const file = new URL(`../../protocol/mqtt/published/${found[0]}.schema.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as PublishedSchema;
}
