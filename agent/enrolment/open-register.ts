import type { Clock, RandomSource } from '../../dock/clock.ts';
import type { Config } from '../config/schema.ts';
import type { Outbox } from '../report/outbox.ts';
import type { Database } from '../state/database.ts';
import type { Assignments } from './assignments.ts';
import type { Headcount } from './headcount.ts';
import { registerLogin } from './register-login.ts';
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
  const server = stack.use(new RegisterServer({ ...registerLogin(url, files), clock, patienceMs }));
  return new PostgresRegister({ server, db, outbox, clock, random, assignments });
}
