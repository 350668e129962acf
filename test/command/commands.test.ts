import { describe, expect, test } from 'vitest';
import type { BaysAnswer } from '../../agent/cli/answers.ts';
import { commands, type CommandName } from '../../protocol/mqtt/commands.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { FakeBroker } from '../report/fake-broker.ts';
import { Monitor, until } from '../report/monitor.ts';
import { storeOf } from '../support/recordings.ts';
import { TestStation } from '../support/test-station.ts';
import { Commander } from './commander.ts';

// What the control room may have done. A request is answered always, done once, told as an event; what is no request
// changes nothing, and nothing that comes in hangs the station.

async function commandEvents(station: TestStation): Promise<object[]> {
  const events = await station.events();
  return events.filter(({ type }) => type === 'command-received').map(({ data }) => data);
}

describe('a command', () => {
  test('begins, pauses and resumes what bays do', async () => {
    await using station = await TestStation.start({
      config: { session: { presence_ms: 100, retry_ms: 60_000 } },
    });
    await using room = await Commander.on(station.agent.brokerUrl);
    const camera = sampleCamera(
      { serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 200_000 }).store },
      systemClock,
    );
    station.plug(1, camera);
    await station.untilPhase(1, 'pulling');
    const paused = await room.ask('pause', { forSeconds: 600 });
    expect(paused).toMatchObject({ status: 'ok', command: 'pause', data: { bays: [1] } });
    const bay = await station.untilPhase(1, 'paused');
    expect(bay.detail).toMatch(/^until 20.*, asked for by control-room \(MQTT\)$/);
    expect(await room.ask('pull')).toMatchObject({ status: 'error', error: { code: 'bay.paused' } });
    expect((await station.sessions()).at(0)).toMatchObject({ outcome: 'interrupted', stored: 0 });
    expect(await room.ask('resume', { bay: 1 })).toMatchObject({ status: 'ok', data: { bays: [1] } });
    await station.untilPhase(1, 'ready');
    const sessions = (await station.sessions()).length;
    expect(await room.ask('pull', { serialNumber: 'bc-1' })).toMatchObject({ data: { bays: [1] } });
    await station.until('another session', async () => (await station.sessions()).length > sessions);
    const docked = (await station.events()).filter(({ type }) => type === 'camera-docked');
    expect(docked).toHaveLength(1);
  });

  test('that names no bay and no camera of the station is refused', async () => {
    await using station = await TestStation.start();
    await using room = await Commander.on(station.agent.brokerUrl);
    for (const name of ['pull', 'pause', 'resume', 'identify'] as const)
      expect(await room.ask(name, { bay: 2 })).toMatchObject({ error: { code: 'bay.unknown' } });
    expect(await room.ask('pull', { serialNumber: 'BC-9' })).toMatchObject({
      error: { code: 'camera.not-docked' },
    });
  });

  test('lets a bay show itself, and says until when', async () => {
    await using station = await TestStation.start();
    await using room = await Commander.on(station.agent.brokerUrl);
    await using monitor = await Monitor.on(station.agent.brokerUrl);
    const { data } = await room.ask('identify', { forSeconds: 3 });
    expect(data).toMatchObject({ bays: [1], until: expect.stringMatching(/Z$/) });
    await monitor.until(
      'the bay',
      () => monitor.on('/bay/1').at(-1)?.body['identifyUntil'] === data?.['until'],
    );
    await station.until('its end', async () => {
      const { bays } = await station.ask<BaysAnswer>('bays');
      return bays[0]?.identifyUntil === undefined;
    });
  });

  test('tells what the station is and what went wrong', async () => {
    await using station = await TestStation.start({ bays: 2 });
    await using room = await Commander.on(station.agent.brokerUrl);
    expect((await room.ask('diagnostics')).data).toMatchObject({
      station: { post: 'post' },
      bays: [{ bay: 1 }, { bay: 2 }],
      stationClock: { isTrusted: true },
      faults: [],
    });
  });

  test('sends kept events again, and takes receipts', async () => {
    await using station = await TestStation.start({ config: { report: { receipt: 'consumer' } } });
    await using room = await Commander.on(station.agent.brokerUrl);
    await using monitor = await Monitor.on(station.agent.brokerUrl);
    await monitor.until('the start', () => monitor.on('/status').length > 0);
    expect(await room.ask('replay', { fromSeq: 1 })).toMatchObject({ data: { fromSeq: 1, events: 1 } });
    await monitor.until('the event again', () =>
      monitor.events().some(({ body }) => body['seq'] === 1 && body['historical'] === true),
    );
    expect(await room.ask('acknowledge', { uptoSeq: 1 })).toMatchObject({ data: { deliveredSeq: 1 } });
    for (let more = 2; more < 5; more++)
      expect(await room.ask('acknowledge', { uptoSeq: more })).toMatchObject({ status: 'ok' });
    expect(await commandEvents(station)).toMatchObject([
      { command: 'replay', by: 'control-room', status: 'ok' },
      { command: 'acknowledge', by: 'control-room', status: 'ok' },
    ]);
  });

  test('enrols and retires only where the station is configured for it, and says who asked', async () => {
    await using plain = await TestStation.start();
    await using room = await Commander.on(plain.agent.brokerUrl);
    expect(await room.ask('enrol', { serialNumber: 'BC-1' })).toMatchObject({
      error: { code: 'command.disabled' },
    });
    await using station = await TestStation.start({ config: { commands: { enabled: ['enrol', 'retire'] } } });
    await using other = await Commander.on(station.agent.brokerUrl);
    expect(await other.ask('enrol', { serialNumber: 'BC-1' })).toMatchObject({
      status: 'ok',
      data: { kind: 'enrolled', serialNumber: 'BC-1' },
    });
    expect(await other.ask('retire', { serialNumber: 'BC-1', cause: 'lost' })).toMatchObject({
      status: 'ok',
    });
    expect(await other.ask('retire', { serialNumber: 'BC-2', cause: 'lost' })).toMatchObject({
      error: { code: 'enrolment.unknown-camera' },
    });
    const acts = (await station.events()).filter(({ type }) => /^camera-(enrolled|retired)$/.test(type));
    expect(acts.map(({ data }) => data['by'])).toEqual(['control-room (MQTT)', 'control-room (MQTT)']);
    expect(await other.ask('pull')).toMatchObject({ error: { code: 'command.disabled' } });
  });

  test('reads the configuration again where somebody can start the agent again', async () => {
    let reloads = 0;
    const reloadConfiguration = async (): Promise<void> => void reloads++;
    await using station = await TestStation.start({ host: { reloadConfiguration } });
    await using room = await Commander.on(station.agent.brokerUrl);
    expect(await room.ask('reload-configuration')).toMatchObject({ status: 'ok' });
    expect(reloads).toBe(1);
  });
});

