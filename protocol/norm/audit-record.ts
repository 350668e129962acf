import { z } from 'zod';
import { headcountSource } from '../mqtt/documents.ts';
import { normItem } from './editions.ts';
import { serviceReport } from './service-life.ts';
import { retireCauses } from './retire-causes.ts';

/** What a set is to the register. */
const standing = z.enum(['unknown', 'enrolled', 'retired', 'refused']);

/**
 * One act on the register of a post, as its audit keeps it: who, when, where, why, before and after, and the numbers it
 * was taken under. Records are numbered without a gap and chained: `digest` is the SHA-256 of the text of a record,
 * `hash` the SHA-256 of the hash before it followed by the digest, all in hexadecimal digits; before the first record
 * stands `auditBeginning`. So a copy of the last hash tells whether any record before it was changed since.
 */
export const auditRecord = z.object({
  number: z.int().positive(),
  at: z.iso.datetime().describe('RFC 3339, UTC, by the clock of the register'),
  station: z.string().describe('department/post/station where it was done'),
  act: z.enum([
    'enrolled',
    'refused',
    'retired',
    'service-life-due',
    'assignment-installed',
    'register-confirmed',
  ]),
  item: normItem.optional().describe('absent: a camera'),
  serialNumber: z.string().optional(),
  by: z.string(),
  reason: z.string(),
  code: z.string().optional().describe('of a refusal'),
  cause: z.enum(retireCauses).optional(),
  note: z.string().optional(),
  replaces: z.string().optional().describe('serial number of the camera whose place it took'),
  replacedBy: z.string().optional(),
  transferredTo: z.string().optional().describe('department/post'),
  transferredFrom: z.string().optional(),
  commissionedOn: z.iso.date().optional(),
  serviceEndsOn: z.iso.date().optional(),
  months: serviceReport.optional(),
  hasKey: z.boolean().optional(),
  before: standing.optional(),
  after: standing.optional(),
  headcount: z.int(),
  headcountSource,
  assignmentNumber: z.int().optional(),
  quota: z.int(),
  enrolled: z.int().describe('before this act'),
  row: z.int(),
  editionId: z.string(),
  citation: z.string(),
});
export type AuditRecord = z.output<typeof auditRecord>;

export const auditBeginning = '0'.repeat(64);
