import { DockError } from '../errors.ts';
import { normEditions, type NormEdition, type NormItem } from './editions.ts';

/** How many sets of an item a post or a department may have, and why. */
export interface Quota {
  readonly item: NormItem;
  /** Workers of the post; 0 for the computer of a department, which nobody's number decides. */
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
  const edition = editionInForce(new Date(at).toISOString().slice(0, 10)) ?? normEditions[0];
  if (!edition) throw new DockError('internal.bug', 'no edition of the norm');
  return edition;
}

/** The edition in force on a day, YYYY-MM-DD; undefined for days before all editions. */
export function editionInForce(day: string): NormEdition | undefined {
  const sorted = normEditions.toSorted((a, b) => (a.effectiveFrom < b.effectiveFrom ? -1 : 1));
  return sorted.findLast(({ effectiveFrom }) => effectiveFrom <= day);
}

/** The quota of a post by its headcount. Errors: `control.bad-request` for what is no headcount. */
export function quotaFor(headcount: number, edition: NormEdition): Quota {
  if (!Number.isSafeInteger(headcount) || headcount < 0 || headcount > maxHeadcount) {
    throw new DockError('control.bad-request', `headcount must be a whole number from 0 to ${maxHeadcount}`);
  }
  return { ...byRows('camera', headcount, edition), headcount };
}

/** How many computers a department may have. */
export function computerQuota(edition: NormEdition): Quota {
  return { ...byRows('computer', 1, edition), headcount: 0 };
}

function byRows(item: NormItem, count: number, edition: NormEdition): Omit<Quota, 'headcount'> {
  const { citation, rows } = edition[item];
  const common = { item, editionId: edition.id, citation };
  if (count === 0) return { ...common, quota: 0, row: 0 };
  const row = rows.find(({ upTo = Infinity }) => count <= upTo);
  if (!row) throw new DockError('internal.bug', `edition ${edition.id} has no row for ${count}`);
  return { ...common, quota: row.sets, row: row.row };
}
