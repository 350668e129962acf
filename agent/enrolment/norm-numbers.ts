import type { QuotaUsage } from './register.ts';

/** The numbers that a decision was taken under, as its event tells them. */
export function normNumbers({ headcount, quota, enrolled, row, citation, ...usage }: QuotaUsage) {
  const { headcountSource, assignment } = usage;
  return {
    headcount,
    quota,
    enrolled,
    row,
    citation,
    headcountSource,
    ...(assignment && { assignmentNumber: assignment.number }),
  };
}
