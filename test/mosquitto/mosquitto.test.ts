import type { Packet } from 'mqtt-packet';
import { expect, test } from 'vitest';
import { systemClock } from '../../dock/host/system-clock.ts';
import { until } from '../report/monitor.ts';
import { ReportingStation, TestClock } from '../report/reporting-station.ts';
import { TcpProxy } from '../report/tcp-proxy.ts';
import { Consumer } from './consumer.ts';
import { Mosquitto } from './mosquitto.ts';
import { Growth } from './growth.ts';
import { TlsProxy } from './tls-proxy.ts';

// What the embedded broker cannot show: a real one, set up as the control room's, under every fault that a line, a
// broker and a clock have. After each all events are there, in order, what came twice is known by its id, and nothing
// went on growing.

const weekMs = 7 * 24 * 3600 * 1000;

/** All that the station recorded is heard, and was marked as delivered. */
async function delivered({ outbox }: ReportingStation, { events }: Consumer): Promise<void> {
  const last = outbox.lastSeq();
  await until('all delivered', () => outbox.depth() === 0);
  await until('all heard', () => events.some(({ seq }) => seq === last));
}

test('after a week out of reach every event arrives, in order', async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using proxy = await TcpProxy.to(broker.port);
  await using station = new ReportingStation();
  proxy.refuse();
  station.start(`mqtts://127.0.0.1:${proxy.port}`, broker.credentials);
  const growth = Growth.of(station);
  station.record(5000);
  station.clock.aheadMs = weekMs;
  proxy.accept();
  await delivered(station, consumer);
  consumer.expectWhole(5000);
  growth.expectNone({ rows: 5000 });
  expect(consumer.events.every(({ historical }) => historical)).toBe(true);
});

test('a line that breaks over and over loses nothing, and leaves nothing behind', async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using proxy = await TcpProxy.to(broker.port);
  await using station = new ReportingStation(new TestClock(500));
  station.start(`mqtts://127.0.0.1:${proxy.port}`, broker.credentials);
  await until('a connection', () => station.connections > 0);
  const breakOnce = async (): Promise<void> => {
    const { connections } = station;
    station.record(20);
    await systemClock.sleep(Math.random() * 20);
    proxy.cut();
    await until('another connection', () => station.connections > connections);
  };
  for (let count = 0; count < 20; count++) await breakOnce();
  const growth = Growth.of(station);
  for (let count = 0; count < 80; count++) await breakOnce();
  await delivered(station, consumer);
  consumer.expectWhole(2000);
  growth.expectNone({ rows: 1600 });
});

test('connections refused for a day cost nothing, and the first that is taken brings everything out', async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using proxy = await TcpProxy.to(broker.port);
  await using station = new ReportingStation(new TestClock(20_000));
  proxy.refuse();
  station.start(`mqtts://127.0.0.1:${proxy.port}`, broker.credentials);
  const attempts = (): number => station.clock.sleepsMs.filter((ms) => ms >= 60_000).length;
  await until('an hour of attempts', () => attempts() >= 60);
  const growth = Growth.of(station);
  await until('a day of attempts', () => attempts() >= 24 * 60);
  station.record(10);
  station.clock.haste = 20;
  proxy.accept();
  await delivered(station, consumer);
  consumer.expectWhole(10);
  growth.expectNone({ rows: 10 });
});

test('a line that is open at both ends and carries nothing is given up for another', async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using proxy = await TcpProxy.to(broker.port);
  await using station = new ReportingStation();
  station.start(`mqtts://127.0.0.1:${proxy.port}`, broker.credentials);
  await until('a connection', () => station.connections > 0);
  const growth = Growth.of(station);
  for (let count = 1; count <= 3; count++) {
    const { connections } = station;
    station.record(15);
    await systemClock.sleep(Math.random() * 20);
    proxy.swallow();
    station.record(15);
    await until('another connection', () => station.connections > connections);
  }
  await delivered(station, consumer);
  consumer.expectWhole(90);
  growth.expectNone({ rows: 90 });
});

test('a message whose acknowledgement never comes keeps no other from arriving, and comes again as the same', async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using proxy = await TlsProxy.to(broker);
  await using station = new ReportingStation();
  let kept = -1;
  let keptTimes = 0;
  proxy.onPublish = ({ messageId, payload }) => {
    if (payload.includes('"detail":"5"') && keptTimes < 4) kept = messageId;
  };
  proxy.isKept = (packet: Packet) => {
    if (packet.cmd !== 'puback' || packet.messageId !== kept) return false;
    kept = -1;
    keptTimes++;
    return true;
  };
  const growth = Growth.of(station);
  station.record(100);
  station.start(proxy.url, broker.credentials);
  await until('all others', () => new Set(consumer.events.map(({ seq }) => seq)).size >= 40);
  await delivered(station, consumer);
  expect(keptTimes).toBe(4);
  consumer.expectWhole(100);
  expect(consumer.events.filter(({ seq }) => seq === 5)).toHaveLength(5);
  growth.expectNone({ rows: 100 });
});

test('hears its own voice with the access list that is shipped, and finds nothing forbidden', async () => {
  await using broker = await Mosquitto.start();
  await using station = new ReportingStation();
  station.start(broker.url, broker.credentials);
  await until('a connection', () => station.state?.isConnected);
  station.record(1);
  await until('the event', () => station.outbox.depth() === 0);
  await systemClock.sleep(200);
  station.clock.elapsedMs += 60_000;
  expect(station.problems()).toEqual([]);
});

