import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { StationClockState } from '../clock/station-clock.ts';
import type { CameraHealth } from '../../dock/camera/camera.ts';
import type { EventEnvelope } from '../../protocol/mqtt/events.ts';
import type { IsoTimes } from '../control/iso-times.ts';
import type { PostAssignment } from '../../protocol/norm/assignment.ts';
import type { AuditHead, AuditLink } from '../enrolment/audit-chain.ts';
import type { RetirementPlan } from '../enrolment/above-quota.ts';
import type { EnrolmentDecision, QuotaUsage } from '../enrolment/register.ts';
import type { HealthProblem } from '../health/assess.ts';
import type { HealthReport } from '../health/station-health.ts';
import type { BayState } from '../session/bay-board.ts';
import type { FaultCount, Verdict } from '../session/fault-log.ts';
import type { SessionAccount } from '../session/session-log.ts';
import type { CatalogueEntry } from '../vault/catalogue.ts';

/** What the agent answers to dockctl, as `--json` prints it. */
export interface StatusAnswer extends BaysAnswer {
  readonly version: string;
  readonly boot: number;
  readonly startedAt: string;
  readonly now: string;
  readonly station: { readonly department: string; readonly post: string; readonly name: string };
  readonly configFile: string | null;
  readonly quota: QuotaUsage;
  readonly recordings: number;
  readonly quarantined: number;
  readonly vault: {
    readonly folder: string;
    /** Null when the disk does not tell: `problem` says why. */
    readonly freeBytes: number | null;
    readonly problem?: ErrorCode;
  };
  /** Whether the clock of the station may be given to cameras, and why. */
  readonly stationClock: StationClockState;
  /** As of the last sample; all of it: dockctl health. */
  readonly health: { readonly level: HealthReport['level']; readonly problems: readonly HealthProblem[] };
  readonly broker: {
    readonly url: string;
    readonly isConnected: boolean;
    readonly protocolVersion?: 4 | 5;
    readonly problem?: string;
    readonly waitingEvents: number;
  };
}

export interface BaysAnswer {
  readonly bays: readonly IsoTimes<BayState>[];
}

export type HealthAnswer = IsoTimes<HealthReport>;

export interface FaultsAnswer {
  readonly faults: readonly IsoTimes<FaultCount>[];
  /** Who is to blame, where that can be told. */
  readonly verdicts: readonly Verdict[];
}

export interface CamerasAnswer {
  readonly cameras: readonly {
    readonly serialNumber: string;
    readonly enrolment: 'enrolled' | 'retired' | 'refused' | 'unknown';
    readonly enrolmentReason: string | null;
    readonly enrolmentChangedAt: string | null;
    readonly enrolmentChangedBy: string | null;
    readonly commissionedOn: string | null;
    readonly serviceEndsOn: string | null;
    /** Enrolled, reported as over, and still emptied. */
    readonly isServiceLifeOver: boolean;
    readonly hasKey: boolean;
    readonly dockedInBay: number | null;
    readonly model: string | null;
    readonly firmware: string | null;
    readonly lastDockedAt: string | null;
    readonly health: CameraHealth | null;
    readonly clock: {
      readonly offsetMs: number;
      readonly uncertaintyMs: number;
      readonly driftPpm: number | null;
      readonly method: string;
      readonly setAt: string | null;
      readonly residualMs: number | null;
      readonly residualUncertaintyMs: number | null;
    } | null;
    readonly recordings: number;
  }[];
}

export interface RecordingsAnswer {
  readonly recordings: readonly IsoTimes<CatalogueEntry>[];
  readonly vault: string;
}

export interface SessionsAnswer {
  readonly sessions: readonly (SessionAccount & {
    readonly id: string;
    readonly bay: number;
    readonly serialNumber: string;
    readonly startedAt: string;
    readonly endedAt: string | null;
    readonly outcome: 'complete' | 'interrupted' | 'refused' | 'attention' | null;
    readonly code: string | null;
    readonly pullMs: number;
    readonly clockOffsetMs: number | null;
    readonly clockUncertaintyMs: number | null;
    readonly clockDriftPpm: number | null;
    readonly clockMethod: string | null;
    readonly clockResidualMs: number | null;
    readonly clockResidualUncertaintyMs: number | null;
  })[];
}

export type EnrolAnswer = EnrolmentDecision & { readonly serialNumber: string };

export type ReplaceAnswer = EnrolAnswer & { readonly replaces: string };

export interface AuditAnswer {
  /** Behind the number asked for, in order. */
  readonly records: readonly AuditLink[];
  readonly head: AuditHead;
}

export interface RetireAnswer {
  readonly serialNumber: string;
  readonly retired: true;
  readonly usage: QuotaUsage;
}

/** Which bays were asked. */
export interface AskedBaysAnswer {
  readonly bays: readonly number[];
}

export interface AskedBaysUntilAnswer extends AskedBaysAnswer {
  readonly until: string;
}

export interface QuotaAnswer extends QuotaUsage {
  readonly plan: {
    readonly surplus: number;
    readonly retire: readonly IsoTimes<RetirementPlan['retire'][number]>[];
  };
}

export interface AssignmentAnswer {
  readonly hasIssuerKey: boolean;
  /** With its signed text. */
  readonly inForce: (PostAssignment & { readonly jws: string }) | null;
  readonly problems: readonly HealthProblem[];
  /** Newest first, each with its signed text. */
  readonly history: readonly {
    readonly number: number;
    readonly jws: string;
    readonly installedAt: string;
    readonly installedBy: string;
  }[];
}

export interface InstallAnswer {
  readonly installed: PostAssignment;
  readonly usage: QuotaUsage;
}

export interface VerifyAnswer {
  readonly checked: number;
  readonly intact: number;
  readonly damaged: number;
  readonly missing: number;
  readonly bytes: number;
  readonly problems: readonly {
    readonly recordingId: string;
    readonly storedPath: string;
    readonly code: string;
    readonly message: string;
  }[];
}

export type EventLine = EventEnvelope;
