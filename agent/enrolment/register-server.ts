import pg from 'pg';
import { z } from 'zod';
import { errorCatalogue, type ErrorCode } from '../../protocol/error-catalogue.ts';
import { DockError } from '../../protocol/errors.ts';
import { headcountSource } from '../../protocol/mqtt/documents.ts';
import { normItem, type NormItem } from '../../protocol/norm/editions.ts';
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import type { Clock } from '../../dock/clock.ts';
import type { AuditLink } from './audit-chain.ts';
import type { Headcount } from './headcount.ts';
import type { RegisterLogin } from './register-login.ts';

export interface RegisterServerOptions extends RegisterLogin {
  readonly clock: Clock;
  /** Longest time for one request with all its repetitions. */
  readonly patienceMs?: number;
}

/** Longest time for one attempt. */
const attemptMs = 4000;
const pauseMs = 100;

/**
 * The functions of the register's database (register-schema), over one connection that is made when it is
 * needed and thrown away when its state is not known. Keeps no state in the session, so that a pooler may stand in
 * between. A request whose answer was lost is sent again: its id makes it one request. Errors:
 * `enrolment.register-unreachable`, `internal.bug`.
 */
export class RegisterServer implements AsyncDisposable {
  readonly #options: RegisterServerOptions;
  #connection: Promise<pg.Client> | undefined;
  #isClosed = false;
  /** One request at a time: whoever comes waits for the one before. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: RegisterServerOptions) {
    this.#options = options;
  }

  async act(request: RegisterRequest): Promise<RegisterAnswer> {
    const value = await this.#ask('SELECT dock.act($1) AS value', [JSON.stringify(request)]);
    return answerSchema.parse(value);
  }

  async revision(): Promise<number> {
    return Number(await this.#ask('SELECT dock.revision() AS value', []));
  }

  async copy(headcount: number | undefined, seen: number): Promise<RegisterCopy> {
    return copySchema.parse(await this.#ask('SELECT dock.copy($1, $2) AS value', [headcount ?? null, seen]));
  }

  async audit(number: number, limit: number): Promise<AuditLink[]> {
    return auditSchema.parse(await this.#ask('SELECT dock.audit_after($1, $2) AS value', [number, limit]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#forget(this.#connection);
  }

  async #ask(text: string, values: unknown[]): Promise<unknown> {
    const { clock, patienceMs = 10_000 } = this.#options;
    const deadline = clock.monotonic() + patienceMs;
    const answer = this.#turn.then(() => this.#askUntil(deadline, text, values));
    this.#turn = answer.catch(() => undefined);
    return await answer;
  }

  async #askUntil(deadline: number, text: string, values: unknown[]): Promise<unknown> {
    const { clock } = this.#options;
    for (let detail = 'too many requests wait', cause: unknown; ;) {
      if (this.#isClosed || clock.monotonic() >= deadline) {
        throw new DockError('enrolment.register-unreachable', detail, { cause });
      }
      const connection = (this.#connection ??= connectTo(this.#options));
      try {
        const { rows } = await (await connection).query<{ value: unknown }>(text, values);
        return rows[0]?.value;
      } catch (error) {
        cause = error;
        detail = error instanceof Error ? error.message : String(error);
        const remedy = remedyFor(error);
        if (remedy === 'none') throw new DockError('internal.bug', `register: ${detail}`, { cause });
        if (remedy === 'repeat') continue;
        await this.#forget(connection);
        await clock.sleep(pauseMs);
      }
    }
  }

  async #forget(connection: Promise<pg.Client> | undefined): Promise<void> {
    if (this.#connection === connection) this.#connection = undefined;
    const client = await connection?.catch(() => undefined);
    // Not waited for: the other side may be gone.
    void client?.end().catch(() => undefined);
  }
}

/** To the first host that takes writes. Whoever asked ends the connection. */
export async function connectTo({ hosts, database, user, password, tls }: RegisterLogin): Promise<pg.Client> {
  const failures: unknown[] = [];
  for (const { host, port } of hosts) {
    const client = new pg.Client({
      host,
      port,
      database,
      user,
      password,
      ssl: tls && { ...tls, ...(serverNameOf(host) && { servername: host }), rejectUnauthorized: true },
      connectionTimeoutMillis: attemptMs,
      query_timeout: attemptMs,
      keepAlive: true,
    });
    // What breaks between two requests is found by the next one.
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
      if (rows[0]?.standby === false) return client;
      throw new Error(`${host}:${port} is a standby`);
    } catch (error) {
      failures.push(error);
      void client.end().catch(() => undefined);
    }
  }
  throw failures.at(-1) ?? new Error('no host');
}

