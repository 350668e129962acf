import mqtt from 'mqtt';
import { connect } from 'node:net';
import { describe, expect, test } from 'vitest';
import { eventEnvelope, eventTypes, isEventType } from '../../protocol/mqtt/events.ts';
import { bayMessage, cameraMessage, quotaMessage, statusMessage } from '../../protocol/mqtt/documents.ts';
import type { StatusAnswer } from '../../agent/cli/answers.ts';
import { startEmbeddedBroker } from '../../agent/report/embedded-broker.ts';
import { acknowledgeTimeoutMs, connectTimeoutMs } from '../../agent/report/broker-connection.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';
import { FakeBroker } from './fake-broker.ts';
import { Monitor, until } from './monitor.ts';
import { ReportingStation, TestClock } from './reporting-station.ts';
import { TcpProxy } from './tcp-proxy.ts';

// What central monitoring sees. Promise 5: an event survives broker outages and restarts; it arrives at least once,
// in order for its station, with an id that makes a duplicate harmless.

const seqs = (events: readonly { seq: number }[]): number[] => events.map(({ seq }) => seq);
const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('central monitoring', () => {
  test('sees every document and every event of a station in the form that the contract gives', async () => {
    await using station = await TestStation.start({ bays: 2, config: { post: { headcount: 0 } } });
    await using live = await Monitor.on(station.agent.brokerUrl);
    const { store } = storeOf({ 'A.MP4': 1000 });
    station.plug(1, sampleCamera({ serialNumber: 'BC-1', store }, systemClock));
    await station.untilPhase(1, 'refused');
    const seen = await station.until('all events', async () => {
      const stored = await station.events();
      return live.events().length >= stored.length && stored.length > 3 && stored;
    });
    for (const { topic, isRetained, body } of live.events()) {
      const { type, data } = eventEnvelope.parse(body);
      expect(topic).toBe(`dock/v1/department/post/station/event/${type}`);
      expect(isRetained).toBe(false);
      expect(isEventType(type) && eventTypes[type].data.strict().parse(data)).toEqual(data);
    }
    expect(live.events().map(({ body }) => body['seq'])).toEqual(seqs(seen));

    await live.until('the camera', () => live.on('/camera/BC-1').length > 0);
    await using late = await Monitor.on(station.agent.brokerUrl);
    for (const ending of ['/status', '/bay/1', '/bay/2', '/camera/BC-1', '/quota'])
      await late.until(ending, () => late.on(ending).length > 0);
    expect(late.received.every(({ isRetained }) => isRetained)).toBe(true);
    expect(statusMessage.parse(late.on('/status')[0]?.body)).toMatchObject({ state: 'online', boot: 1 });
    expect(bayMessage.parse(late.on('/bay/1')[0]?.body)).toMatchObject({
      phase: 'refused',
      serialNumber: 'BC-1',
      code: 'enrolment.quota-full',
    });
    expect(bayMessage.parse(late.on('/bay/2')[0]?.body)).toMatchObject({ phase: 'empty' });
    expect(cameraMessage.parse(late.on('/camera/BC-1')[0]?.body)).toMatchObject({
      enrolment: 'not-enrolled',
    });
    expect(quotaMessage.parse(late.on('/quota')[0]?.body)).toMatchObject({ quota: 0, row: 0, refused: 1 });

    // aedes refuses MQTT 5: the agent fell back.
    expect((await station.ask<StatusAnswer>('status')).broker).toMatchObject({ protocolVersion: 4 });
  });

  test('sees what enrolling by hand changes on the camera and the quota at once', async () => {
    await using station = await TestStation.start({
      config: { post: { headcount: 3, enrolment: 'manual' } },
    });
    await using monitor = await Monitor.on(station.agent.brokerUrl);
    const camera = sampleCamera({ serialNumber: 'BC-1', store: storeOf({}).store }, systemClock);
    station.plug(1, camera);
    await station.untilPhase(1, 'refused');
    await monitor.until('the refusal', () => monitor.on('/quota').at(-1)?.body['refused'] === 1);
    await station.ask('enrol', { serialNumber: 'BC-1', by: 'test', reason: 'delivery' });
    await monitor.until('the quota', () => monitor.on('/quota').at(-1)?.body['enrolled'] === 1);
    await monitor.until(
      'the camera',
      () => monitor.on('/camera/BC-1').at(-1)?.body['enrolment'] === 'enrolled',
    );
  });

  test('sees lost when the line is cut, online with the next session, offline after a stop', async () => {
    await using broker = await startEmbeddedBroker(0);
    await using monitor = await Monitor.on(`mqtt://127.0.0.1:${broker.port}`);
    await using proxy = await TcpProxy.to(broker.port);
    const station = await TestStation.start({ config: { broker: { url: proxy.url } } });
    try {
      await monitor.until('online', () => monitor.on('/status').length === 1);
      proxy.cut();
      await monitor.until('online again', () => monitor.on('/status').length === 3);
    } finally {
      await station[Symbol.asyncDispose]();
    }
    await monitor.until('offline', () => monitor.on('/status').length === 5);
    const statuses = monitor.on('/status').map(({ body }) => statusMessage.parse(body));
    expect(statuses.map(({ state, session }) => [state, session])).toEqual([
      ['online', 1],
      ['lost', 1],
      ['online', 2],
      ['stopping', 2],
      ['offline', 2],
    ]);
    await using late = await Monitor.on(`mqtt://127.0.0.1:${broker.port}`);
    await late.until('the last word', () => late.on('/status').length > 0);
    expect(late.on('/status')).toMatchObject([{ isRetained: true, body: { state: 'offline' } }]);
  });

  test('does not go on seeing alarms and bays of a station that has lost its database, but its cameras', async () => {
    await using broker = await startEmbeddedBroker(0);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const before = await mqtt.connectAsync(url);
    const base = 'dock/v1/department/post/station';
    const held = ['alarm/vault.disk-full', 'bay/9', 'camera/BC-1', 'bay/not-a-bay'];
    for (const topic of held) await before.publishAsync(`${base}/${topic}`, '{}', { retain: true, qos: 1 });
    await before.endAsync();
    await using monitor = await Monitor.on(url);
    await using _station = await TestStation.start({ config: { broker: { url } } });
    const cleared = (topic: string): boolean =>
      monitor.on(topic).some(({ isRetained, body }) => !isRetained && Object.keys(body).length === 0);
    await monitor.until('the end of both', () => cleared('/alarm/vault.disk-full') && cleared('/bay/9'));
    await using late = await Monitor.on(url);
    await late.until(
      'what is held',
      () => late.on('/bay/1').length > 0 && late.on('/camera/BC-1').length > 0,
    );
    expect(late.received.map(({ topic }) => topic)).not.toContain(`${base}/bay/9`);
    expect(late.received.map(({ topic }) => topic)).not.toContain(`${base}/alarm/vault.disk-full`);
  });

  test('gets what happened while the broker was down in order, and marked as historical', async () => {
    const port = await startEmbeddedBroker(0).then(async (broker) => {
      await broker[Symbol.asyncDispose]();
      return broker.port;
    });
    await using station = new ReportingStation();
    station.start(`mqtt://127.0.0.1:${port}`);
    station.record(25);
    await until('a failure', () => station.state?.problem);
    expect(station.outbox.depth()).toBe(25);
    station.clock.aheadMs = 61_000;
    await using broker = await startEmbeddedBroker(port);
    await using monitor = await Monitor.on(`mqtt://127.0.0.1:${broker.port}`);
    await monitor.until('the backlog', () => monitor.events().length === 25);
    station.outbox.record('agent-stopping', {});
    await monitor.until('the new one', () => monitor.events().length === 26);
    expect(monitor.events().map(({ body }) => body['seq'])).toEqual(upTo(26));
    const isHistorical = monitor.events().map(({ body }) => body['historical']);
    expect(isHistorical).toEqual([...Array.from({ length: 25 }, () => true), false]);
  });

  test('gets after a restart of the agent what it had not got before', async () => {
    await using station = await TestStation.start({ config: { broker: { url: 'mqtt://127.0.0.1:1' } } });
    await station.restart();
    const waiting = await station.ask<StatusAnswer>('status');
    expect(waiting.broker).toMatchObject({ isConnected: false, waitingEvents: 3 });
    expect((await station.events()).map(({ type }) => type)).toEqual([
      'agent-started',
      'agent-stopping',
      'agent-started',
    ]);
  });

  test('gets documents whose numbers grow, also over a restart of the agent', async () => {
    await using broker = await startEmbeddedBroker(0);
    const url = `mqtt://127.0.0.1:${broker.port}`;
    await using monitor = await Monitor.on(url);
    await using station = await TestStation.start({ config: { broker: { url } } });
    await monitor.until('the first birth', () => monitor.on('/info').length === 1);
    await station.restart();
    await monitor.until('the second birth', () => monitor.on('/info').length === 2);
    const numbers = monitor.on('/info').map(({ body }) => Number(body['seq']));
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
    expect(new Set(numbers).size).toBe(2);
  });
});

