import { readFileSync } from 'node:fs';
import { channels, type Channel } from '../../protocol/mqtt/channels.ts';
import { examples, type Example } from '../../protocol/mqtt/examples.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import type { JsonSchema, MessageSchema } from './schemas.ts';

/** The contract for people: hand-written promises and recipes, tables and examples from the schemas. */
export function contractPage(schemas: readonly MessageSchema[]): string {
  const guide = readFileSync(new URL('guide.md', import.meta.url), 'utf8');
  return [
    '<!-- Written by npm run docs:mqtt; the words are in scripts/docs-mqtt/guide.md. -->\n',
    guide.replace('{{maxPayloadBytes}}', String(maxPayloadBytes)),
    '## Topics\n',
    'All below `dock/v1/{department}/{post}/{station}/`, with quality of service 1.\n',
    table(
      ['topic', 'sent by', 'retained', 'expires after', 'what'],
      Object.values<Channel>(channels).map(({ address, sentBy, isRetained, expirySeconds, summary }) => [
        `\`${address}\``,
        sentBy,
        isRetained ? 'yes' : 'no',
        expirySeconds === undefined ? 'never' : `${expirySeconds} s`,
        summary,
      ]),
    ),
    '## Messages\n',
    ...schemas.map(section),
  ].join('\n');
}

function section({ id, file, summary, schema }: MessageSchema): string {
  const example: Example | undefined = examples().get(id);
  const isKind = id.split(':').length > 4;
  const inner = (schema['properties'] as Record<string, JsonSchema>)[
    id.includes(':event:') ? 'data' : 'args'
  ];
  return [
    `### ${id}\n`,
    `${summary} [Schema](published/${file})\n`,
    isKind && inner ? fields(inner) : fields(schema),
    example
      ? `\`${example.topic}\`\n\n\`\`\`json\n${JSON.stringify(example.payload, null, 2)}\n\`\`\`\n`
      : '',
  ].join('\n');
}

function fields({ properties = {}, required = [] }: JsonSchema): string {
  const rows = Object.entries(properties as Record<string, JsonSchema>).map(([name, field]) => [
    `\`${name}\``,
    typeOf(field),
    (required as string[]).includes(name) ? 'always' : '',
    typeof field['description'] === 'string' ? field['description'] : '',
  ]);
  return rows.length > 0 ? table(['field', 'type', 'there', 'meaning'], rows) : 'No fields of its own.\n';
}

function typeOf({ type, const: only, enum: values, items }: JsonSchema): string {
  if (only !== undefined) return `\`${JSON.stringify(only)}\``;
  if (Array.isArray(values)) return values.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  if (items) return `array of ${typeOf(items as JsonSchema)}`;
  return String(type);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line), ''].join('\n');
}
