import { expect, test } from 'vitest';
import { FakeBroker } from '../report/fake-broker.ts';
import { until } from '../report/monitor.ts';
import { TestStation } from '../support/test-station.ts';

// A sender that never stops, whatever it is answered.

const base = 'dock/v1/department/post/station';

test('whoever asks faster than answers leave holds up neither events nor the stop', async () => {
  await using broker = await FakeBroker.start();
  let asked = 0;
  const ask = (): void =>
    broker.deliver({
      topic: `${base}/cmd/resume`,
      payload: JSON.stringify({
        v: 1,
        id: `request-${++asked}`,
        ts: new Date().toISOString(),
        by: 'x',
        args: {},
      }),
    });
  broker.manners = {
    puback: ({ topic }) => {
      if (topic.includes('/rsp/')) for (let more = 0; more < 2; more++) ask();
      return 'acknowledge';
    },
  };
  const station = await TestStation.start({ config: { broker: { url: broker.url } } });
  await using _station = station;
  const hears = (type: string): boolean =>
    broker.published.some(({ topic }) => topic === `${base}/event/${type}`);
  await until('the start', () => hears('agent-started'));
  for (let first = 0; first < 100; first++) ask();
  const answers = (): number => broker.published.filter(({ topic }) => topic.includes('/rsp/')).length;
  await until('the flood', () => answers() > 500);
  await station.ask('enrol', { serialNumber: 'BC-1', by: 'x', reason: '' });
  await until('its event', () => hears('camera-enrolled'));
  await station.stop();
  expect(broker.published.at(-1)).toMatchObject({ topic: `${base}/status` });
  expect(hears('agent-stopping')).toBe(true);
});
