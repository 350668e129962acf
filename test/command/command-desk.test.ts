import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DockError } from '../../protocol/errors.ts';
import { commandResponse } from '../../protocol/mqtt/commands.ts';
import { FaultDatabase } from '../support/fault-database.ts';
import { QuickDesk } from '../support/quick-desk.ts';

// What is asked for twice is done once, whatever comes in between.

const acts = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('ask' as const),
        id: fc.nat(4),
        name: fc.constantFrom('pull', 'resume'),
        by: fc.constantFrom('a', 'b'),
      }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  ),
  { maxLength: 40 },
);

test('a request is done once and always gets the same answer, whatever comes in between and over restarts', async () => {
  await fc.assert(
    fc.asyncProperty(acts, async (sequence) => {
      await using desk = new QuickDesk();
      const first = new Map<string, { asked: string; payload: string }>();
      for (const act of sequence) {
        if (act.kind === 'restart') {
          await desk.restart();
          continue;
        }
        const id = `request-${act.id}`;
        const request = { v: 1, id, ts: new Date().toISOString(), by: act.by };
        const { payload } = await desk.answer(act.name, Buffer.from(JSON.stringify(request)));
        const asked = `${act.name} ${act.by}`;
        const before = first.get(id);
        if (!before) first.set(id, { asked, payload });
        else if (before.asked === asked) expect(payload).toBe(before.payload);
        else expect(commandResponse.parse(JSON.parse(payload)).error?.code).toBe('command.id-reused');
      }
      expect(desk.done.map(({ name, by }) => `${name} ${by}`)).toEqual(
        [...first.values()].map(({ asked }) => asked),
      );
      const done = desk.told().filter(({ code }) => code !== 'command.id-reused');
      expect(done).toHaveLength(first.size);
    }),
  );
});

test('the number of an answer grows, also over a restart', async () => {
  await using desk = new QuickDesk();
  const seqs: number[] = [];
  for (let index = 0; index < 6; index++) {
    if (index === 3) await desk.restart();
    const request = { v: 1, id: `request-${index}`, ts: new Date().toISOString(), by: 'x' };
    const { payload } = await desk.answer('resume', Buffer.from(JSON.stringify(request)));
    seqs.push(commandResponse.parse(JSON.parse(payload)).seq);
  }
  expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  expect(new Set(seqs).size).toBe(6);
});

test('what was answered is kept for more requests than one is good for, and for no more', async () => {
  await using desk = new QuickDesk();
  const inAnHour = 2 * 3600 + 20;
  for (let index = 0; index < 8000; index++) await desk.answer('resume', desk.request(`request-${index}`));
  const kept = Number(desk.db.get('SELECT count(*) AS n FROM command')?.['n']);
  expect(kept).toBeGreaterThanOrEqual(inAnHour);
  expect(kept).toBeLessThan(8000);
});

test('a long answer is given again to the same request without filling the database', async () => {
  await using desk = new QuickDesk({ effect: () => ({ text: 'x'.repeat(10_000) }) });
  for (const _ of [1, 2]) expect(await desk.outcome('diagnostics', desk.request('a-request'))).toBe('ok');
  expect(desk.db.get('SELECT count(*) AS n FROM command')?.['n']).toBe(0);
});

test('an answer that no message can hold is an error, for the sender and in the event', async () => {
  await using desk = new QuickDesk({ effect: () => ({ text: 'x'.repeat(70_000) }) });
  expect(await desk.outcome('diagnostics', desk.request('a-request'))).toBe('command.unsupported');
  expect(desk.told()).toMatchObject([{ status: 'error', code: 'command.unsupported' }]);
});