const noBays = (text: string): string => text.replace('pattern readwrite dock/v1/%u/bay/+\n', '');

test.each([
  ['', { acl: noBays }],
  [
    ', also where the broker hangs up at it',
    {
      acl: noBays,
      conf: (text: string) => text.replace(/^max_queued_messages .*$/m, 'max_queued_messages 0'),
    },
  ],
])('a forbidden topic holds up no other%s, and is named to the people', async (_where, files) => {
  await using broker = await Mosquitto.start(files);
  await using consumer = await Consumer.of(broker);
  await using station = new ReportingStation();
  station.start(broker.url, broker.credentials);
  station.record(100);
  await delivered(station, consumer);
  await until('the quota', () => consumer.on('/quota').length > 0);
  consumer.expectWhole(100);
  expect(consumer.on('/bay/1')).toEqual([]);
  expect(station.problems()).toMatchObject([
    { code: 'broker.forbidden', detail: expect.stringContaining(station.topics.bay(1)) },
  ]);
});

test('a forbidden kind of event holds up no other, and comes when it is allowed', async () => {
  const some = (text: string): string => text.replace('/event/+', '/event/agent-stopping');
  await using broker = await Mosquitto.start({ acl: some });
  await using consumer = await Consumer.of(broker);
  await using station = new ReportingStation();
  station.start(broker.url, broker.credentials);
  await until('a connection', () => station.connections > 0);
  const growth = Growth.of(station);
  for (let count = 0; count < 20; count++) {
    station.record(5);
    station.outbox.record('agent-stopping', {});
  }
  await until('those that may', () => consumer.events.length === 20 && station.outbox.depth() === 100);
  expect(consumer.events.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, n) => 6 * (n + 1)));
  expect(station.problems()).toMatchObject([
    { code: 'broker.forbidden', detail: expect.stringContaining(station.topics.event('vault-problem')) },
  ]);
  broker.allow();
  station.clock.elapsedMs += 301_000;
  station.outbox.record('agent-stopping', {});
  await delivered(station, consumer);
  expect(consumer.missing(121)).toEqual([]);
  expect(station.connections).toBe(1);
  growth.expectNone({ rows: 121 });
});

test('two stations under one name throw each other out, and both raise an alarm', async () => {
  await using broker = await Mosquitto.start();
  await using one = new ReportingStation();
  await using other = new ReportingStation();
  for (const station of [one, other]) station.start(broker.url, broker.credentials);
  const hasTwin = (station: ReportingStation): boolean =>
    station.problems().some(({ code }) => code === 'broker.identity-taken');
  await until('both alarms', () => hasTwin(one) && hasTwin(other));
});

test('a bay that the broker holds from before a loss of the database is cleared, without hearing every word of its own', async () => {
  await using broker = await Mosquitto.start();
  await using before = new ReportingStation();
  before.board.phase(9, 'empty');
  before.start(broker.url, broker.credentials);
  await using consumer = await Consumer.of(broker);
  await until('the bay', () => consumer.on('/bay/9').length > 0);
  await before.stop();
  await using station = new ReportingStation();
  station.start(broker.url, broker.credentials);
  await until('its end', () => Object.keys(consumer.on('/bay/9').at(-1) ?? {}).length === 0);
  await until('the one that is', () => consumer.on('/bay/1').length > 1);
});

test('certificates are renewed while it runs: it goes over to the new ones, without a word of being lost', async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using proxy = await TlsProxy.to(broker);
  await using station = new ReportingStation();
  let isHalf = false;
  station.start(proxy.url, () => ({
    ...broker.credentials(),
    ...(isHalf && { key: broker.credentials('control-room').key }),
  }));
  await until('a connection', () => station.state?.isConnected);
  station.record(5);
  await until('the first', () => consumer.events.length === 5);
  // Only the key is there yet.
  isHalf = true;
  station.clock.elapsedMs += 31_000;
  station.record(5);
  await until('the next', () => consumer.events.length === 10);
  await systemClock.sleep(100);
  expect(station.connections).toBe(1);
  isHalf = false;
  broker.renewCertificates();
  station.clock.elapsedMs += 31_000;
  station.record(10);
  await until('the new one', () => proxy.serialNumbers.length === 2);
  station.record(10);
  await delivered(station, consumer);
  consumer.expectWhole(30);
  expect(new Set(proxy.serialNumbers).size).toBe(2);
  expect(consumer.on('/status').map(({ state }) => state)).toEqual(['online', 'offline', 'online']);
});

test('what was recorded under a wrong clock arrives in its place when the clock is set', async () => {
  await using broker = await Mosquitto.start();
  await using consumer = await Consumer.of(broker);
  await using station = new ReportingStation();
  const growth = Growth.of(station);
  // As a machine without a battery for its clock starts.
  station.clock.aheadMs = -systemClock.now();
  station.record(50);
  station.start(broker.url, broker.credentials);
  await until('some', () => consumer.events.length > 0);
  station.record(50);
  station.clock.aheadMs = 0;
  station.record(50);
  // And one that was ahead.
  station.clock.aheadMs = 10 * weekMs;
  station.record(50);
  station.clock.aheadMs = 0;
  station.record(50);
  await delivered(station, consumer);
  consumer.expectWhole(250);
  growth.expectNone({ rows: 250 });
  expect(station.outbox.backlog()).toBe('ok');
  expect(station.problems()).toEqual([]);
});
