import type { Clock } from '../../dock/clock.ts';
import type { NormItem } from '../../protocol/norm/editions.ts';
import { computerQuota, editionAt, quotaFor } from '../../protocol/norm/quota.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import { noRecords } from './audit-chain.ts';
import { enrolmentOf } from './enrolment-row.ts';
import { usageSchema, type RegisterCopy, type RegisterDecision } from './register-server.ts';
import type { Enrolment, QuotaUsage, RetireRequest } from './register.ts';

/** A retirement that the register has not taken yet. */
export interface QueuedRetirement extends RetireRequest {
  readonly id: string;
  /** Of the enrolment it ends. */
  readonly enrolledAt: number;
}

/**
 * What the station knows of the register of its post, in its own database: a copy that is never newer than the
 * register, the retirements that wait for it, and which of its decisions were already told as events.
 */
export class RegisterCopyStore {
  readonly #db: Database;
  readonly #outbox: Outbox;
  readonly #clock: Clock;

  constructor(db: Database, outbox: Outbox, clock: Clock) {
    this.#db = db;
    this.#outbox = outbox;
    this.#clock = clock;
  }

  get revision(): number | undefined {
    return this.#number('revision');
  }

  get refreshedAt(): number | undefined {
    return this.#number('refreshed_at');
  }

  /** Newest decision of this station whose event was recorded. */
  get seen(): number {
    return this.#number('seen') ?? 0;
  }

