import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FleetModel, fleetLimits, type FleetMessage } from '../../agent/cli/fleet/fleet-model.ts';
import { fleetSnapshot, type FleetSnapshot } from '../../agent/cli/fleet/fleet-snapshot.ts';
import { fleetText } from '../../agent/cli/fleet/fleet-text.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import { live, startAt, StationMessages } from './messages.ts';

// The control room sees what the broker says and nothing else: in whatever order it comes, whoever sends it.

const bounds = { silentAfterMs: 600_000, overdueAfterMs: 2 * 86_400_000, clockLimitMs: 2000 };

function heard(...messages: FleetMessage[]): FleetModel {
  const model = new FleetModel();
  for (const message of messages) model.accept(message, startAt);
  return model;
}

const look = (model: FleetModel, afterMs = 0): FleetSnapshot =>
  fleetSnapshot(model, startAt + afterMs, bounds);
const stateOf = (model: FleetModel, afterMs = 0): string | undefined =>
  look(model, afterMs).stations[0]?.state;

describe('the state of the fleet', () => {
  test('is the same in whatever order the retained messages come', () => {
    const one = new StationMessages('s1');
    const two = new StationMessages('s2');
    const messages = [
      one.status({ state: 'lost', session: 4 }),
      one.health({ level: 'critical', codes: 'vault.disk-full' }),
      one.quota({ enrolled: 3 }),
      one.bay(1, { phase: 'pulling', serialNumber: 'BC-1' }),
      one.bay(2),
      one.camera('BC-1', { clockOffsetMs: 90_000, clockUncertaintyMs: 5 }),
      one.alarm('vault.disk-full', { level: 'critical' }),
      two.status(),
      two.health(),
      two.camera('BC-1', { lastDockedAt: '2026-01-01T00:00:00.000Z' }),
      two.alarm('clock.untrusted'),
    ];
    const expected = look(heard(...messages));
    expect(expected).toMatchObject({
      totals: { stations: 2, posts: 1, states: { lost: 1, online: 1 }, criticalAlarms: 1, warningAlarms: 1 },
      alarms: [{ level: 'critical' }, { level: 'warning' }],
      stations: [
        { station: 's1', state: 'lost' },
        { station: 's2', state: 'online' },
      ],
      posts: [{ post: 'kordai', stations: 2, enrolled: 3 }],
      clocks: [{ serialNumber: 'BC-1', offsetMs: 90_000 }],
    });
    fc.assert(
      fc.property(fc.shuffledSubarray(messages, { minLength: messages.length }), (shuffled) => {
        expect(look(heard(...shuffled))).toEqual(expected);
      }),
    );
  });

  test('ends where the last session ended, in whatever order the words of one run of a station come', () => {
    const station = new StationMessages();
    const words = [1, 2, 3].flatMap((session) => [
      station.status({ session }),
      station.status({ session, state: 'lost', reason: 'connection-lost' }),
    ]);
    const last = station.status({ session: 4 });
    fc.assert(
      fc.property(fc.shuffledSubarray([...words, last], { minLength: words.length + 1 }), (shuffled) => {
        expect(heard(...shuffled).stations.get('almaty/kordai/s1')?.status).toMatchObject({
          session: 4,
          state: 'online',
        });
      }),
    );
  });

  test('ignores and counts a will that comes after the station has come back', () => {
    const station = new StationMessages();
    const model = heard(
      station.status({ session: 2 }),
      station.status({ session: 1, state: 'lost', reason: 'connection-lost' }),
    );
    expect(stateOf(model)).toBe('online');
    expect(model.rejected['late-will']).toBe(1);
    model.accept(station.status({ session: 2, state: 'lost', reason: 'connection-lost' }), startAt);
    expect(stateOf(model)).toBe('lost');
  });

  test('ignores a late will also after the broker was away, and of another run of the agent', () => {
    const station = new StationMessages();
    const model = heard(station.status({ session: 9, instance: 'b' }));
    model.subscribedAnew();
    model.accept(station.status({ session: 8, instance: 'a', state: 'lost' }), startAt);
    expect(stateOf(model)).toBe('online');
  });

  test('believes a station that lost its counters', () => {
    const station = new StationMessages();
    const model = heard(
      station.status({ session: 9, state: 'offline' }),
      station.status({ session: 1, instance: 'b' }),
    );
    expect(stateOf(model)).toBe('online');
  });

  test('calls a station silent that says it is online and then nothing', () => {
    const station = new StationMessages();
    const model = heard(live(station.status()));
    expect(stateOf(model, bounds.silentAfterMs)).toBe('online');
    expect(stateOf(model, bounds.silentAfterMs + 1)).toBe('silent');
    model.accept(live(station.health()), startAt + bounds.silentAfterMs);
    expect(stateOf(model, bounds.silentAfterMs + 1)).toBe('online');
  });

  test('counts the age of what was retained by the clock of the station', () => {
    const station = new StationMessages();
    station.at = startAt - bounds.silentAfterMs - 1;
    expect(stateOf(heard(station.status(), station.health()))).toBe('silent');
  });

  test('forgets what is cleared, and what is not there any more when the broker comes back', () => {
    const station = new StationMessages();
    const model = heard(
      station.status(),
      station.alarm('a.one'),
      station.alarm('a.two'),
      station.camera('BC-1'),
    );
    model.accept(station.cleared(station.topics.alarm('a.one')), startAt);
    expect(look(model).alarms.map(({ code }) => code)).toEqual(['a.two']);
    model.subscribedAnew();
    expect(look(model).totals).toMatchObject({ stations: 1, cameras: 0, warningAlarms: 0 });
  });

  test('counts once per post in which year an enrolled camera has to be replaced, overdue ones in this year', () => {
    const [one, two] = [new StationMessages('s1'), new StationMessages('s2')];
    const thisYear = new Date(startAt).getUTCFullYear();
    const model = heard(
      one.camera('BC-1', { serviceEndsOn: `${thisYear + 3}-01-02` }),
      two.camera('BC-1', { serviceEndsOn: `${thisYear + 3}-01-02` }),
      one.camera('BC-2', { serviceEndsOn: `${thisYear - 4}-01-02` }),
      one.camera('BC-3', { serviceEndsOn: `${thisYear + 1}-01-02`, enrolment: 'retired' }),
      one.camera('BC-4'),
    );
    expect(look(model).replacements).toEqual([
      { year: thisYear, cameras: 1 },
      { year: thisYear + 3, cameras: 1 },
    ]);
  });

  test('finds an enrolled camera overdue only when no station of its post has seen it', () => {
    const [one, two] = [new StationMessages('s1'), new StationMessages('s2')];
    const long = new Date(startAt - 3 * 86_400_000).toISOString();
    const model = heard(
      one.camera('BC-1', { lastDockedAt: long }),
      two.camera('BC-1'),
      one.camera('BC-2', { lastDockedAt: long }),
      one.camera('BC-3', { lastDockedAt: long, enrolment: 'retired' }),
    );
    expect(look(model).overdueCameras.map(({ serialNumber }) => serialNumber)).toEqual(['BC-2']);
  });

  test('shows a station whose clock is off, or that does not trust it', () => {
    const [one, two, three] = ['s1', 's2', 's3'].map((name) => new StationMessages(name));
    if (!one || !two || !three) throw new Error('three stations');
    one.at = startAt + 60_000;
    const model = heard(live(one.health()), live(two.health({ clockTrusted: 0 })), live(three.health()));
    expect(look(model).clocks).toMatchObject([
      { station: 's1', why: 'off', offsetMs: 60_000 },
      { station: 's2', why: 'not-trusted' },
    ]);
  });

  test('tells that the broker drops messages: a station is online and nothing else of it is retained', () => {
    const [one, two] = [new StationMessages('s1'), new StationMessages('s2')];
    const model = heard(one.status(), two.status(), two.quota());
    expect(look(model).totals.onlyStatus).toBe(1);
    expect(fleetText(look(model), { title: '' })).toContain('max_queued_messages 0');
    model.accept(one.health(), startAt);
    expect(look(model).totals.onlyStatus).toBe(0);
    expect(fleetText(look(model), { title: '' })).not.toContain('max_queued_messages');
  });

  test('is filtered by department, post, state and alarm', () => {
    const one = new StationMessages('s1');
    const other = new StationMessages('s9', { department: 'astana', post: 'airport' });
    const model = heard(one.status(), one.alarm('a.one'), other.status({ state: 'lost' }));
    const shown = (filter: object): string[] =>
      fleetSnapshot(model, startAt, bounds, filter).stations.map(({ station }) => station);
    expect(shown({ department: 'astana' })).toEqual(['s9']);
    expect(shown({ post: 'kordai' })).toEqual(['s1']);
    expect(shown({ states: ['lost', 'silent'] })).toEqual(['s9']);
    expect(shown({ alarm: 'a.one' })).toEqual(['s1']);
  });
});

