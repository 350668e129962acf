// The same promises on a real PostgreSQL, and those that only a register of several stations can make.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PostgresServer } from '../support/postgres.ts';
import {
  owner,
  RegisterDatabase,
  RegisterStation,
  registerUnderTest,
  type PostPlace,
} from '../support/register-database.ts';
import { TcpProxy } from '../report/tcp-proxy.ts';
import { normEditions } from '../../protocol/norm/editions.ts';
import { editionAt, quotaFor } from '../../protocol/norm/quota.ts';
import { registerAway } from '../../agent/enrolment/register-away.ts';
import { registerConformance } from './register-conformance.ts';

let server: PostgresServer;
let names = 0;
beforeAll(async () => {
  server = await PostgresServer.start({ fsync: 'off' });
});
afterAll(async () => await server?.[Symbol.asyncDispose]());

const newDatabase = (): Promise<RegisterDatabase> => RegisterDatabase.create(server, `register_${++names}`);

async function newStation(
  database: RegisterDatabase,
  place: PostPlace,
  { port = server.port, ...options }: { port?: number; headcount?: number; patienceMs?: number } = {},
): Promise<RegisterStation> {
  const role = `station_${++names}`;
  await database.addStation(place, role);
  return new RegisterStation(role, database.name, [port], options);
}

const camera = (serialNumber: string) => ({ serialNumber, by: 'aigerim', reason: 'delivery' });
const retirement = (serialNumber: string) => ({
  serialNumber,
  by: 'aigerim',
  cause: 'broken' as const,
  note: '',
});

registerConformance('PostgreSQL', { runs: 2 }, async () =>
  registerUnderTest(await newDatabase(), server.port),
);

test('has the norms and the words of the program', async () => {
  const database = await newDatabase();
  const rows = normEditions.flatMap(({ camera, computer }) => [...camera.rows, ...computer.rows]);
  expect(await database.query('SELECT * FROM dock.norm')).toHaveLength(rows.length);
  for (const headcount of [0, 1, 50, 51, 100, 101, 200, 201, 300, 301, 400, 401, 1_000_000]) {
    const { quota, row, editionId, citation } = quotaFor(headcount, editionAt(Date.now()));
    expect(await database.query("SELECT * FROM dock.norm_of('camera', $1)", [headcount])).toEqual([
      { quota, norm_row: row, edition: editionId, citation },
    ]);
  }
});

