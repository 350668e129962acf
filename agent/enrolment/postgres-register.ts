import { DockError, hasCode } from '../../protocol/errors.ts';
import { uuidV7, type Clock, type RandomSource } from '../../dock/clock.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import type { Assignments } from './assignments.ts';
import type { AuditLink } from './audit-chain.ts';
import type { NormItem } from '../../protocol/norm/editions.ts';
import { refusalReason } from './refusal-reason.ts';
import { dueReports } from './service-life.ts';
import { RegisterCopyStore } from './register-copy-store.ts';
import type { RegisterAnswer, RegisterRequest, RegisterServer } from './register-server.ts';
import type {
  Enrolment,
  EnrolmentDecision,
  EnrolRequest,
  QuotaUsage,
  ReplaceRequest,
  RetireRequest,
  Standing,
  StationRegister,
  TransferRequest,
} from './register.ts';

/** How often a connected station looks whether another one has changed the register. */
const lookEveryMs = 2000;

/**
 * The register of a post with several stations, in PostgreSQL, with a copy of the post in the station's own database.
 * The server alone gives places. While it cannot be reached, enrolled cameras are known from the copy, nothing new is
 * enrolled, and retirements wait in a durable queue: their places are free once the server has them.
 */
export class PostgresRegister implements StationRegister {
  readonly #server: RegisterServer;
  readonly #copy: RegisterCopyStore;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #assignments: Pick<Assignments, 'headcount' | 'unaudited' | 'audited'>;
  #awaySince: number | undefined;

  /** `assignments`: as this station was told; the register's own headcount stands unless theirs is smaller. */
  constructor(parts: {
    server: RegisterServer;
    db: Database;
    outbox: Outbox;
    clock: Clock;
    random: RandomSource;
    assignments: Pick<Assignments, 'headcount' | 'unaudited' | 'audited'>;
  }) {
    this.#server = parts.server;
    this.#copy = new RegisterCopyStore(parts.db, parts.outbox, parts.clock);
    this.#clock = parts.clock;
    this.#random = parts.random;
    this.#assignments = parts.assignments;
  }

  /** Keeps the copy fresh and empties the queue, until `signal` aborts. Never rejects for a server that is away. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.refresh().catch((error: unknown) => {
        if (!hasCode(error, 'enrolment.register-unreachable')) throw error;
      });
      await this.#clock.sleep(lookEveryMs, signal).catch(() => undefined);
    }
  }

  /** Sends what waits and fetches what is new. Errors: `enrolment.register-unreachable`. */
  async refresh(): Promise<void> {
    for (const { id, by, reason, assignmentNumber } of this.#assignments.unaudited()) {
      const request = { kind: 'note-assignment', id: uuidOf(id), by, reason, assignmentNumber } as const;
      await this.#act(request);
      this.#assignments.audited(id);
    }
    for (const { id, ...retirement } of this.#copy.queue()) {
      await this.#act({ kind: 'retire', id, ...retirement });
      this.#copy.unqueue(id);
    }
    const revision = await this.#reached(() => this.#server.revision());
    if (revision === this.#copy.revision) return this.#copy.touch();
    const copy = await this.#reached(() => this.#server.copy(this.#stated(), this.#copy.seen));
    this.#copy.replace(copy);
  }

  /** When the copy was last known to be the register; undefined before the first time. */
  get copiedAt(): number | undefined {
    return this.#copy.refreshedAt;
  }

  away(): number | undefined {
    return this.#awaySince;
  }

  async standing(serialNumber: string): Promise<Standing> {
    await this.#refreshIfReachable();
    const enrolment = this.#copy.get(serialNumber);
    return enrolment ? { kind: enrolment.state, ...enrolment } : { kind: 'unknown' };
  }

  async enrol(request: EnrolRequest): Promise<EnrolmentDecision> {
    const { publicKey, ...rest } = request;
    return await this.#decide({ ...this.#request('enrol'), ...rest, publicKey: hex(publicKey) });
  }

  async replace({ publicKey, ...request }: ReplaceRequest): Promise<EnrolmentDecision> {
    return await this.#decide({ ...this.#request('replace'), ...request, publicKey: hex(publicKey) });
  }

  async refuse(request: { serialNumber: string; by: string; code: ErrorCode }): Promise<EnrolmentDecision> {
    return await this.#decide({ ...this.#request('refuse'), ...request });
  }

  async fixKey(serialNumber: string, publicKey: Uint8Array): Promise<void> {
    await this.#act({ ...this.#request('fix-key'), serialNumber, publicKey: hex(publicKey) }).catch(
      (error: unknown) => {
        // It shows its key again at its next docking.
        if (!hasCode(error, 'enrolment.register-unreachable')) throw error;
      },
    );
  }

