import { z } from 'zod';
import type { NormItem } from './editions.ts';
import { editionAt } from './quota.ts';

/** Kazakhstan has had one time since 1 March 2024: UTC+5. A day of the norm is a day there. */
const zoneMs = 5 * 3_600_000;

/** The day in Kazakhstan at a moment (UTC milliseconds), YYYY-MM-DD. */
export function dayOf(at: number): string {
  return new Date(at + zoneMs).toISOString().slice(0, 10);
}

/**
 * The day on which the service life of a set ends: so many calendar years after the day of commissioning, by the edition
 * in force on `day`. What began on 29 February ends on 1 March. Days are YYYY-MM-DD.
 */
export function serviceEndsOn(
  { commissionedOn, item }: { readonly commissionedOn: string; readonly item: NormItem },
  day: string,
): string {
  return monthsAfter(commissionedOn, 12 * editionAt(Date.parse(day))[item].serviceLifeYears);
}

/** Before its end a service life is reported at so many months, and on the day. */
const reportedMonths = [12, 6, 3, 1, 0] as const;
export const serviceReport = z.literal(reportedMonths);
export type ServiceReport = z.output<typeof serviceReport>;

/** The nearest of the reports that is due on `day`; undefined while there is more time. */
export function reportDue(endsOn: string, day: string): ServiceReport | undefined {
  return reportedMonths.findLast((months) => day >= monthsAfter(endsOn, -months));
}

/** A day that the month does not have is the first of the next. */
function monthsAfter(day: string, months: number): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number);
  const moved = new Date(Date.UTC(year, month - 1 + months, date));
  // Forward to the first of the next month, as with 31 June.
  const wanted = (((month - 1 + months) % 12) + 12) % 12;
  if (moved.getUTCMonth() !== wanted) moved.setUTCDate(1);
  return moved.toISOString().slice(0, 10);
}
