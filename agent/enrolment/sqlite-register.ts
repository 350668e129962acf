import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import type { NormItem } from '../../protocol/norm/editions.ts';
import { computerQuota, editionAt, quotaFor } from '../../protocol/norm/quota.ts';
import { dayOf } from '../../protocol/norm/service-life.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database, Row } from '../state/database.ts';
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
    const row = this.#row({ serialNumber });
    if (!row) return { kind: 'unknown' };
    const enrolment = enrolmentOf(row);
    return { kind: enrolment.state, ...enrolment };
  }

  async enrol(request: EnrolRequest): Promise<EnrolmentDecision> {
    return this.#db.transaction(() => {
      const usage = this.#usage(request.item);
      if (this.#state(request) === 'enrolled') return { kind: 'enrolled', isNew: false, usage };
      if (!usage.isHeadcountKnown) return this.#refuse(request, 'enrolment.no-headcount', usage);
      // After a loss nobody can tell how many are enrolled: only a person may take a place.
      if (request.by === 'automatic' && this.doubt() !== undefined)
        return this.#refuse(request, 'enrolment.unconfirmed', usage);
      if (usage.enrolled >= usage.quota) return this.#refuse(request, fullCodes[usage.item], usage);
      return this.#take(request, usage);
    });
  }

  async replace(request: ReplaceRequest): Promise<EnrolmentDecision> {
    return this.#db.transaction(() => {
      const { item, replaces } = request;
      const usage = this.#usage(item);
      const old = { item, serialNumber: replaces };
      if (this.#state(old) !== 'enrolled') throw new DockError('enrolment.unknown-camera', replaces);
      if (this.#state(request) === 'enrolled') return { kind: 'enrolled', isNew: false, usage };
      if (usage.enrolled > usage.quota) return this.#refuse(request, fullCodes[usage.item], usage);
      this.#free({ ...request, ...old }, usage, { replacedBy: request.serialNumber });
      return this.#take(request, this.#usage(item), { replaces });
    });
  }

  async refuse(request: { serialNumber: string; by: string; code: ErrorCode }): Promise<EnrolmentDecision> {
    return this.#db.transaction(() => {
      const usage = this.#usage();
      // Somebody may have enrolled it meanwhile; a refusal never takes a place away.
      if (this.#state(request) === 'enrolled') return { kind: 'enrolled', isNew: false, usage };
      return this.#refuse(request, request.code, usage);
    });
  }

  async fixKey(serialNumber: string, publicKey: Uint8Array): Promise<void> {
    this.#db.run(
      `UPDATE enrolment SET public_key = ? WHERE item = 'camera' AND serial_number = ? AND state = 'enrolled'
       AND public_key IS NULL`,
      publicKey,
      serialNumber,
    );
  }

  async retire(request: RetireRequest): Promise<boolean> {
    return this.#db.transaction(() => {
      const state = this.#state(request);
      if (state === 'retired') return false;
      if (state !== 'enrolled') throw new DockError('enrolment.unknown-camera', request.serialNumber);
      this.#free(request, this.#usage(request.item));
      return true;
    });
  }

  async usage(item?: NormItem): Promise<QuotaUsage> {
    return this.#usage(item);
  }

  knownUsage(): QuotaUsage {
    return this.#usage();
  }

  async list(item: NormItem = 'camera'): Promise<Enrolment[]> {
    return this.#list().filter((enrolment) => enrolment.item === item);
  }

  #list(): Enrolment[] {
    return this.#db.all('SELECT * FROM enrolment ORDER BY item, serial_number').map(enrolmentOf);
  }

  async reportServiceLife(day: string): Promise<void> {
    this.#db.transaction(() => {
      for (const { item, ...report } of dueReports(this.#list(), day)) {
        this.#db.run(
          'UPDATE enrolment SET service_reported = ? WHERE item = ? AND serial_number = ?',
          report.months,
          item,
          report.serialNumber,
        );
        const usage = this.#usage(item);
        const audited = this.#record(
          { act: 'service-life-due', by: 'automatic', reason: '', ...report },
          usage,
        );
        this.#outbox.record('service-life-due', { item, ...report, ...normNumbers(usage, audited) });
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
    const before = this.#state(request) ?? 'unknown';
    const { commissionedOn = this.#commissionedOn(request) ?? dayOf(this.#clock.now()) } = request;
    this.#setState({ ...request, commissionedOn }, 'enrolled');
    const hasKey = request.publicKey !== undefined;
    const enrolled = { serialNumber, by, reason, ...place, commissionedOn };
    const audited = this.#record({ act: 'enrolled', ...enrolled, hasKey, before, after: 'enrolled' }, usage);
    const numbers = normNumbers(usage, audited);
    if (usage.item === 'computer') this.#outbox.record('computer-enrolled', { ...enrolled, ...numbers });
    else this.#outbox.record('camera-enrolled', { ...enrolled, hasKey, ...numbers });
    return { kind: 'enrolled', isNew: true, usage: this.#usage(request.item) };
  }

  #free(
    { item, serialNumber, by, cause, note }: RetireRequest,
    usage: QuotaUsage,
    place: { readonly replacedBy?: string } = {},
  ): void {
    const reason = note ? `${cause}: ${note}` : cause;
    this.#db.run(
      `UPDATE enrolment SET state = 'retired', changed_at = ?, changed_by = ?, reason = ?
       WHERE item = ? AND serial_number = ?`,
      Math.floor(this.#clock.now()),
      by,
      reason,
      item ?? 'camera',
      serialNumber,
    );
    const retired = { serialNumber, by, cause, note, ...place };
    const audited = this.#record(
      { act: 'retired', ...retired, reason, before: 'enrolled', after: 'retired' },
      usage,
    );
    const kind = usage.item === 'computer' ? 'computer-retired' : 'camera-retired';
    this.#outbox.record(kind, { ...retired, ...normNumbers(usage, audited) });
  }

  /** Keeps the standing of a retired set: it stays retired, and was refused. */
  #refuse(
    request: { item?: NormItem | undefined; serialNumber: string; by: string },
    code: ErrorCode,
    usage: QuotaUsage,
  ): EnrolmentDecision {
    const reason = refusalReason(code, usage);
    const { serialNumber, by } = request;
    const before = this.#state(request) ?? 'unknown';
    const after = before === 'retired' ? 'retired' : 'refused';
    if (after === 'refused') {
      const commissionedOn = this.#commissionedOn(request);
      this.#setState({ ...request, reason, commissionedOn }, 'refused');
    }
    const refused = { serialNumber, by, code, reason };
    const audited = this.#record({ act: 'refused', ...refused, before, after }, usage);
    const kind = usage.item === 'computer' ? 'computer-refused' : 'enrolment-refused';
    this.#outbox.record(kind, { ...refused, ...normNumbers(usage, audited) });
    return { kind: 'refused', code, reason, usage: this.#usage(request.item) };
  }

  #row({ item = 'camera', serialNumber }: SetName): Row | undefined {
    return this.#db.get('SELECT * FROM enrolment WHERE item = ? AND serial_number = ?', item, serialNumber);
  }

  #state(name: SetName): EnrolmentState | undefined {
    return this.#row(name)?.['state'] as EnrolmentState | undefined;
  }

  #commissionedOn(name: SetName): string | undefined {
    const day = this.#row(name)?.['commissioned_on'];
    return typeof day === 'string' ? day : undefined;
  }

  #setState(
    request: Omit<EnrolRequest, 'commissionedOn'> & { readonly commissionedOn: string | undefined },
    state: 'enrolled' | 'refused',
  ): void {
    this.#db.run(
      `INSERT INTO enrolment (item, serial_number, state, public_key, changed_at, changed_by, reason, commissioned_on)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (item, serial_number) DO UPDATE SET state = excluded.state, public_key = excluded.public_key,
         changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason,
         service_reported = iif(commissioned_on IS excluded.commissioned_on, service_reported, NULL),
         commissioned_on = excluded.commissioned_on`,
      request.item ?? 'camera',
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

  #usage(item: NormItem = 'camera'): QuotaUsage {
    const counts = this.#db.get(
      `SELECT count(*) FILTER (WHERE state = 'enrolled') AS enrolled,
              count(*) FILTER (WHERE state = 'refused') AS refused FROM enrolment WHERE item = ?`,
      item,
    );
    const { headcount, ...statement } = this.#headcount();
    const edition = editionAt(this.#clock.now());
    const isComputer = item === 'computer';
    return {
      ...(isComputer ? computerQuota(edition) : quotaFor(headcount ?? 0, edition)),
      ...statement,
      audit: this.#audit.head,
      enrolled: Number(counts?.['enrolled']),
      refused: Number(counts?.['refused']),
      isHeadcountKnown: isComputer || headcount !== undefined,
    };
  }
}

interface SetName {
  readonly item?: NormItem | undefined;
  readonly serialNumber: string;
}

/** Why nothing more of an item may come. */
const fullCodes = { camera: 'enrolment.quota-full', computer: 'enrolment.has-computer' } as const;
