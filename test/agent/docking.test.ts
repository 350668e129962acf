// The main job, whole: real serial port on a pseudo-terminal, real database, real files, real broker.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { QuotaAnswer, RecordingsAnswer } from '../../agent/cli/answers.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { TestStation } from '../support/test-station.ts';
import { storeOf } from '../support/recordings.ts';

describe('a docked camera', () => {
  test('is enrolled, its clock set, its recordings stored bit for bit, and reported', async () => {
    await using station = await TestStation.start();
    const held = storeOf({ 'A.MP4': 150_000, 'B.MP4': 1, 'EMPTY.MP4': 0 });
    const camera = sampleCamera(
      { serialNumber: 'BC-1', store: held.store, clockOffsetMs: 90_000 },
      systemClock,
    );
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');

    const { recordings, vault } = await station.ask<RecordingsAnswer>('recordings');
    expect(recordings).toHaveLength(3);
    for (const { path, storedPath } of recordings) {
      const onDisk = createHash('sha256')
        .update(readFileSync(join(vault, storedPath)))
        .digest('hex');
      expect(onDisk).toBe(held.sha256(path));
    }
    const [session] = await station.sessions();
    expect(session).toMatchObject({ outcome: 'complete', listed: 3, stored: 3, unaccounted: 0, removed: 0 });
    expect(session?.clockOffsetMs).toBeGreaterThan(89_000);
    const trueOffsetMs = (camera.options.deviceClock.exact() ?? 0) - systemClock.now();
    expect(Math.abs(trueOffsetMs - (session?.clockResidualMs ?? Number.NaN))).toBeLessThan(
      (session?.clockResidualUncertaintyMs ?? 0) + 5,
    );
    expect((await station.events()).map(({ type }) => type)).toEqual([
      'agent-started',
      'camera-docked',
      'camera-enrolled',
      'clock-measured',
      'clock-set',
      'camera-sampled',
      'recording-stored',
      'recording-stored',
      'recording-stored',
      'session-finished',
    ]);
  });

  test('that comes back is not pulled again', async () => {
    await using station = await TestStation.start();
    const { store } = storeOf({ 'A.MP4': 50_000, 'B.MP4': 70_000 });
    const camera = sampleCamera({ serialNumber: 'BC-1', store }, systemClock);
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    await station.dockAgain(1, camera);
    const [second, first] = await station.sessions();
    expect(first).toMatchObject({ listed: 2, stored: 2, held: 0 });
    expect(second).toMatchObject({ listed: 2, stored: 0, held: 2 });
  });

  test('beyond the quota is refused with rule, numbers and act, and nothing on it is touched', async () => {
    await using station = await TestStation.start({ bays: 6 });
    const stores = Array.from({ length: 6 }, () => storeOf({ 'A.MP4': 1000 }));
    for (const [index, { store }] of stores.entries()) {
      station.plug(index + 1, sampleCamera({ serialNumber: `BC-${index}`, store }, systemClock));
    }
    await station.until('all at rest', async () => {
      return (await station.sessions()).filter(({ endedAt }) => endedAt !== null).length === 6;
    });
    const quota = await station.ask<QuotaAnswer>('quota');
    expect(quota).toMatchObject({ headcount: 40, quota: 5, enrolled: 5, refused: 1 });
    const refusals = (await station.events()).filter(({ type }) => type === 'enrolment-refused');
    expect(refusals).toHaveLength(1);
    expect(refusals[0]?.data['reason']).toMatch(/5 of 5 .* headcount 40, row 1 of Order .* No\. 1358/);
    const refused = (await station.sessions()).filter(({ outcome }) => outcome === 'refused');
    expect(refused).toMatchObject([{ listed: 1, refused: 1, stored: 0, clockOffsetMs: null }]);
    expect(stores.every(({ store }) => store.list().length === 1)).toBe(true);
  });
});
