import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrateRegister } from '../../agent/enrolment/register-migrations.ts';
import { unsignedHeadcount } from '../../agent/enrolment/headcount.ts';
import { PostgresRegister } from '../../agent/enrolment/postgres-register.ts';
import type { RegisterLogin } from '../../agent/enrolment/register-login.ts';
import { RegisterServer } from '../../agent/enrolment/register-server.ts';
import { statePost, stateStation } from '../../agent/enrolment/register-posts.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import type { RegisterUnderTest } from '../enrolment/register-conformance.ts';
import type { PostgresServer } from './postgres.ts';

export const owner = 'register_owner';
const template = 'register_template';

export interface PostPlace {
  readonly department: string;
  readonly post: string;
}

/** A register as an administrator prepares it: a role that owns it, a group for the stations, a login for each. */
export class RegisterDatabase {
  readonly server: PostgresServer;
  readonly name: string;

  private constructor(server: PostgresServer, name: string) {
    this.server = server;
    this.name = name;
  }

  static async create(server: PostgresServer, name: string): Promise<RegisterDatabase> {
    const [known] = await server.query('SELECT FROM pg_database WHERE datname = $1', [template]);
    if (!known) {
      await server.query(`CREATE ROLE ${owner} LOGIN`);
      await server.query('CREATE ROLE dock_station NOLOGIN');
      await server.query(`CREATE DATABASE ${template} OWNER ${owner}`);
      const client = await server.client({ as: owner, database: template });
      await migrateRegister(client);
      await client.end();
    }
    await server.query(`CREATE DATABASE ${name} OWNER ${owner} TEMPLATE ${template}`);
    return new RegisterDatabase(server, name);
  }

  /** By the superuser, unless told otherwise. */
  async query(text: string, values: unknown[] = [], as = 'postgres'): Promise<Record<string, unknown>[]> {
    return await this.server.query(text, values, { as, database: this.name });
  }

  async statePost({ department, post }: PostPlace, headcount: number | undefined): Promise<void> {
    const client = await this.server.client({ as: owner, database: this.name });
    await statePost(client, { department, name: post, headcount });
    await client.end();
  }

  async addStation(place: PostPlace, role: string): Promise<void> {
    await this.server.query(`CREATE ROLE "${role}" LOGIN IN ROLE dock_station`);
    const client = await this.server.client({ as: owner, database: this.name });
    await stateStation(client, { role, name: role, ...place });
    await client.end();
  }
}

export interface StationOptions {
  readonly headcount?: number;
  readonly patienceMs?: number;
  readonly host?: string;
  readonly tls?: NonNullable<RegisterLogin['tls']>;
}

/** A station's side: its own database, outbox and connection. */
export class RegisterStation implements AsyncDisposable {
  readonly role: string;
  readonly folder = mkdtempSync(join(tmpdir(), 'dock-register-'));
  readonly db = new Database(join(this.folder, 'station.db'));
  readonly outbox = new Outbox(this.db, systemClock, systemRandom);
  readonly server: RegisterServer;
  readonly register: PostgresRegister;

  constructor(
    role: string,
    database: string,
    ports: readonly number[],
    { headcount, patienceMs, tls, host = '127.0.0.1' }: StationOptions = {},
  ) {
    this.role = role;
    this.server = new RegisterServer({
      hosts: ports.map((port) => ({ host, port })),
      database,
      user: role,
      clock: systemClock,
      ...(patienceMs !== undefined && { patienceMs }),
      ...(tls && { tls }),
    });
    const { server, db, outbox } = this;
    this.register = new PostgresRegister({
      server,
      db,
      outbox,
      assignments: {
        headcount: unsignedHeadcount(headcount),
        unaudited: () => [],
        audited: () => undefined,
      },
      clock: systemClock,
      random: systemRandom,
    });
  }

  events(): { type: string; data: Readonly<Record<string, unknown>> }[] {
    return this.outbox.after(0, 100_000).map(({ type, data }) => ({ type, data }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.db[Symbol.dispose]();
    rmSync(this.folder, { recursive: true });
  }
}

let roles = 0;

/** For the conformance suite: stations that reach the register at `port`. */
export function registerUnderTest(database: RegisterDatabase, port: number): RegisterUnderTest {
  const place = { department: 'd', post: 'p' };
  const stations: RegisterStation[] = [];
  const rows = () => database.query('SELECT * FROM dock.audit ORDER BY number');
  return {
    open: async (headcount) => {
      await database.statePost(place, headcount);
      const role = `${database.name}_station_${++roles}`;
      await database.addStation(place, role);
      const station = new RegisterStation(role, database.name, [port]);
      stations.push(station);
      return station.register;
    },
    decisions: async () => (await rows()).map(({ record }) => auditRecord.parse(JSON.parse(String(record)))),
    // Each station tells its own decisions, in their order.
    events: async () => {
      const told = new Map(stations.map((station) => [station.role, station.events()]));
      const inOrder = (await rows()).flatMap(({ station }) => told.get(String(station))?.shift() ?? []);
      return [...inOrder, ...[...told.values()].flat()];
    },
    [Symbol.asyncDispose]: async () => {
      for (const station of stations) await station[Symbol.asyncDispose]();
    },
  };
}
