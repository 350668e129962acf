import type { PostAssignment } from '../../protocol/norm/assignment.ts';

/** How many workers the post has, and who says so. */
export interface Headcount {
  /** `unsigned`: by the configuration of the station, which whoever maintains it can change. */
  readonly headcountSource: 'unsigned' | 'assignment';
  /** Undefined while nobody has stated it: then nothing is enrolled. */
  readonly headcount: number | undefined;
  readonly assignment?: AssignmentTerms;
}

/** What reports tell of the assignment in force. */
export type AssignmentTerms = Pick<PostAssignment, 'number' | 'issuer' | 'validFrom' | 'validUntil'>;

export function unsignedHeadcount(headcount: number | undefined): () => Headcount {
  return () => ({ headcountSource: 'unsigned', headcount });
}

export function assignedHeadcount({
  headcount,
  number,
  issuer,
  validFrom,
  validUntil,
}: PostAssignment): Headcount {
  return { headcountSource: 'assignment', headcount, assignment: { number, issuer, validFrom, validUntil } };
}
