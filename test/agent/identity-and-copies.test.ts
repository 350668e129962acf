// Cases in which a name says less than it seems to: a serial number typed in before the camera was ever seen, a
// file name that a camera uses again, a refusal whose reason nobody could check.
import { describe, expect, test } from 'vitest';
import type { CamerasAnswer, StatusAnswer } from '../../agent/cli/answers.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { bytesOf, storeOf } from '../support/recordings.ts';
import { eventsOf } from '../support/station-facts.ts';
import { TestStation } from '../support/test-station.ts';

const host = { openCamera: quickBay };

describe('a camera enrolled before it was ever docked', () => {
  test('has its key fixed at the first docking, and must prove it from then on', async () => {
    await using station = await TestStation.start({ host });
    await station.ask('enrol', { serialNumber: 'BC-9', by: 'test' });
    const { store } = storeOf({ 'A.MP4': 1000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-9', store }));
    await station.untilPhase(1, 'ready');
    const { cameras } = await station.ask<CamerasAnswer>('cameras');
    expect(cameras).toMatchObject([{ serialNumber: 'BC-9', enrolment: 'enrolled', hasKey: true }]);

    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    station.plug(1, quickCamera({ serialNumber: 'BC-9', store, faults: { impostorKey: true } }));
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'camera.impostor' });
  });

  test('is not taken when it cannot prove the key it states', async () => {
    await using station = await TestStation.start({ host });
    await station.ask('enrol', { serialNumber: 'BC-9', by: 'test' });
    const { store } = storeOf({ 'A.MP4': 1000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-9', store, faults: { impostorKey: true } }));
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'camera.impostor' });
    expect(await station.sessions()).toMatchObject([{ listed: 0, stored: 0, clockOffsetMs: null }]);
  });
});

describe('a recording without digest and times', () => {
  function cameraWith(content: string) {
    const store = new MemoryStore();
    const entry = {
      id: 'R1',
      path: '/DCIM/REC0001.MP4',
      kind: 'video',
      isProtected: false,
      knowsDigest: false,
    } as const;
    store.add(entry, bytesOf(content, 5000));
    return quickCamera({ serialNumber: 'BC-1', store });
  }

  test('that takes the name and size of an older one is pulled as well', async () => {
    await using station = await TestStation.start({ host });
    for (const content of ['monday', 'tuesday', 'tuesday']) {
      station.plug(1, cameraWith(content));
      await station.untilPhase(1, 'ready');
      await station.unplug(1);
      await station.untilPhase(1, 'empty');
    }
    expect(await station.sessions()).toMatchObject([
      { stored: 0, held: 1 },
      { stored: 1, held: 0 },
      { stored: 1, held: 0 },
    ]);
  });
});

describe('a camera that is turned away', () => {
  test.for([
    ['manual', { headcount: 40, enrolment: 'manual' }, /0 of 5 sets are taken, headcount 40, row 1 of Order/],
    ['without a headcount', {}, /0 of 0 sets are taken, headcount unknown, no row applies of Order/],
  ] as const)(
    '%s is told so with rule, numbers and act, and its recordings are named',
    async ([, post, reason]) => {
      await using station = await TestStation.start({ host, config: { post } });
      const { store } = storeOf({ 'A.MP4': 1000, 'B.MP4': 10 });
      station.plug(1, quickCamera({ serialNumber: 'BC-1', store }));
      expect(await station.untilPhase(1, 'refused')).toMatchObject({
        recordingsListed: 2,
        recordingsDone: 0,
      });
      const [refusal] = await eventsOf(station, 'enrolment-refused');
      expect(refusal?.['reason']).toMatch(reason);
      const untouched = await eventsOf(station, 'recording-refused');
      expect(untouched.map((refused) => refused['code'])).toEqual([
        'recording.not-enrolled',
        'recording.not-enrolled',
      ]);
    },
  );
});

test('one docking is one event, however often its session is tried again', async () => {
  await using station = await TestStation.start({ host });
  const { store } = storeOf({ 'A.MP4': 1000 });
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store, faults: { wrongDigest: true } }));
  await station.until('two sessions', async () => (await station.sessions()).length >= 2);
  expect(await eventsOf(station, 'camera-docked')).toHaveLength(1);
});

test('a station whose clock cannot be trusted says so in its status', async () => {
  const evidence = 'no source of time';
  await using station = await TestStation.start({
    host: { ...host, checkStationClock: async () => ({ isTrusted: false, evidence }) },
  });
  expect((await station.ask<StatusAnswer>('status')).stationClock).toEqual({ isTrusted: false, evidence });
});
