import { styleText } from 'node:util';
import { table } from '../../agent/cli/output.ts';

/** What one part of the bench found: a table for people, the same figures for programs. */
export interface BenchReport {
  readonly title: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** Columns of numbers, from 0. */
  readonly right: readonly number[];
  readonly aims: readonly Aim[];
  /** What a reader must know to read the table right; rows that were skipped, by name. */
  readonly notes: readonly string[];
  readonly figures: Readonly<Record<string, unknown>>;
}

/** A figure with its aim. Reported, not asserted: a busy machine is no bug. */
export interface Aim {
  readonly what: string;
  readonly value: number;
  readonly aim: number;
  readonly isMet: boolean;
  readonly shown: string;
}

/** What every part is told. */
export interface BenchOptions {
  /** Shorter runs with less to say. */
  readonly isQuick: boolean;
  /** For what is measured on a file system; gone when the bench ends. */
  readonly folder: string;
  readonly signal: AbortSignal;
  /** Progress for people. */
  readonly say: (text: string) => void;
}

export function drawReport({ title, head, rows, right, aims, notes }: BenchReport): string {
  const verdicts = aims.map(
    ({ what, shown, isMet }) =>
      `${isMet ? styleText('green', 'met   ') : styleText('red', 'missed')}  ${what}: ${shown}`,
  );
  return [
    styleText('bold', title),
    '',
    table(head, rows, right),
    '',
    ...verdicts,
    ...notes.map((note) => styleText('dim', `· ${note}`)),
    '',
  ].join('\n');
}

export function atLeast(what: string, value: number, aim: number): Aim {
  const shown = `${percent(value)}, aim at least ${percent(aim, 0)}`;
  return { what, value, aim, isMet: value >= aim, shown };
}

export function atMost(what: string, value: number, aim: number, show: (value: number) => string): Aim {
  return { what, value, aim, isMet: value <= aim, shown: `${show(value)}, aim at most ${show(aim)}` };
}

export function percent(share: number, digits = 1): string {
  return `${(share * 100).toFixed(digits)} %`;
}

export function times(ratio: number): string {
  return `${ratio.toFixed(2)} ×`;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** `0.68 (0.66–0.71)`: the median of the rounds, and how far apart they were. */
export function withSpread(values: readonly number[], digits = 2): string {
  const text = (value: number): string => value.toFixed(digits);
  const spread = `${text(Math.min(...values))}–${text(Math.max(...values))}`;
  return values.length === 1 ? text(median(values)) : `${text(median(values))} (${spread})`;
}