  /** While the register is away the retirement is queued, and true for a camera that the copy holds for enrolled. */
  async retire(request: RetireRequest): Promise<boolean> {
    const asked = { ...this.#request('retire'), ...request };
    try {
      const { answer } = await this.#act(asked);
      if (answer.kind === 'unknown') throw new DockError('enrolment.unknown-camera', request.serialNumber);
      return answer.kind === 'retired' && answer.isNew;
    } catch (error) {
      if (!hasCode(error, 'enrolment.register-unreachable')) throw error;
      // Nothing waits for the place of a computer.
      if (request.item === 'computer') throw error;
      const known = this.#copy.get(request.serialNumber);
      if (known?.state === 'retired') return false;
      if (known?.state !== 'enrolled') throw error;
      this.#copy.enqueue({ ...request, id: asked.id, enrolledAt: known.changedAt });
      return true;
    }
  }

  async transfer(request: TransferRequest): Promise<EnrolmentDecision> {
    const { to, ...rest } = request;
    const cause = 'transferred';
    const reason = request.note ? `${cause}: ${request.note}` : cause;
    return await this.#decide({ ...this.#request('transfer'), ...rest, ...to, cause, reason });
  }

  async usage(item?: NormItem): Promise<QuotaUsage> {
    await this.#refreshIfReachable();
    return this.#usage(item);
  }

  knownUsage(): QuotaUsage {
    return this.#usage();
  }

  async list(item: NormItem = 'camera'): Promise<Enrolment[]> {
    await this.#refreshIfReachable();
    return this.#copy.list().filter((enrolment) => enrolment.item === item);
  }

  async reportServiceLife(day: string): Promise<void> {
    for (const report of dueReports(this.#copy.list(), day)) {
      const request = { ...this.#request('report-service-life'), by: 'automatic', reason: '', ...report };
      await this.#act(request).catch((error: unknown) => {
        if (!hasCode(error, 'enrolment.register-unreachable')) throw error;
      });
      if (this.#awaySince !== undefined) return;
    }
  }

  async audit(number: number, limit: number): Promise<AuditLink[]> {
    return await this.#reached(() => this.#server.audit(number, limit));
  }

  /** A station that lost its database copies the register anew. */
  doubt(): undefined {
    return undefined;
  }

  confirm(): boolean {
    return false;
  }

  #usage(item?: NormItem): QuotaUsage {
    const { copiedAt } = this;
    return {
      ...this.#copy.usage(item),
      ...(this.#awaySince !== undefined && copiedAt !== undefined && { copiedAt }),
    };
  }

  /** Where the issuer has stated none yet, no camera is new. */
  #stated(): number | undefined {
    const { headcountSource, headcount } = this.#assignments.headcount();
    return headcountSource === 'assignment' ? (headcount ?? 0) : headcount;
  }

  #request(kind: RegisterRequest['kind']): Pick<RegisterRequest, 'kind' | 'id'> {
    return { kind, id: uuidV7(this.#clock, this.#random) };
  }

  async #decide(request: Omit<RegisterRequest, 'headcount' | 'seen'>): Promise<EnrolmentDecision> {
    let given: RegisterAnswer;
    try {
      given = await this.#act(request);
    } catch (error) {
      if (!hasCode(error, 'enrolment.register-unreachable')) throw error;
      const usage = this.#usage(request.item);
      const code = 'enrolment.register-unreachable';
      return { kind: 'refused', code, reason: refusalReason(code, usage), usage };
    }
    const { answer } = given;
    const usage = given.computerUsage ?? given.usage;
    switch (answer.kind) {
      case 'enrolled':
      case 'retired':
        return { kind: 'enrolled', isNew: answer.isNew, usage };
      case 'refused':
        return { ...answer, usage };
      case 'unknown':
        throw new DockError('enrolment.unknown-camera', request.replaces ?? request.serialNumber ?? '');
      case 'done':
        throw new DockError('internal.bug', `register: no decision on ${request.kind}`);
    }
  }

  async #act(request: Omit<RegisterRequest, 'headcount' | 'seen'>): Promise<RegisterAnswer> {
    const { headcountSource, assignment } = this.#assignments.headcount();
    const asked = {
      headcountSource,
      assignmentNumber: assignment?.number,
      ...request,
      headcount: this.#stated(),
      seen: this.#copy.seen,
    };
    const answer = await this.#reached(() => this.#server.act(asked));
    this.#copy.apply(answer);
    return answer;
  }

  async #refreshIfReachable(): Promise<void> {
    // Whoever runs `run` notices when it is back.
    if (this.#awaySince !== undefined) return;
    await this.refresh().catch((error: unknown) => {
      if (!hasCode(error, 'enrolment.register-unreachable')) throw error;
    });
  }

  async #reached<T>(work: () => Promise<T>): Promise<T> {
    try {
      const value = await work();
      this.#awaySince = undefined;
      return value;
    } catch (error) {
      this.#awaySince ??= this.#clock.now();
      throw error;
    }
  }
}

/** Of a digest: what has the same is the same request, whichever station sends it. */
function uuidOf(sha256: string): string {
  return sha256.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
}

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString('hex');
}
