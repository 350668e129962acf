// Whoever may state the headcount decides how many cameras a post may have: only the issuer may, and only forwards.
import { auditRecord } from '../../protocol/norm/audit-record.ts';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Assignments, type AssignmentParts } from '../../agent/enrolment/assignments.ts';
import { SqliteRegister } from '../../agent/enrolment/sqlite-register.ts';
import { readIssuerKey } from '../../agent/enrolment/verify-assignment.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { Database } from '../../agent/state/database.ts';
import { systemRandom } from '../../dock/host/system-clock.ts';
import { errorCatalogue } from '../../protocol/error-catalogue.ts';
import { maxAssignmentChars } from '../../protocol/norm/assignment.ts';
import { Issuer } from '../support/issuer.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const issuer = new Issuer();
const day = 86_400_000;

let folder: string;
let bench: Bench;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'dock-assignments-'));
  bench = await Bench.open(folder);
});
afterEach(() => {
  bench[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

/** The assignments of a station over its own database. */
class Bench implements Disposable {
  readonly clock = new VirtualClock();
  readonly db: Database;
  readonly outbox: Outbox;
  isClockTrusted = true;
  assignments!: Assignments;

  private constructor(file: string) {
    this.db = new Database(file);
    this.outbox = new Outbox(this.db, this.clock, systemRandom);
  }

  static async open(inFolder: string, file = 'station.db'): Promise<Bench> {
    const opened = new Bench(join(inFolder, file));
    await opened.restart();
    return opened;
  }

  async restart(options: Partial<AssignmentParts> = {}): Promise<void> {
    this.assignments = await Assignments.open({
      db: this.db,
      outbox: this.outbox,
      clock: this.clock,
      checkStationClock: async () => ({ isTrusted: this.isClockTrusted, evidence: 'as the test says' }),
      place: { department: 'd', post: 'p' },
      issuerKey: issuer.publicKey,
      configuredHeadcount: 400,
      ...options,
    });
  }

  register(): SqliteRegister {
    return new SqliteRegister(this.db, this.outbox, this.clock, () => this.assignments.headcount(), 'd/p/s');
  }

  codes(isClockTrusted = true): string[] {
    return this.assignments.problems({ isClockTrusted }).map(({ code }) => code);
  }

  events(): { type: string; data: Readonly<Record<string, unknown>> }[] {
    return this.outbox.after(0, 1000).map(({ type, data }) => ({ type, data }));
  }

  [Symbol.dispose](): void {
    this.db[Symbol.dispose]();
  }
}

test('an assignment states the headcount from its installation on, over restarts, with an event', async () => {
  expect(bench.assignments.headcount()).toEqual({ headcountSource: 'assignment', headcount: undefined });
  expect(bench.codes()).toEqual(['assignment.missing']);
  const jws = await issuer.issue({ number: 7 });
  expect(await bench.assignments.install(jws, 'aigerim')).toMatchObject({ headcount: 120, number: 7 });
  await bench.restart();
  expect(bench.assignments.headcount()).toMatchObject({
    headcountSource: 'assignment',
    headcount: 120,
    assignment: { number: 7, issuer: 'Department of State Revenue' },
  });
  expect(bench.codes()).toEqual([]);
  expect(bench.assignments.inForce).toMatchObject({ jws, installedBy: 'aigerim' });
  expect(bench.events()).toMatchObject([
    { type: 'assignment-installed', data: { by: 'aigerim', number: 7, headcount: 120 } },
  ]);
});

test('the quota follows: nothing is enrolled before the first, and a decision says which one it was taken under', async () => {
  const register = bench.register();
  const camera = (serialNumber: string) => ({ serialNumber, by: 'aigerim', reason: 'delivery' });
  expect(await register.enrol(camera('C1'))).toMatchObject({ code: 'enrolment.no-headcount' });
  await bench.assignments.install(await issuer.issue({ number: 7, headcount: 51 }), 'aigerim');
  expect(await register.enrol(camera('C1'))).toMatchObject({
    kind: 'enrolled',
    usage: { quota: 10, headcount: 51, headcountSource: 'assignment', assignment: { number: 7 } },
  });
  await bench.assignments.install(await issuer.issue({ number: 8, headcount: 0 }), 'aigerim');
  expect(await register.enrol(camera('C2'))).toMatchObject({ code: 'enrolment.quota-full' });
  const records = (await register.audit(0, 10)).map(({ record }) =>
    auditRecord.parse(JSON.parse(record ?? '')),
  );
  expect(records.map(({ act, assignmentNumber }) => [act, assignmentNumber])).toEqual([
    ['refused', undefined],
    ['enrolled', 7],
    ['refused', 8],
  ]);
  expect(bench.events().filter(({ type }) => type === 'camera-enrolled')).toMatchObject([
    { data: { headcountSource: 'assignment', assignmentNumber: 7 } },
  ]);
});

test('without an issuer key the configured headcount counts, and is called unsigned', async () => {
  await bench.assignments.install(await issuer.issue({ number: 7 }), 'aigerim');
  await bench.restart({ issuerKey: undefined });
  expect(bench.assignments.headcount()).toEqual({ headcountSource: 'unsigned', headcount: 400 });
  expect(bench.codes()).toEqual([]);
  await bench.register().enrol({ serialNumber: 'C1', by: 'aigerim', reason: '' });
  expect(bench.events().at(-1)).toMatchObject({ data: { headcount: 400, headcountSource: 'unsigned' } });
  await expect(bench.assignments.install(await issuer.issue({ number: 8 }), 'aigerim')).rejects.toMatchObject(
    {
      code: 'assignment.no-issuer',
    },
  );
});

describe('is refused, recorded, and changes nothing:', () => {
  const now = Date.UTC(2026, 10, 22, 8);
  const iso = (at: number): string => new Date(at).toISOString();
  const payload = {
    department: 'd',
    post: 'p',
    headcount: 400,
    validFrom: iso(now - day),
    validUntil: iso(now + day),
    issuer: 'D',
    number: 9,
  };
  const signed = (change: object): Promise<string> => issuer.sign(JSON.stringify({ ...payload, ...change }));

  test.each<[string, () => Promise<string>, string]>([
    ['one of another issuer', () => new Issuer().issue({ number: 9 }), 'assignment.bad-signature'],
    [
      'one whose payload was exchanged',
      async () => {
        const [header, , signature] = (await issuer.issue({ number: 9 })).split('.');
        return `${header}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.${signature}`;
      },
      'assignment.bad-signature',
    ],
    [
      'one without a signature',
      async () => (await issuer.issue({ number: 9 })).replace(/\.[^.]*$/, '.AA'),
      'assignment.bad-signature',
    ],
    [
      'algorithm none',
      async () => `${Buffer.from('{"alg":"none"}').toString('base64url')}.e30.AA`,
      'assignment.malformed',
    ],
    [
      'one that takes the public key for a secret',
      async () => {
        const header = Buffer.from('{"alg":"HS256","typ":"dock-post-assignment"}').toString('base64url');
        const text = `${header}.${Buffer.from(JSON.stringify(payload)).toString('base64url')}`;
        return `${text}.${createHmac('sha256', issuer.publicPem).update(text).digest('base64url')}`;
      },
      'assignment.malformed',
    ],
    [
      'something else that the issuer signed',
      () => issuer.sign('{}', { typ: 'JWT' }),
      'assignment.malformed',
    ],
    ['signed text that is no JSON', () => issuer.sign('headcount'), 'assignment.malformed'],
    ['signed bytes that are no text', () => issuer.sign(new Uint8Array([0xff])), 'assignment.malformed'],
    ['no JWS', async () => 'headcount = 400', 'assignment.malformed'],
    ['nothing', async () => '', 'assignment.malformed'],
    ['a headcount that is none', () => signed({ headcount: -1 }), 'assignment.malformed'],
    ['a condition that is not known', () => signed({ onlyOnMondays: true }), 'assignment.malformed'],
    ['an end before its beginning', () => signed({ validUntil: payload.validFrom }), 'assignment.malformed'],
    ['one beyond the limit', async () => 'a'.repeat(maxAssignmentChars + 1), 'assignment.oversize'],
    ['one for another post', () => signed({ post: 'q' }), 'assignment.other-post'],
    ['one for a post of that name elsewhere', () => signed({ department: 'e' }), 'assignment.other-post'],
    ['a lower number', () => signed({ number: 6 }), 'assignment.not-newer'],
    ['the same number again', () => signed({ number: 7 }), 'assignment.not-newer'],
    ['one that ran out', () => signed({ validUntil: iso(now) }), 'assignment.expired'],
    ['one of the future', () => signed({ validFrom: iso(now + 1) }), 'assignment.not-yet-valid'],
  ])('%s', async (_, make, code) => {
    await bench.assignments.install(await issuer.issue({ number: 7 }), 'aigerim');
    await expect(bench.assignments.install(await make(), 'mallory')).rejects.toMatchObject({ code });
    expect(bench.assignments.headcount()).toMatchObject({ headcount: 120, assignment: { number: 7 } });
    expect(bench.db.all('SELECT number FROM assignment')).toEqual([{ number: 7 }]);
    expect(bench.events().slice(1)).toMatchObject([
      { type: 'assignment-refused', data: { by: 'mallory', code } },
    ]);
    expect(errorCatalogue).toHaveProperty([code]);
  });
});

test('a number is not used again after a restart, and an earlier one not after a later', async () => {
  const seventh = await issuer.issue({ number: 7, headcount: 400 });
  await bench.assignments.install(seventh, 'aigerim');
  await bench.assignments.install(await issuer.issue({ number: 8, headcount: 40 }), 'aigerim');
  await bench.restart();
  await expect(bench.assignments.install(seventh, 'aigerim')).rejects.toMatchObject({
    code: 'assignment.not-newer',
  });
  expect(bench.assignments.headcount().headcount).toBe(40);
});

test('one that ran out stays in force, with an alarm that says since when, until a newer one comes', async () => {
  const validUntil = new Date(bench.clock.now() + day).toISOString();
  await bench.assignments.install(await issuer.issue({ number: 7, validUntil }), 'aigerim');
  bench.clock.pass(day - 1);
  expect(bench.codes()).toEqual([]);
  bench.clock.pass(1);
  await bench.restart();
  expect(bench.assignments.headcount().headcount).toBe(120);
  const [problem] = bench.assignments.problems({ isClockTrusted: true });
  expect(problem).toMatchObject({ code: 'assignment.expired', level: 'warning' });
  expect(problem?.detail).toBe(`no. 7 of Department of State Revenue ran out at ${validUntil}`);
  await bench.assignments.install(await issuer.issue({ number: 8, at: bench.clock.now() }), 'aigerim');
  expect(bench.codes()).toEqual([]);
});

test('while the clock of the station is not trusted nothing is installed, and nothing is said to have run out', async () => {
  const validUntil = new Date(bench.clock.now() + day).toISOString();
  await bench.assignments.install(await issuer.issue({ number: 7, validUntil }), 'aigerim');
  bench.isClockTrusted = false;
  await expect(bench.assignments.install(await issuer.issue({ number: 8 }), 'aigerim')).rejects.toMatchObject(
    {
      code: 'assignment.clock-untrusted',
    },
  );
  bench.clock.pass(2 * day);
  expect(bench.codes(false)).toEqual([]);
  expect(bench.assignments.headcount()).toMatchObject({ headcount: 120, assignment: { number: 7 } });
});

test('what was put into the database without the issuer is passed over, with an alarm, also at a higher number', async () => {
  await bench.assignments.install(await issuer.issue({ number: 7 }), 'aigerim');
  const forged = await new Issuer().issue({ number: 99, headcount: 1000 });
  const insert = 'INSERT INTO assignment (number, jws, installed_at, installed_by) VALUES (99, ?, 0, ?)';
  bench.db.run(insert, forged, 'mallory');
  await bench.restart();
  expect(bench.assignments.headcount()).toMatchObject({ headcount: 120, assignment: { number: 7 } });
  expect(bench.assignments.problems({ isClockTrusted: true })).toMatchObject([
    { code: 'assignment.unverified', level: 'critical', detail: 'no. 99' },
  ]);
});

test('under another issuer key, or at another post, the old one counts no more and nothing is enrolled', async () => {
  await bench.assignments.install(await issuer.issue({ number: 7 }), 'aigerim');
  for (const change of [{ issuerKey: new Issuer().publicKey }, { place: { department: 'd', post: 'q' } }]) {
    await bench.restart(change);
    expect(bench.assignments.headcount().headcount).toBeUndefined();
    expect(bench.codes()).toEqual(['assignment.unverified', 'assignment.missing']);
  }
});

test('of two that are looked at together the older one is not put over the newer', async () => {
  const looking: PromiseWithResolvers<void>[] = [];
  const checkStationClock = async () => {
    const look = Promise.withResolvers<void>();
    looking.push(look);
    await look.promise;
    return { isTrusted: true, evidence: '' };
  };
  await bench.restart({ checkStationClock });
  const installs = [];
  for (const number of [8, 7]) {
    installs.push(bench.assignments.install(await issuer.issue({ number }), 'aigerim'));
    await vi.waitUntil(() => looking.length === installs.length);
  }
  for (const { resolve } of looking) resolve();
  const outcomes = await Promise.allSettled(installs);
  expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'assignment.not-newer' } }]);
  expect(bench.assignments.headcount()).toMatchObject({ assignment: { number: 8 } });
});

