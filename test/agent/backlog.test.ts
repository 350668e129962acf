// Central monitoring takes nothing over for a long time: what it was not told, the station must not forget.
import { expect, test } from 'vitest';
import { Commander } from '../command/commander.ts';
import { Monitor } from '../report/monitor.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { digestsOf, expectAccountsAddUp, expectStoredOnce } from '../support/station-facts.ts';
import { TestStation } from '../support/test-station.ts';

test('a station whose events nobody takes removes nothing, then begins nothing, and goes on once they are taken', async () => {
  await using station = await TestStation.start({
    host: { lookIntoBay: quickBay },
    config: {
      vault: { removal: 'when-verified' },
      report: { receipt: 'consumer', most_events: 1000 },
      session: { presence_ms: 100, retry_ms: 300, reseat_ms: 0 },
    },
  });
  await using room = await Commander.on(station.agent.brokerUrl);
  await using monitor = await Monitor.on(station.agent.brokerUrl);
  const waiting = async (): Promise<number> => (await station.events()).length;
  /** Each is refused for the quota, or enrolled: one event. */
  const recordUntil = async (events: number): Promise<void> => {
    for (let count = await waiting(); count < events; count++)
      await station
        .ask('enrol', { serialNumber: `X-${count}`, by: 'test', reason: '' })
        .catch(() => undefined);
  };
  const isRaised = (code: string): boolean => monitor.on(`/alarm/${code}`).at(-1)?.body['code'] === code;

  await station.ask('enrol', { serialNumber: 'BC-1', by: 'test', reason: '' });
  await recordUntil(1000);
  const held = storeOf({ 'A.MP4': 3000, 'B.MP4': 100 });
  const digests = digestsOf(held);
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
  expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'report.backlog' });
  expect(held.store.list()).toHaveLength(2);
  await expectStoredOnce(station, digests);
  await monitor.until('the alarm', () => isRaised('report.backlog'));

  await station.unplug(1);
  await station.untilPhase(1, 'empty');
  await recordUntil(1251);
  const sessions = (await station.sessions()).length;
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
  expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'report.full' });
  expect(await station.sessions()).toHaveLength(sessions);
  await monitor.until('the alarm', () => isRaised('report.full'));

  // A consumer that missed some asks for them, and takes all over.
  expect(await room.ask('pull')).toMatchObject({ error: { code: 'report.full' } });
  expect(await room.ask('replay', { fromSeq: 1 })).toMatchObject({ status: 'ok' });
  const heard = (): number[] => monitor.events().map(({ body }) => body['seq'] as number);
  const last = (await station.events()).at(-1)?.seq ?? 0;
  await monitor.until('all that waits', () => new Set(heard()).size >= last);
  expect(await room.ask('acknowledge', { uptoSeq: last })).toMatchObject({ data: { deliveredSeq: last } });
  await station.untilPhase(1, 'ready');
  expect(held.store.list()).toEqual([]);
  await monitor.until('the end of the alarms', () => !isRaised('report.full') && !isRaised('report.backlog'));
  await expectAccountsAddUp(station);
});