describe('the embedded broker', () => {
  test('survives garbage, and ends whoever is connected', async () => {
    const broker = await startEmbeddedBroker(0);
    const sockets = ['\0\0\0\0', '\x10\xff\xff\xff\x7f', 'GET / HTTP/1.1\r\n\r\n', ''].map((bytes) => {
      const socket = connect(broker.port, '127.0.0.1').on('error', () => undefined);
      socket.write(Buffer.from(bytes, 'latin1'));
      return socket;
    });
    await using monitor = await Monitor.on(`mqtt://127.0.0.1:${broker.port}`);
    expect(monitor.received).toEqual([]);
    await broker[Symbol.asyncDispose]();
    for (const socket of sockets) socket.destroy();
  });

  test('whose port is taken says so', async () => {
    await using broker = await startEmbeddedBroker(0);
    await expect(startEmbeddedBroker(broker.port)).rejects.toMatchObject({ code: 'broker.port-in-use' });
  });
});

/** Of its pauses those between two connections; the rest waits for answers, for what is left of its time. */
function backOffsOf({ clock }: ReportingStation): number[] {
  const backOffs = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000];
  return clock.sleepsMs.filter((ms) => backOffs.includes(ms));
}

describe('a broker that speaks MQTT 5', () => {
  test('is spoken to in MQTT 5, with the same topics and payloads', async () => {
    await using broker = await FakeBroker.start();
    await using station = new ReportingStation();
    station.start(broker.url);
    station.record(1);
    await until('the event', () => station.outbox.depth() === 0);
    expect(broker.connects).toHaveLength(1);
    expect(broker.connects[0]).toMatchObject({
      protocolVersion: 5,
      clean: true,
      will: { topic: station.topics.status, qos: 1, retain: true },
    });
    const will = JSON.parse(String(broker.connects[0]?.will?.payload));
    expect(statusMessage.parse(will)).toMatchObject({ state: 'lost', session: 1 });
    const event = broker.published.find(({ topic }) => topic.includes('/event/'));
    expect(event?.packet).toMatchObject({ qos: 1, properties: { contentType: 'application/json' } });
    expect(station.state).toMatchObject({ isConnected: true, protocolVersion: 5 });
  });

  test('and refuses is tried again after pauses that grow up to a minute', async () => {
    await using broker = await FakeBroker.start({ connack: () => ({ reasonCode: 0x88 }) });
    await using station = new ReportingStation(new TestClock(5000));
    station.start(broker.url);
    await until('nine attempts', () => broker.connects.length >= 9);
    const backOffs = backOffsOf(station);
    expect(backOffs.slice(0, 8)).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    broker.manners = {};
    await until('a connection', () => station.state?.isConnected);
  });

  test('and accepts only to hang up is not stormed either', async () => {
    await using broker = await FakeBroker.start({ puback: () => 'cut' });
    await using station = new ReportingStation(new TestClock(5000));
    station.start(broker.url);
    await until('five attempts', () => broker.connects.length >= 5);
    const backOffs = backOffsOf(station);
    expect(backOffs.slice(0, 4)).toEqual([1000, 2000, 4000, 8000]);
  });

  test('is never given more unacknowledged messages than it takes', async () => {
    await using broker = await FakeBroker.start({
      connack: () => ({ reasonCode: 0, properties: { receiveMaximum: 3 } }),
    });
    await using station = new ReportingStation();
    station.record(50);
    station.start(broker.url);
    await until('all events', () => station.outbox.depth() === 0);
    expect(broker.mostUnacknowledged).toBe(3);
    expect(seqs(broker.events())).toEqual(upTo(50));
  });

  test('gets a long backlog in windows, without a warning about leaking listeners', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): number => warnings.push(warning);
    process.on('warning', onWarning);
    await using broker = await FakeBroker.start();
    await using station = new ReportingStation();
    station.record(300);
    station.start(broker.url);
    await until('all events', () => station.outbox.depth() === 0);
    process.off('warning', onWarning);
    expect(broker.mostUnacknowledged).toBe(10);
    expect(seqs(broker.events())).toEqual(upTo(300));
    expect(warnings).toEqual([]);
  });

  test('has acknowledged what is marked as delivered, and nothing else', async () => {
    await using broker = await FakeBroker.start({
      puback: ({ payload }) => (payload.includes('"detail":"3"') ? 'silence' : 'acknowledge'),
    });
    // So slow a clock that the acknowledgement timer does not run out.
    await using station = new ReportingStation(new TestClock(5));
    station.record(14);
    station.start(broker.url);
    // A window from the third on.
    await until('the window', () => broker.events().length === 12);
    await systemClock.sleep(100);
    expect(seqs(broker.events())).toEqual(upTo(12));
    await station.stop();
    expect(seqs(station.outbox.unacknowledged(20))).toEqual([3, 13, 14]);
  });

  test('and never acknowledges one message is left for a fresh connection, where it comes again', async () => {
    let isForgetful = true;
    await using broker = await FakeBroker.start({
      puback: ({ topic, payload }) =>
        isForgetful && topic.includes('/event/') && payload.includes('"detail":"5"')
          ? ((isForgetful = false), 'silence')
          : 'acknowledge',
    });
    await using station = new ReportingStation();
    station.record(20);
    station.start(broker.url);
    await until('all events', () => station.outbox.depth() === 0);
    expect(broker.connects).toHaveLength(2);
    const [first, second] = [1, 2].map((number) =>
      broker.events().filter(({ connection }) => connection === number),
    );
    // A window from the fifth on.
    expect(seqs(first ?? [])).toEqual(upTo(14));
    expect(seqs(second ?? [])).toEqual([5, ...upTo(20).slice(14)]);
    // The duplicate is recognisable, and distinct events are distinct.
    expect(second?.[0]?.id).toBe(first?.[4]?.id);
    expect(new Set(broker.events().map(({ id }) => id)).size).toBe(20);
  });

  test('and forbids one kind of event gets the others in order, over one connection, and those once it takes them', async () => {
    let isForbidden = true;
    await using broker = await FakeBroker.start({
      puback: ({ topic }) =>
        isForbidden && topic.endsWith('/agent-stopping') ? { reasonCode: 0x87 } : 'acknowledge',
    });
    await using station = new ReportingStation();
    station.record(2);
    station.outbox.record('agent-stopping', {});
    station.record(100);
    station.outbox.record('agent-stopping', {});
    station.start(broker.url);
    await until('all others', () => station.outbox.depth() === 2);
    expect(seqs(broker.events())).toEqual(upTo(103));
    expect(station.problems()).toMatchObject([
      { code: 'broker.forbidden', detail: station.topics.event('agent-stopping') },
    ]);
    isForbidden = false;
    station.clock.elapsedMs += 6 * 60_000;
    station.record(1);
    await until('all events', () => station.outbox.depth() === 0);
    expect(
      seqs(broker.events())
        .slice(103)
        .toSorted((one, other) => one - other),
    ).toEqual([3, 104, 105]);
    expect(broker.connects).toHaveLength(1);
  });

  test('and hangs up in the middle of a window is noticed at once, not when a timer runs out', async () => {
    let isCut = false;
    await using broker = await FakeBroker.start({
      puback: ({ payload }) =>
        !isCut && payload.includes('"detail":"4"') ? ((isCut = true), 'cut') : 'acknowledge',
    });
    await using station = new ReportingStation(new TestClock(4));
    station.record(6);
    station.start(broker.url);
    await until('all events', () => station.outbox.depth() === 0);
    expect(station.clock.ranOutMs).not.toContain(acknowledgeTimeoutMs);
    expect(broker.connects).toHaveLength(2);
  });

  test.each([
    ['stays silent to CONNECT', { connack: () => 'silence' as const }],
    ['stays silent to the first message', { puback: () => 'silence' as const }],
    [
      'stays silent to events',
      {
        puback: ({ topic }: { topic: string }) =>
          (topic.includes('/event/') ? 'silence' : 'acknowledge') as 'silence',
      },
    ],
  ])('and %s does not hold up a stop beyond the drain time', async (_what, manners) => {
    await using broker = await FakeBroker.start(manners);
    await using station = new ReportingStation(new TestClock(4));
    station.record(5);
    station.start(broker.url);
    await until('a connection', () => broker.connects.length > 0);
    await systemClock.sleep(100);
    station.clock.ranOutMs.length = 0;
    await station.stop();
    expect(station.clock.ranOutMs).not.toContain(connectTimeoutMs);
    expect(station.clock.ranOutMs).not.toContain(acknowledgeTimeoutMs);
    expect(station.outbox.depth()).toBe(5);
  });

  test('gets offline as the last word also of a station that has more to tell than it has time', async () => {
    await using broker = await FakeBroker.start();
    await using station = new ReportingStation(new TestClock(100));
    station.record(5000);
    station.start(broker.url);
    await until('some', () => broker.events().length > 100);
    await station.stop();
    expect(station.outbox.depth()).toBeGreaterThan(0);
    const last = broker.published.findLast(({ topic }) => topic.endsWith('/status'));
    expect(JSON.parse(last?.payload ?? '')).toMatchObject({ state: 'offline' });
  });

  test('gets at a stop what is still waiting, then offline as the last word', async () => {
    await using broker = await FakeBroker.start();
    await using station = new ReportingStation(new TestClock(1));
    station.start(broker.url);
    await until('a connection', () => station.state?.isConnected);
    station.record(30);
    await station.stop();
    expect(station.outbox.depth()).toBe(0);
    expect(JSON.parse(broker.published.at(-1)?.payload ?? '{}')).toMatchObject({ state: 'offline' });
  });

  test('hears a state again only when it says something else, or after a new connection', async () => {
    await using broker = await FakeBroker.start();
    await using station = new ReportingStation(new TestClock(50));
    const told = (topic: string): number => broker.published.filter((one) => one.topic === topic).length;
    station.start(broker.url);
    await until('the documents', () => told(station.topics.quota) === 1 && told(station.topics.bay(1)) === 1);
    station.record(100);
    station.board.progress(1, { bytesDone: 0 });
    await until('all events', () => station.outbox.depth() === 0);
    expect([told(station.topics.quota), told(station.topics.bay(1))]).toEqual([1, 1]);

    await station.register.enrol({ serialNumber: 'A', by: 'test', reason: '' });
    await until('the quota', () => told(station.topics.quota) === 2);
    await station.register.enrol({ serialNumber: 'A', by: 'test', reason: '' });
    station.board.phase(1, 'attention', { code: 'wire.timeout', detail: 'x' });
    await until('the bay', () => told(station.topics.bay(1)) === 2);
    expect(told(station.topics.quota)).toBe(2);

    await station.stop();
    station.start(broker.url);
    await until('all again', () => told(station.topics.quota) === 3 && told(station.topics.bay(1)) === 3);
  });

  test('hears of a burst of changes only the last state of it', async () => {
    await using broker = await FakeBroker.start();
    await using station = new ReportingStation(new TestClock(5));
    station.start(broker.url);
    const heard = (): string[] =>
      broker.published.flatMap(({ topic, payload }) => (topic.endsWith('/bay/1') ? [payload] : []));
    await until('the bay', () => heard().length === 1);
    await systemClock.sleep(150);
    for (let bytesDone = 1; bytesDone <= 1000; bytesDone++) station.board.progress(1, { bytesDone });
    await until('the end', () => heard().at(-1)?.includes('"bytesDone":1000'));
    expect(heard()).toHaveLength(2);
  });
});