test('the newest wins whatever the order, with restarts at any point and two at once', async () => {
  const issued = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      issuer.issue({ number: index + 1, headcount: (index * 53) % 400 }),
    ),
  );
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('install'), n: fc.nat({ max: 7 }) }) },
    fc.record({ kind: fc.constant('both'), n: fc.nat({ max: 7 }), m: fc.nat({ max: 7 }) }),
    fc.record({ kind: fc.constant('restart') }),
  ) as fc.Arbitrary<{ kind: 'install' | 'both' | 'restart'; n?: number; m?: number }>;
  let files = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      using one = await Bench.open(folder, `property-${++files}.db`);
      let newest = 0;
      for (const { kind, n, m } of steps) {
        if (kind === 'restart') await one.restart();
        const given = [n, m].filter((index) => index !== undefined);
        await Promise.allSettled(
          given.map((index) => one.assignments.install(issued[index] ?? '', 'aigerim')),
        );
        newest = Math.max(newest, ...given.map((index) => index + 1));
        const { headcount } = one.assignments.headcount();
        expect(headcount).toBe(newest === 0 ? undefined : ((newest - 1) * 53) % 400);
      }
      const installed = one.db
        .all('SELECT number FROM assignment ORDER BY id')
        .map(({ number }) => Number(number));
      expect(installed).toEqual([...new Set(installed)].sort((a, b) => a - b));
      const told = one.events().filter(({ type }) => type === 'assignment-installed');
      expect(told.map(({ data }) => data['number'])).toEqual(installed);
    }),
    { numRuns: 60 },
  );
});

