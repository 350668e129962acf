import { createHash } from 'node:crypto';
import { auditBeginning } from '../../protocol/norm/audit-record.ts';

/** A record of the audit in its chain; see protocol/norm/audit-record.ts. */
export interface AuditLink {
  readonly number: number;
  /** JSON; null where the text of an old refusal was forgotten. */
  readonly record: string | null;
  readonly digest: string;
  readonly hash: string;
}

/** The end of a chain: whoever keeps it can tell later whether anything before it was changed. */
export interface AuditHead {
  readonly records: number;
  readonly hash: string;
}

export const noRecords: AuditHead = { records: 0, hash: auditBeginning };

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The link that a record becomes behind `head`; the record is numbered already. */
export function linkBehind({ records, hash }: AuditHead, record: string): AuditLink {
  const digest = sha256(record);
  return { number: records + 1, record, digest, hash: sha256(hash + digest) };
}

/** Goes along a chain from its beginning and finds the first place where it does not hold. */
export class ChainCheck {
  #head: AuditHead = noRecords;
  #problem: string | undefined;

  get head(): AuditHead {
    return this.#head;
  }

  /** The first that is wrong; undefined while all is right. */
  get problem(): string | undefined {
    return this.#problem;
  }

  accept({ number, record, digest, hash }: AuditLink): void {
    if (this.#problem !== undefined) return;
    const expected = this.#head.records + 1;
    if (number !== expected) this.#problem = `record ${expected} is missing`;
    else if (record !== null && sha256(record) !== digest)
      this.#problem = `record ${number} was changed: its text does not have its digest`;
    else if (sha256(this.#head.hash + digest) !== hash)
      this.#problem = `record ${number} was changed: its hash does not follow from the one before`;
    this.#head = { records: number, hash };
  }
}
