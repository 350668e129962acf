import type { Fleet } from '../enrolment/fleet.ts';
import { table } from './output.ts';
import type { Language } from './words/language.ts';
import { registerWords } from './words/register-words.ts';

export function showFleet({ sets, calendar }: Fleet, language: Language): string {
  const words = registerWords[language];
  if (sets.length === 0) return words.nothingEnrolled;
  const rows = sets.map(({ item, serialNumber, commissionedOn, serviceEndsOn, ageMonths, isOver }) => [
    serialNumber,
    words.items[item],
    commissionedOn,
    `${Math.floor(ageMonths / 12)}:${String(ageMonths % 12).padStart(2, '0')}`,
    serviceEndsOn,
    isOver ? words.over : '',
  ]);
  const years = calendar.map(({ year, cameras, computers }) => [year, cameras, computers].map(String));
  return [table(words.fleetHead, rows), '', table(words.calendarHead, years, [0, 1, 2])].join('\n');
}
