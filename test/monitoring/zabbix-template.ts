import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';

// What Zabbix 6.0 takes, as far as the template uses it; anything else is a mistake. Numbers and times are text there.

const uuid = z
  .string()
  .regex(/^[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}$/, 'a UUID of version 4 without dashes');
const tags = z.array(z.strictObject({ tag: z.string(), value: z.string() }));
const description = z.string();

const plainStep = z.strictObject({
  type: z.enum(['JAVASCRIPT', 'REGEX', 'MULTIPLIER', 'DISCARD_UNCHANGED_HEARTBEAT']),
  parameters: z.array(z.string()),
});
const step = z.discriminatedUnion('type', [
  plainStep,
  z.strictObject({
    type: z.enum(['JSONPATH', 'MATCHES_REGEX']),
    parameters: z.tuple([z.string()]),
    error_handler: z.enum(['DISCARD_VALUE', 'CUSTOM_VALUE']).optional(),
    error_handler_params: z.string().optional(),
  }),
]);
export type Step = z.output<typeof step>;

const reference = z.strictObject({ name: z.string(), expression: z.string() });
const trigger = z.strictObject({
  uuid,
  expression: z.string(),
  recovery_mode: z.literal('RECOVERY_EXPRESSION').optional(),
  recovery_expression: z.string().optional(),
  name: z.string().max(255),
  opdata: z.string().max(255).optional(),
  priority: z.enum(['INFO', 'WARNING', 'AVERAGE', 'HIGH', 'DISASTER']),
  description,
  manual_close: z.literal('YES').optional(),
  dependencies: z.array(reference).optional(),
  tags,
});
export type Trigger = z.output<typeof trigger>;

const common = {
  uuid,
  name: z.string().max(255),
  key: z.string(),
  tags,
  description: description.optional(),
};
const listened = z.strictObject({
  ...common,
  type: z.literal('ZABBIX_ACTIVE'),
  history: z.literal('0'),
  trends: z.literal('0'),
  value_type: z.literal('TEXT'),
  preprocessing: z.array(step).optional(),
});
const computed = z.strictObject({ ...common, type: z.literal('CALCULATED'), params: z.string() });
const dependent = z.strictObject({
  ...common,
  type: z.literal('DEPENDENT'),
  delay: z.literal('0'),
  value_type: z.enum(['CHAR', 'TEXT', 'FLOAT']).optional(),
  trends: z.literal('0').optional(),
  units: z.string().optional(),
  valuemap: z.strictObject({ name: z.string() }).optional(),
  preprocessing: z.array(step),
  master_item: z.strictObject({ key: z.string() }),
  triggers: z.array(trigger).optional(),
  trigger_prototypes: z.array(trigger).optional(),
});
const item = z.discriminatedUnion('type', [listened, computed, dependent]);
export type Item = z.output<typeof item>;

const rule = z.strictObject({
  uuid,
  name: z.string(),
  type: z.literal('DEPENDENT'),
  key: z.string(),
  delay: z.literal('0'),
  filter: z
    .strictObject({
      conditions: z.array(
        z.strictObject({
          macro: z.string(),
          value: z.string(),
          operator: z.literal('NOT_MATCHES_REGEX'),
          formulaid: z.string(),
        }),
      ),
    })
    .optional(),
  lifetime: z.string(),
  description,
  item_prototypes: z.array(item),
  trigger_prototypes: z.array(trigger).optional(),
  master_item: z.strictObject({ key: z.string() }),
  preprocessing: z.array(step),
});
export type Rule = z.output<typeof rule>;

const zabbixExport = z.strictObject({
  zabbix_export: z.strictObject({
    version: z.literal('6.0'),
    date: z.string(),
    groups: z.array(z.strictObject({ uuid, name: z.string() })),
    templates: z.tuple([
      z.strictObject({
        uuid,
        template: z.string(),
        name: z.string(),
        description,
        groups: z.array(z.strictObject({ name: z.string() })),
        items: z.array(item),
        discovery_rules: z.array(rule),
        tags,
        macros: z.array(z.strictObject({ macro: z.string(), value: z.string().optional(), description })),
        valuemaps: z.array(
          z.strictObject({
            uuid,
            name: z.string(),
            mappings: z.array(z.strictObject({ value: z.string(), newvalue: z.string() })),
          }),
        ),
      }),
    ]),
  }),
});

export type Template = z.output<typeof zabbixExport>['zabbix_export']['templates'][0];

/** The template that is handed to the control room. Throws on what Zabbix would not import. */
export function zabbixTemplate(): Template {
  const file = new URL('../../scripts/monitoring/zabbix/docking-stations.yaml', import.meta.url);
  return zabbixExport.parse(parse(readFileSync(file, 'utf8'))).zabbix_export.templates[0];
}

export type Macros = Readonly<Record<string, string>>;

/** The values that the template gives its own macros. */
export function defaultMacros({ macros }: Template): Macros {
  return Object.fromEntries(macros.map(({ macro, value = '' }) => [macro, value]));
}

/** Replaces user macros and those of discovery; what is not known stays. */
export function expand(text: string, macros: Macros): string {
  return text.replace(/\{[$#][A-Z0-9_.]+\}/g, (macro) => macros[macro] ?? macro);
}