describe('a request', () => {
  test('that is repeated gets the same answer and does nothing more, also after a restart', async () => {
    await using station = await TestStation.start({ config: { commands: { enabled: ['enrol', 'retire'] } } });
    let room = await Commander.on(station.agent.brokerUrl);
    const repeated = { id: 'the-same-id' };
    const first = await room.ask('enrol', { serialNumber: 'BC-1' }, repeated);
    await room.ask('retire', { serialNumber: 'BC-1', cause: 'lost' });
    expect(await room.ask('enrol', { serialNumber: 'BC-1' }, repeated)).toEqual(first);
    expect(await room.ask('retire', { serialNumber: 'BC-1', cause: 'lost' }, repeated)).toMatchObject({
      error: { code: 'command.id-reused' },
    });
    await room[Symbol.asyncDispose]();
    await station.restart();
    room = await Commander.on(station.agent.brokerUrl);
    await using _room = room;
    expect(await room.ask('enrol', { serialNumber: 'BC-1' }, repeated)).toEqual(first);
    expect(await commandEvents(station)).toMatchObject([
      { command: 'enrol', status: 'ok' },
      { command: 'retire', status: 'ok' },
      { command: 'retire', code: 'command.id-reused' },
    ]);
  });

  const timely = (id: string): object => ({ v: 1, id, ts: new Date().toISOString(), by: 'x' });

  test('that is none, or is late, is refused by name, and the next one is served', async () => {
    await using station = await TestStation.start();
    await using room = await Commander.on(station.agent.brokerUrl);
    const at = (id: string, other: object): string => JSON.stringify({ ...timely(id), ...other });
    const refusals: [what: string, name: string, payload: string, code: string][] = [
      ['', 'pull', '{', 'command.malformed'],
      ['', 'pull', '[]', 'command.malformed'],
      ['', 'pull', at('too-large-request', { args: { x: 'x'.repeat(70_000) } }), 'command.malformed'],
      ['short', 'pull', at('short', {}), 'command.malformed'],
      ['without-sender', 'pull', at('without-sender', { by: '' }), 'command.malformed'],
      ['wrong-arguments', 'pull', at('wrong-arguments', { args: { bay: 0 } }), 'command.malformed'],
      ['other-version', 'pull', at('other-version', { v: 2 }), 'command.malformed'],
      ['nothing-known', 'nonsense', at('nothing-known', {}), 'command.unknown'],
      ['inherited-name', 'constructor', at('inherited-name', {}), 'command.unknown'],
      ['too-old-request', 'pull', at('too-old-request', { ts: '2020-01-01T00:00:00Z' }), 'command.expired'],
      ['future-request', 'pull', at('future-request', { ts: '2120-01-01T00:00:00Z' }), 'command.expired'],
    ];
    for (const [, name, payload] of refusals) await room.send(name, payload);
    expect(await room.ask('resume')).toMatchObject({ status: 'ok' });
    expect(room.answers.slice(0, -1).map(({ body }) => [body.id, body.error?.code])).toEqual(
      refusals.map(([id, , , code]) => [id, code]),
    );
  });

  test('that the broker kept is refused each time it comes', async () => {
    await using station = await TestStation.start();
    await using room = await Commander.on(station.agent.brokerUrl);
    await room.send('pull', JSON.stringify(timely('kept-by-the-broker')), { retain: true });
    await room.answerTo('kept-by-the-broker'); // live it is an ordinary one
    await using second = await TestStation.start({ config: { broker: { url: station.agent.brokerUrl } } });
    await until('the refusal', () =>
      room.answers.find(({ body }) => body.error?.code === 'command.malformed'),
    );
    expect(await commandEvents(second)).toMatchObject([{ command: 'pull', code: 'command.malformed' }]);
  });

  test('with a lasting effect is refused while the station cannot tell how old it is', async () => {
    const checkStationClock = async () => ({ isTrusted: false, evidence: 'no source' });
    const enabled = Object.keys(commands) as CommandName[];
    await using station = await TestStation.start({
      config: { commands: { enabled } },
      host: { checkStationClock },
    });
    await using room = await Commander.on(station.agent.brokerUrl);
    const old = { ts: '2020-01-01T00:00:00Z' };
    expect(await room.ask('enrol', { serialNumber: 'BC-1' })).toMatchObject({
      error: { code: 'command.clock-untrusted' },
    });
    expect(await room.ask('reload-configuration')).toMatchObject({
      error: { code: 'command.clock-untrusted' },
    });
    expect(await room.ask('identify', {}, old)).toMatchObject({ status: 'ok' });
  });
});

