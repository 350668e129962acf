import { styleText } from 'node:util';
import Table from 'cli-table3';
import type { Language } from './words/language.ts';

/** Where a command writes: standard output for results, standard error for everything else. */
export interface Output {
  readonly isJson: boolean;
  readonly language: Language;
  /** The result of the command, once: the object with `--json`, else what `show` makes of it for people. */
  result<T>(value: T, show: (value: T, language: Language) => string): void;
  /** One of many results, a line of JSON each with `--json`. */
  item<T>(value: T, show: (value: T, language: Language) => string): void;
  /** Progress of long work, on a terminal only. */
  progress(text: string): void;
}

export function standardOutput(isJson: boolean, language: Language): Output {
  const write = (text: string): void => {
    process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
  };
  return {
    isJson,
    language,
    result: (value, show) => write(isJson ? json(value, 2) : show(value, language)),
    item: (value, show) => write(isJson ? json(value) : show(value, language)),
    progress: (text) => {
      if (process.stderr.isTTY && !isJson) process.stderr.write(`\r\u001b[2K${text}`);
    },
  };
}

/** Columns without lines between them; `right` names the columns of numbers, from 0. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const none = Object.fromEntries(
    ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right']
      .concat(['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'])
      .map((name) => [name, '']),
  );
  const drawn = new Table({
    head: head.map((text) => styleText('bold', text)),
    colAligns: head.map((_, index) => (right.includes(index) ? 'right' : 'left')),
    chars: { ...none, middle: '  ' },
    style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] },
  });
  drawn.push(...rows.map((row) => row.map(printable)));
  return drawn
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** Text from cameras must not drive the terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD');
}

export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

const latinUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
const cyrillicUnits = ['Б', 'КиБ', 'МиБ', 'ГиБ', 'ТиБ', 'ПиБ'];

/** Binary units, three digits. */
export function bytes(count: number, language: Language = 'en'): string {
  const units = language === 'en' ? latinUnits : cyrillicUnits;
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  const digits = power === 0 || value >= 100 ? String(Math.round(value)) : value.toPrecision(3);
  return `${language === 'en' ? digits : digits.replace('.', ',')} ${units[power]}`;
}

/** An offset with its bound, in the unit that suits it. */
export function offset(offsetMs: number | null, uncertaintyMs: number | null): string {
  if (offsetMs === null || uncertaintyMs === null) return '-';
  const isLarge = Math.abs(offsetMs) >= 10_000;
  const [scale, unit] = isLarge ? [1000, 's'] : [1, 'ms'];
  const sign = offsetMs < 0 ? '\u2212' : '+';
  return `${sign}${(Math.abs(offsetMs) / scale).toFixed(1)} \u00b1 ${(uncertaintyMs / scale).toFixed(isLarge ? 3 : 1)} ${unit}`;
}

/** What could drive a terminal is escaped, which JSON.stringify does only up to U+001F. */
function json(value: unknown, indent?: number): string {
  return JSON.stringify(value, jsonValue, indent).replace(/(?!\n)[\p{Cc}\p{Cf}]/gu, (text) =>
    Array.from({ length: text.length }, (_, index) => {
      return `\\u${text.charCodeAt(index).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

function jsonValue(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}
