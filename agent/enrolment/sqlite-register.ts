import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { editionAt, quotaFor } from '../../protocol/norm/quota.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import { enrolmentOf } from './enrolment-row.ts';
import type { Headcount } from './headcount.ts';
import { normNumbers } from './norm-numbers.ts';
import { refusalReason } from './refusal-reason.ts';
import type {
  Enrolment,
  EnrolmentDecision,
  EnrolmentState,
  EnrolRequest,
  QuotaUsage,
  ReplaceRequest,
  RetireRequest,
  Standing,
  StationRegister,
} from './register.ts';

/** The register of a post with a single station, in that station's own database. */
export class SqliteRegister implements StationRegister {
  readonly #db: Database;
  readonly #outbox: Outbox;
  readonly #clock: Clock;
  readonly #headcount: () => Headcount;

  constructor(db: Database, outbox: Outbox, clock: Clock, headcount: () => Headcount) {
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
      // After a loss nobody can tell how many are enrolled: only a person may take a place.
      if (request.by === 'automatic' && this.doubt() !== undefined)
        return this.#refuse(request, 'enrolment.unconfirmed', usage);
      if (usage.enrolled >= usage.quota) return this.#refuse(request, 'enrolment.quota-full', usage);
      return this.#take(request, usage);
    });
  }

  async replace(request: ReplaceRequest): Promise<EnrolmentDecision> {
    return this.#db.transaction(() => {
      const usage = this.#usage();
      const { replaces } = request;
      if (this.#state(replaces) !== 'enrolled') throw new DockError('enrolment.unknown-camera', replaces);
      if (this.#state(request.serialNumber) === 'enrolled') return { kind: 'enrolled', isNew: false, usage };
      if (usage.enrolled > usage.quota) return this.#refuse(request, 'enrolment.quota-full', usage);
      this.#free({ ...request, serialNumber: replaces }, usage);
      return this.#take(request, this.#usage());
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
      this.#free({ serialNumber, by, cause, note }, this.#usage());
      return true;
    });
  }

  async usage(): Promise<QuotaUsage> {
    return this.#usage();
  }

  knownUsage(): QuotaUsage {
    return this.#usage();
  }

  async list(): Promise<Enrolment[]> {
    return this.#db.all('SELECT * FROM enrolment ORDER BY serial_number').map(enrolmentOf);
  }

  doubt(): string | undefined {
    const row = this.#db.get("SELECT reason FROM doubt WHERE matter = 'register'");
    return row && String(row['reason']);
  }

  confirm(by: string): boolean {
    return this.#db.transaction(() => {
      if (this.#db.run("DELETE FROM doubt WHERE matter = 'register'") === 0) return false;
      this.#outbox.record('register-confirmed', { by, enrolled: this.#usage().enrolled });
      return true;
    });
  }

  #take(request: EnrolRequest, usage: QuotaUsage): EnrolmentDecision {
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
  }

  #free({ serialNumber, by, cause, note }: RetireRequest, usage: QuotaUsage): void {
    const reason = note ? `${cause}: ${note}` : cause;
    this.#db.run(
      `UPDATE enrolment SET state = 'retired', changed_at = ?, changed_by = ?, reason = ? WHERE serial_number = ?`,
      Math.floor(this.#clock.now()),
      by,
      reason,
      serialNumber,
    );
    this.#recordDecision({ serialNumber, by, reason }, 'retired', usage);
    this.#outbox.record('camera-retired', { serialNumber, by, cause, note, ...normNumbers(usage) });
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
         enrolled_before, norm_row, norm_edition, assignment_number) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
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
      usage.assignment?.number ?? null,
    );
  }

  #usage(): QuotaUsage {
    const counts = this.#db.get(
      `SELECT count(*) FILTER (WHERE state = 'enrolled') AS enrolled,
              count(*) FILTER (WHERE state = 'refused') AS refused FROM enrolment`,
    );
    const { headcount, ...statement } = this.#headcount();
    return {
      ...quotaFor(headcount ?? 0, editionAt(this.#clock.now())),
      ...statement,
      enrolled: Number(counts?.['enrolled']),
      refused: Number(counts?.['refused']),
      isHeadcountKnown: headcount !== undefined,
    };
  }
}
