import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Quota } from '../../protocol/norm/quota.ts';

/**
 * Who counts against the quota of the post. Contract for every engine:
 *
 * - At no time are more cameras enrolled than the quota; when in doubt an engine refuses.
 * - `enrol` and `retire` are idempotent: repeated after a lost answer, they change nothing and answer the same.
 * - Every decision is stored with who, when, why and the numbers it was taken under, together with its event.
 */
export interface Register {
  standing(serialNumber: string): Promise<Standing>;
  /** Takes the camera if there is a place for it, else refuses and records the refusal. */
  enrol(request: EnrolRequest): Promise<EnrolmentDecision>;
  /** Fixes the key of a camera that was enrolled before it could show one; a key once fixed stays. */
  fixKey(serialNumber: string, publicKey: Uint8Array): Promise<void>;
  /** Records that a camera was turned away without trying to enrol it; one that is enrolled stays so. */
  refuse(request: { serialNumber: string; by: string; code: ErrorCode }): Promise<EnrolmentDecision>;
  /** Frees the place of a camera. Errors: `enrolment.unknown-camera`. */
  /** True when it was enrolled until now. */
  retire(request: RetireRequest): Promise<boolean>;
  usage(): Promise<QuotaUsage>;
  list(): Promise<Enrolment[]>;
}

export type EnrolmentState = 'enrolled' | 'retired' | 'refused';

export type Standing = { readonly kind: 'unknown' } | ({ readonly kind: EnrolmentState } & Enrolment);

export interface Enrolment {
  readonly serialNumber: string;
  readonly state: EnrolmentState;
  /** Raw Ed25519 key fixed at enrolment; absent for a camera without one. */
  readonly publicKey?: Uint8Array;
  readonly changedAt: number;
  readonly changedBy: string;
  readonly reason: string;
}

export interface EnrolRequest {
  readonly serialNumber: string;
  readonly publicKey?: Uint8Array | undefined;
  readonly by: string;
  readonly reason: string;
}

export const retireCauses = ['lost', 'broken', 'end-of-service-life', 'transferred'] as const;
export type RetireCause = (typeof retireCauses)[number];

export interface RetireRequest {
  readonly serialNumber: string;
  readonly by: string;
  readonly cause: RetireCause;
  readonly note: string;
}

export type EnrolmentDecision =
  | { readonly kind: 'enrolled'; readonly isNew: boolean; readonly usage: QuotaUsage }
  | {
      readonly kind: 'refused';
      readonly code: ErrorCode;
      /** Names the rule, the numbers and the act. */
      readonly reason: string;
      readonly usage: QuotaUsage;
    };

export interface QuotaUsage extends Quota {
  readonly enrolled: number;
  /** Cameras turned away and not enrolled since. */
  readonly refused: number;
  /** False while the headcount of the post is not configured: then the quota is 0. */
  readonly isHeadcountKnown: boolean;
}