test('a flood of requests is answered in part, and bays and the next request are not held up', async () => {
  await using station = await TestStation.start();
  await using room = await Commander.on(station.agent.brokerUrl);
  const count = 2000;
  for (let index = 0; index < count; index++) {
    const id = `flood-request-${index}`;
    void room.send('resume', JSON.stringify({ v: 1, id, ts: new Date().toISOString(), by: 'x', args: {} }));
  }
  station.plug(
    1,
    sampleCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 1000 }).store }, systemClock),
  );
  await station.untilPhase(1, 'ready');
  await until('a refusal', () => room.answers.find(({ body }) => body.error?.code === 'command.too-many'));
  const done = await commandEvents(station);
  expect(done.length).toBeGreaterThanOrEqual(20);
  expect(done.length).toBeLessThan(100);
  await station.until('an answer again', async () => (await room.ask('resume')).status === 'ok');
});

test('under MQTT 5 an answer goes to where the sender asked for it besides, within the answers of the station', async () => {
  await using broker = await FakeBroker.start();
  await using station = await TestStation.start({ config: { broker: { url: broker.url } } });
  const base = 'dock/v1/department/post/station';
  await until('the station', () => broker.published.some(({ topic }) => topic.endsWith('/status')));
  const ask = (id: string, properties: { responseTopic: string; correlationData: Buffer }): void =>
    broker.deliver({
      topic: `${base}/cmd/resume`,
      payload: JSON.stringify({ v: 1, id, ts: new Date().toISOString(), by: 'x' }),
      properties,
    });
  const answersTo = (id: string) =>
    broker.published.filter(({ topic, payload }) => topic.includes('/rsp/') && payload.includes(id));
  const correlationData = Buffer.from('mine');
  ask('first-request', { responseTopic: `${base}/rsp/resume/console-1`, correlationData });
  const both = await until(
    'both answers',
    () => answersTo('first-request').length === 2 && answersTo('first-request'),
  );
  expect(both.map(({ topic }) => topic)).toEqual([`${base}/rsp/resume`, `${base}/rsp/resume/console-1`]);
  expect(both.map(({ packet }) => packet.properties?.correlationData)).toEqual([
    correlationData,
    correlationData,
  ]);
  ask('second-request', { responseTopic: `${base}/status`, correlationData });
  await until('the answer', () => answersTo('second-request').length === 1);
  const statuses = broker.published.filter(({ topic }) => topic === `${base}/status`);
  expect(statuses.filter(({ payload }) => payload.includes('second'))).toEqual([]);
  expect(await commandEvents(station)).toHaveLength(2);
});
