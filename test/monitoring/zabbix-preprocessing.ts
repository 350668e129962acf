import { runInNewContext } from 'node:vm';
import { z } from 'zod';
import { expand, type Item, type Macros, type Rule, type Step } from './zabbix-template.ts';

/** Of a value: what Zabbix would store, that it would drop it, or why the item would become "not supported". */
export type Preprocessed =
  | { readonly kind: 'value'; readonly value: string }
  | { readonly kind: 'discarded' }
  | { readonly kind: 'failed'; readonly problem: string };

/** The steps of an item or rule on one value, as Zabbix 6.0 describes them. */
export function preprocess(raw: string, steps: readonly Step[]): Preprocessed {
  let value = raw;
  for (const step of steps) {
    const next = take(value, step);
    if (next.kind === 'value') {
      value = next.value;
      continue;
    }
    const { error_handler: handler, error_handler_params: instead = '' } =
      'error_handler' in step ? step : {};
    if (handler === 'DISCARD_VALUE') return { kind: 'discarded' };
    if (handler === undefined) return next;
    value = instead;
  }
  return { kind: 'value', value };
}

/** Whether Zabbix can store it under the type of the item. */
export function fits(value: string, item: Item): boolean {
  if (item.type !== 'DEPENDENT' || item.value_type === 'TEXT') return true;
  if (item.value_type === 'CHAR') return value.length <= 255;
  if (item.value_type === 'FLOAT') return value !== '' && Number.isFinite(Number(value));
  return /^\d{1,20}$/.test(value);
}

const rows = z.array(z.record(z.string().regex(/^\{#[A-Z]+\}$/), z.string()));

/** What a rule finds in a value of its master item. */
export function discovered(rule: Rule, masterValue: string, macros: Macros): Macros[] {
  const found = preprocess(masterValue, rule.preprocessing);
  if (found.kind !== 'value') throw new Error(`${rule.key}: ${JSON.stringify(found)}`);
  const conditions = rule.filter?.conditions ?? [];
  return rows
    .parse(JSON.parse(found.value))
    .filter((row) =>
      conditions.every(({ macro, value }) => !new RegExp(expand(value, macros)).test(row[macro] ?? '')),
    );
}

function take(value: string, { type, parameters }: Step): Preprocessed {
  const [first = '', second = ''] = parameters;
  switch (type) {
    case 'JAVASCRIPT':
      return script(value, first);
    case 'JSONPATH':
      return field(value, first);
    case 'REGEX': {
      const match = new RegExp(first).exec(value);
      if (!match) return failed(`${first} does not match`);
      return {
        kind: 'value',
        value: second.replace(/\\(\d)/g, (_, group: string) => match[Number(group)] ?? ''),
      };
    }
    case 'MATCHES_REGEX':
      return new RegExp(first).test(value) ? { kind: 'value', value } : failed(`${first} does not match`);
    case 'MULTIPLIER':
      return Number.isFinite(Number(value))
        ? { kind: 'value', value: String(Number(value) * Number(first)) }
        : failed(`${value} is no number`);
    case 'DISCARD_UNCHANGED_HEARTBEAT':
      return { kind: 'value', value };
  }
}

/** Zabbix runs ECMAScript 5, in a function of its own. */
function script(value: string, text: string): Preprocessed {
  try {
    const result: unknown = runInNewContext(`(function (value) { 'use strict'; ${text} })(value)`, { value });
    return { kind: 'value', value: String(result) };
  } catch (error) {
    return failed(String(error));
  }
}

/** The template needs no more of JSONPath than one name. */
function field(value: string, path: string): Preprocessed {
  const [, name = ''] = /^\$\.(\w+)$/.exec(path) ?? [];
  if (name === '') throw new Error(`${path} is more than these tests know`);
  let found: unknown;
  try {
    found = (JSON.parse(value) as Record<string, unknown>)[name];
  } catch {
    return failed('no JSON');
  }
  if (found === undefined) return failed(`no ${name}`);
  return { kind: 'value', value: typeof found === 'string' ? found : JSON.stringify(found) };
}

function failed(problem: string): Preprocessed {
  return { kind: 'failed', problem };
}