test('who asks cannot fill a station whose events reach nobody, and can still take them over', async () => {
  await using desk = new QuickDesk({ limits: { mostEvents: 8 } });
  const outcomes: string[] = [];
  for (let index = 0; index < 20; index++)
    outcomes.push(await desk.outcome('resume', desk.request(`request-${index}`)));
  expect(outcomes).toEqual([...Array(10).fill('ok'), ...Array(10).fill('report.full')]);
  expect(await desk.outcome('acknowledge', desk.request('good-receipt', { args: { uptoSeq: 1 } }))).toBe(
    'ok',
  );
  expect(await desk.outcome('acknowledge', desk.request('bad-receipt'))).toBe('command.malformed');
  expect(await desk.outcome('replay', desk.request('a-replay', { args: { fromSeq: 1 } }))).toBe('ok');
  expect(desk.told()).toHaveLength(10);
});

test('who gives receipts, and what cannot be read, is an event, but one an hour at most', async () => {
  await using desk = new QuickDesk();
  for (const by of ['room', 'room', 'archive', 'room']) {
    const receipt = desk.request(`receipt-${desk.told().length}-${by}`, { by, args: { uptoSeq: 1 } });
    expect(await desk.outcome('acknowledge', receipt)).toBe('ok');
  }
  for (const _ of [1, 2])
    expect(await desk.outcome('pull', Buffer.from('{"by":"x"'))).toBe('command.malformed');
  expect(desk.told()).toMatchObject([
    { command: 'acknowledge', by: 'room', status: 'ok' },
    { command: 'acknowledge', by: 'archive', status: 'ok' },
    { command: 'pull', by: '', status: 'error', code: 'command.malformed' },
  ]);
});

test('a repeat that comes while the first is being done gets its answer', async () => {
  const gate = Promise.withResolvers<object>();
  await using desk = new QuickDesk({ effect: () => gate.promise });
  const answers = desk.answers('pull', [desk.request('a-request'), desk.request('a-request')]);
  gate.resolve({});
  const [first, second] = await answers;
  expect(second?.payload).toBe(first?.payload);
  expect(desk.done).toHaveLength(1);
});

test('what does not end is answered, and the next is served', async () => {
  await using desk = new QuickDesk({ effect: (count) => (count === 1 ? new Promise(() => undefined) : {}) });
  expect(await desk.outcome('pull', desk.request('first-request'))).toBe('command.timeout');
  expect(await desk.outcome('pull', desk.request('second-request'))).toBe('ok');
});

test('a request whose record was not written, as in a power cut, is done again when it is repeated', async () => {
  const db = new FaultDatabase(':memory:');
  await using desk = new QuickDesk({ db });
  db.plan = {
    before: () => {
      throw new DockError('vault.disk-full');
    },
  };
  expect(await desk.outcome('pull', desk.request('a-request'))).toBe('vault.disk-full');
  expect(desk.told()).toEqual([]);
  db.plan = {};
  await desk.restart();
  for (const _ of [1, 2]) expect(await desk.outcome('pull', desk.request('a-request'))).toBe('ok');
  expect(desk.done).toHaveLength(2);
  expect(desk.told()).toMatchObject([{ id: 'a-request', status: 'ok' }]);
});

test('half a character in a name is no reason to take a repeat for another request', async () => {
  await using desk = new QuickDesk();
  const half = Buffer.from(desk.request('a-request', { by: '?' }).toString().replace('?', '\\ud800'));
  for (const _ of [1, 2]) expect(await desk.outcome('pull', half)).toBe('ok');
  expect(desk.done).toHaveLength(1);
});

test.each([
  'status',
  'rsp',
  'rsp/+',
  'rsp/#',
  'rsp/a\0b',
  'rsp/a\u0007',
  'rsp/a\uffff',
  `rsp/${'a'.repeat(300)}`,
])('no answer goes to %j below the station', async (ending) => {
  await using desk = new QuickDesk();
  const responseTopic = `${desk.topics.base}/${ending}`;
  const { topics } = await desk.answer('pull', desk.request('a-request'), { responseTopic });
  expect(topics).toEqual([desk.topics.response('pull')]);
});