test('a narrow terminal goes without the least needed columns, and no line is cut for them', () => {
  const station = new StationMessages();
  const model = heard(station.status(), station.health(), station.bay(1), station.camera('BC-1'));
  const at = (maxColumns: number): string => fleetText(look(model), { title: 'T', maxColumns });
  const headOf = (text: string): string => text.split('\n').find((line) => line.startsWith('STATION ')) ?? '';
  expect(headOf(at(200))).toMatch(/STATE .*BAYS .*VAULT FULL .*EVENT$/);
  for (const columns of [60, 80, 100]) {
    const lines = at(columns).split('\n');
    expect(lines.filter((line) => line.length > columns || line.endsWith('…'))).toEqual([]);
  }
  expect(headOf(at(60))).toMatch(/STATE .*HEALTH/);
});

describe('hostile messages', () => {
  const station = new StationMessages();
  const payloads = [
    '',
    'null',
    '[]',
    '{',
    '"x"',
    '['.repeat(60_000),
    '{"v":1}',
    JSON.stringify({ v: 2 }),
    `{"__proto__":{"v":1},"v":1,"ts":"x"}`,
  ];

  test('are counted and change nothing, whatever they are', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            topic: fc.oneof(
              fc.constantFrom(...Object.values(station.topics).filter((each) => typeof each === 'string')),
              fc.constantFrom('dock/v1/a/b/c/bay/1', 'dock/v1/a/b/c/event/x', 'dock/v1/__proto__/b/c/status'),
              fc.string(),
            ),
            payload: fc.oneof(
              fc.constantFrom(...payloads).map((text) => Buffer.from(text)),
              fc.uint8Array({ maxLength: 200 }),
              fc.json().map((text) => Buffer.from(text)),
            ),
            isRetained: fc.boolean(),
          }),
          { maxLength: 50 },
        ),
        (messages) => {
          const model = heard(station.status());
          for (const message of messages) {
            if (message.topic === station.topics.status && message.payload.length === 0) continue;
            model.accept(message, startAt);
          }
          expect([...model.stations.keys()]).toEqual(['almaty/kordai/s1']);
          expect(fleetText(look(model), { title: '' })).toContain('1 online');
        },
      ),
    );
  });

  test('that are too large are not even read', () => {
    const model = heard({ ...station.status(), payload: new Uint8Array(maxPayloadBytes + 1).fill(32) });
    expect(model.rejected['too-large']).toBe(1);
  });

  test('are refused where the topic says something else than they do', () => {
    const model = heard(
      { ...station.bay(1), topic: station.topics.bay(2) },
      { ...station.camera('BC-1'), topic: station.topics.camera('BC-2') },
      { ...station.alarm('a.one'), topic: station.topics.alarm('a.two') },
      { ...station.event(1), isRetained: true },
    );
    expect(model.rejected.schema).toBe(4);
    expect(model.stations.size).toBe(0);
  });

  test('do not make it grow without bound: cameras without end, stations without end, texts without end', () => {
    const model = new FleetModel();
    for (let index = 0; index < fleetLimits.camerasPerStation + 10; index++) {
      model.accept(station.camera(`BC-${index}`, { model: 'x'.repeat(1000) }), startAt);
    }
    for (let index = 0; index < fleetLimits.stations + 10; index++) {
      model.accept(new StationMessages(`t${index}`).status(), startAt);
    }
    expect(model.stations.size).toBe(fleetLimits.stations);
    const first = model.stations.get('almaty/kordai/s1');
    expect(first?.cameras.size).toBe(fleetLimits.camerasPerStation);
    expect(first?.cameras.get('BC-1')?.model.length).toBe(200);
    expect(model.rejected.limit).toBe(10 + 11);
  });

  test('can not drive the terminal, and the table keeps within it', () => {
    const model = heard(
      station.status(),
      station.alarm('a.one', { meaning: 'red \u001b[31malert\u0007\nnew line' }),
      ...Array.from({ length: 100 }, (_, index) => station.camera(`BC-${index}\u001b]0;x\u0007`)),
    );
    const text = fleetText(look(model), { title: 'T', maxLines: 23, maxColumns: 80 });
    const lines = text.split('\n');
    expect(lines.length).toBeLessThanOrEqual(23);
    // eslint-disable-next-line no-control-regex -- what must not be there
    expect(text).not.toMatch(/\u001b\[31m|\u0007|\u001b\]/);
  });
});
