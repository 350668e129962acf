// Two stations of one post: what one has enrolled the other serves, also when the register does not answer.
import { expect, test } from 'vitest';
import type { QuotaAnswer } from '../../agent/cli/answers.ts';
import { TcpProxy } from '../report/tcp-proxy.ts';
import { PostgresServer } from '../support/postgres.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { RegisterDatabase } from '../support/register-database.ts';
import { digestsOf, expectStoredOnce } from '../support/station-facts.ts';
import { TestStation } from '../support/test-station.ts';

test('a camera enrolled at one station is served at the other, and a new one is refused while the register is away', async () => {
  await using server = await PostgresServer.start({ fsync: 'off' });
  const database = await RegisterDatabase.create(server, 'register');
  const place = { department: 'd', post: 'p' };
  await database.statePost(place, 40);
  for (const role of ['first', 'second']) await database.addStation(place, role);
  await using proxy = await TcpProxy.to(server.port);
  const start = (role: string, port: string | number) =>
    TestStation.start({
      bays: 2,
      host: { lookIntoBay: quickBay },
      config: {
        session: { presence_ms: 100, retry_ms: 60_000 },
        register: { url: `postgres://${role}@127.0.0.1:${port}/${database.name}` },
      },
    });
  await using first = await start('first', server.port);
  await using second = await start('second', new URL(proxy.url).port);
  first.plug(1, quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 300 }).store }));
  await first.untilPhase(1, 'ready');
  await expect.poll(async () => (await second.ask<QuotaAnswer>('quota')).enrolled).toBe(1);

  proxy.refuse();
  const held = storeOf({ 'B.MP4': 400 });
  second.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
  second.plug(2, quickCamera({ serialNumber: 'BC-2', store: storeOf({ 'C.MP4': 400 }).store }));
  await second.untilPhase(1, 'ready');
  await expectStoredOnce(second, digestsOf(held));
  await second.untilPhase(2, 'refused');
  expect(await second.ask('bays')).toMatchObject({
    bays: [{}, { code: 'enrolment.register-unreachable' }],
  });
  expect(await second.ask('quota')).toMatchObject({ enrolled: 1, copiedAt: expect.any(Number) });
});
