import { ChainCheck, type AuditLink } from '../../agent/enrolment/audit-chain.ts';
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import type pg from 'pg';
import { systemClock } from '../../dock/host/system-clock.ts';
import { owner, RegisterDatabase } from '../support/register-database.ts';
import { PostgresServer } from '../support/postgres.ts';
import { StationProcess } from './station-process.ts';
import type { LoggedDecision } from './check-history.ts';

const stationsPerSlot = 3;

/** Bugs that the checker has to see. Each takes away what makes the register right, in the database itself. */
export const deliberateBugs = {
  'count outside the lock': `
    ALTER TABLE dock.enrolment DISABLE TRIGGER guard;
    DROP INDEX dock.enrolment_place;
    DO $$ BEGIN EXECUTE replace(pg_get_functiondef('dock.take'::regproc),
      'generate_series(1, (usage->>''quota'')::integer)', 'generate_series(1, 50)'); END $$;
    DO $$ BEGIN EXECUTE replace(pg_get_functiondef('dock.act'::regproc),
      'PERFORM FROM dock.post WHERE id IN (me.post_id, home, target) ORDER BY id FOR NO KEY UPDATE;', ''); END $$;
    DO $$ BEGIN EXECUTE replace(pg_get_functiondef('dock.objection'::regproc), 'BEGIN',
      'BEGIN PERFORM pg_sleep(0.002);'); END $$;`,
  'a request has no id': `
    DO $$ BEGIN EXECUTE replace(pg_get_functiondef('dock.act'::regproc), 'AND post_id = me.post_id ORDER BY', 'AND false ORDER BY'); END $$;
    DO $$ BEGIN EXECUTE replace(pg_get_functiondef('dock.act'::regproc),
      'IF standing = ''enrolled'' THEN answer := jsonb_build_object(''kind'', ''enrolled'', ''isNew'', false);',
      'IF standing = ''enrolled'' THEN PERFORM dock.note(me.post_id, me.role, request, usage, ''enrolled'', '''',
          jsonb_build_object(''serialNumber'', serial));
        answer := jsonb_build_object(''kind'', ''enrolled'', ''isNew'', true);'); END $$;`,
  'an answer before the commit is durable': `ALTER DATABASE register SET synchronous_commit = off;`,
} as const;
export type DeliberateBug = keyof typeof deliberateBugs;

/**
 * A primary with a synchronous standby: what was acknowledged is on both. An asynchronous one may lose what was
 * acknowledged last, which no client can prevent.
 */
export class RegisterCluster implements AsyncDisposable {
  readonly database = 'register';
  readonly ports: readonly number[];
  readonly #primary: PostgresServer;
  readonly #standby: PostgresServer;
  readonly #stations = new Map<string, StationProcess>();
  #isFailedOver = false;

  private constructor(primary: PostgresServer, standby: PostgresServer) {
    this.#primary = primary;
    this.#standby = standby;
    this.ports = [primary.port, standby.port];
  }

  static async start(slots: number, bug: DeliberateBug | undefined): Promise<RegisterCluster> {
    // Only processes die here, never the machine: what was handed to the kernel is there afterwards.
    const primary = await PostgresServer.start({ fsync: 'off', wal_writer_delay: '10s' });
    const register = await RegisterDatabase.create(primary, 'register');
    await register.statePost({ department: 'd', post: 'none' }, 0);
    for (let slot = 0; slot < slots; slot++) {
      for (let n = 0; n < stationsPerSlot; n++) {
        await register.addStation({ department: 'd', post: 'none' }, roleOf(slot, n));
      }
    }
    if (bug) await register.query(deliberateBugs[bug]);
    primary.configure({ synchronous_standby_names: 'standby' });
    const standby = await primary.standby('standby');
    return new RegisterCluster(primary, standby);
  }

  /** The primary dies and comes back. */
  async restart(): Promise<void> {
    const server = this.#isFailedOver ? this.#standby : this.#primary;
    await server.stop('immediate');
    await server.boot();
  }

  /** The primary dies and is never started again; the standby takes over. */
  async failOver(): Promise<void> {
    await this.#primary.stop('immediate');
    await this.#standby.query('SELECT pg_promote()');
    this.#isFailedOver = true;
  }

  /** That of a station of a slot, from one history to the next. */
  stationProcess(slot: number, index: number): StationProcess {
    const role = roleOf(slot, index);
    const process = this.#stations.get(role) ?? new StationProcess();
    this.#stations.set(role, process);
    return process;
  }

  async preparePost(post: string, headcount: number, slot: number): Promise<string[]> {
    const roles = Array.from({ length: stationsPerSlot }, (_, n) => roleOf(slot, n));
    await this.#retried((client) =>
      client.query(
        `WITH p AS (INSERT INTO dock.post (department, name, headcount) VALUES ('d', $1, $2)
         ON CONFLICT (department, name) DO UPDATE SET headcount = $2 RETURNING id)
       UPDATE dock.station SET post_id = p.id FROM p WHERE role = ANY($3)`,
        [post, headcount, roles],
      ),
    );
    return roles;
  }

  async endOf(post: string): Promise<{ decisions: LoggedDecision[]; enrolledAtEnd: string[] }> {
    // A request of one that died may still be under way: between the two looks it waits.
    const { decisions, enrolled } = await this.#retried(async (client) => {
      await client.query('BEGIN');
      await client.query('SELECT FROM dock.post WHERE name = $1 FOR UPDATE', [post]);
      const where = 'WHERE post_id = (SELECT id FROM dock.post WHERE name = $1)';
      const log = await client.query(`SELECT * FROM dock.audit ${where} ORDER BY number`, [post]);
      const now = await client.query(`SELECT * FROM dock.enrolment ${where} AND state = 'enrolled'`, [post]);
      await client.query('COMMIT');
      return { decisions: log.rows as (AuditLink & { request_id: string })[], enrolled: now.rows };
    });
    const chain = new ChainCheck();
    for (const link of decisions) chain.accept(link);
    if (chain.problem !== undefined) throw new Error(`audit of ${post}: ${chain.problem}`);
    return {
      decisions: decisions.map(({ request_id: requestId, record }) => {
        const { serialNumber = '', act, enrolled } = auditRecord.parse(JSON.parse(record ?? ''));
        return { requestId, serialNumber, decision: act, enrolledBefore: enrolled };
      }),
      enrolledAtEnd: enrolled.map((row) => String(row['serial_number'])),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#stations.values()) await process[Symbol.asyncDispose]();
    await this.#standby[Symbol.asyncDispose]();
    await this.#primary[Symbol.asyncDispose]();
  }

  async #retried<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const server = this.#isFailedOver ? this.#standby : this.#primary;
      let client: pg.Client | undefined;
      try {
        client = await server.client({ as: owner, database: this.database });
        return await work(client);
      } catch (error) {
        if (attempt > 200) throw error;
        await systemClock.sleep(50);
      } finally {
        await client?.end().catch(() => undefined);
      }
    }
  }
}

function roleOf(slot: number, n: number): string {
  return `slot${slot}_${n}`;
}
