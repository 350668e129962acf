import type { AuditRecord } from '../../protocol/norm/audit-record.ts';
import type { Database } from '../state/database.ts';
import { linkBehind, noRecords, type AuditHead, type AuditLink } from './audit-chain.ts';

/** The audit of a register that the station keeps itself. */
export class AuditLog {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  get head(): AuditHead {
    const row = this.#db.get('SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1');
    return row ? { records: Number(row['number']), hash: String(row['hash']) } : noRecords;
  }

  /** To be called in the transaction of the act. */
  append(record: Omit<AuditRecord, 'number'>): AuditHead {
    const { head } = this;
    const link = linkBehind(head, JSON.stringify({ number: head.records + 1, ...record }));
    this.#db.run(
      'INSERT INTO audit (number, record, digest, hash) VALUES (?, ?, ?, ?)',
      link.number,
      link.record,
      link.digest,
      link.hash,
    );
    return { records: link.number, hash: link.hash };
  }

  after(number: number, limit: number): AuditLink[] {
    return this.#db
      .all('SELECT * FROM audit WHERE number > ? ORDER BY number LIMIT ?', number, limit)
      .map((row) => ({
        number: Number(row['number']),
        record: row['record'] === null ? null : String(row['record']),
        digest: String(row['digest']),
        hash: String(row['hash']),
      }));
  }
}