  /** A camera; retired as soon as its retirement is queued. */
  get(serialNumber: string): Enrolment | undefined {
    const row = this.#db.get(
      "SELECT * FROM enrolment WHERE item = 'camera' AND serial_number = ?",
      serialNumber,
    );
    return row && enrolmentOf(row);
  }

  list(): Enrolment[] {
    return this.#db.all('SELECT * FROM enrolment ORDER BY item, serial_number').map(enrolmentOf);
  }

  /** As the register counted last: a queued retirement frees no place. */
  usage(item: NormItem = 'camera'): QuotaUsage {
    const isComputer = item === 'computer';
    const column = isComputer ? 'computer_usage' : 'usage';
    const text = this.#db.get(`SELECT ${column} FROM register_copy`)?.[column];
    if (typeof text === 'string') return usageSchema.parse(JSON.parse(text));
    const edition = editionAt(this.#clock.now());
    return {
      ...(isComputer ? computerQuota(edition) : quotaFor(0, edition)),
      enrolled: 0,
      refused: 0,
      isHeadcountKnown: isComputer,
      headcountSource: 'unsigned',
      audit: noRecords,
    };
  }

  /** The register is still as it was copied. */
  touch(): void {
    this.#db.run('UPDATE register_copy SET refreshed_at = ?', Math.floor(this.#clock.now()));
  }

  /** Takes a whole copy, unless an answer was newer. */
  replace(copy: RegisterCopy): void {
    this.#db.transaction(() => {
      this.#tell(copy.decisions);
      if (copy.revision < (this.revision ?? 0)) return;
      this.#db.run('DELETE FROM enrolment');
      this.#write(copy);
      this.#db.run('UPDATE register_copy SET revision = ?', copy.revision);
      // Still to be told to the register, and not to be served meanwhile.
      for (const retirement of this.queue()) this.#markRetired(retirement);
    });
  }

  /** Takes what an answer says about single cameras; others may have changed as well, so the copy keeps its revision. */
  apply(answer: RegisterCopy): void {
    this.#db.transaction(() => {
      this.#tell(answer.decisions);
      this.#write(answer);
    });
  }

  queue(): QueuedRetirement[] {
    return this.#db.all('SELECT * FROM queued_retirement ORDER BY id').map((row) => ({
      id: String(row['id']),
      serialNumber: String(row['serial_number']),
      by: String(row['by']),
      cause: String(row['cause']) as RetireRequest['cause'],
      note: String(row['note']),
      enrolledAt: Number(row['enrolled_at']),
    }));
  }

  enqueue(retirement: QueuedRetirement): void {
    const { id, serialNumber, by, cause, note, enrolledAt } = retirement;
    this.#db.transaction(() => {
      this.#db.run(
        `INSERT INTO queued_retirement (id, serial_number, by, cause, note, enrolled_at) VALUES (?, ?, ?, ?, ?, ?)`,
        id,
        serialNumber,
        by,
        cause,
        note,
        enrolledAt,
      );
      this.#markRetired(retirement);
    });
  }

  unqueue(id: string): void {
    this.#db.run('DELETE FROM queued_retirement WHERE id = ?', id);
  }

  #number(column: 'revision' | 'refreshed_at' | 'seen'): number | undefined {
    const value = this.#db.get(`SELECT ${column} AS value FROM register_copy`)?.['value'];
    return typeof value === 'number' ? value : undefined;
  }

  #markRetired({ serialNumber, by, cause, note }: QueuedRetirement): void {
    this.#db.run(
      `UPDATE enrolment SET state = 'retired', changed_by = ?, reason = ? WHERE item = 'camera' AND serial_number = ?`,
      by,
      note ? `${cause}: ${note}` : cause,
      serialNumber,
    );
  }

  #write({ usage, computerUsage, enrolments }: RegisterCopy): void {
    for (const enrolment of enrolments) {
      const { item, serialNumber, state, publicKey, changedAt, changedBy, reason } = enrolment;
      this.#db.run(
        `INSERT INTO enrolment (item, serial_number, state, public_key, changed_at, changed_by, reason, commissioned_on,
           service_reported) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET state = excluded.state, public_key = excluded.public_key,
           changed_at = excluded.changed_at, changed_by = excluded.changed_by, reason = excluded.reason,
           commissioned_on = excluded.commissioned_on, service_reported = excluded.service_reported`,
        item,
        serialNumber,
        state,
        publicKey === null ? null : Buffer.from(publicKey, 'hex'),
        changedAt,
        changedBy,
        reason,
        enrolment.commissionedOn,
        enrolment.serviceReported,
      );
    }
    this.#db.run(
      `INSERT INTO register_copy (id, usage, computer_usage, refreshed_at) VALUES (1, ?, ?, ?)
       ON CONFLICT DO UPDATE SET usage = excluded.usage,
         computer_usage = coalesce(excluded.computer_usage, computer_usage),
         refreshed_at = excluded.refreshed_at`,
      JSON.stringify(usage),
      computerUsage && JSON.stringify(computerUsage),
      Math.floor(this.#clock.now()),
    );
  }

  /** The decision is the server's: its event follows in the order of the decisions, also where its answer was lost. */
  #tell(decisions: readonly RegisterDecision[]): void {
    for (const decision of decisions) {
      if (decision.number <= this.seen) continue;
      this.#tellOne(decision);
      this.#db.run(
        `INSERT INTO register_copy (id, seen) VALUES (1, ?) ON CONFLICT DO UPDATE SET seen = excluded.seen`,
        decision.number,
      );
    }
  }

  #tellOne({ number: auditNumber, hash: auditHash, ...record }: RegisterDecision): void {
    const {
      act,
      item = 'camera',
      serialNumber = '',
      cause = '',
      note = '',
      code = '',
      hasKey = false,
    } = record;
    const told = { ...record, serialNumber, auditNumber, auditHash };
    const isComputer = item === 'computer';
    if (act === 'enrolled') {
      if (isComputer) this.#outbox.record('computer-enrolled', told);
      else this.#outbox.record('camera-enrolled', { ...told, hasKey });
    }
    if (act === 'refused')
      this.#outbox.record(isComputer ? 'computer-refused' : 'enrolment-refused', { ...told, code });
    const { commissionedOn = '', serviceEndsOn = '', months = 0 } = record;
    if (act === 'service-life-due')
      this.#outbox.record('service-life-due', { ...told, item, commissionedOn, serviceEndsOn, months });
    if (act === 'retired')
      this.#outbox.record(isComputer ? 'computer-retired' : 'camera-retired', { ...told, cause, note });
  }
}
