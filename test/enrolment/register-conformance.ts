import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { editionAt, quotaFor } from '../../protocol/norm/quota.ts';
import { ChainCheck } from '../../agent/enrolment/audit-chain.ts';
import { auditRecord, type AuditRecord } from '../../protocol/norm/audit-record.ts';
import { dayOf } from '../../protocol/norm/service-life.ts';
import type { Register } from '../../agent/enrolment/register.ts';
import { retireCauses } from '../../protocol/norm/retire-causes.ts';

export interface StoredFact {
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** One engine on a store of its own. */
export interface RegisterUnderTest extends AsyncDisposable {
  /** As another agent of the post would open it, or the same one after a restart; undefined: not configured. */
  open(headcount: number | undefined): Promise<Register>;
  /** What is in the audit, oldest first. */
  decisions(): Promise<AuditRecord[]>;
  /** Events of enrolment, oldest first. */
  events(): Promise<StoredFact[]>;
}

const key = (seed: number): Uint8Array => new Uint8Array(32).fill(seed);
const enrolment = (serialNumber: string, publicKey?: Uint8Array) => ({
  serialNumber,
  publicKey,
  by: 'aigerim',
  reason: 'delivery of 22 November',
});
const retirement = (serialNumber: string) => ({
  serialNumber,
  by: 'aigerim',
  cause: 'broken' as const,
  note: 'lens cracked',
});

/** What every engine of the register promises (agent/enrolment/register.ts); 5 cameras fit with a headcount of 1. */
export function registerConformance(
  name: string,
  { runs }: { runs: number },
  make: () => Promise<RegisterUnderTest>,
): void {
  const fill = async (register: Register, count: number): Promise<void> => {
    for (let index = 1; index <= count; index++) await register.enrol(enrolment(`C${index}`, key(index)));
  };

  describe(`${name}: the register`, () => {
    test('takes cameras until the quota is full, then refuses by rule, numbers and act', async () => {
      await using store = await make();
      const register = await store.open(40);
      await fill(register, 5);
      const refused = await register.enrol(enrolment('C6'));
      expect(refused).toMatchObject({
        kind: 'refused',
        code: 'enrolment.quota-full',
        usage: { enrolled: 5, refused: 1, quota: 5, headcount: 40, row: 1, isHeadcountKnown: true },
      });
      const reason = refused.kind === 'refused' ? refused.reason : '';
      expect(reason).toMatch(/5 of 5 .* headcount 40, row 1 of Order .* No\. 1358 .* No\. 994/);
      expect(await register.standing('C6')).toMatchObject({ kind: 'refused', reason });
      const {
        id,
        camera: { citation },
      } = editionAt(Date.now());
      expect((await store.decisions()).at(-1)).toMatchObject({
        serialNumber: 'C6',
        act: 'refused',
        by: 'aigerim',
        reason,
        headcount: 40,
        quota: 5,
        enrolled: 5,
        row: 1,
        editionId: id,
      });
      expect((await store.events()).at(-1)).toEqual({
        type: 'enrolment-refused',
        data: {
          serialNumber: 'C6',
          by: 'aigerim',
          code: 'enrolment.quota-full',
          reason,
          headcount: 40,
          headcountSource: 'unsigned',
          quota: 5,
          enrolled: 5,
          row: 1,
          citation,
          auditNumber: 6,
          auditHash: (await register.audit(5, 1))[0]?.hash,
        },
      });
    });

    test('keeps an audit whose every record follows from the one before, in pages', async () => {
      await using store = await make();
      const register = await store.open(1);
      await fill(register, 6);
      await register.retire(retirement('C1'));
      await register.replace({ ...enrolment('C7'), replaces: 'C2', cause: 'broken', note: '' });
      const links = [...(await register.audit(0, 4)), ...(await register.audit(4, 100))];
      const chain = new ChainCheck();
      for (const link of links) chain.accept(link);
      expect(chain).toMatchObject({ problem: undefined, head: (await register.usage()).audit });
      const records = links.map(({ record }) => auditRecord.parse(JSON.parse(record ?? '')));
      expect(records.map(({ number }) => number)).toEqual(links.map((_, index) => index + 1));
      expect(records.slice(5)).toMatchObject([
        { act: 'refused', serialNumber: 'C6', before: 'unknown', after: 'refused' },
        { act: 'retired', serialNumber: 'C1', before: 'enrolled', after: 'retired', cause: 'broken' },
        { act: 'retired', serialNumber: 'C2', replacedBy: 'C7' },
        { act: 'enrolled', serialNumber: 'C7', before: 'unknown', after: 'enrolled', replaces: 'C2' },
      ]);
      expect(records.every(({ station, by }) => station.startsWith('d/p/') && by === 'aigerim')).toBe(true);
      const told = (await store.events()).map(({ data }) => data['auditHash']);
      expect(told).toEqual(links.map(({ hash }) => hash));
    });

    test('reports the end of a service life once at each mark, and only the nearest of several', async () => {
      await using store = await make();
      const register = await store.open(40);
      await register.enrol({ ...enrolment('C1'), commissionedOn: '2021-03-31' });
      await register.enrol({ ...enrolment('C2'), commissionedOn: '2026-01-01' });
      await register.enrol({ ...enrolment('C3'), commissionedOn: '2021-03-31' });
      await register.retire(retirement('C3'));
      const days = [
        '2027-03-30',
        '2027-03-31',
        '2027-04-01',
        '2028-01-05',
        '2028-02-28',
        '2028-02-29',
        '2028-04-02',
      ];
      const due: unknown[] = [];
      for (const day of days) {
        for (const _ of [1, 2]) await register.reportServiceLife(day);
        const told = (await store.events()).filter(({ type }) => type === 'service-life-due');
        due.push(told.at(-1)?.data['months'] ?? 'none', told.length);
      }
      // Six months before the end have passed unseen; and 31 February is 1 March.
      expect(due).toEqual(['none', 0, 12, 1, 12, 1, 3, 2, 3, 2, 3, 2, 0, 3]);
      const [last] = (await store.events()).slice(-1);
      expect(last?.data).toMatchObject({
        serialNumber: 'C1',
        commissionedOn: '2021-03-31',
        serviceEndsOn: '2028-03-31',
      });
      expect(await register.standing('C1')).toMatchObject({ kind: 'enrolled', serviceReported: 0 });
    });

    test('fixes the day of commissioning at the first enrolment, or as it is stated', async () => {
      await using store = await make();
      const register = await store.open(40);
      const commissioned = async (serialNumber: string): Promise<unknown> => {
        const standing = await register.standing(serialNumber);
        return standing.kind === 'unknown' ? undefined : standing.commissionedOn;
      };
      await register.enrol(enrolment('C1'));
      expect(await commissioned('C1')).toBe(dayOf(Date.now()));
      await register.enrol({ ...enrolment('C2'), commissionedOn: '2021-02-28' });
      await register.retire(retirement('C2'));
      await register.enrol(enrolment('C2'));
      expect(await commissioned('C2')).toBe('2021-02-28');
    });

    test('records every enrolment and retirement with who, when, why and the numbers, and as an event', async () => {
      await using store = await make();
      const register = await store.open(40);
      await register.enrol(enrolment('C1', key(1)));
      await register.retire(retirement('C1'));
      expect(await store.decisions()).toMatchObject([
        {
          act: 'enrolled',
          by: 'aigerim',
          reason: 'delivery of 22 November',
          enrolled: 0,
          quota: 5,
        },
        { act: 'retired', by: 'aigerim', reason: 'broken: lens cracked', enrolled: 1, quota: 5 },
      ]);
      expect(await store.events()).toMatchObject([
        { type: 'camera-enrolled', data: { serialNumber: 'C1', hasKey: true, enrolled: 0 } },
        {
          type: 'camera-retired',
          data: { serialNumber: 'C1', cause: 'broken', note: 'lens cracked', enrolled: 1 },
        },
      ]);
    });

    test('answers the same when a request is repeated, and changes nothing', async () => {
      await using store = await make();
      const register = await store.open(40);
      expect(await register.enrol(enrolment('C1'))).toMatchObject({ kind: 'enrolled', isNew: true });
      expect(await register.enrol(enrolment('C1'))).toMatchObject({ kind: 'enrolled', isNew: false });
      await register.retire(retirement('C1'));
      await register.retire(retirement('C1'));
      expect((await store.decisions()).map(({ act }) => act)).toEqual(['enrolled', 'retired']);
      expect(await store.events()).toHaveLength(2);
      expect(await register.usage()).toMatchObject({ enrolled: 0, refused: 0 });
    });

    test('takes an enrolled camera as enrolled even where there is no place', async () => {
      await using store = await make();
      const register = await store.open(40);
      await fill(register, 5);
      expect(await register.enrol(enrolment('C3'))).toMatchObject({ kind: 'enrolled', isNew: false });
    });

    test('gives the place of a retired camera to another one', async () => {
      await using store = await make();
      const register = await store.open(40);
      await fill(register, 6);
      expect(await register.enrol(enrolment('C6'))).toMatchObject({ kind: 'refused' });
      await register.retire(retirement('C2'));
      expect(await register.enrol(enrolment('C6'))).toMatchObject({ kind: 'enrolled', isNew: true });
      expect(await register.enrol(enrolment('C2'))).toMatchObject({ kind: 'refused' });
      expect(await register.standing('C2')).toMatchObject({ kind: 'retired' });
      expect(await register.usage()).toMatchObject({ enrolled: 5, refused: 0 });
    });

    test('keeps a refused camera refused while the quota is full', async () => {
      await using store = await make();
      const register = await store.open(40);
      await fill(register, 5);
      for (let time = 0; time < 3; time++) {
        expect(await register.enrol(enrolment('C6'))).toMatchObject({ kind: 'refused' });
      }
      expect(await register.usage()).toMatchObject({ enrolled: 5, refused: 1 });
    });

    test('fixes the key at enrolment: no later request changes it, only retiring does', async () => {
      await using store = await make();
      const register = await store.open(40);
      const keyOf = async (serial: string): Promise<Uint8Array | undefined> => {
        const standing = await register.standing(serial);
        return standing.kind === 'unknown' ? undefined : standing.publicKey;
      };
      await register.enrol(enrolment('C1', key(1)));
      await register.enrol(enrolment('C1', key(2)));
      await register.enrol(enrolment('C1'));
      await register.refuse({ serialNumber: 'C1', by: 'automatic', code: 'enrolment.manual' });
      expect(await keyOf('C1')).toEqual(key(1));
      await register.enrol(enrolment('C2'));
      await register.enrol(enrolment('C2', key(2)));
      expect(await keyOf('C2')).toBeUndefined();
      await register.fixKey('C2', key(2));
      await register.fixKey('C2', key(4));
      expect(await keyOf('C2')).toEqual(key(2));
      await register.retire(retirement('C1'));
      expect(await keyOf('C1')).toEqual(key(1));
      await register.enrol(enrolment('C1', key(3)));
      expect(await keyOf('C1')).toEqual(key(3));
    });

    test('turns a camera away without taking a place from it, should it have been enrolled meanwhile', async () => {
      await using store = await make();
      const register = await store.open(40);
      const request = { by: 'automatic', code: 'enrolment.manual' } as const;
      expect(await register.refuse({ ...request, serialNumber: 'C1' })).toMatchObject({
        kind: 'refused',
        code: 'enrolment.manual',
      });
      await register.enrol(enrolment('C1', key(1)));
      expect(await register.refuse({ ...request, serialNumber: 'C1' })).toMatchObject({ kind: 'enrolled' });
      expect(await register.standing('C1')).toMatchObject({ kind: 'enrolled' });
      expect(await register.usage()).toMatchObject({ enrolled: 1, refused: 0 });
    });

    test('retires only what is enrolled', async () => {
      await using store = await make();
      const register = await store.open(0);
      await register.enrol(enrolment('C1'));
      for (const serial of ['C1', 'C2']) {
        await expect(register.retire(retirement(serial))).rejects.toMatchObject({
          code: 'enrolment.unknown-camera',
        });
      }
      expect(await register.standing('C2')).toEqual({ kind: 'unknown' });
    });

    test('throws nobody out when the headcount falls, and takes nobody new until there is room again', async () => {
      await using store = await make();
      await fill(await store.open(100), 8);
      const smaller = await store.open(40);
      expect(await smaller.usage()).toMatchObject({ enrolled: 8, quota: 5 });
      expect(await smaller.enrol(enrolment('C8'))).toMatchObject({ kind: 'enrolled', isNew: false });
      expect(await smaller.enrol(enrolment('C9'))).toMatchObject({ kind: 'refused' });
      for (const serial of ['C1', 'C2', 'C3']) await smaller.retire(retirement(serial));
      expect(await smaller.enrol(enrolment('C9'))).toMatchObject({ kind: 'refused' });
      await smaller.retire(retirement('C4'));
      expect(await smaller.enrol(enrolment('C9'))).toMatchObject({ kind: 'enrolled' });
    });

    test('replaces a camera in one act also where the quota is full, and where the new one is refused keeps the old', async () => {
      await using store = await make();
      const register = await store.open(100);
      await fill(register, 10);
      const replacement = (replaces: string, serial: string) => ({
        ...enrolment(serial, key(9)),
        replaces,
        cause: 'broken' as const,
        note: 'lens cracked',
      });
      expect(await register.replace(replacement('C1', 'N1'))).toMatchObject({
        kind: 'enrolled',
        isNew: true,
        usage: { enrolled: 10 },
      });
      expect(await register.standing('C1')).toMatchObject({ kind: 'retired' });
      expect(await register.standing('N1')).toMatchObject({ kind: 'enrolled', publicKey: key(9) });
      const decided = (await store.decisions()).slice(-2);
      expect(decided).toMatchObject([
        { serialNumber: 'C1', act: 'retired', enrolled: 10 },
        { serialNumber: 'N1', act: 'enrolled', enrolled: 9 },
      ]);
      await expect(register.replace(replacement('C1', 'N2'))).rejects.toMatchObject({
        code: 'enrolment.unknown-camera',
      });
      const smaller = await store.open(40);
      expect(await smaller.replace(replacement('C2', 'N2'))).toMatchObject({
        kind: 'refused',
        code: 'enrolment.quota-full',
        usage: { enrolled: 10, quota: 5 },
      });
      expect(await smaller.standing('C2')).toMatchObject({ kind: 'enrolled' });
    });

    test('takes one computer for the department by item 2 of the norm, whatever the headcount, and replaces it', async () => {
      await using store = await make();
      const register = await store.open(undefined);
      const computer = (serialNumber: string) => ({ ...enrolment(serialNumber), item: 'computer' as const });
      expect(await register.enrol({ ...computer('PC-1'), commissionedOn: '2019-11-30' })).toMatchObject({
        kind: 'enrolled',
        isNew: true,
        usage: { item: 'computer', enrolled: 1, quota: 1, row: 1 },
      });
      expect(await register.enrol(computer('PC-1'))).toMatchObject({ kind: 'enrolled', isNew: false });
      expect(await register.enrol(computer('PC-2'))).toMatchObject({
        kind: 'refused',
        code: 'enrolment.has-computer',
        reason: expect.stringMatching(/: 1 of 1 sets are taken, Order .* item 2, as amended/),
      });
      const taken = await register.replace({
        ...computer('PC-2'),
        replaces: 'PC-1',
        cause: 'broken',
        note: '',
      });
      expect(taken).toMatchObject({ kind: 'enrolled', isNew: true, usage: { enrolled: 1 } });
      // It is no camera, and takes no camera's place.
      expect(await register.standing('PC-2')).toEqual({ kind: 'unknown' });
      expect(await register.list()).toEqual([]);
      expect(await register.usage()).toMatchObject({ item: 'camera', enrolled: 0, refused: 0 });
      const refused = await register.enrol(enrolment('PC-2'));
      expect(refused).toMatchObject({ kind: 'refused', code: 'enrolment.no-headcount' });
      expect(
        (await register.list('computer')).map(({ serialNumber, state }) => [serialNumber, state]),
      ).toEqual([
        ['PC-1', 'retired'],
        ['PC-2', 'enrolled'],
      ]);
      expect(await register.retire({ ...retirement('PC-2'), item: 'computer' })).toBe(true);
      await expect(register.retire({ ...retirement('PC-3'), item: 'computer' })).rejects.toThrow(
        expect.objectContaining({ code: 'enrolment.unknown-camera' }),
      );
      const old = { ...computer('PC-4'), commissionedOn: '2019-11-30' };
      expect(await register.enrol(old)).toMatchObject({ kind: 'enrolled', usage: { enrolled: 1 } });
      await register.reportServiceLife('2026-11-29');
      await register.reportServiceLife('2026-11-29');
      const acts = (await store.decisions()).map(({ item, act, serialNumber, quota, enrolled }) =>
        [item, act, serialNumber, enrolled, quota].join(' '),
      );
      expect(acts).toEqual([
        'computer enrolled PC-1 0 1',
        'computer refused PC-2 1 1',
        'computer retired PC-1 1 1',
        'computer enrolled PC-2 0 1',
        ' refused PC-2 0 0',
        'computer retired PC-2 1 1',
        'computer enrolled PC-4 0 1',
        'computer service-life-due PC-4 1 1',
      ]);
      expect((await store.events()).map(({ type }) => type)).toEqual([
        'computer-enrolled',
        'computer-refused',
        'computer-retired',
        'computer-enrolled',
        'enrolment-refused',
        'computer-retired',
        'computer-enrolled',
        'service-life-due',
      ]);
    });

    test('enrols nobody while the headcount is not known', async () => {
      await using store = await make();
      const register = await store.open(undefined);
      expect(await register.enrol(enrolment('C1'))).toMatchObject({
        kind: 'refused',
        code: 'enrolment.no-headcount',
        usage: { quota: 0, isHeadcountKnown: false },
      });
    });

    // Promise 3. Requests start together and interleave as the engine lets them; two openings of the store stand
    // for two stations of one post.
    test('is never above the quota, whatever 200 requests at once ask for', async () => {
      const command = fc.record({
        kind: fc.constantFrom('enrol' as const, 'enrol' as const, 'retire' as const, 'refuse' as const),
        camera: fc.integer({ min: 1, max: 14 }),
        station: fc.integer({ min: 0, max: 1 }),
        cause: fc.constantFrom(...retireCauses),
      });
      const commands = fc.array(command, { minLength: 200, maxLength: 200 });
      await fc.assert(
        fc.asyncProperty(commands, fc.constantFrom(0, 1, 51), async (asked, headcount) => {
          await using store = await make();
          const stations = [await store.open(headcount), await store.open(headcount)];
          const { quota } = quotaFor(headcount, editionAt(Date.now()));
          await Promise.all(
            asked.map(async ({ kind, camera, station, cause }) => {
              const serialNumber = `C${camera}`;
              const register = stations[station] as Register;
              if (kind === 'enrol') await register.enrol(enrolment(serialNumber));
              else if (kind === 'refuse') {
                await register.refuse({ serialNumber, by: 'automatic', code: 'enrolment.manual' });
              } else await register.retire({ ...retirement(serialNumber), cause }).catch(() => undefined);
              expect((await register.usage()).enrolled).toBeLessThanOrEqual(quota);
            }),
          );
          await checkHistory(store, stations[0] as Register, quota);
        }),
        { numRuns: runs },
      );
    });
  });
}

/** Replays the decisions: at no moment were more enrolled than the quota, and they lead to what is there now. */
async function checkHistory(store: RegisterUnderTest, register: Register, quota: number): Promise<void> {
  const enrolled = new Set<string>();
  const decisions = await store.decisions();
  for (const { act, serialNumber = '', enrolled: enrolledBefore } of decisions) {
    expect(enrolledBefore).toBe(enrolled.size);
    if (act === 'enrolled') enrolled.add(serialNumber);
    if (act === 'retired') expect(enrolled.delete(serialNumber)).toBe(true);
    if (act === 'refused') expect(enrolled.has(serialNumber)).toBe(false);
    expect(enrolled.size).toBeLessThanOrEqual(quota);
  }
  const chain = new ChainCheck();
  for (const link of await register.audit(0, 10_000)) chain.accept(link);
  expect(chain).toMatchObject({ problem: undefined, head: (await register.usage()).audit });
  const listed = (await register.list()).filter(({ state }) => state === 'enrolled');
  expect(new Set(listed.map(({ serialNumber }) => serialNumber))).toEqual(enrolled);
  expect((await register.usage()).enrolled).toBe(enrolled.size);
  const types = {
    enrolled: 'camera-enrolled',
    refused: 'enrolment-refused',
    retired: 'camera-retired',
    'service-life-due': 'service-life-due',
    'assignment-installed': '',
    'register-confirmed': '',
  } as const;
  expect((await store.events()).map(({ type, data }) => [type, data['serialNumber']])).toEqual(
    decisions.map(({ act, serialNumber }) => [types[act], serialNumber]),
  );
}
