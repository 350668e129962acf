import { expect, test } from 'vitest';
import { FakeBroker } from './fake-broker.ts';
import { until } from './monitor.ts';
import { ReportingStation } from './reporting-station.ts';

// What a consumer missed is sent once more: the same events with the same ids, in order, marked as old.

interface Sent {
  readonly id: string;
  readonly seq: number;
  readonly historical: boolean;
}

const sent = (broker: FakeBroker): Sent[] =>
  broker.published
    .filter(({ topic }) => topic.includes('/event/'))
    .map(({ payload }) => JSON.parse(payload) as Sent);

/** A station whose `count` events are with the broker. */
async function delivered(broker: FakeBroker, count: number): Promise<ReportingStation> {
  const station = new ReportingStation();
  station.record(count);
  station.start(broker.url);
  await until('all events', () => station.outbox.depth() === 0);
  return station;
}

test('events from a number on are sent again with their ids, in order and as history', async () => {
  await using broker = await FakeBroker.start();
  await using station = await delivered(broker, 250);
  expect(station.replay({ fromSeq: 101 })).toEqual({ fromSeq: 101, toSeq: 250, events: 150 });
  await until('the replay', () => sent(broker).length === 400);
  const again = sent(broker).slice(250);
  expect(again.map(({ seq }) => seq)).toEqual(Array.from({ length: 150 }, (_, index) => 101 + index));
  expect(again.every(({ historical }) => historical)).toBe(true);
  const ids = sent(broker).map(({ id }) => id);
  expect(ids.slice(250)).toEqual(ids.slice(100, 250));
});

test('no more are sent than were asked for, and none that is not there', async () => {
  await using broker = await FakeBroker.start();
  await using station = await delivered(broker, 5);
  expect(station.replay({ fromSeq: 6 })).toEqual({ fromSeq: 6, toSeq: 5, events: 0 });
  expect(station.replay({ fromSeq: 2, limit: 3 })).toEqual({ fromSeq: 2, toSeq: 4, events: 3 });
  await until('the replay', () => sent(broker).length === 8);
  station.record(1);
  await until('the next event', () => sent(broker).some(({ seq }) => seq === 6));
  expect(sent(broker).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 2, 3, 4, 6]);
});

test('what is new does not wait for the end of a replay', async () => {
  const count = 3000;
  await using broker = await FakeBroker.start();
  await using station = await delivered(broker, count);
  station.replay({ fromSeq: 1 });
  await until('its begin', () => sent(broker).length > count);
  station.record(1);
  await until('its end', () => sent(broker).length === 2 * count + 1);
  expect(sent(broker).findIndex(({ seq }) => seq === count + 1)).toBeLessThan(2 * count);
});

test('a replay goes on over the next connection', async () => {
  let cuts = 0;
  await using broker = await FakeBroker.start({
    puback: ({ payload }) => {
      const { seq, historical } = JSON.parse(payload) as Partial<Sent>;
      return historical === true && seq === 150 && cuts++ < 2 ? 'cut' : 'acknowledge';
    },
  });
  await using station = await delivered(broker, 300);
  station.replay({ fromSeq: 1 });
  const replayed = (): number[] =>
    sent(broker)
      .filter(({ historical }) => historical)
      .map(({ seq }) => seq);
  await until('its end', () => replayed().at(-1) === 300);
  expect(broker.connects).toHaveLength(3);
  expect(new Set(replayed()).size).toBe(300);
});

test('a newer request takes the place of an older', async () => {
  let askAgain: (() => void) | undefined;
  await using broker = await FakeBroker.start({
    puback: ({ payload }) => {
      if ((JSON.parse(payload) as Partial<Sent>).historical) {
        askAgain?.();
        askAgain = undefined;
      }
      return 'acknowledge';
    },
  });
  await using station = await delivered(broker, 1000);
  askAgain = () => station.replay({ fromSeq: 998 });
  station.replay({ fromSeq: 1 });
  const again = (): number[] =>
    sent(broker)
      .slice(1000)
      .map(({ seq }) => seq);
  await until('the newer', () => again().at(-1) === 1000);
  expect(again().slice(-3)).toEqual([998, 999, 1000]);
  expect(again().length).toBeLessThan(500);
});

test('a replay leaves out what the broker forbids, and says so', async () => {
  let isForbidden = false;
  await using broker = await FakeBroker.start({
    puback: ({ payload }) =>
      isForbidden && payload.includes('"detail":"7"') ? { reasonCode: 0x87 } : 'acknowledge',
  });
  await using station = await delivered(broker, 20);
  isForbidden = true;
  station.replay({ fromSeq: 1 });
  await until('the replay', () => sent(broker).length === 40);
  station.outbox.record('agent-stopping', {});
  await until('the next', () => sent(broker).length === 41);
  expect(broker.connects).toHaveLength(1);
  expect(station.problems()).toMatchObject([{ code: 'broker.forbidden' }]);
});
