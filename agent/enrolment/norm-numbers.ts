import type { AuditHead } from './audit-chain.ts';
import type { AuditRecord } from '../../protocol/norm/audit-record.ts';
import type { QuotaUsage } from './register.ts';

/** The numbers that a decision was taken under and where it stands in the audit, as its event tells them. */
export function normNumbers(
  { headcount, quota, enrolled, row, citation, headcountSource, assignment }: QuotaUsage,
  audited: AuditHead,
) {
  return {
    headcount,
    quota,
    enrolled,
    row,
    citation,
    headcountSource,
    ...(assignment && { assignmentNumber: assignment.number }),
    auditNumber: audited.records,
    auditHash: audited.hash,
  };
}

type Numbers =
  | 'headcount'
  | 'headcountSource'
  | 'assignmentNumber'
  | 'quota'
  | 'enrolled'
  | 'row'
  | 'editionId'
  | 'citation';

/** What a record of the audit says of an act, but for the numbers it was taken under, and when and where. */
export type RegisterAct = Omit<AuditRecord, Numbers | 'item' | 'number' | 'at' | 'station'> &
  Partial<Pick<AuditRecord, 'assignmentNumber'>>;

/** What an act is about and its numbers, for its record. */
export function auditNumbers({
  assignment,
  item,
  ...usage
}: QuotaUsage): Pick<AuditRecord, Numbers | 'item'> {
  const { headcount, headcountSource, quota, enrolled, row, editionId, citation } = usage;
  const assignmentNumber = assignment && { assignmentNumber: assignment.number };
  return {
    ...(item !== 'camera' && { item }),
    headcount,
    headcountSource,
    ...assignmentNumber,
    quota,
    enrolled,
    row,
    editionId,
    citation,
  };
}
