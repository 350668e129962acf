import type { NormItem } from '../../protocol/norm/editions.ts';
import { serviceEndsOn } from '../../protocol/norm/service-life.ts';
import type { Enrolment } from './register.ts';

/** What is enrolled, the oldest first, and when it has to be replaced. Days are YYYY-MM-DD. */
export interface Fleet {
  readonly day: string;
  readonly sets: readonly FleetSet[];
  /** Every year from this one to the last; what is overdue is to be replaced this year. */
  readonly calendar: readonly {
    readonly year: number;
    readonly cameras: number;
    readonly computers: number;
  }[];
}

export interface FleetSet {
  readonly item: NormItem;
  readonly serialNumber: string;
  readonly commissionedOn: string;
  readonly serviceEndsOn: string;
  /** Whole months in service. */
  readonly ageMonths: number;
  readonly isOver: boolean;
}

export function fleetOf(enrolments: readonly Enrolment[], day: string): Fleet {
  const sets = enrolments
    .flatMap(({ item, serialNumber, state, commissionedOn }) => {
      if (state !== 'enrolled' || commissionedOn === undefined) return [];
      const endsOn = serviceEndsOn({ commissionedOn, item }, day);
      const ageMonths = monthsBetween(commissionedOn, day);
      return [
        { item, serialNumber, commissionedOn, serviceEndsOn: endsOn, ageMonths, isOver: day >= endsOn },
      ];
    })
    .sort((a, b) => (a.serviceEndsOn < b.serviceEndsOn ? -1 : a.serviceEndsOn > b.serviceEndsOn ? 1 : 0));
  const thisYear = yearOf(day);
  const dueIn = ({ serviceEndsOn: endsOn }: FleetSet): number => Math.max(thisYear, yearOf(endsOn));
  const last = Math.max(thisYear - 1, ...sets.map(dueIn));
  const calendar = Array.from({ length: last - thisYear + 1 }, (_, index) => {
    const due = sets.filter((set) => dueIn(set) === thisYear + index);
    const cameras = due.filter(({ item }) => item === 'camera').length;
    return { year: thisYear + index, cameras, computers: due.length - cameras };
  });
  return { day, sets, calendar };
}

function yearOf(day: string): number {
  return Number(day.slice(0, 4));
}

function monthsBetween(from: string, to: string): number {
  const [[y0 = 0, m0 = 0, d0 = 0] = [], [y1 = 0, m1 = 0, d1 = 0] = []] = [from, to].map((day) =>
    day.split('-').map(Number),
  );
  return Math.max(0, (y1 - y0) * 12 + (m1 - m0) - (d1 < d0 ? 1 : 0));
}
