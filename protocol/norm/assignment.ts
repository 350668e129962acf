import { z } from 'zod';
import { topicLevel } from '../mqtt/topics.ts';
import { maxHeadcount } from './quota.ts';

/** Longest signed assignment, in characters of its compact form. */
export const maxAssignmentChars = 16_384;

/** What its header says in `typ`: nothing else that the issuer signs can be taken for an assignment. */
export const assignmentType = 'dock-post-assignment';

/**
 * A post assignment: the department states how many workers a post has. It travels as a JWS in compact form (RFC 7515)
 * with the algorithm EdDSA (RFC 8037) over Ed25519 and the header `typ` above. What is not named here is refused: a
 * reader that passed over a part of a signed statement would follow half of it.
 */
export const postAssignment = z
  .strictObject({
    department: z.string().regex(topicLevel).describe('as in the topics of its stations'),
    post: z.string().regex(topicLevel),
    headcount: z.int().min(0).max(maxHeadcount).describe('workers of the post'),
    validFrom: z.iso.datetime().describe('RFC 3339, UTC'),
    validUntil: z.iso.datetime().describe('RFC 3339, UTC; from this moment on it cannot be installed'),
    issuer: z.string().min(1).max(200).describe('who states it, for people'),
    number: z
      .int()
      .min(1)
      .max(2 ** 31 - 1)
      .describe('grows with each assignment of the post: the newest wins'),
  })
  .refine(({ validFrom, validUntil }) => Date.parse(validFrom) < Date.parse(validUntil), {
    path: ['validUntil'],
    message: 'is not after validFrom',
  });
export type PostAssignment = z.output<typeof postAssignment>;
