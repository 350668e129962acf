// Whatever is torn away and whenever: the next session goes on from facts, stores every recording once and bit for
// bit, and every account adds up.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AgentHost } from '../../agent/agent-host.ts';
import type { Disk } from '../../agent/vault/disk.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { openPty } from '../../dock/host/pty.ts';
import { systemRandom } from '../../dock/host/system-clock.ts';
import { serveCamera } from '../../dock/simulator/serve.ts';
import { DockError } from '../../protocol/errors.ts';
import { fsDownload } from '../../protocol/smp/fs-group.ts';
import { cameraHealth } from '../../protocol/smp/camera-group.ts';
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

describe('a camera pulled out', () => {
  // A session of these recordings takes about 90,000 bytes on the wire; identify to the last answer is covered.
  const cuts = [
    1, 60, 300, 900, 1500, 2222, 3500, 5000, 9999, 20_000, 35_001, 50_000, 64_000, 77_777, 84_000,
  ];

  test('at any byte, and put back: is resumed, stored once, and every account adds up', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf(
      { 'A.MP4': 20_000, 'B.MP4': 20_001, 'C.MP4': 15_000, 'EMPTY.MP4': 0 },
      { knowsDigest: false },
    );
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store });
    for (const cut of cuts) {
      camera.faults.unplugAfterBytes = cut;
      const link = station.plug(1, camera);
      await Promise.race([link.closed, station.untilPhase(1, 'ready')]);
      await station.unplug(1);
      await station.untilPhase(1, 'empty');
    }
    delete camera.faults.unplugAfterBytes;
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    await expectAccountsAddUp(station);
    const sessions = await station.sessions();
    expect(sessions[0]).toMatchObject({ outcome: 'complete', listed: 4, unaccounted: 0 });
    expect(sessions.filter(({ outcome }) => outcome === 'interrupted').length).toBeGreaterThan(3);
    expect(sessions.reduce((sum, { stored }) => sum + stored, 0)).toBe(4);
    expect(rows(station, 'SELECT * FROM intake')).toEqual([]);
  });

  test('that never answers leaves an empty bay without a word', async () => {
    await using station = await TestStation.start({ host });
    let looks = 0;
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: storeOf({}).store }), () => {
      looks++;
      return [];
    });
    station.plug(1, camera);
    await station.until('two looks', async () => looks > 6);
    expect(await station.untilPhase(1, 'empty')).not.toHaveProperty('code');
    expect((await station.events()).map(({ type }) => type)).toEqual(['agent-started']);
  });

  test('falls silent on a line that stays: the bay is empty, and serves it when it speaks again', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 100_000 });
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store });
    let sent = 0;
    station.plug(
      1,
      scripted(camera, (request) => {
        if (request.is(fsDownload) && ++sent === 20) camera.faults.silent = true;
        return undefined;
      }),
    );
    await station.until('the session is over', async () => (await station.sessions())[0]?.endedAt);
    await station.untilPhase(1, 'empty');
    expect(await station.sessions()).toMatchObject([{ outcome: 'interrupted', listed: 1, unaccounted: 1 }]);
    delete camera.faults.silent;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    await expectAccountsAddUp(station);
  });
});

describe('a port', () => {
  test('that vanishes and comes back is a camera leaving and returning', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 5000 });
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store });
    for (let round = 0; round < 3; round++) {
      station.plug(1, camera);
      await station.untilPhase(1, 'ready');
      await station.unplug(1);
      await station.untilPhase(1, 'empty');
    }
    const types = (await station.events()).map(({ type }) => type);
    expect(types.filter((type) => type === 'camera-docked')).toHaveLength(3);
    expect(types.filter((type) => type === 'camera-undocked')).toHaveLength(3);
    await expectStoredOnce(station, digestsOf(held));
  });

  test('that cannot be opened needs attention, and is served once it can', async () => {
    await using station = await TestStation.start({ host });
    writeFileSync(station.portPath(1), 'no terminal');
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'link.open-failed' });
    rmSync(station.portPath(1));
    await station.untilPhase(1, 'empty');
    const held = storeOf({ 'A.MP4': 5000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    await station.untilPhase(1, 'ready');
    expect(await eventsOf(station, 'camera-unusable')).toHaveLength(1);
    await expectStoredOnce(station, digestsOf(held));
  });
});

describe('a download that stalls', () => {
  test('is quarantined as such, the rest goes on, and it is stored once the camera delivers', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 9000, 'STUCK.MP4': 50_000, 'Z.MP4': 8000 });
    let isStuck = true;
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      const { name, off } = request.body;
      return isStuck && name === '/DCIM/STUCK.MP4' && Number(off ?? 0) > 30_000 ? [] : undefined;
    });
    station.plug(1, camera);
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'recording.stalled' });
    const { '/DCIM/STUCK.MP4': _, ...rest } = digestsOf(held);
    await expectStoredOnce(station, rest);
    expect((await station.sessions()).at(-1)).toMatchObject({
      listed: 3,
      stored: 2,
      quarantined: 1,
      unaccounted: 0,
    });
    expect(await eventsOf(station, 'recording-quarantined')).toMatchObject([
      { path: '/DCIM/STUCK.MP4', code: 'recording.stalled' },
    ]);
    expect(rows(station, 'SELECT path, code FROM quarantine')).toEqual([
      { path: '/DCIM/STUCK.MP4', code: 'recording.stalled' },
    ]);
    isStuck = false;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    expect(rows(station, 'SELECT * FROM quarantine')).toEqual([]);
    await expectAccountsAddUp(station);
  });

  test('with all others on the same camera has each of them accounted for', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 9000, 'B.MP4': 9000, 'C.MP4': 9000 });
    const camera = quickCamera({
      serialNumber: 'BC-1',
      store: held.store,
      faults: { stallAfterBytes: 12_000 },
    });
    station.plug(1, camera);
    await station.untilPhase(1, 'attention');
    expect((await station.sessions()).at(-1)).toMatchObject({
      listed: 3,
      stored: 1,
      quarantined: 2,
      unaccounted: 0,
    });
    delete camera.faults.stallAfterBytes;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    expect(rows(station, 'SELECT * FROM quarantine')).toEqual([]);
  });
});

