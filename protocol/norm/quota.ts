import { DockError } from '../errors.ts';
import { normEditions, type NormEdition } from './editions.ts';

/** How many cameras a post may have, and why. */
export interface Quota {
  readonly headcount: number;
  readonly quota: number;
  /** Row of the norm, from 1; 0 for a post without workers, which has no norm. */
  readonly row: number;
  readonly editionId: string;
  readonly citation: string;
}

export const maxHeadcount = 1_000_000;

/** The edition in force on a day (UTC milliseconds); the earliest one for days before all editions. */
export function editionAt(at: number): NormEdition {
  const day = new Date(at).toISOString().slice(0, 10);
  const sorted = normEditions.toSorted((a, b) => (a.effectiveFrom < b.effectiveFrom ? -1 : 1));
  const edition = sorted.findLast(({ effectiveFrom }) => effectiveFrom <= day) ?? sorted[0];
  if (!edition) throw new DockError('internal.bug', 'no edition of the norm');
  return edition;
}

/** The quota of a post by its headcount. Errors: `control.bad-request` for what is no headcount. */
export function quotaFor(headcount: number, edition: NormEdition): Quota {
  if (!Number.isSafeInteger(headcount) || headcount < 0 || headcount > maxHeadcount) {
    throw new DockError('control.bad-request', `headcount must be a whole number from 0 to ${maxHeadcount}`);
  }
  const common = { headcount, editionId: edition.id, citation: edition.citation };
  if (headcount === 0) return { ...common, quota: 0, row: 0 };
  const row = edition.rows.find(({ upToHeadcount = Infinity }) => headcount <= upToHeadcount);
  if (!row) throw new DockError('internal.bug', `edition ${edition.id} has no row for ${headcount}`);
  return { ...common, quota: row.sets, row: row.row };
}
