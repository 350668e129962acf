import type { AuditRecord } from '../../protocol/norm/audit-record.ts';

const columns = [
  'number',
  'at',
  'station',
  'act',
  'serialNumber',
  'by',
  'reason',
  'code',
  'cause',
  'note',
  'replaces',
  'replacedBy',
  'transferredTo',
  'transferredFrom',
  'commissionedOn',
  'serviceEndsOn',
  'months',
  'before',
  'after',
  'headcount',
  'headcountSource',
  'assignmentNumber',
  'quota',
  'enrolled',
  'row',
  'editionId',
  'citation',
  'hash',
] as const;

/** RFC 4180. A text that a spreadsheet would take for a formula has an apostrophe before it. */
export function auditCsv(records: readonly (AuditRecord & { readonly hash: string })[]): string {
  const lines = records.map((record) => columns.map((column) => cell(record[column])));
  return [columns, ...lines].map((line) => `${line.join(',')}\r\n`).join('');
}

function cell(value: string | number | undefined): string {
  if (typeof value === 'number') return String(value);
  const text = (value ?? '').replace(/^(?=[=+\-@\t\r])/, "'");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
