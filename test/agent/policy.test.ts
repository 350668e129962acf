// What is removed from cameras and who is served, as the configuration and the register say.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { CamerasAnswer, QuotaAnswer } from '../../agent/cli/answers.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { cameraListRecordings, cameraRemove } from '../../protocol/smp/camera-group.ts';
import { fsDownload } from '../../protocol/smp/fs-group.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { storeOf } from '../support/recordings.ts';
import { scripted } from '../support/scripted-camera.ts';
import {
  digestsOf,
  eventsOf,
  expectAccountsAddUp,
  expectStoredOnce,
  rows,
} from '../support/station-facts.ts';
import { TestStation } from '../support/test-station.ts';

const host = { lookIntoBay: quickBay };
const pace = { presence_ms: 100, retry_ms: 60_000 };

function withRemoval(removal: 'never' | 'when-verified' | 'when-archived') {
  return { host, config: { vault: { removal }, session: pace } };
}

describe('recordings on a camera', () => {
  test.for(['never', 'when-archived'] as const)('stay there under the policy %s', async (removal) => {
    await using station = await TestStation.start(withRemoval(removal));
    const held = storeOf({ 'A.MP4': 3000, 'B.MP4': 100 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    await station.untilPhase(1, 'ready');
    expect(held.store.list()).toHaveLength(2);
    await expectStoredOnce(station, digestsOf(held));
    expect(await station.sessions()).toMatchObject([{ stored: 2, removed: 0 }]);
  });

  test.for([true, false])('are removed only after they are stored; digest known: %s', async (knowsDigest) => {
    await using station = await TestStation.start(withRemoval('when-verified'));
    const held = storeOf(
      { 'A.MP4': 3000, 'B.MP4': 100, 'P.MP4': 200 },
      { knowsDigest, isProtected: (name) => name === 'P.MP4' },
    );
    const digests = digestsOf(held);
    const storedAtRemoval: number[] = [];
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      if (request.is(cameraRemove)) {
        const sha = Buffer.from(request.body['sha'] as Uint8Array).toString('hex');
        const [row] = rows(station, 'SELECT stored_path FROM recording WHERE sha256 = ?', sha);
        const file = join(station.folder, 'vault', String(row?.['stored_path']));
        expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(sha);
        storedAtRemoval.push(rows(station, 'SELECT id FROM recording').length);
      }
      return undefined;
    });
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    expect(held.store.list()).toEqual([]);
    expect(storedAtRemoval).toEqual([3, 3, 3]);
    await expectStoredOnce(station, digests);
    expect(await station.sessions()).toMatchObject([{ stored: 3, removed: 3 }]);
    expect(await eventsOf(station, 'recording-removed')).toHaveLength(3);
    expect(rows(station, 'SELECT id FROM recording WHERE removed_at IS NULL')).toEqual([]);
    expect(rows(station, 'SELECT * FROM removal')).toEqual([]);
  });

  test('that the camera refuses to remove are told of, and the others are removed', async () => {
    await using station = await TestStation.start(withRemoval('when-verified'));
    const held = storeOf(
      { 'A.MP4': 3000, 'P.MP4': 200, 'Z.MP4': 100 },
      { isProtected: (name) => name === 'P.MP4' },
    );
    const digests = digestsOf(held);
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) =>
      request.is(cameraRemove) && request.body['id'] === 'R1'
        ? [request.answer({ err: { group: 64, rc: 5 } })]
        : undefined,
    );
    station.plug(1, camera);
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'removal.refused' });
    expect(held.store.list().map(({ path }) => path)).toEqual(['/DCIM/P.MP4']);
    await expectStoredOnce(station, digests);
    expect(await eventsOf(station, 'removal-failed')).toMatchObject([{ code: 'removal.refused' }]);
    expect(await station.sessions()).toMatchObject([
      { outcome: 'attention', stored: 3, removed: 2, unaccounted: 0 },
    ]);
    // It was refused, so it is not on its way: should it disappear one day, it was not the station.
    expect(rows(station, 'SELECT * FROM removal')).toEqual([]);
  });

  test('that the camera says it removed, but did not, are told of', async () => {
    await using station = await TestStation.start(withRemoval('when-verified'));
    const held = storeOf({ 'A.MP4': 3000 });
    station.plug(
      1,
      scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) =>
        request.is(cameraRemove) ? [request.answer({})] : undefined,
      ),
    );
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'removal.refused' });
    expect(rows(station, 'SELECT id FROM recording WHERE removed_at IS NOT NULL')).toEqual([]);
  });

  test('held from an earlier session are removed after the stored file is read again, a damaged one is pulled again', async () => {
    await using station = await TestStation.start(withRemoval('when-verified'));
    const held = storeOf({ 'A.MP4': 3000, 'B.MP4': 4000 });
    const digests = digestsOf(held);
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store, faults: { refuseRemoval: true } });
    station.plug(1, camera);
    await station.untilPhase(1, 'attention');
    const stored = await expectStoredOnce(station, digests);
    await station.unplug(1);
    await station.untilPhase(1, 'empty');

    const damaged = stored.find(({ path }) => path === '/DCIM/A.MP4');
    const file = join(station.folder, 'vault', damaged?.storedPath ?? '');
    const bytes = readFileSync(file);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    writeFileSync(file, bytes);

    delete camera.faults.refuseRemoval;
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    // The only intact copy of A was the one on the camera.
    expect(held.store.list()).toEqual([]);
    expect((await station.sessions())[0]).toMatchObject({ listed: 2, held: 2, stored: 0, removed: 2 });
    expect((await eventsOf(station, 'vault-problem')).at(-1)).toEqual({
      code: 'vault.file-damaged',
      detail: damaged?.storedPath,
    });
    const [repaired] = await eventsOf(station, 'recording-repaired');
    expect(repaired).toMatchObject({ recordingId: damaged?.id, damagedPath: damaged?.storedPath });
    expect(existsSync(file)).toBe(false);
    const now = await expectStoredOnce(station, digests);
    expect(now.find(({ id }) => id === damaged?.id)).toMatchObject({
      storedPath: repaired?.['storedPath'],
      storedAt: damaged?.storedAt,
    });
  });

  test('removed just before a power cut are settled when the camera no longer lists them', async () => {
    await using station = await TestStation.start(withRemoval('when-verified'));
    const held = storeOf({ 'A.MP4': 3000, 'B.MP4': 4000 });
    const digests = digestsOf(held);
    const honest = quickCamera({ serialNumber: 'BC-1', store: held.store });
    let removals = 0;
    // Removes, and is pulled out before its answer arrives.
    const camera = scripted(honest, (request) => {
      if (!request.is(cameraRemove)) return undefined;
      removals++;
      request.honest();
      honest.faults.silent = true;
      return [];
    });
    station.plug(1, camera);
    await station.until('it is removed', async () => removals > 0);
    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    expect(held.store.list()).toHaveLength(1);
    expect(rows(station, 'SELECT * FROM removal')).toHaveLength(1);
    expect(await eventsOf(station, 'recording-removed')).toEqual([]);

    await station.restart();
    delete honest.faults.silent;
    station.plug(1, honest);
    await station.untilPhase(1, 'ready');
    expect(held.store.list()).toEqual([]);
    expect(await eventsOf(station, 'recording-removed')).toHaveLength(2);
    expect(rows(station, 'SELECT * FROM removal')).toEqual([]);
    await expectStoredOnce(station, digests);
    await expectAccountsAddUp(station);
  });
});

