import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { editionAt, quotaFor } from '../../protocol/norm/quota.ts';
import { dayOf } from '../../protocol/norm/service-life.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import { enrolmentOf } from './enrolment-row.ts';
import type { Assignments } from './assignments.ts';
import type { AuditHead, AuditLink } from './audit-chain.ts';
import { AuditLog } from './audit-log.ts';
import type { Headcount } from './headcount.ts';
import { auditNumbers, normNumbers, type RegisterAct } from './norm-numbers.ts';
import { refusalReason } from './refusal-reason.ts';
import { dueReports } from './service-life.ts';
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
  readonly #station: string;
  readonly #audit: AuditLog;

  /** `station`: department/post/station, for the audit. */
  constructor(db: Database, outbox: Outbox, clock: Clock, headcount: () => Headcount, station: string) {
    this.#db = db;
    this.#outbox = outbox;
    this.#clock = clock;
    this.#headcount = headcount;
    this.#station = station;
    this.#audit = new AuditLog(db);
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
      this.#free({ ...request, serialNumber: replaces }, usage, { replacedBy: request.serialNumber });
      return this.#take(request, this.#usage(), { replaces });
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
    return this.#list();
  }

  #list(): Enrolment[] {
    return this.#db.all('SELECT * FROM enrolment ORDER BY serial_number').map(enrolmentOf);
  }

  async reportServiceLife(day: string): Promise<void> {
    this.#db.transaction(() => {
      for (const report of dueReports(this.#list(), day)) {
        const { serialNumber, months } = report;
        this.#db.run(
          'UPDATE enrolment SET service_reported = ? WHERE serial_number = ?',
          months,
          serialNumber,
        );
        const usage = this.#usage();
        const audited = this.#record(
          { act: 'service-life-due', by: 'automatic', reason: '', ...report },
          usage,
        );
        this.#outbox.record('service-life-due', { ...report, ...normNumbers(usage, audited) });
      }
    });
  }

  /** Puts those that are in no record yet into the audit. */
  noteAssignments(assignments: Pick<Assignments, 'unaudited' | 'audited'>): void {
    for (const { id, by, reason, assignmentNumber } of assignments.unaudited()) {
      this.#db.transaction(() => {
        this.#record({ act: 'assignment-installed', by, reason, assignmentNumber }, this.#usage());
        assignments.audited(id);
      });
    }
  }

  async audit(number: number, limit: number): Promise<AuditLink[]> {
    return this.#audit.after(number, limit);
  }

  doubt(): string | undefined {
    const row = this.#db.get("SELECT reason FROM doubt WHERE matter = 'register'");
    return row && String(row['reason']);
  }

  confirm(by: string): boolean {
    return this.#db.transaction(() => {
      if (this.#db.run("DELETE FROM doubt WHERE matter = 'register'") === 0) return false;
      const usage = this.#usage();
      this.#record({ act: 'register-confirmed', by, reason: '' }, usage);
      this.#outbox.record('register-confirmed', { by, enrolled: usage.enrolled });
      return true;
    });
  }

  #take(
    request: EnrolRequest,
    usage: QuotaUsage,
    place: { readonly replaces?: string } = {},
  ): EnrolmentDecision {
    const { serialNumber, by, reason } = request;
    const before = this.#state(serialNumber) ?? 'unknown';
    const { commissionedOn = this.#commissionedOn(serialNumber) ?? dayOf(this.#clock.now()) } = request;
    this.#setState({ ...request, commissionedOn }, 'enrolled');
    const hasKey = request.publicKey !== undefined;
    const enrolled = { serialNumber, by, reason, hasKey, ...place, commissionedOn };
    const audited = this.#record({ act: 'enrolled', ...enrolled, before, after: 'enrolled' }, usage);
    this.#outbox.record('camera-enrolled', { ...enrolled, ...normNumbers(usage, audited) });
    return { kind: 'enrolled', isNew: true, usage: this.#usage() };
  }

  #free(
    { serialNumber, by, cause, note }: RetireRequest,
    usage: QuotaUsage,
    place: { readonly replacedBy?: string } = {},
  ): void {
    const reason = note ? `${cause}: ${note}` : cause;
    this.#db.run(
      `UPDATE enrolment SET state = 'retired', changed_at = ?, changed_by = ?, reason = ? WHERE serial_number = ?`,
      Math.floor(this.#clock.now()),
      by,
      reason,
      serialNumber,
    );
    const retired = { serialNumber, by, cause, note, ...place };
    const audited = this.#record(
      { act: 'retired', ...retired, reason, before: 'enrolled', after: 'retired' },
      usage,
    );
    this.#outbox.record('camera-retired', { ...retired, ...normNumbers(usage, audited) });
  }

  /** Keeps the standing of a retired camera: it stays retired, and was refused. */
  #refuse(
    request: { serialNumber: string; by: string },
    code: ErrorCode,
    usage: QuotaUsage,
  ): EnrolmentDecision {
    const reason = refusalReason(code, usage);
    const { serialNumber, by } = request;
    const before = this.#state(serialNumber) ?? 'unknown';
    const after = before === 'retired' ? 'retired' : 'refused';
    if (after === 'refused') {
      const commissionedOn = this.#commissionedOn(serialNumber);
      this.#setState({ ...request, reason, commissionedOn }, 'refused');
    }
    const refused = { serialNumber, by, code, reason };
    const audited = this.#record({ act: 'refused', ...refused, before, after }, usage);
    this.#outbox.record('enrolment-refused', { ...refused, ...normNumbers(usage, audited) });
    return { kind: 'refused', code, reason, usage: this.#usage() };
  }

  #state(serialNumber: string): EnrolmentState | undefined {
    const row = this.#db.get('SELECT state FROM enrolment WHERE serial_number = ?', serialNumber);
    return row?.['state'] as EnrolmentState | undefined;
  }

  #commissionedOn(serialNumber: string): string | undefined {
    const row = this.#db.get('SELECT commissioned_on FROM enrolment WHERE serial_number = ?', serialNumber);
    const day = row?.['commissioned_on'];
    return typeof day === 'string' ? day : undefined;
  }

  #setState(
    request: Pick<EnrolRequest, 'serialNumber' | 'by' | 'reason' | 'publicKey' | 'commissionedOn'>,
    state: 'enrolled' | 'refused',
  ): void {
    this.#db.run(
      `INSERT INTO enrolment (serial_number, state, public_key, changed_at, changed_by, reason, commissioned_on)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (serial_number) DO UPDATE SET state = excluded.state, public_key = excluded.public_key,
         changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason,
         service_reported = iif(commissioned_on IS excluded.commissioned_on, service_reported, NULL),
         commissioned_on = excluded.commissioned_on`,
      request.serialNumber,
      state,
      request.publicKey ?? null,
      Math.floor(this.#clock.now()),
      request.by,
      request.reason,
      request.commissionedOn ?? null,
    );
  }

  #record(act: RegisterAct, usage: QuotaUsage): AuditHead {
    return this.#audit.append({
      at: new Date(this.#clock.now()).toISOString(),
      station: this.#station,
      ...auditNumbers(usage),
      ...act,
    });
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
      audit: this.#audit.head,
      enrolled: Number(counts?.['enrolled']),
      refused: Number(counts?.['refused']),
      isHeadcountKnown: headcount !== undefined,
    };
  }
}