describe('the database itself', () => {
  const full = async () => {
    const database = await newDatabase();
    const place = { department: 'd', post: 'p' };
    await database.statePost(place, 40);
    const station = await newStation(database, place);
    for (let n = 1; n <= 5; n++) await station.register.enrol(camera(`C${n}`));
    return { database, station };
  };
  const enrolled = async (database: RegisterDatabase): Promise<number> =>
    (await database.query("SELECT FROM dock.enrolment WHERE state = 'enrolled'")).length;
  const row = (serial: string, place: number): string =>
    `(1, '${serial}', 'enrolled', ${place}, NULL, 0, 'mallory', 'because')`;

  test.each([
    ['an insert', `INSERT INTO dock.enrolment VALUES ${row('X', 6)}`],
    ['an insert into a taken place', `INSERT INTO dock.enrolment VALUES ${row('X', 5)}`],
    [
      'an insert without a place',
      "INSERT INTO dock.enrolment VALUES (1, 'X', 'enrolled', NULL, NULL, 0, '', '')",
    ],
    [
      'a copy of all',
      "INSERT INTO dock.enrolment SELECT post_id, serial_number || 'x', state, place + 5, NULL, 0, '', '' FROM dock.enrolment",
    ],
    [
      'an upsert',
      `INSERT INTO dock.enrolment VALUES ${row('R', 6)} ON CONFLICT (post_id, serial_number) DO UPDATE SET state = 'enrolled', place = 6`,
    ],
    [
      'an update of a refused camera',
      "UPDATE dock.enrolment SET state = 'enrolled', place = 6 WHERE serial_number = 'R'",
    ],
    [
      'a change of the post',
      "INSERT INTO dock.post (department, name) VALUES ('d', 'q'); UPDATE dock.enrolment SET post_id = (SELECT id FROM dock.post WHERE name = 'q')",
    ],
    [
      'a merge',
      `MERGE INTO dock.enrolment e USING (SELECT 'R' s) x ON e.serial_number = x.s WHEN MATCHED THEN UPDATE SET state = 'enrolled', place = 6`,
    ],
    [
      'an insert as a replica would',
      `SET session_replication_role = replica; INSERT INTO dock.enrolment VALUES ${row('X', 6)}`,
    ],
    ['deleting records of the audit', 'DELETE FROM dock.audit'],
    [
      'changing a record of the audit',
      "UPDATE dock.audit SET record = replace(record, 'enrolled', 'retired')",
    ],
    ['emptying the register', 'TRUNCATE dock.enrolment'],
  ])('refuses camera quota + 1 by %s, under the role of its owner and of the station', async (_, sql) => {
    const { database, station } = await full();
    await station.register.enrol(camera('R'));
    const client = await server.client({ as: owner, database: database.name });
    await expect(client.query(sql)).rejects.toThrow(
      /places taken|duplicate key|violates|are kept|to set parameter/,
    );
    await client.end();
    await expect(database.query(sql, [], station.role)).rejects.toThrow(/permission denied/);
    expect(await enrolled(database)).toBe(5);
    await station[Symbol.asyncDispose]();
  });

  test.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])(
    'lets only one of two owners take the last place at once, at %s',
    async (level) => {
      const { database, station } = await full();
      await station.register.retire(retirement('C5'));
      const clients = [];
      for (let n = 0; n < 2; n++) clients.push(await server.client({ as: owner, database: database.name }));
      for (const client of clients) {
        await client.query(`BEGIN ISOLATION LEVEL ${level}`);
        await client.query('SELECT count(*) FROM dock.enrolment');
      }
      const taken = await Promise.allSettled(
        clients.map(async (client, n) => {
          await client.query(`INSERT INTO dock.enrolment VALUES ${row(`X${n}`, 5)}`);
          await client.query('COMMIT');
        }),
      );
      expect(taken.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(await enrolled(database)).toBe(5);
      for (const client of clients) await client.end();
      await station[Symbol.asyncDispose]();
    },
  );

  test('gives a station four functions, its own post, and nothing else', async () => {
    const { database, station } = await full();
    for (const table of ['post', 'station', 'enrolment', 'audit', 'norm', 'refusal', 'migration']) {
      await expect(database.query(`SELECT * FROM dock.${table}`, [], station.role)).rejects.toThrow(
        /permission denied/,
      );
    }
    await expect(
      database.query("SELECT dock.take(1, 'x', '{}', '{}', 'X')", [], station.role),
    ).rejects.toThrow(/permission denied/);
    const callable = await database.query(
      `SELECT proname FROM pg_proc WHERE pronamespace = 'dock'::regnamespace
       AND has_function_privilege($1, oid, 'EXECUTE') ORDER BY proname`,
      [station.role],
    );
    expect(callable.map(({ proname }) => proname)).toEqual(['act', 'audit_after', 'copy', 'revision']);
    await server.query('CREATE ROLE stranger LOGIN IN ROLE dock_station');
    await expect(database.query('SELECT dock.revision()', [], 'stranger')).rejects.toThrow(/no station/);
    await station[Symbol.asyncDispose]();
  });
});

