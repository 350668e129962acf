/**
 * How fast the register is, in SQLite and in PostgreSQL, next to a bare INSERT … RETURNING and a bare SELECT on the same
 * database in the same run. Servers write durably (fsync on). Aims are reported, not asserted.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import type { Register } from '../agent/enrolment/register.ts';
import { unsignedHeadcount } from '../agent/enrolment/headcount.ts';
import { SqliteRegister } from '../agent/enrolment/sqlite-register.ts';
import { Outbox } from '../agent/report/outbox.ts';
import { Database } from '../agent/state/database.ts';
import { systemClock, systemRandom } from '../dock/host/system-clock.ts';
import { PostgresServer } from '../test/support/postgres.ts';
import { owner, RegisterDatabase, RegisterStation } from '../test/support/register-database.ts';

const usage = `npm run bench:register [-- --posts N] [--seconds N] [--json]

  --posts N    posts in the shared register, 50 cameras each (default 10000)
  --seconds N  for each line (default 4)
  --json       one JSON object with all figures
`;

interface Figure {
  readonly what: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      posts: { type: 'string', default: '10000' },
      seconds: { type: 'string', default: '4' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  const posts = Number(values.posts);
  const ms = Number(values.seconds) * 1000;
  const sqlite = await benchSqlite(ms);
  const postgres = await benchPostgres(posts, ms);
  const figures = [...sqlite, ...postgres.figures];
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ posts, figures, coldCopyMs: postgres.coldCopyMs })}\n`);
    return;
  }
  const table = new Table({ head: ['', 'per second', 'p50 ms', 'p99 ms'], style: { head: [], border: [] } });
  for (const { what, perSecond, p50Ms, p99Ms } of figures) {
    table.push([what, perSecond.toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2)]);
  }
  process.stdout.write(`${table.toString()}\n`);
  const rate = (what: string): number => figures.find((figure) => figure.what === what)?.perSecond ?? NaN;
  for (const [bare, own] of [
    ['SQLite: bare INSERT … RETURNING', 'SQLite: enrol'],
    ['PostgreSQL: bare INSERT … RETURNING', 'PostgreSQL: enrol at the server'],
    ['PostgreSQL: bare INSERT … RETURNING, 8 at once', 'PostgreSQL: enrol at the server, 8 at once'],
  ] as const) {
    process.stdout.write(
      `${own}: ${(rate(bare) / rate(own)).toFixed(2)} times the bare statement (aim: 2)\n`,
    );
  }
  process.stdout.write(
    `start with a cold copy, ${posts} posts of 50 cameras: ${postgres.coldCopyMs.toFixed(1)} ms (median of 20)\n`,
  );
}

async function benchSqlite(ms: number): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), 'dock-bench-'));
  try {
    using db = new Database(join(folder, 'station.db'));
    const register = new SqliteRegister(
      db,
      new Outbox(db, systemClock, systemRandom),
      systemClock,
      unsignedHeadcount(1000),
      'd/p/s',
    );
    for (let n = 0; n < 49; n++) await register.enrol(camera(`C${n}`));
    db.run(
      'CREATE TABLE bare (serial TEXT PRIMARY KEY, state TEXT, at INTEGER, by TEXT, reason TEXT) STRICT',
    );
    let serial = 0;
    const bare = await measure('SQLite: bare INSERT … RETURNING', ms, async () => {
      db.transaction(() =>
        db.get(
          "INSERT INTO bare VALUES (?, 'enrolled', 0, 'bench', 'bench') RETURNING serial",
          `S${serial++}`,
        ),
      );
    });
    const [enrol, retire] = await enrolAndRetire('SQLite', register, ms);
    const read = await measure('SQLite: bare SELECT', ms, async () => {
      db.get("SELECT * FROM enrolment WHERE item = 'camera' AND serial_number = ?", 'C7');
    });
    return [bare, enrol, retire, read, await lookUp('SQLite', register, ms)];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function benchPostgres(posts: number, ms: number): Promise<{ figures: Figure[]; coldCopyMs: number }> {
  await using server = await PostgresServer.start();
  const register = await RegisterDatabase.create(server, 'register');
  const place = (n: number) => ({ department: 'd', post: `p${n}` });
  const fill = await server.client({ as: owner, database: register.name });
  // The guard of each row is measured below, not here.
  await fill.query(`
    ALTER TABLE dock.enrolment DISABLE TRIGGER guard;
    INSERT INTO dock.post (department, name, headcount) SELECT 'd', 'p' || n, 401 FROM generate_series(1, ${posts}) n;
    INSERT INTO dock.enrolment SELECT p.id, 'C' || p.id || '-' || n, 'enrolled', n, NULL, 0, 'bench', 'bench'
      FROM dock.post p, generate_series(1, 50) n WHERE p.item = 'camera';
    ALTER TABLE dock.enrolment ENABLE ALWAYS TRIGGER guard;
    CREATE TABLE dock.bare (post integer, serial text, state text, at bigint, by text, reason text, PRIMARY KEY (post, serial));
  `);
  await fill.query('ANALYZE dock.enrolment; ANALYZE dock.post');
  await using stack = new AsyncDisposableStack();
  const stations: RegisterStation[] = [];
  for (let n = 1; n <= 8; n++) {
    const post = place(Math.ceil((n * posts) / 8));
    await register.addStation(post, `s${n}`);
    const station = stack.use(new RegisterStation(`s${n}`, register.name, [server.port]));
    const [taken] = await station.register.list();
    await station.register.retire({
      serialNumber: taken?.serialNumber ?? '',
      by: 'bench',
      cause: 'lost',
      note: '',
    });
    stations.push(station);
  }
  const clients = await Promise.all(
    stations.map(() => server.client({ as: owner, database: register.name })),
  );
  for (const client of clients) stack.defer(() => client.end());
  const figures: Figure[] = [];
  let serial = 0;
  for (const [together, words] of [
    [1, ''],
    [8, ', 8 at once'],
  ] as const) {
    const bare = clients.slice(0, together).map((client) => async () => {
      await client.query(
        "INSERT INTO dock.bare VALUES ($1, $2, 'enrolled', 0, 'bench', 'bench') RETURNING serial",
        [1, `S${serial++}`],
      );
    });
    figures.push(await measure(`PostgreSQL: bare INSERT … RETURNING${words}`, ms, ...bare));
    const acting = stations.slice(0, together).map(({ server: asked }, index) => {
      const act = (kind: 'enrol' | 'retire') =>
        asked.act({
          kind,
          id: crypto.randomUUID(),
          serialNumber: `N${index}`,
          by: 'bench',
          reason: 'bench',
          cause: 'lost',
          note: '',
          seen: 2 ** 40,
        });
      return { work: () => act('enrol'), between: () => act('retire') };
    });
    figures.push(await measure(`PostgreSQL: enrol at the server${words}`, ms, ...acting));
  }
  const [first] = stations;
  if (!first) throw new Error('no station');
  figures.push(...(await enrolAndRetire('PostgreSQL with copy and event', first.register, ms)));
  const [client] = clients;
  figures.push(
    await measure('PostgreSQL: bare SELECT', ms, async () => {
      await client?.query('SELECT * FROM dock.enrolment WHERE post_id = $1 AND serial_number = $2', [
        1,
        'C1-7',
      ]);
    }),
    await lookUp('PostgreSQL', first.register, ms),
  );
  await fill.end();
  const colds: number[] = [];
  for (let n = 0; n < 20; n++) {
    await using cold = new RegisterStation('s2', register.name, [server.port]);
    const started = performance.now();
    await cold.register.refresh();
    colds.push(performance.now() - started);
  }
  return { figures, coldCopyMs: at(colds, 0.5) };
}

async function enrolAndRetire(engine: string, register: Register, ms: number): Promise<[Figure, Figure]> {
  const retirements: number[] = [];
  const enrol = await measure(`${engine}: enrol`, ms, {
    work: async () => await register.enrol(camera('N')),
    between: async () => {
      const started = performance.now();
      await register.retire({ serialNumber: 'N', by: 'bench', cause: 'lost', note: '' });
      retirements.push(performance.now() - started);
    },
  });
  return [enrol, figure(`${engine}: retire`, retirements, 1)];
}

function lookUp(engine: string, register: Register, ms: number): Promise<Figure> {
  return measure(`${engine}: look-up`, ms, async () => {
    await register.standing('C7');
  });
}

type Worker = (() => Promise<unknown>) | { work: () => Promise<unknown>; between: () => Promise<unknown> };

/** Each worker one after the other by itself, all workers at once; what is between is not counted. */
async function measure(what: string, ms: number, ...workers: Worker[]): Promise<Figure> {
  const times: number[] = [];
  const endsAt = performance.now() + ms;
  await Promise.all(
    workers.map(async (worker) => {
      const { work, between } = typeof worker === 'function' ? { work: worker, between: undefined } : worker;
      while (performance.now() < endsAt) {
        const started = performance.now();
        await work();
        times.push(performance.now() - started);
        await between?.();
      }
    }),
  );
  return figure(what, times, workers.length);
}

function figure(what: string, times: readonly number[], together: number): Figure {
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
  return { what, perSecond: (together * 1000) / mean, p50Ms: at(times, 0.5), p99Ms: at(times, 0.99) };
}

function at(times: readonly number[], part: number): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length * part)] ?? NaN;
}

function camera(serialNumber: string) {
  return { serialNumber, by: 'bench', reason: 'bench' };
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`bench:register: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
