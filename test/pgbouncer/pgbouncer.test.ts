// The shared register behind PgBouncer, whose connections belong to a station for one transaction only.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { registerConformance } from '../enrolment/register-conformance.ts';
import { PostgresServer } from '../support/postgres.ts';
import { RegisterDatabase, RegisterStation, registerUnderTest } from '../support/register-database.ts';

const place = { department: 'd', post: 'p' };

/** One connection to the server for each login, in transaction mode. */
class PgBouncer implements AsyncDisposable {
  readonly port = 20_000 + (process.pid % 20_000);
  readonly #folder = mkdtempSync(join(tmpdir(), 'dock-pgbouncer-'));
  #process: ChildProcess | undefined;

  async boot(serverPort: number): Promise<void> {
    chmodSync(this.#folder, 0o755);
    const file = join(this.#folder, 'pgbouncer.ini');
    writeFileSync(join(this.#folder, 'users.txt'), '"postgres" ""\n');
    writeFileSync(
      file,
      `[databases]
* = host=127.0.0.1 port=${serverPort} auth_user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${this.port}
unix_socket_dir =
auth_type = trust
auth_file = ${this.#folder}/users.txt
auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1
pool_mode = transaction
default_pool_size = 1
server_idle_timeout = 1
`,
    );
    // It refuses to run as root.
    const identity = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
    const child = spawn('pgbouncer', [file], { stdio: ['ignore', 'ignore', 'pipe'], ...identity });
    let log = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4000)));
    this.#process = child;
    while (!(await accepts(this.port))) {
      if (child.exitCode !== null) throw new Error(log);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true });
  }
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

const pooler = new PgBouncer();
let server: PostgresServer;
let names = 0;
beforeAll(async () => {
  server = await PostgresServer.start({ fsync: 'off' });
  await pooler.boot(server.port);
});
afterAll(async () => {
  await pooler[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

registerConformance('PostgreSQL behind PgBouncer', { runs: 2 }, async () =>
  registerUnderTest(await RegisterDatabase.create(server, `pooled_${++names}`), pooler.port),
);

test('a pooler that dies and comes back costs no place and no camera', async () => {
  const database = await RegisterDatabase.create(server, `pooled_${++names}`);
  await database.statePost(place, 40);
  await database.addStation(place, 'pooled_alone');
  await using station = new RegisterStation('pooled_alone', database.name, [pooler.port], {
    patienceMs: 60_000,
  });
  const { register } = station;
  const enrol = (n: number) => register.enrol({ serialNumber: `C${n}`, by: 'aigerim', reason: 'delivery' });
  expect(await enrol(1)).toMatchObject({ kind: 'enrolled', isNew: true });
  await pooler.kill();
  const waiting = [2, 3, 4, 5, 6].map(enrol);
  await pooler.boot(server.port);
  const kinds = (await Promise.all(waiting)).map(({ kind }) => kind);
  expect(kinds).toEqual(['enrolled', 'enrolled', 'enrolled', 'enrolled', 'refused']);
  expect(await register.usage()).toMatchObject({ enrolled: 5 });
});
