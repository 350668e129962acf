import type { RetireCause } from '../../protocol/norm/retire-causes.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { ServiceReport } from '../../protocol/norm/service-life.ts';
import type { NormItem } from '../../protocol/norm/editions.ts';
import type { Quota } from '../../protocol/norm/quota.ts';
import type { AuditHead, AuditLink } from './audit-chain.ts';
import type { Headcount } from './headcount.ts';

/**
 * Who counts against the quota of the post, and by the same rules the computer of its department. Contract for every
 * engine:
 *
 * - At no time are more sets of an item enrolled than its quota; when in doubt an engine refuses.
 * - `enrol` and `retire` are idempotent: repeated after a lost answer, they change nothing and answer the same.
 * - Every decision is stored with who, when, why and the numbers it was taken under, together with its event.
 */
export interface Register {
  /** Of a camera. */
  standing(serialNumber: string): Promise<Standing>;
  /** Takes the set if there is a place for it, else refuses and records the refusal. */
  enrol(request: EnrolRequest): Promise<EnrolmentDecision>;
  /** Fixes the key of a camera that was enrolled before it could show one; a key once fixed stays. */
  fixKey(serialNumber: string, publicKey: Uint8Array): Promise<void>;
  /** Records that a camera was turned away without trying to enrol it; one that is enrolled stays so. */
  refuse(request: { serialNumber: string; by: string; code: ErrorCode }): Promise<EnrolmentDecision>;
  /** Frees the place of a set. True when it was enrolled until now. Errors: `enrolment.unknown-camera`. */
  retire(request: RetireRequest): Promise<boolean>;
  /**
   * Retires one set and enrols another in its place, in one act: also where the quota is full, and where the new one
   * is refused the old one stays. Errors: `enrolment.unknown-camera` when the old one is not enrolled.
   */
  replace(request: ReplaceRequest): Promise<EnrolmentDecision>;
  /** Of cameras, where no item is named. */
  usage(item?: NormItem): Promise<QuotaUsage>;
  list(item?: NormItem): Promise<Enrolment[]>;
  /** Records, once each, that the service life of enrolled sets ends soon, as of `day` (YYYY-MM-DD). */
  reportServiceLife(day: string): Promise<void>;
  /** The records of the audit behind `number`, in order. Errors: `enrolment.register-unreachable`. */
  audit(number: number, limit: number): Promise<AuditLink[]>;
}

/** The register as a station holds it. */
export interface StationRegister extends Register {
  /** Why the register may be incomplete; undefined when it is sound. */
  doubt(): string | undefined;
  /** A person vouches for the register as it is. True when it was in doubt until now. */
  confirm(by: string): boolean;
  /** As the register is known here now, without asking anybody. */
  knownUsage(): QuotaUsage;
  /** Since when a shared register does not answer; undefined while it does. */
  away?(): number | undefined;
  /**
   * To another post of the same register: leaves this quota and enters the other, or neither. Absent where the station
   * has a register of its own. Errors: `enrolment.unknown-camera`.
   */
  transfer?(request: TransferRequest): Promise<EnrolmentDecision>;
  /** What it does by itself until `signal` aborts; absent where there is nothing. */
  run?(signal: AbortSignal): Promise<void>;
}

export type EnrolmentState = 'enrolled' | 'retired' | 'refused';

export type Standing = { readonly kind: 'unknown' } | ({ readonly kind: EnrolmentState } & Enrolment);

export interface Enrolment {
  readonly item: NormItem;
  readonly serialNumber: string;
  readonly state: EnrolmentState;
  /** Raw Ed25519 key fixed at enrolment; absent for a camera without one. */
  readonly publicKey?: Uint8Array;
  readonly changedAt: number;
  readonly changedBy: string;
  readonly reason: string;
  /** The day its service life began, YYYY-MM-DD; absent for one that was never enrolled. */
  readonly commissionedOn?: string;
  /** The last report of its service life: so many months were left. */
  readonly serviceReported?: ServiceReport;
}

export interface EnrolRequest {
  /** A camera, where nobody says. */
  readonly item?: NormItem | undefined;
  readonly serialNumber: string;
  readonly publicKey?: Uint8Array | undefined;
  readonly by: string;
  readonly reason: string;
  /** YYYY-MM-DD; the day of the first enrolment where nobody says. */
  readonly commissionedOn?: string | undefined;
}

export interface RetireRequest {
  readonly item?: NormItem | undefined;
  readonly serialNumber: string;
  readonly by: string;
  readonly cause: RetireCause;
  readonly note: string;
}

export interface ReplaceRequest extends EnrolRequest {
  /** Serial number of the camera that makes room. */
  readonly replaces: string;
  readonly cause: RetireCause;
  readonly note: string;
}

export interface TransferRequest {
  readonly serialNumber: string;
  readonly to: { readonly department: string; readonly post: string };
  readonly by: string;
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

export interface QuotaUsage extends Quota, Omit<Headcount, 'headcount'> {
  readonly enrolled: number;
  /** Cameras turned away and not enrolled since. */
  readonly refused: number;
  /** False while nobody has stated the headcount of the post: then the quota is 0. */
  readonly isHeadcountKnown: boolean;
  /** The end of the audit of the register. */
  readonly audit: AuditHead;
  /** Since when the numbers may have changed: the register does not answer, this is the copy of the station. */
  readonly copiedAt?: number;
}