describe('enrolment', () => {
  const manual = { host, config: { post: { headcount: 40, enrolment: 'manual' }, session: pace } };

  test('by hand leaves a camera alone until it is asked for, then serves it where it is', async () => {
    await using station = await TestStation.start(manual);
    const held = storeOf({ 'A.MP4': 3000 });
    let downloads = 0;
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      if (request.is(fsDownload)) downloads++;
      return undefined;
    });
    station.plug(1, camera);
    expect(await station.untilPhase(1, 'refused')).toMatchObject({ code: 'enrolment.manual' });
    expect(downloads).toBe(0);
    expect(await station.sessions()).toMatchObject([{ outcome: 'refused', listed: 1, refused: 1 }]);
    expect(
      await station.ask('enrol', { serialNumber: 'bc-1', by: 'aigerim', reason: 'new shift' }),
    ).toMatchObject({
      serialNumber: 'BC-1',
      kind: 'enrolled',
    });
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    expect(await eventsOf(station, 'camera-enrolled')).toMatchObject([
      { by: 'aigerim', reason: 'new shift', hasKey: true },
    ]);
    expect(await eventsOf(station, 'camera-undocked')).toEqual([]);
  });

  test('asked for while the refusal is still under way is not missed', async () => {
    await using station = await TestStation.start(manual);
    const held = storeOf({ 'A.MP4': 3000 });
    const enrolled = Promise.withResolvers<void>();
    let isFirstList = true;
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store });
    station.plug(
      1,
      scripted(camera, (request) => {
        if (!request.is(cameraListRecordings) || !isFirstList) return undefined;
        // The refused session counts what it leaves alone: its answer waits until the technician is done.
        isFirstList = false;
        void station.ask('enrol', { serialNumber: 'BC-1', by: 'test' }).then(() => enrolled.resolve());
        return [];
      }),
    );
    await enrolled.promise;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
  });

  test('of a retired camera is refused, until somebody enrols it again', async () => {
    await using station = await TestStation.start({ host, config: { session: pace } });
    const held = storeOf({ 'A.MP4': 3000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    await station.untilPhase(1, 'ready');
    await station.ask('retire', { serialNumber: 'BC-1', by: 'test', cause: 'broken', note: 'lens' });
    expect(await station.untilPhase(1, 'refused')).toMatchObject({ code: 'enrolment.retired' });
    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    expect(await station.untilPhase(1, 'refused')).toMatchObject({ code: 'enrolment.retired' });
    expect(await station.ask<CamerasAnswer>('cameras')).toMatchObject({
      cameras: [{ serialNumber: 'BC-1', enrolment: 'retired', enrolmentReason: 'broken: lens' }],
    });
    await station.ask('enrol', { serialNumber: 'BC-1', by: 'test' });
    await station.untilPhase(1, 'ready');
  });

  test('of one too many waits, and takes the place that a retired camera frees', async () => {
    await using station = await TestStation.start({ host, bays: 6, config: { session: pace } });
    for (let bay = 1; bay <= 5; bay++) {
      station.plug(bay, quickCamera({ serialNumber: `BC-${bay}`, store: new MemoryStore() }));
      await station.untilPhase(bay, 'ready');
    }
    const held = storeOf({ 'A.MP4': 3000 });
    station.plug(6, quickCamera({ serialNumber: 'BC-6', store: held.store }));
    expect(await station.untilPhase(6, 'refused')).toMatchObject({ code: 'enrolment.quota-full' });
    await expectStoredOnce(station, {});
    await station.ask('retire', { serialNumber: 'BC-2', by: 'test', cause: 'lost' });
    await station.untilPhase(6, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    await station.untilPhase(2, 'refused');
    expect(await station.ask<QuotaAnswer>('quota')).toMatchObject({ quota: 5, enrolled: 5, refused: 0 });
  });

  test('without a headcount is refused, and says that it is the headcount', async () => {
    await using station = await TestStation.start({ host, config: { post: {}, session: pace } });
    const held = storeOf({ 'A.MP4': 3000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    expect(await station.untilPhase(1, 'refused')).toMatchObject({ code: 'enrolment.no-headcount' });
    expect(await eventsOf(station, 'enrolment-refused')).toMatchObject([
      { serialNumber: 'BC-1', code: 'enrolment.no-headcount' },
    ]);
    await expectStoredOnce(station, {});
    expect(held.store.list()).toHaveLength(1);
  });
});