describe('the issuer key', () => {
  test.each([
    ['PEM', issuer.publicPem],
    ['JWK', JSON.stringify(issuer.publicKey.export({ format: 'jwk' }))],
  ])('is read as %s', (_, text) => {
    expect(readIssuerKey(Buffer.from(text)).equals(issuer.publicKey)).toBe(true);
  });

  const { privateKey } = generateKeyPairSync('ed25519');
  test.each([
    ['text', 'headcount'],
    ['another kind of key', generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' })],
    ['a private key', privateKey.export({ type: 'pkcs8', format: 'pem' })],
    ['a private JWK', JSON.stringify(privateKey.export({ format: 'jwk' }))],
  ])('is not taken from %s', (_, content) => {
    expect(() => readIssuerKey(Buffer.from(content))).toThrow(/post\.issuer_key_file is/);
  });
});

test('what is offered again and again is tried again, and told once', async () => {
  const validFrom = new Date(bench.clock.now() + day).toISOString();
  const jws = await issuer.issue({ number: 7, validFrom });
  for (let n = 0; n < 3; n++) await bench.assignments.offer(jws, 'MQTT');
  bench.isClockTrusted = false;
  for (let n = 0; n < 3; n++) await bench.assignments.offer(jws, 'MQTT');
  bench.isClockTrusted = true;
  bench.clock.pass(day);
  for (let n = 0; n < 3; n++) await bench.assignments.offer(jws, 'MQTT');
  expect(bench.events().map(({ type, data }) => data['code'] ?? type)).toEqual([
    'assignment.not-yet-valid',
    'assignment.clock-untrusted',
    'assignment-installed',
  ]);
});
