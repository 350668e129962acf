// What Zabbix would refuse to import, or never calculate, as far as it can be told without it.
import { expect, test } from 'vitest';
import { publishedSchema } from './published-schema.ts';
import { defaultMacros, expand, zabbixTemplate, type Item, type Trigger } from './zabbix-template.ts';

const template = zabbixTemplate();
const rules = template.discovery_rules;
/** The items and triggers of the template, then those of each rule. */
const scopes = [
  { items: template.items, triggers: [] as readonly Trigger[] },
  ...rules.map((rule) => ({ items: rule.item_prototypes, triggers: rule.trigger_prototypes ?? [] })),
].map(({ items, triggers }) => ({ items, triggers: [...triggers, ...items.flatMap(triggersOf)] }));
const items = scopes.flatMap((scope) => scope.items);
const triggers = scopes.flatMap((scope) => scope.triggers);

test('every identifier and every key is there once', () => {
  const text = JSON.stringify(template);
  const ids = [...text.matchAll(/"uuid":"(\w+)"/g)].map(([, id]) => id);
  expect(ids.length).toBeGreaterThan(items.length + triggers.length);
  expect(new Set(ids).size).toBe(ids.length);
  const keys = [...items, ...rules].map(({ key }) => key);
  expect(new Set(keys).size).toBe(keys.length);
});

test('what depends on an item, depends on one that is there', () => {
  const keys = new Set(template.items.map(({ key }) => key));
  expect(rules.filter((rule) => !keys.has(rule.master_item.key))).toEqual([]);
  const lost = scopes.flatMap((scope) => {
    const own = new Set(scope.items.map(({ key }) => key));
    return scope.items.filter((item) => item.type === 'DEPENDENT' && !own.has(item.master_item.key));
  });
  expect(lost).toEqual([]);
});

test('a trigger asks for items of its own rule, and waits for a trigger that is there', () => {
  for (const scope of scopes) {
    const keys = new Set([...scope.items, ...template.items].map(({ key }) => key));
    for (const {
      name,
      expression,
      recovery_expression: recovery = '',
      dependencies = [],
    } of scope.triggers) {
      const asked = [
        ...`${expression} ${recovery}`.matchAll(/\/Docking stations by MQTT\/([\w.]+(\[[^\]]*\])?)/g),
      ];
      expect(asked.length, name).toBeGreaterThan(0);
      for (const [, key = ''] of asked) expect(keys, name).toContain(key);
      for (const wanted of dependencies)
        expect(triggers.map((other) => `${other.name} ${other.expression}`)).toContain(
          `${wanted.name} ${wanted.expression}`,
        );
    }
  }
});

test('every macro and value map that is used is there, and every one that is there is used', () => {
  const { macros, valuemaps, ...rest } = template;
  const text = JSON.stringify(rest);
  const used = new Set([...text.matchAll(/\{\$[A-Z._]+\}/g)].map(([macro]) => macro));
  expect([...used].toSorted()).toEqual(macros.map(({ macro }) => macro).toSorted());
  const shown = items.flatMap((item) =>
    item.type === 'DEPENDENT' && item.valuemap ? [item.valuemap.name] : [],
  );
  expect([...new Set(shown)].toSorted()).toEqual(valuemaps.map(({ name }) => name).toSorted());
});

test('each path into a document names a field that its schema has', () => {
  const asked = items.flatMap((item) => {
    if (item.type !== 'DEPENDENT') return [];
    const [, topic = ''] = /"(dock\/v1\/[^"]*)"/.exec(item.master_item.key) ?? [];
    const fields = item.preprocessing.flatMap(({ type, parameters: [path = ''] }) => {
      if (type === 'JSONPATH') return [path.replace('$.', '')];
      return type === 'JAVASCRIPT'
        ? [...path.matchAll(/(?:JSON\.parse\(value\)|health|alarm)\.(\w+)/g)].map(([, name = '']) => name)
        : [];
    });
    return fields.map((field) => ({ key: item.key, topic, field }));
  });
  expect(asked.length).toBeGreaterThan(40);
  const unknown = asked.filter(({ topic, field }) => !publishedSchema(topic)?.properties[field]);
  expect(unknown).toEqual([]);
});

test('with its own values no threshold is left open', () => {
  const macros = defaultMacros(template);
  const open = triggers
    .map(({ expression }) => expand(expression, macros))
    .filter((text) => text.includes('{$'));
  expect(open).toEqual([]);
});

function triggersOf(item: Item): readonly Trigger[] {
  return item.type === 'DEPENDENT' ? [...(item.triggers ?? []), ...(item.trigger_prototypes ?? [])] : [];
}
