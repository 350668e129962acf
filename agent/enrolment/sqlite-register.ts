import { errorCatalogue, type ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { editionAt, quotaFor } from '../../protocol/norm/quota.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database, Row } from '../state/database.ts';
import type {
  Enrolment,
  EnrolmentDecision,
  EnrolmentState,
  EnrolRequest,
  QuotaUsage,
  Register,
  RetireRequest,
  Standing,
} from './register.ts';

/** The register of a post with a single station, in that station's own database. */
export class SqliteRegister implements Register {
  readonly #db: Database;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #headcount: number | undefined;

  constructor(db: Database, outbox: Outbox, clock: Clock, headcount: number | undefined) {
    this.#db = db;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#headcount = headcount;
  }

  async standing(serialNumber: string): Promise<Standing> {
    const row = this.#db.get('SELECT * FROM enrolment WHERE serial_number = ?', serialNumber);
    if (!row) return { kind: 'unknown' };
    const enrolment = enrolmentOf(row);
    return { kind: enrolment.state, ...enrolment };
  }

  async enrol(request: EnrolRequest): Promise<EnrolmentDecision> {
    return this.#db.transaction(() => {
      const usage = this.#usage();
      if (this.#state(request.serialNumber) === 'enrolled') return { kind: 'enrolled', isNew: false, usage };
      if (!usage.isHeadcountKnown) return this.#refuse(request, 'enrolment.no-headcount', usage);
      if (usage.enrolled >= usage.quota) return this.#refuse(request, 'enrolment.quota-full', usage);
      this.#setState(request, 'enrolled');
      this.#recordDecision(request, 'enrolled', usage);
      this.#outbox.record('camera-enrolled', {
        serialNumber: request.serialNumber,
        by: request.by,
        reason: request.reason,
        hasKey: request.publicKey !== undefined,
        ...normNumbers(usage),
      });
      return { kind: 'enrolled', isNew: true, usage: this.#usage() };
    });
  }

  async refuse(request: { serialNumber: string; by: string; code: ErrorCode }): Promise<EnrolmentDecision> {
    return this.#db.transaction(() => {
      const usage = this.#usage();
      // Somebody may have enrolled it meanwhile; a refusal never takes a place away.
      if (this.#state(request.serialNumber) === 'enrolled') return { kind: 'enrolled', isNew: false, usage };
      return this.#refuse(request, request.code, usage);
    });
  }

  async fixKey(serialNumber: string, publicKey: Uint8Array): Promise<void> {
    this.#db.run(
      `UPDATE enrolment SET public_key = ? WHERE serial_number = ? AND state = 'enrolled' AND public_key IS NULL`,
      publicKey,
      serialNumber,
    );
  }

  async retire({ serialNumber, by, cause, note }: RetireRequest): Promise<boolean> {
    return this.#db.transaction(() => {
      const state = this.#state(serialNumber);
      if (state === 'retired') return false;
      if (state !== 'enrolled') throw new DockError('enrolment.unknown-camera', serialNumber);
      const usage = this.#usage();
      this.#db.run(
        `UPDATE enrolment SET state = 'retired', changed_at = ?, changed_by = ?, reason = ? WHERE serial_number = ?`,
        Math.floor(this.#clock.now()),
        by,
        note ? `${cause}: ${note}` : cause,
        serialNumber,
      );
      this.#recordDecision(
        { serialNumber, by, reason: note ? `${cause}: ${note}` : cause },
        'retired',
        usage,
      );
      this.#outbox.record('camera-retired', { serialNumber, by, cause, note, ...normNumbers(usage) });
      return true;
    });
  }

  async usage(): Promise<QuotaUsage> {
    return this.#usage();
  }

  async list(): Promise<Enrolment[]> {
    return this.#db.all('SELECT * FROM enrolment ORDER BY serial_number').map(enrolmentOf);
  }

  /** Keeps the standing of a retired camera: it stays retired, and was refused. */
  #refuse(
    request: { serialNumber: string; by: string },
    code: ErrorCode,
    usage: QuotaUsage,
  ): EnrolmentDecision {
    const reason = refusalReason(code, usage);
    if (this.#state(request.serialNumber) !== 'retired') {
      this.#setState({ ...request, reason }, 'refused');
    }
    this.#recordDecision({ ...request, reason }, 'refused', usage);
    this.#outbox.record('enrolment-refused', {
      serialNumber: request.serialNumber,
      by: request.by,
      code,
      reason,
      ...normNumbers(usage),
    });
    return { kind: 'refused', code, reason, usage: this.#usage() };
  }

  #state(serialNumber: string): EnrolmentState | undefined {
    const row = this.#db.get('SELECT state FROM enrolment WHERE serial_number = ?', serialNumber);
    return row?.['state'] as EnrolmentState | undefined;
  }

  #setState(
    request: { serialNumber: string; by: string; reason: string; publicKey?: Uint8Array | undefined },
    state: 'enrolled' | 'refused',
  ): void {
    this.#db.run(
      `INSERT INTO enrolment (serial_number, state, public_key, changed_at, changed_by, reason)
       VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (serial_number) DO UPDATE SET state = excluded.state, public_key = excluded.public_key,
         changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason`,
      request.serialNumber,
      state,
      request.publicKey ?? null,
      Math.floor(this.#clock.now()),
      request.by,
      request.reason,
    );
  }

  #recordDecision(
    request: { serialNumber: string; by: string; reason: string },
    decision: 'enrolled' | 'refused' | 'retired',
    usage: QuotaUsage,
  ): void {
    this.#db.run(
      `INSERT INTO enrolment_decision (decided_at, serial_number, decision, by, reason, headcount, quota,
         enrolled_before, norm_row, norm_edition) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      Math.floor(this.#clock.now()),
      request.serialNumber,
      decision,
      request.by,
      request.reason,
      usage.headcount,
      usage.quota,
      usage.enrolled,
      usage.row,
      usage.editionId,
    );
  }

  #usage(): QuotaUsage {
    const counts = this.#db.get(
      `SELECT count(*) FILTER (WHERE state = 'enrolled') AS enrolled,
              count(*) FILTER (WHERE state = 'refused') AS refused FROM enrolment`,
    );
    return {
      ...quotaFor(this.#headcount ?? 0, editionAt(this.#clock.now())),
      enrolled: Number(counts?.['enrolled']),
      refused: Number(counts?.['refused']),
      isHeadcountKnown: this.#headcount !== undefined,
    };
  }
}

function refusalReason(code: ErrorCode, usage: QuotaUsage): string {
  const { meaning } = errorCatalogue[code];
  const headcount = usage.isHeadcountKnown ? `headcount ${usage.headcount}` : 'headcount unknown';
  const rule = usage.row === 0 ? 'no row applies' : `row ${usage.row}`;
  return `${meaning}: ${usage.enrolled} of ${usage.quota} sets are taken, ${headcount}, ${rule} of ${usage.citation}`;
}

function normNumbers(usage: QuotaUsage) {
  const { headcount, quota, enrolled, row, citation } = usage;
  return { headcount, quota, enrolled, row, citation };
}

function enrolmentOf(row: Row): Enrolment {
  const key = row['public_key'];
  return {
    serialNumber: String(row['serial_number']),
    state: String(row['state']) as EnrolmentState,
    changedAt: Number(row['changed_at']),
    changedBy: String(row['changed_by']),
    reason: String(row['reason']),
    ...(key instanceof Uint8Array && { publicKey: key }),
  };
}
