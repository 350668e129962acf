import type { HealthProblem } from '../health/assess.ts';
import type { Enrolment, QuotaUsage } from './register.ts';

/** What a post that has more cameras than its norm allows may do about it. */
export interface RetirementPlan {
  /** How many have to be retired until the quota is kept. */
  readonly surplus: number;
  /** The ones in service longest, oldest first. */
  readonly retire: readonly {
    readonly serialNumber: string;
    readonly commissionedOn: string;
    readonly enrolledAt: number;
  }[];
}

/** A proposal: which camera goes is decided by people, and nobody is thrown out. */
export function retirementPlan(
  usage: Pick<QuotaUsage, 'enrolled' | 'quota'>,
  enrolments: readonly Enrolment[],
): RetirementPlan {
  const surplus = Math.max(0, usage.enrolled - usage.quota);
  const oldestFirst = enrolments
    .filter(({ state }) => state === 'enrolled')
    .map(({ serialNumber, commissionedOn = '', changedAt }) => ({
      serialNumber,
      commissionedOn,
      enrolledAt: changedAt,
    }))
    .sort(
      (a, b) =>
        compare(a.commissionedOn, b.commissionedOn) ||
        a.enrolledAt - b.enrolledAt ||
        compare(a.serialNumber, b.serialNumber),
    );
  return { surplus, retire: oldestFirst.slice(0, surplus) };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function aboveQuota({ enrolled, quota, headcount }: QuotaUsage): HealthProblem[] {
  if (enrolled <= quota) return [];
  const detail = `${enrolled} enrolled, ${quota} allowed (headcount ${headcount}): ${enrolled - quota} to retire`;
  return [{ level: 'warning', code: 'enrolment.above-quota', subject: '', detail }];
}
