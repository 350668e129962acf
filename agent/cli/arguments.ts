import { InvalidArgumentError } from 'commander';

// What may stand on the command line. Errors: InvalidArgumentError, which commander shows with the usage.

const unitsMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const longestMs = 366 * unitsMs.d;

/** Milliseconds of `500ms`, `30s`, `10m`, `12h`, `2d`. */
export function duration(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const ms = Number(digits) * (unit in unitsMs ? unitsMs[unit as keyof typeof unitsMs] : Number.NaN);
  if (!(ms > 0 && ms <= longestMs))
    throw new InvalidArgumentError('a time such as 30s, 10m, 12h or 2d is needed');
  return ms;
}

/** Whole seconds of the same. */
export function seconds(text: string): number {
  return Math.max(1, Math.round(duration(text) / 1000));
}

export const mostBays = 999;

export function bayNumber(text: string): number {
  if (!/^[1-9]\d{0,2}$/.test(text))
    throw new InvalidArgumentError(`a whole number from 1 to ${mostBays} is needed`);
  return Number(text);
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('a whole number is needed');
  return Number(text);
}

/** A day of the calendar, YYYY-MM-DD. */
export function day(text: string): string {
  const at = new Date(`${text}T00:00:00Z`);
  const isDay =
    /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
  if (!isDay) throw new InvalidArgumentError('a day such as 2027-10-28 is needed');
  return text;
}