describe('several stations', () => {
  const twoPosts = async (headcounts: [number, number] = [40, 40]) => {
    const database = await newDatabase();
    const places = [
      { department: 'd', post: 'a' },
      { department: 'd', post: 'b' },
    ] as const;
    await database.statePost(places[0], headcounts[0]);
    await database.statePost(places[1], headcounts[1]);
    const stack = new AsyncDisposableStack();
    const a = stack.use(await newStation(database, places[0]));
    const b = stack.use(await newStation(database, places[1]));
    return { database, places, a, b, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  };

  test('a camera at two stations of a post at once is one enrolment', async () => {
    await using posts = await twoPosts();
    await using other = await newStation(posts.database, posts.places[0]);
    const decisions = await Promise.all([posts.a, other].map(({ register }) => register.enrol(camera('C1'))));
    expect(decisions.filter((decision) => decision.kind === 'enrolled' && decision.isNew)).toHaveLength(1);
    expect(decisions.filter(({ kind }) => kind === 'enrolled')).toHaveLength(2);
    expect(await other.register.usage()).toMatchObject({ enrolled: 1 });
  });

  test('a camera at two posts at once is enrolled at one, and the other says where it stands', async () => {
    await using posts = await twoPosts();
    const decisions = await Promise.all(
      [posts.a, posts.b].map(({ register }) => register.enrol(camera('C1'))),
    );
    expect(decisions.map(({ kind }) => kind).sort()).toEqual(['enrolled', 'refused']);
    expect(decisions.find(({ kind }) => kind === 'refused')).toMatchObject({
      code: 'enrolment.at-another-post',
    });
  });

  test('a transfer leaves one quota and enters the other, or neither', async () => {
    await using posts = await twoPosts();
    const { a, b } = posts;
    const request = { serialNumber: 'C1', to: posts.places[1], by: 'aigerim', note: '' };
    await a.register.enrol({ ...camera('C1'), publicKey: new Uint8Array(32).fill(7) });
    expect(await a.register.transfer(request)).toMatchObject({
      kind: 'enrolled',
      isNew: true,
      usage: { enrolled: 0 },
    });
    expect(await a.register.standing('C1')).toMatchObject({ kind: 'retired', reason: 'transferred' });
    expect(await b.register.standing('C1')).toMatchObject({
      kind: 'enrolled',
      publicKey: new Uint8Array(32).fill(7),
    });
    expect(b.events()).toMatchObject([
      { type: 'camera-enrolled', data: { serialNumber: 'C1', hasKey: true } },
    ]);

    for (let n = 2; n <= 5; n++) await b.register.enrol(camera(`C${n}`));
    await a.register.enrol(camera('C6'));
    expect(await a.register.transfer({ ...request, serialNumber: 'C6' })).toMatchObject({
      kind: 'refused',
      code: 'enrolment.quota-full',
    });
    expect(await a.register.standing('C6')).toMatchObject({ kind: 'enrolled' });
    expect(await b.register.usage()).toMatchObject({ enrolled: 5 });
    expect(
      await a.register.transfer({ ...request, to: { department: 'd', post: 'nowhere' }, serialNumber: 'C6' }),
    ).toMatchObject({ kind: 'refused', code: 'enrolment.unknown-post' });
  });

  test('the posts of a department share its one computer, and all know of it', async () => {
    await using posts = await twoPosts();
    const { a, b } = posts;
    const computer = (serialNumber: string) => ({ ...camera(serialNumber), item: 'computer' as const });
    const decisions = await Promise.all([
      a.register.enrol(computer('PC-1')),
      b.register.enrol(computer('PC-2')),
    ]);
    expect(decisions.map(({ kind }) => kind).sort()).toEqual(['enrolled', 'refused']);
    const lists = await Promise.all([a, b].map(({ register }) => register.list('computer')));
    expect(lists[0]).toEqual(lists[1]);
    expect(lists[0]?.filter(({ state }) => state === 'enrolled')).toHaveLength(1);
    const [elsewhere] = [{ department: 'e', post: 'a' }];
    await posts.database.statePost(elsewhere, 40);
    await using other = await newStation(posts.database, elsewhere);
    expect(await other.register.list('computer')).toEqual([]);
    expect(await other.register.enrol(computer('PC-3'))).toMatchObject({ kind: 'enrolled' });
    expect(await a.register.usage()).toMatchObject({ enrolled: 0 });
  });

  test('cameras that cross over between full posts keep both quotas', async () => {
    await using posts = await twoPosts();
    const { a, b } = posts;
    for (let n = 1; n <= 4; n++) {
      await a.register.enrol(camera(`A${n}`));
      await b.register.enrol(camera(`B${n}`));
    }
    const common = { by: 'aigerim', note: '' };
    await Promise.all(
      [1, 2, 3, 4].flatMap((n) => [
        a.register.transfer({ ...common, serialNumber: `A${n}`, to: posts.places[1] }),
        b.register.transfer({ ...common, serialNumber: `B${n}`, to: posts.places[0] }),
      ]),
    );
    const counts = [(await a.register.usage()).enrolled, (await b.register.usage()).enrolled];
    expect(Math.max(...counts)).toBeLessThanOrEqual(5);
    expect(counts[0]! + counts[1]!).toBe(8);
  });

  test('a station that was told a smaller headcount than the register keeps to it', async () => {
    await using posts = await twoPosts([100, 40]);
    await using cautious = await newStation(posts.database, posts.places[0], { headcount: 40 });
    expect(await cautious.register.usage()).toMatchObject({ headcount: 40, quota: 5 });
    await using bold = await newStation(posts.database, posts.places[0], { headcount: 1000 });
    expect(await bold.register.usage()).toMatchObject({ headcount: 100, quota: 10 });
  });

  test('a request whose answer was lost takes no second place, also when the camera was retired meanwhile', async () => {
    await using posts = await twoPosts();
    const { a } = posts;
    const request = {
      kind: 'enrol' as const,
      id: '019aa000-0000-7000-8000-000000000001',
      seen: 0,
      ...camera('C1'),
    };
    const first = await a.server.act(request);
    await a.register.retire(retirement('C1'));
    const again = await a.server.act(request);
    expect(again.answer).toEqual(first.answer);
    expect(again.usage.enrolled).toBe(0);
    expect(again.enrolments).toMatchObject([{ state: 'retired' }]);
  });
});

describe('a station that cannot reach the register', () => {
  const connected = async () => {
    const database = await newDatabase();
    const place = { department: 'd', post: 'p' };
    await database.statePost(place, 40);
    const stack = new AsyncDisposableStack();
    const proxy = stack.use(await TcpProxy.to(server.port));
    const near = stack.use(
      await newStation(database, place, { port: Number(new URL(proxy.url).port), patienceMs: 300 }),
    );
    const other = stack.use(await newStation(database, place));
    return { near, other, proxy, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  };

  test('knows enrolled cameras, refuses new ones by name, and frees a place only once the register has it', async () => {
    await using net = await connected();
    const { near, other } = net;
    for (let n = 1; n <= 4; n++) await other.register.enrol(camera(`C${n}`));
    await near.register.enrol(camera('C5'));
    await near.register.refresh();
    net.proxy.refuse();
    expect(await near.register.enrol(camera('C6'))).toMatchObject({
      kind: 'refused',
      code: 'enrolment.register-unreachable',
      usage: { enrolled: 5, quota: 5 },
    });
    const since = near.register.away() ?? NaN;
    expect(registerAway(near.register, since + 59_999)).toEqual([]);
    expect(registerAway(near.register, since + 60_000)).toMatchObject([
      { code: 'enrolment.register-unreachable', detail: expect.stringContaining('known as of') },
    ]);
    expect(near.register.copiedAt).toBeLessThanOrEqual(Date.now());
    expect(await near.register.standing('C1')).toMatchObject({ kind: 'enrolled' });

    expect(await near.register.retire({ ...retirement('C1'), cause: 'lost' })).toBe(true);
    expect(await near.register.retire(retirement('C1'))).toBe(false);
    expect(await near.register.standing('C1')).toMatchObject({ kind: 'retired' });
    expect(await near.register.usage()).toMatchObject({ enrolled: 5 });
    expect(await other.register.enrol(camera('C6'))).toMatchObject({
      kind: 'refused',
      code: 'enrolment.quota-full',
    });

    net.proxy.accept();
    await near.register.refresh();
    expect(await other.register.enrol(camera('C6'))).toMatchObject({ kind: 'enrolled' });
    expect(near.events().map(({ type, data }) => [type, data['serialNumber']])).toEqual([
      ['camera-enrolled', 'C5'],
      ['camera-retired', 'C1'],
    ]);
  });

  test('does not retire what was enrolled anew after the retirement was queued', async () => {
    await using net = await connected();
    const { near, other } = net;
    await near.register.enrol(camera('C1'));
    net.proxy.refuse();
    await near.register.retire(retirement('C1'));
    await other.register.retire(retirement('C1'));
    await other.register.enrol(camera('C1'));
    net.proxy.accept();
    await near.register.refresh();
    expect(await near.register.standing('C1')).toMatchObject({ kind: 'enrolled' });
  });

  test('hears of a camera enrolled at another station at its next look', async () => {
    await using net = await connected();
    await net.near.register.refresh();
    await net.other.register.enrol(camera('C1'));
    await net.near.register.refresh();
    net.proxy.refuse();
    expect(await net.near.register.standing('C1')).toMatchObject({ kind: 'enrolled' });
  });
});
