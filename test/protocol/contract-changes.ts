import type { JsonSchema } from '../../scripts/docs-mqtt/schemas.ts';

/** Words for people; they change no meaning. */
const notes = new Set(['$schema', '$id', 'title', 'description', 'examples']);

/**
 * What in `now` breaks readers or senders of `before`, one line each. Version 1 only gains optional fields: so
 * everything that was there stays as it was, and nothing that is new is required. A keyword that is not known here
 * counts as a break when it differs.
 */
export function contractBreaks(before: JsonSchema, now: JsonSchema, at = ''): string[] {
  const keywords = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...keywords]
    .filter((keyword) => !notes.has(keyword))
    .flatMap((keyword) => keywordBreaks(keyword, { before: before[keyword], now: now[keyword], at }));
}

function keywordBreaks(
  keyword: string,
  { before, now, at }: { before: unknown; now: unknown; at: string },
): string[] {
  const where = at || 'the message';
  switch (keyword) {
    case 'properties': {
      const fields = (now ?? {}) as Record<string, JsonSchema>;
      return Object.entries((before ?? {}) as Record<string, JsonSchema>).flatMap(([name, field]) => {
        const path = at ? `${at}.${name}` : name;
        const later = fields[name];
        return later ? contractBreaks(field, later, path) : [`${path} is gone`];
      });
    }
    case 'items':
      return before && now
        ? contractBreaks(before as JsonSchema, now as JsonSchema, `${at}[]`)
        : [`${where}: items changed`];
    case 'required': {
      const [old, recent] = [before ?? [], now ?? []] as [string[], string[]];
      return [
        ...old
          .filter((name) => !recent.includes(name))
          .map((name) => `${where}: ${name} is not certain any more`),
        ...recent.filter((name) => !old.includes(name)).map((name) => `${where}: ${name} is newly required`),
      ];
    }
    case 'enum':
      return new Set((before ?? []) as unknown[]).symmetricDifference(new Set((now ?? []) as unknown[]))
        .size === 0
        ? []
        : [`${where}: other values are possible`];
    default:
      return JSON.stringify(before) === JSON.stringify(now) ? [] : [`${where}: ${keyword} changed`];
  }
}
