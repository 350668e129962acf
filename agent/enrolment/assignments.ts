import { createHash, type KeyObject } from 'node:crypto';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { postAssignment, type PostAssignment } from '../../protocol/norm/assignment.ts';
import type { Clock } from '../../dock/clock.ts';
import type { StationClockCheck } from '../clock/station-clock.ts';
import type { HealthProblem } from '../health/assess.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database, Row } from '../state/database.ts';
import { assignedHeadcount, unsignedHeadcount, type Headcount } from './headcount.ts';
import { verifyAssignment } from './verify-assignment.ts';

export interface AssignmentParts {
  readonly db: Database;
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly checkStationClock: StationClockCheck;
  readonly place: { readonly department: string; readonly post: string };
  /** Undefined where the configuration states the headcount. */
  readonly issuerKey: KeyObject | undefined;
  readonly configuredHeadcount: number | undefined;
}

export interface InstalledAssignment {
  readonly assignment: PostAssignment;
  readonly jws: string;
  readonly installedAt: number;
  readonly installedBy: string;
}

/** Of those that do not verify, at a start. */
const mostLookedAt = 100;

/**
 * The post assignments of this station. The one with the highest number that the issuer signed is in force, also after
 * it has run out, until a newer one comes: a department that is late must not stop a post. With an issuer key and
 * no assignment the headcount is unknown, and nothing is enrolled.
 *
 * While the clock of the station is not trusted nothing is installed: an assignment that ran out long ago cannot be
 * told from one that is valid. The one in force stays so.
 */
export class Assignments {
  readonly #parts: AssignmentParts;
  readonly #listeners = new Set<() => void>();
  #inForce: InstalledAssignment | undefined;
  #unverified: readonly number[] = [];
  #refusedOffer: { readonly jws: string; readonly code: ErrorCode } | undefined;

  private constructor(parts: AssignmentParts) {
    this.#parts = parts;
  }

  /** Verifies again what is stored: whoever can write the database is not the issuer. */
  static async open(parts: AssignmentParts): Promise<Assignments> {
    const assignments = new Assignments(parts);
    const { db, issuerKey, place } = parts;
    if (!issuerKey) return assignments;
    const unverified: number[] = [];
    for (const row of db.all(
      'SELECT * FROM assignment ORDER BY number DESC, id DESC LIMIT ?',
      mostLookedAt,
    )) {
      try {
        const assignment = await verifyAssignment(String(row['jws']), { issuerKey, place });
        assignments.#inForce = installedOf(row, assignment);
        break;
      } catch (error) {
        if (!isRefusal(error)) throw error;
        unverified.push(Number(row['number']));
      }
    }
    assignments.#unverified = unverified;
    return assignments;
  }

  get inForce(): InstalledAssignment | undefined {
    return this.#inForce;
  }

  get hasIssuerKey(): boolean {
    return this.#parts.issuerKey !== undefined;
  }

