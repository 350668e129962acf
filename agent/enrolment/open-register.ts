import type { Clock, RandomSource } from '../../dock/clock.ts';
import { DockError } from '../../protocol/errors.ts';
import { registerUrl, type Config } from '../config/schema.ts';
import { contentOf } from '../report/broker-credentials.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import type { Assignments } from './assignments.ts';
import type { Headcount } from './headcount.ts';
import type { StationRegister } from './register.ts';
import { SqliteRegister } from './sqlite-register.ts';

/** A camera that waits for the register holds up its bay. */
const patienceMs = 5000;

/** The register that the configuration names, for as long as `stack` lives. Errors: `config.unreadable`. */
export async function openRegister(
  config: Config,
  parts: {
    db: Database;
    outbox: Outbox;
    clock: Clock;
    random: RandomSource;
    assignments: Assignments;
    stack: AsyncDisposableStack;
  },
): Promise<StationRegister> {
  const { db, outbox, clock, random, assignments, stack } = parts;
  const { url, ...files } = config.register;
  if (url === undefined) {
    const { department, post, name } = config.station;
    const station = `${department}/${post}/${name}`;
    const headcount = (): Headcount => assignments.headcount();
    const register = new SqliteRegister(db, outbox, clock, headcount, station);
    register.noteAssignments(assignments);
    assignments.onInstalled(() => register.noteAssignments(assignments));
    return register;
  }
  // Only a station that shares its register pays for the client.
  const { RegisterServer } = await import('./register-server.ts');
  const { PostgresRegister } = await import('./postgres-register.ts');
  const password = contentOf(files.password_file)?.toString('utf8').trimEnd();
  const [ca, cert, key] = [files.ca_file, files.cert_file, files.key_file].map(contentOf);
  const { hosts, ...login } = parseUrl(url);
  const isLocal = hosts.every(({ host }) => /^(127\.[\d.]+|localhost)$/.test(host));
  const server = stack.use(
    new RegisterServer({
      ...login,
      hosts,
      clock,
      patienceMs,
      ...(password !== undefined && { password }),
      ...((ca || !isLocal) && { tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) } }),
    }),
  );
  return new PostgresRegister({ server, db, outbox, clock, random, assignments });
}

function parseUrl(url: string): {
  user: string;
  database: string;
  hosts: { host: string; port: number }[];
} {
  const [, user, hosts, database] = registerUrl.exec(url) ?? [];
  if (user === undefined || hosts === undefined || database === undefined) {
    throw new DockError('internal.bug', `register.url ${url}`);
  }
  return {
    user,
    database,
    hosts: hosts.split(',').map((text) => {
      const [, host = text, port = '5432'] = /^(.*?)(?::(\d+))?$/.exec(text) ?? [];
      return { host, port: Number(port) };
    }),
  };
}
