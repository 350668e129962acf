// A department reaches a post that nobody drives to: the broker keeps its assignment, and the signature decides.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import mqtt, { type MqttClient } from 'mqtt';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startEmbeddedBroker } from '../../agent/report/embedded-broker.ts';
import { Issuer } from '../support/issuer.ts';
import { TestStation } from '../support/test-station.ts';
import { Monitor } from './monitor.ts';

const topic = 'dock/v1/d/p/s/assignment';
const issuer = new Issuer();

let stack: AsyncDisposableStack;
let broker: string;
let room: MqttClient;
let config: Record<string, unknown>;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'dock-topic-'));
  stack.defer(() => rmSync(folder, { recursive: true }));
  broker = `mqtt://127.0.0.1:${stack.use(await startEmbeddedBroker(0)).port}`;
  room = await mqtt.connectAsync(broker, { protocolVersion: 4, reconnectPeriod: 0 });
  stack.defer(() => room.endAsync(true));
  const issuer_key_file = join(folder, 'issuer.pub');
  writeFileSync(issuer_key_file, issuer.publicPem);
  config = {
    station: { department: 'd', post: 'p', name: 's' },
    post: { headcount: 500, issuer_key_file },
    broker: { url: broker },
  };
});
afterEach(async () => await stack.disposeAsync());

const put = async (payload: string): Promise<void> => {
  await room.publishAsync(topic, payload, { qos: 1, retain: true });
};
const message = (assignment: string): string => JSON.stringify({ v: 1, assignment });
const issue = (number: number, headcount: number): Promise<string> =>
  issuer.issue({ number, headcount, at: Date.now() });

/** What became of assignments, oldest first. */
async function told(station: TestStation): Promise<unknown[]> {
  const events = await station.events();
  return events
    .filter(({ type }) => type.startsWith('assignment-'))
    .map(({ type, data }) => (type === 'assignment-installed' ? data['number'] : data['code']));
}

test('a station takes what lay there before it came, and its quota says so; taken away it stays in force', async () => {
  await put(message(await issue(7, 120)));
  await using station = await TestStation.start({ config });
  await using monitor = await Monitor.on(broker);
  await monitor.until('the quota', () =>
    monitor
      .on('/quota')
      .some(({ body }) => body['headcount'] === 120 && body['headcountSource'] === 'assignment'),
  );
  await put('');
  await station.restart();
  expect(await station.ask('quota')).toMatchObject({ headcount: 120, quota: 20, assignment: { number: 7 } });
  expect(await told(station)).toEqual([7]);
});

test('one that comes again with every connection is no replay, and what is refused again is told once for each run', async () => {
  await put(message(await issue(7, 120)));
  await using station = await TestStation.start({ config });
  await station.until('installed', async () => (await told(station)).length === 1);
  await station.restart();
  await put(message(await new Issuer().issue({ number: 8, headcount: 400, at: Date.now() })));
  await station.restart();
  await station.until('refused', async () => (await told(station)).length === 2);
  expect(await told(station)).toEqual([7, 'assignment.bad-signature']);
});

test.each(['headcount = 400', '{}', '{"v":1,"assignment":7}', '[]', 'null'])(
  '%j is refused',
  async (payload) => {
    await put(payload);
    await using station = await TestStation.start({ config });
    await station.until('refused', async () => (await told(station)).length === 1);
    expect(await told(station)).toEqual(['assignment.malformed']);
  },
);

test('a station without an issuer key does not listen', async () => {
  await put(message(await issue(7, 120)));
  await using station = await TestStation.start({ config: { ...config, post: { headcount: 40 } } });
  await using monitor = await Monitor.on(broker);
  await monitor.until('the quota', () => monitor.on('/quota').length > 0);
  expect(monitor.on('/quota').at(-1)?.body).toMatchObject({ headcount: 40, headcountSource: 'unsigned' });
  await room.publishAsync(topic, message(await issue(8, 400)), { qos: 1 });
  await station.ask('status');
  expect(await told(station)).toEqual([]);
});