/** TLS names no addresses. */
function serverNameOf(host: string): boolean {
  return !/^[\d.]+$|:/.test(host);
}

/**
 * Whatever the server did not answer with an error of the request itself may have happened or not: asked again over a
 * fresh connection. Two that were in each other's way are asked again at once.
 */
function remedyFor(error: unknown): 'reconnect' | 'repeat' | 'none' {
  const state = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  if (['40001', '40P01', '23505'].includes(state)) return 'repeat';
  // Data, syntax and constraints: no other connection would take it.
  return ['22', '23', '42'].includes(state.slice(0, 2)) && state !== '42501' ? 'none' : 'reconnect';
}

const errorCode = z.custom<ErrorCode>((value) => typeof value === 'string' && value in errorCatalogue);

const enrolment = z.object({
  item: normItem,
  serialNumber: z.string(),
  state: z.enum(['enrolled', 'retired', 'refused']),
  publicKey: z.string().nullable(),
  changedAt: z.number(),
  changedBy: z.string(),
  reason: z.string(),
  commissionedOn: z.iso.date().nullable(),
  serviceReported: z.number().nullable(),
});

const usage = z.object({
  item: normItem.default('camera'),
  headcount: z.number(),
  quota: z.number(),
  row: z.number(),
  editionId: z.string(),
  citation: z.string(),
  isHeadcountKnown: z.boolean(),
  enrolled: z.number(),
  refused: z.number(),
  headcountSource: headcountSource.default('unsigned'),
  audit: z.object({ records: z.number(), hash: z.string() }),
});

/** A record of the audit, and the hash that it ends with. */
const decision = auditRecord.extend({ hash: z.string() });

const auditSchema = z.array(
  z.object({ number: z.number(), record: z.string(), digest: z.string(), hash: z.string() }),
);

const copySchema = z.object({
  revision: z.number(),
  usage,
  computerUsage: usage.nullable(),
  decisions: z.array(decision),
  enrolments: z.array(enrolment),
});

const answerSchema = copySchema.extend({
  answer: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('enrolled'), isNew: z.boolean() }),
    z.object({ kind: z.literal('refused'), code: errorCode, reason: z.string() }),
    z.object({ kind: z.literal('retired'), isNew: z.boolean() }),
    z.object({ kind: z.literal('unknown') }),
    z.object({ kind: z.literal('done') }),
  ]),
});

export const usageSchema = usage;
export type RegisterCopy = z.output<typeof copySchema>;
export type RegisterAnswer = z.output<typeof answerSchema>;
export type RegisterDecision = RegisterCopy['decisions'][number];

/** As dock.act reads it. */
export interface RegisterRequest {
  readonly kind:
    | 'enrol'
    | 'refuse'
    | 'retire'
    | 'replace'
    | 'transfer'
    | 'fix-key'
    | 'note-assignment'
    | 'report-service-life';
  /** UUID: the same one is performed once. */
  readonly id: string;
  /** What it is about; a camera, where nothing is said. */
  readonly item?: NormItem | undefined;
  readonly serialNumber?: string;
  readonly by?: string;
  readonly reason?: string;
  readonly code?: ErrorCode;
  readonly cause?: string;
  readonly note?: string;
  /** Hex. */
  readonly publicKey?: string | undefined;
  /** Of `replace`: the camera that makes room. */
  readonly replaces?: string;
  /** Of `retire`: only the enrolment of that moment. */
  readonly enrolledAt?: number;
  /** Of `transfer`: where to. */
  readonly department?: string;
  readonly post?: string;
  /** YYYY-MM-DD. */
  readonly commissionedOn?: string | undefined;
  /** Of `report-service-life`. */
  readonly serviceEndsOn?: string;
  readonly months?: number;
  readonly headcount?: number | undefined;
  readonly headcountSource?: Headcount['headcountSource'];
  readonly assignmentNumber?: number | undefined;
  /** Number of the newest record of this station that it knows. */
  readonly seen: number;
}