describe('a camera that answers all but one command', () => {
  test('stays docked: a health it does not tell keeps nothing from being stored', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 9000 });
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store });
    station.plug(
      1,
      scripted(camera, (request) => (request.is(cameraHealth) ? [] : undefined)),
    );
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
  });
});

describe('the agent stopped in the middle of a pull', () => {
  test('goes on at the last durable byte after its restart', async () => {
    await using station = await TestStation.start({ host });
    const sizeBytes = 400_000;
    const held = storeOf({ 'A.MP4': sizeBytes });
    let isPaused = false;
    let readBytes = 0;
    const honest = quickCamera({ serialNumber: 'BC-1', store: held.store });
    const camera = scripted(honest, (request) => {
      if (!request.is(fsDownload)) return undefined;
      // Holds the line at half of the recording, so that the stop falls into the pull for certain.
      if (!isPaused && Number(request.body['off']) > sizeBytes / 2) return [];
      readBytes += (request.honestBody()['data'] as Uint8Array).length;
      return undefined;
    });
    station.plug(1, camera);
    await station.until('half is read', async () => readBytes > sizeBytes / 2 - 5000);
    await station.stop();
    const [intake] = rows(station, 'SELECT durable_bytes FROM intake') as { durable_bytes: number }[];
    expect(intake?.durable_bytes).toBeGreaterThan(sizeBytes / 4);
    isPaused = true;
    readBytes = 0;
    await station.restart();
    await station.untilPhase(1, 'ready');
    // Two requests are in flight, so a chunk or two may be asked twice.
    expect(readBytes).toBeLessThanOrEqual(sizeBytes - (intake?.durable_bytes ?? 0) + 10_000);
    await expectStoredOnce(station, digestsOf(held));
    await expectAccountsAddUp(station);
    expect((await station.sessions()).map(({ outcome }) => outcome)).toEqual(['complete', 'interrupted']);
  });

  test('again and again still stores every recording once', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf(
      Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`${index}.MP4`, 200_000])),
      { knowsDigest: false },
    );
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    let last = -1;
    for (let round = 0; round < 6; round++) {
      await station.until('a recording more', async () => {
        const stored = (await station.sessions()).reduce((sum, session) => sum + session.stored, 0);
        return stored > last ? ((last = stored), true) : stored === 8;
      });
      await station.restart();
    }
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    expect(
      (await station.sessions()).filter(({ outcome }) => outcome === 'interrupted').length,
    ).toBeGreaterThan(1);
    await expectAccountsAddUp(station);
  });
});

describe('a full disk', () => {
  test('asks for attention, keeps what is durable, and goes on by itself when there is room', async () => {
    let freeBytes = 5000;
    const disk: Disk = { ...nodeDisk, freeBytes: async () => freeBytes };
    await using station = await TestStation.start({
      host: { ...host, disk },
      config: { vault: { reserve_bytes: 0 } },
    });
    const held = storeOf({ 'A.MP4': 20_000, 'B.MP4': 4000, 'C.MP4': 30_000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'vault.disk-full' });
    await expectStoredOnce(station, { '/DCIM/B.MP4': held.sha256('/DCIM/B.MP4') });
    expect((await station.sessions()).at(-1)).toMatchObject({
      outcome: 'attention',
      listed: 3,
      stored: 1,
      quarantined: 2,
      unaccounted: 0,
    });
    freeBytes = 2 ** 40;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    await expectAccountsAddUp(station);
    expect(rows(station, 'SELECT * FROM quarantine')).toEqual([]);
  });

  test('in the middle of writing loses nothing and stores nothing by halves', async () => {
    let isFull = true;
    const disk: Disk = {
      ...nodeDisk,
      open: async (path, mode) => {
        const file = await nodeDisk.open(path, mode);
        return new Proxy(file, {
          get: (target, key) => {
            if (key === 'append' && isFull)
              return () => Promise.reject(new DockError('vault.disk-full', 'no space left'));
            const value: unknown = Reflect.get(target, key, target);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      },
    };
    await using station = await TestStation.start({ host: { ...host, disk } });
    const held = storeOf({ 'A.MP4': 20_000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store }));
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'vault.disk-full' });
    await expectStoredOnce(station, {});
    isFull = false;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
  });
});

test('one bay whose camera hangs leaves the other bays at their work', async () => {
  const lookIntoBay: AgentHost['lookIntoBay'] = (bay, signal) =>
    bay.number === 1
      ? new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason), { once: true }),
        )
      : quickBay(bay, signal);
  await using station = await TestStation.start({ host: { lookIntoBay }, bays: 2 });
  await using hanging = openPty(join(station.folder, 'ports', 'bay1'));
  void serveCamera(quickCamera({ serialNumber: 'BC-1', store: storeOf({}).store }), hanging, systemRandom);
  const held = storeOf({ 'A.MP4': 5000 });
  station.plug(2, quickCamera({ serialNumber: 'BC-2', store: held.store }));
  await station.untilPhase(2, 'ready');
  await expectStoredOnce(station, digestsOf(held));
});