  /** Calls `listener` whenever one came into force. */
  onInstalled(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Those that no record of the register's audit tells of yet, oldest first. `id`: SHA-256 of the signed text. */
  unaudited(): { id: string; by: string; reason: string; assignmentNumber: number }[] {
    return this.#parts.db.all('SELECT * FROM assignment WHERE is_audited = 0 ORDER BY id').map((row) => {
      const jws = String(row['jws']);
      const assignmentNumber = Number(row['number']);
      const reason = `no. ${assignmentNumber}${statementOf(jws)}, sha256 ${digestOf(jws)}`;
      return { id: digestOf(jws), by: String(row['installed_by']), reason, assignmentNumber };
    });
  }

  /** The audit tells of it. */
  audited(id: string): void {
    this.#parts.db.run('UPDATE assignment SET is_audited = 1 WHERE sha256(jws) = ?', id);
  }

  /** Who says how many workers the post has, as of now. */
  headcount(): Headcount {
    const { issuerKey, configuredHeadcount } = this.#parts;
    if (!issuerKey) return unsignedHeadcount(configuredHeadcount)();
    if (this.#inForce) return assignedHeadcount(this.#inForce.assignment);
    return { headcountSource: 'assignment', headcount: undefined };
  }

  /** Puts an assignment into force, or refuses it; either is an event. Errors: `assignment.*`, each for one reason. */
  async install(jws: string, by: string): Promise<PostAssignment> {
    try {
      return await this.#install(jws, by);
    } catch (error) {
      if (isRefusal(error)) this.#tellRefusal(jws, by, error);
      throw error;
    }
  }

  /** The same for what is offered again and again: the one in force is nothing new, and a refusal is told once. */
  async offer(jws: string, by: string): Promise<void> {
    if (this.#inForce?.jws === jws) return;
    try {
      await this.#install(jws, by);
      this.#refusedOffer = undefined;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const { code } = error;
      if (this.#refusedOffer?.jws !== jws || this.#refusedOffer.code !== code)
        this.#tellRefusal(jws, by, error);
      this.#refusedOffer = { jws, code };
    }
  }

  async #install(jws: string, by: string): Promise<PostAssignment> {
    const { db, outbox, clock } = this.#parts;
    const assignment = await this.#checked(jws);
    const installedAt = Math.floor(clock.now());
    db.transaction(() => {
      // Another one may have come while this one was verified.
      this.#requireNewer(assignment);
      db.run(
        'INSERT INTO assignment (number, jws, installed_at, installed_by) VALUES (?, ?, ?, ?)',
        assignment.number,
        jws,
        installedAt,
        by,
      );
      outbox.record('assignment-installed', { ...assignment, by, sha256: digestOf(jws) });
    });
    this.#inForce = { assignment, jws, installedAt, installedBy: by };
    this.#unverified = this.#unverified.filter((number) => number > assignment.number);
    for (const listener of this.#listeners) listener();
    return assignment;
  }

  #tellRefusal(jws: string, by: string, { code, message }: DockError): void {
    const detail = message.slice(0, 500);
    this.#parts.outbox.record('assignment-refused', { by, code, detail, sha256: digestOf(jws) });
  }

  /** What a person has to look at. */
  problems({ isClockTrusted }: { isClockTrusted: boolean }): HealthProblem[] {
    const { issuerKey, clock } = this.#parts;
    const problem = (level: HealthProblem['level'], code: ErrorCode, detail: string): HealthProblem => ({
      level,
      code,
      subject: '',
      detail,
    });
    if (!issuerKey) return [];
    const found: HealthProblem[] = [];
    if (this.#unverified.length > 0) {
      found.push(problem('critical', 'assignment.unverified', `no. ${this.#unverified.join(', ')}`));
    }
    if (!this.#inForce) {
      found.push(
        problem('warning', 'assignment.missing', 'the norm allows no camera until one is installed'),
      );
    } else if (isClockTrusted && Date.parse(this.#inForce.assignment.validUntil) <= clock.now()) {
      const { number, issuer, validUntil } = this.#inForce.assignment;
      found.push(
        problem('warning', 'assignment.expired', `no. ${number} of ${issuer} ran out at ${validUntil}`),
      );
    }
    return found;
  }

  /** Newest first, with the signed text of each. */
  history(limit: number): { number: number; jws: string; installedAt: number; installedBy: string }[] {
    return this.#parts.db
      .all('SELECT * FROM assignment ORDER BY id DESC LIMIT ?', limit)
      .map((row) => ({ number: Number(row['number']), ...storedOf(row) }));
  }

  async #checked(jws: string): Promise<PostAssignment> {
    const { issuerKey, place, clock, checkStationClock } = this.#parts;
    if (!issuerKey) throw new DockError('assignment.no-issuer');
    const assignment = await verifyAssignment(jws, { issuerKey, place });
    this.#requireNewer(assignment);
    const { isTrusted, evidence } = await checkStationClock();
    if (!isTrusted) throw new DockError('assignment.clock-untrusted', evidence);
    const { validFrom, validUntil } = assignment;
    if (clock.now() < Date.parse(validFrom)) throw new DockError('assignment.not-yet-valid', validFrom);
    if (clock.now() >= Date.parse(validUntil)) throw new DockError('assignment.expired', validUntil);
    return assignment;
  }

  #requireNewer({ number }: PostAssignment): void {
    const newest = this.#inForce?.assignment.number ?? 0;
    if (number <= newest) throw new DockError('assignment.not-newer', `${number} is not above ${newest}`);
  }
}

function installedOf(row: Row, assignment: PostAssignment): InstalledAssignment {
  return { assignment, ...storedOf(row) };
}

function storedOf(row: Row): { jws: string; installedAt: number; installedBy: string } {
  return {
    jws: String(row['jws']),
    installedAt: Number(row['installed_at']),
    installedBy: String(row['installed_by']),
  };
}

/** What a signed text says, for people; it was verified when it was installed. */
function statementOf(jws: string): string {
  try {
    const payload: unknown = JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8'));
    const { headcount, validFrom, validUntil, issuer } = postAssignment.parse(payload);
    return `: ${headcount} workers, valid ${validFrom} to ${validUntil}, issued by ${issuer}`;
  } catch {
    return '';
  }
}

function digestOf(jws: string): string {
  return createHash('sha256').update(jws).digest('hex');
}

function isRefusal(error: unknown): error is DockError {
  return error instanceof DockError && error.code.startsWith('assignment.');
}
