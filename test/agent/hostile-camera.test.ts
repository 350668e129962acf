// No input from a camera can crash, hang or fill the agent, and none makes it store anything but what the camera
// held. Every camera here speaks the real protocol over a real serial port, and misbehaves.
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { CamerasAnswer } from '../../agent/cli/answers.ts';
import type { ByteLink } from '../../dock/link.ts';
import { openPty } from '../../dock/host/pty.ts';
import { systemRandom } from '../../dock/host/system-clock.ts';
import { mostRecordings } from '../../dock/camera/camera.ts';
import type { CameraFaults } from '../../dock/simulator/faults.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { serveCamera } from '../../dock/simulator/serve.ts';
import {
  cameraGroupId,
  cameraIdentity,
  cameraListRecordings,
  cameraSetClock,
} from '../../protocol/smp/camera-group.ts';
import { encodeConsoleFrame } from '../../protocol/smp/console-frame.ts';
import { fsDownload, fsStatus } from '../../protocol/smp/fs-group.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { bytesOf, storeOf } from '../support/recordings.ts';
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

describe('a line that cannot be trusted', () => {
  test.for<[string, CameraFaults]>([
    ['every answer comes twice', { repeatAnswers: true }],
    ['answers come late and in the wrong order', { delayOneIn: 7 }],
    ['every answer is preceded by a forged one', { forgeAnswers: true }],
    ['log text stands between the frames', { logText: true }],
    ['one byte in 20,000 is damaged', { corruptOneByteIn: 20_000 }],
    [
      'all of it at once',
      { repeatAnswers: true, forgeAnswers: true, logText: true, delayOneIn: 20, corruptOneByteIn: 40_000 },
    ],
  ])('changes nothing that is stored: %s', async ([, faults]) => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 60_000, 'B.MP4': 1, 'C.MP4': 40_001 }, { knowsDigest: false });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store, faults }));
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    await expectAccountsAddUp(station);
  });

  test('with answers to questions nobody asked keeps to the answers of its own', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 50_000 });
    // Right numbers, wrong content: a chunk of another offset under the sequence number of the request.
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      if (!request.is(fsDownload)) return undefined;
      const off = Number(request.body['off']) + 1;
      return [request.answer({ off, data: bytesOf('forged', 1000), len: 50_000 }), ...request.honest()];
    });
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
  });

  // A whole minute with DOCK_LONG_TESTS=1.
  const noiseMs = process.env['DOCK_LONG_TESTS'] === '1' ? 60_000 : 2500;
  test(
    'full of random bytes and log text is an unusable bay, and serves the camera that answers next',
    { timeout: noiseMs + 120_000 },
    async () => {
      await using station = await TestStation.start({ host });
      const link = openPty(station.portPath(1));
      const text = Buffer.from(
        '\n[00:00:03.120] <inf> boot: still here\r\n\x06\x09AA\n\x04\x14====\n\x06\x09//8=\n',
        'latin1',
      );
      const end = performance.now() + noiseMs;
      let sentBytes = 0;
      // A busy machine reads slowly: for so long, and for so much.
      while (performance.now() < end || sentBytes < 100_000) {
        const chunk = Buffer.concat([randomBytes(2000), text, randomBytes(2000)]);
        await link.write(chunk);
        sentBytes += chunk.length;
        // Gives the agent its turn, as a real line with its baud rate does.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      expect((await station.sessions()).length).toBe(0);
      const held = storeOf({ 'A.MP4': 20_000 });
      void serveCamera(quickCamera({ serialNumber: 'BC-1', store: held.store }), link, systemRandom);
      await station.untilPhase(1, 'ready');
      await expectStoredOnce(station, digestsOf(held));
      await link[Symbol.asyncDispose]();
    },
  );
});

describe('a list that cannot be trusted', () => {
  test('with sizes up to 2^64 has those refused, and the rest goes on', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 3000, 'HUGE.MP4': 10, 'VAST.MP4': 10, 'Z.MP4': 4000 });
    const sizes: Readonly<Record<string, bigint>> = {
      '/DCIM/HUGE.MP4': 2n ** 64n - 1n,
      '/DCIM/VAST.MP4': 2n ** 53n,
    };
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      if (!request.is(cameraListRecordings)) return undefined;
      const { list, ...page } = request.honestBody() as { list: { path: string; size: unknown }[] };
      return [
        request.answer({
          ...page,
          list: list.map((entry) => ({ ...entry, size: sizes[entry.path] ?? entry.size })),
        }),
      ];
    });
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    const digests = digestsOf(held);
    delete digests['/DCIM/HUGE.MP4'];
    delete digests['/DCIM/VAST.MP4'];
    await expectStoredOnce(station, digests);
    expect(await station.sessions()).toMatchObject([
      { outcome: 'complete', listed: 4, stored: 2, refused: 2 },
    ]);
    expect(await eventsOf(station, 'recording-refused')).toMatchObject([
      { code: 'recording.too-large', sizeBytes: '18446744073709551615' },
      { code: 'recording.too-large', sizeBytes: '9007199254740992' },
    ]);
  });

  test('with every size a lie stores nothing, and everything once the camera is mended', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 3000, 'B.MP4': 4000 });
    const camera = quickCamera({ serialNumber: 'BC-1', store: held.store, faults: { lyingSizeBytes: 5n } });
    station.plug(1, camera);
    await station.untilPhase(1, 'attention');
    await expectStoredOnce(station, {});
    expect(await eventsOf(station, 'recording-quarantined')).toMatchObject([
      { code: 'recording.size-mismatch' },
      { code: 'recording.size-mismatch' },
    ]);
    delete camera.faults.lyingSizeBytes;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    await expectAccountsAddUp(station);
  });

  test('larger than the disk keeps nothing else from being stored', async () => {
    await using station = await TestStation.start({
      host,
      config: { vault: { max_recording_bytes: 2 ** 50 } },
    });
    const held = storeOf({ 'A.MP4': 10, 'B.MP4': 4000 });
    const size = 2n ** 50n;
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      const isLie = request.body['name'] === '/DCIM/A.MP4';
      if (request.is(fsStatus) && isLie) return [request.answer({ len: size })];
      if (!request.is(cameraListRecordings)) return undefined;
      const { list, ...page } = request.honestBody() as { list: { path: string }[] };
      return [
        request.answer({
          ...page,
          list: list.map((entry) => (entry.path === '/DCIM/A.MP4' ? { ...entry, size } : entry)),
        }),
      ];
    });
    station.plug(1, camera);
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'vault.disk-full' });
    await expectStoredOnce(station, { '/DCIM/B.MP4': held.sha256('/DCIM/B.MP4') });
    expect((await station.sessions()).at(-1)).toMatchObject({
      listed: 2,
      stored: 1,
      quarantined: 1,
      unaccounted: 0,
    });
  });

  test('that never ends is cut, and the agent stays small and alive', async () => {
    const quickPages = { bufferBytes: 8192, bufferCount: 4 };
    await using station = await TestStation.start({
      host,
      bays: 2,
      config: { session: { presence_ms: 100, retry_ms: 60_000 } },
    });
    const held = storeOf({ 'A.MP4': 3000, 'B.MP4': 2000 });
    const before = process.memoryUsage().rss;
    station.plug(
      1,
      quickCamera({ serialNumber: 'BC-1', store: held.store, ...quickPages, faults: { endlessList: true } }),
    );
    const other = storeOf({ 'C.MP4': 5000 });
    station.plug(2, quickCamera({ serialNumber: 'BC-2', store: other.store }));
    await station.untilPhase(2, 'ready');
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'camera.listing-endless' });
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20);

    await expectStoredOnce(station, { ...digestsOf(held), ...digestsOf(other) });
    const session = (await station.sessions()).find(({ serialNumber }) => serialNumber === 'BC-1');
    expect(session).toMatchObject({
      listed: mostRecordings,
      stored: 2,
      refused: mostRecordings - 2,
      unaccounted: 0,
    });
    // Refused by the tens of thousands, told by the hundred: the outbox does not fill.
    expect((await station.events()).length).toBeLessThan(200);
  });

  test('of names without end is cut as well', async () => {
    await using station = await TestStation.start({
      host,
      config: { session: { presence_ms: 100, retry_ms: 60_000 } },
    });
    const held = storeOf({ 'A.MP4': 3000 });
    const name = `/${'N'.repeat(1900)}`;
    const camera = scripted(
      quickCamera({ serialNumber: 'BC-1', store: held.store, bufferBytes: 8192 }),
      (request) => {
        if (!request.is(cameraListRecordings)) return undefined;
        const from = Number(request.body['from']);
        const list = Array.from({ length: 4 }, (_, index) => ({
          id: `R${from + index}`,
          path: `${name}${from + index}`,
          size: 2n ** 60n,
          kind: 0,
        }));
        return [request.answer({ total: 2n ** 40n, gen: 1, list })];
      },
    );
    station.plug(1, camera);
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'camera.listing-endless' });
    const [session] = await station.sessions();
    expect(session?.listed).toBeLessThan(10_000);
    expect(session).toMatchObject({ stored: 0, refused: session?.listed, unaccounted: 0 });
  });

  test('whose names are hostile is stored inside the vault, with the names as read', async () => {
    await using station = await TestStation.start({ host });
    const names = [
      '../../../../etc/passwd',
      '/..',
      '/DCIM/../../../tmp/evil.mp4',
      '/DCIM/a\0b.mp4',
      '/DCIM/\u0001\u001b[2J\u007f\r\n.mp4',
      '/DCIM/case.mp4',
      '/DCIM/CASE.mp4',
      '..',
      '.part-00000000-0000-0000-0000-000000000000',
      'C:\\DCIM\\CON',
      '/DCIM/\u202egpj.exe',
      '/DCIM/қазақша видео.mp4',
      "'; DROP TABLE recording; --",
      `/DCIM/${'x'.repeat(1800)}.mp4`,
      `/DCIM/${'ұ'.repeat(850)}.mp4`,
      `/${'d/'.repeat(800)}deep.mp4`,
    ];
    const store = new MemoryStore();
    for (const [index, path] of names.entries()) {
      store.add(
        { id: `R${index}`, path, kind: 'video', isProtected: false, knowsDigest: true },
        bytesOf(path, 100 + index),
      );
    }
    const digests = Object.fromEntries(
      names.map((path, index) => [
        path,
        createHash('sha256')
          .update(bytesOf(path, 100 + index))
          .digest('hex'),
      ]),
    );
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store }));
    await station.untilPhase(1, 'ready');
    const stored = await expectStoredOnce(station, digests);
    for (const { storedPath } of stored) {
      expect(storedPath).toMatch(/^BC-1\/\d{4}-\d\d-\d\d\/[A-Za-z0-9][A-Za-z0-9._-]{0,120}$/);
    }
    expect(new Set(stored.map(({ storedPath }) => storedPath.toLowerCase())).size).toBe(names.length);
    await expectAccountsAddUp(station);
  });

  test('with one damaged entry has that one refused', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 3000, 'B.MP4': 10, 'C.MP4': 4000 });
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      if (!request.is(cameraListRecordings)) return undefined;
      const { list, ...page } = request.honestBody() as { list: unknown[] };
      return [request.answer({ ...page, list: [list[0], { id: 7, path: null }, list[2]] })];
    });
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    const { '/DCIM/B.MP4': _, ...rest } = digestsOf(held);
    await expectStoredOnce(station, rest);
    expect(await station.sessions()).toMatchObject([{ listed: 3, stored: 2, refused: 1, unaccounted: 0 }]);
    expect(await eventsOf(station, 'recording-refused')).toMatchObject([
      { code: 'recording.unreadable-entry' },
    ]);
  });

  test('that changes while it is paged is read again from its start', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf(Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`${index}.MP4`, 100])));
    let pages = 0;
    const camera = scripted(
      quickCamera({ serialNumber: 'BC-1', store: held.store, bufferBytes: 1024 }),
      (request) => {
        if (!request.is(cameraListRecordings)) return undefined;
        if (++pages === 2) {
          // A recording vanishes between two pages: without a new start its successor would be skipped.
          const [first] = held.store.list();
          if (first) held.store.remove(first);
        }
        return undefined;
      },
    );
    const before = digestsOf(held);
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    const { '/DCIM/0.MP4': _, ...rest } = before;
    await expectStoredOnce(station, rest);
    expect(await station.sessions()).toMatchObject([{ listed: 29, stored: 29 }]);
  });

  test.for<[string, Record<string, unknown>]>([
    ['keeps changing', { err: { group: cameraGroupId, rc: 10 } }],
    ['is refused', { rc: 1 }],
    ['has empty pages', { total: 5, gen: 1, list: [] }],
    ['has another form', { total: 'many', gen: 1 }],
  ])('and %s is a bay that needs attention, not a camera that comes and goes', async ([, body]) => {
    await using station = await TestStation.start({
      host,
      config: { session: { presence_ms: 100, retry_ms: 60_000 } },
    });
    const camera = quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 10 }).store });
    station.plug(
      1,
      scripted(camera, (request) => (request.is(cameraListRecordings) ? [request.answer(body)] : undefined)),
    );
    const { code } = await station.untilPhase(1, 'attention');
    expect(code).toMatch(/^smp\./);
    expect(await station.sessions()).toMatchObject([{ outcome: 'attention', code }]);
    expect(await eventsOf(station, 'camera-undocked')).toEqual([]);
  });
});

describe('a camera whose content does not match', () => {
  test('the digest it states has that recording quarantined, nothing removed, and the rest stored', async () => {
    await using station = await TestStation.start({ host, config: { vault: { removal: 'when-verified' } } });
    const held = storeOf({ 'BAD.MP4': 9000, 'GOOD.MP4': 5000 }, { knowsDigest: true });
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      if (!request.is(fsDownload) || request.body['name'] !== '/DCIM/BAD.MP4') return undefined;
      const body = request.honestBody() as { data: Uint8Array };
      return [request.answer({ ...body, data: body.data.map((byte) => byte ^ 1) })];
    });
    station.plug(1, camera);
    await station.untilPhase(1, 'attention');
    await expectStoredOnce(station, { '/DCIM/GOOD.MP4': held.sha256('/DCIM/GOOD.MP4') });
    expect(held.store.list().map(({ path }) => path)).toEqual(['/DCIM/BAD.MP4']);
    expect(await eventsOf(station, 'recording-quarantined')).toMatchObject([
      { path: '/DCIM/BAD.MP4', code: 'recording.digest-mismatch' },
    ]);
    expect(rows(station, 'SELECT path, code FROM quarantine')).toMatchObject([{ path: '/DCIM/BAD.MP4' }]);
    await expectAccountsAddUp(station);
  });

  test('any of its digests loses nothing: all quarantined, all still on the camera', async () => {
    await using station = await TestStation.start({ host, config: { vault: { removal: 'when-verified' } } });
    const held = storeOf({ 'A.MP4': 900, 'B.MP4': 800 }, { knowsDigest: false });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store, faults: { wrongDigest: true } }));
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'recording.digest-mismatch' });
    await expectStoredOnce(station, {});
    expect(held.store.list()).toHaveLength(2);
    expect((await station.sessions()).at(-1)).toMatchObject({
      listed: 2,
      quarantined: 2,
      unaccounted: 0,
      removed: 0,
    });
  });

  test('and never changes tells of it once, however often it is tried again', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 900 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: held.store, faults: { wrongDigest: true } }));
    await station.until(
      'three sessions',
      async () => (await station.sessions()).filter(({ endedAt }) => endedAt).length >= 3,
    );
    expect(await eventsOf(station, 'recording-quarantined')).toHaveLength(1);
    await expectAccountsAddUp(station);
  });
});

describe('a camera that is not who it says', () => {
  test('turns into another in the middle of a recording: nothing of the other is stored under its name', async () => {
    await using station = await TestStation.start({
      host,
      config: { post: { headcount: 40, enrolment: 'manual' } },
    });
    await station.ask('enrol', { serialNumber: 'BC-1', by: 'test' });
    const held = storeOf({ 'A.MP4': 10_000, 'B.MP4': 90_000, 'C.MP4': 10_000 });
    const camera = quickCamera({
      serialNumber: 'BC-1',
      store: held.store,
      faults: { swapIdentityAfterBytes: 50_000 },
    });
    station.plug(1, camera);
    expect(await station.untilPhase(1, 'refused')).toMatchObject({
      serialNumber: 'BC-1X',
      code: 'enrolment.manual',
    });
    await expectStoredOnce(station, { '/DCIM/A.MP4': held.sha256('/DCIM/A.MP4') });
    const sessions = await station.sessions();
    expect(sessions.at(-1)).toMatchObject({
      serialNumber: 'BC-1',
      outcome: 'interrupted',
      code: 'camera.identity-changed',
      listed: 3,
      stored: 1,
      unaccounted: 2,
    });
    // What was received of the second recording is worth nothing, because nobody knows whose it is.
    expect(rows(station, 'SELECT * FROM intake')).toEqual([]);

    delete camera.faults.swapIdentityAfterBytes;
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
    await expectAccountsAddUp(station);
  });

  test('is swapped unseen and pulled out: without a digest nothing of the mixture is gone on with', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 100_000 }, { knowsDigest: false });
    const other = bytesOf('another camera', 100_000);
    let link: ByteLink | undefined;
    let isSwapped = true;
    const camera = scripted(quickCamera({ serialNumber: 'BC-1', store: held.store }), (request) => {
      // Neither digest nor removal.
      if (request.is(cameraIdentity)) return [request.answer({ ...request.honestBody(), can: [0, 1, 2, 3] })];
      if (!request.is(fsDownload) || !isSwapped) return undefined;
      const { off, data } = request.honestBody() as { off: number; data: Uint8Array };
      if (off < 40_000) return undefined;
      if (off < 60_000) return [request.answer({ off, data: other.subarray(off, off + data.length) })];
      isSwapped = false;
      void link?.[Symbol.asyncDispose]();
      return [];
    });
    link = station.plug(1, camera);
    await station.until('it is pulled out', async () => !isSwapped);
    await station.untilPhase(1, 'empty');
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
  });

  test('has the serial number of one docked already: the second is turned away, the first unharmed', async () => {
    await using station = await TestStation.start({ host, bays: 2 });
    const first = storeOf({ 'A.MP4': 1000 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: first.store }));
    await station.untilPhase(1, 'ready');
    const second = storeOf({ 'EVIL.MP4': 1000 });
    station.plug(2, quickCamera({ serialNumber: 'bc-1', store: second.store }));
    expect(await station.untilPhase(2, 'attention')).toMatchObject({ code: 'camera.duplicate-serial' });
    // Long enough for the second bay to look again: the event stays one, the first camera stays ready.
    await station.until('bay 2 looked again', async () => {
      const { bays } = await station.ask<{ bays: { bay: number; phase: string }[] }>('bays');
      expect(bays.find(({ bay }) => bay === 1)?.phase).toBe('ready');
      return (
        second.store.list().length === 1 &&
        (await station.events()).some(({ type }) => type === 'camera-unusable')
      );
    });
    expect(await eventsOf(station, 'camera-unusable')).toMatchObject([
      { bay: 2, code: 'camera.duplicate-serial' },
    ]);
    await expectStoredOnce(station, digestsOf(first));
    expect(await station.sessions()).toHaveLength(1);

    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    expect(await station.untilPhase(2, 'attention', 'ready')).toBeDefined();
  });

  test('has lost the key it was enrolled with: nothing is pulled and nothing is set', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 1000 });
    const genuine = quickCamera({ serialNumber: 'BC-1', store: held.store });
    station.plug(1, genuine);
    await station.untilPhase(1, 'ready');
    await station.unplug(1);
    await station.untilPhase(1, 'empty');

    let touched = 0;
    const fake = storeOf({ 'FAKE.MP4': 1000 });
    const impostor = scripted(
      quickCamera({
        serialNumber: 'BC-1',
        store: fake.store,
        clockOffsetMs: 99_000,
        faults: { impostorKey: true },
      }),
      (request) => {
        if ([fsDownload, cameraSetClock, cameraListRecordings].some((command) => request.is(command)))
          touched++;
        return undefined;
      },
    );
    station.plug(1, impostor);
    expect(await station.untilPhase(1, 'attention')).toMatchObject({
      code: 'camera.impostor',
      serialNumber: 'BC-1',
    });
    expect(touched).toBe(0);
    await expectStoredOnce(station, digestsOf(held));
    await station.unplug(1);
    await station.untilPhase(1, 'empty');

    // One that shows no key at all is no better.
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: fake.store, hasKey: false }));
    expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'camera.impostor' });
    await station.unplug(1);
    await station.untilPhase(1, 'empty');

    station.plug(1, genuine);
    await station.untilPhase(1, 'ready');
    await expectStoredOnce(station, digestsOf(held));
  });

  test('has no key is enrolled as such, and shown as such', async () => {
    await using station = await TestStation.start({ host, bays: 2 });
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store: new MemoryStore(), hasKey: false }));
    station.plug(2, quickCamera({ serialNumber: 'BC-2', store: new MemoryStore() }));
    await station.untilPhase(1, 'ready');
    await station.untilPhase(2, 'ready');
    const { cameras } = await station.ask<CamerasAnswer>('cameras');
    expect(cameras).toMatchObject([
      { serialNumber: 'BC-1', enrolment: 'enrolled', hasKey: false },
      { serialNumber: 'BC-2', enrolment: 'enrolled', hasKey: true },
    ]);
    const enrolled = await eventsOf(station, 'camera-enrolled');
    expect(new Map(enrolled.map(({ serialNumber, hasKey }) => [serialNumber, hasKey]))).toEqual(
      new Map([
        ['BC-1', false],
        ['BC-2', true],
      ]),
    );
  });

  test.for(['', '../etc', 'BC 1/2', 'BC#1', 'БК-1', '-BC', 'x'.repeat(49), 'BC\u00001'])(
    'states the serial number %j: it is turned away with an event, once',
    async (serial) => {
      await using station = await TestStation.start({ host });
      const camera = quickCamera({ serialNumber: 'BC-1', store: storeOf({ 'A.MP4': 10 }).store });
      let looks = 0;
      station.plug(
        1,
        scripted(camera, (request) => {
          if (!request.is(cameraIdentity)) return undefined;
          looks++;
          return [request.answer({ ...request.honestBody(), serial })];
        }),
      );
      await station.until('three looks', async () => looks >= 3);
      expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'camera.identity-invalid' });
      expect(await eventsOf(station, 'camera-unusable')).toMatchObject([
        { bay: 1, code: 'camera.identity-invalid' },
      ]);
      expect(await station.sessions()).toEqual([]);
    },
  );

  test('writes its serial number in look-alikes is one and the same camera', async () => {
    await using station = await TestStation.start({ host });
    const held = storeOf({ 'A.MP4': 1000 });
    const keySeed = new Uint8Array(32).fill(7);
    for (const serialNumber of ['KZ-BC-7', 'kz-bc-7', ' KZ-BC-7 ', 'KZ-\u200bBC-7', 'ＫＺ-BC-7']) {
      station.plug(1, quickCamera({ serialNumber, store: held.store, keySeed }));
      expect(await station.untilPhase(1, 'ready')).toMatchObject({ serialNumber: 'KZ-BC-7' });
      await station.unplug(1);
      await station.untilPhase(1, 'empty');
    }
    expect(await station.ask('quota')).toMatchObject({ enrolled: 1, refused: 0 });
    await expectStoredOnce(station, digestsOf(held));
    expect((await station.sessions()).map(({ stored, held: kept }) => [stored, kept])).toEqual([
      [0, 1],
      [0, 1],
      [0, 1],
      [0, 1],
      [1, 0],
    ]);
  });
});

test('a session that cannot even be written down leaves its bay in attention, not in limbo', async () => {
  await using station = await TestStation.start({
    host: {
      lookIntoBay: async (bay, signal) => {
        const content = await quickBay(bay, signal);
        if (content.kind !== 'camera') return content;
        // A field of the wrong type: what a bug anywhere below would look like.
        const identity = { ...content.camera.identity, model: Symbol('bug') };
        return {
          kind: 'camera',
          camera: Object.defineProperty(content.camera, 'identity', { value: identity }),
        };
      },
    },
  });
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store: new MemoryStore() }));
  expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'internal.bug' });
});

test('frames longer than any message are dropped without a buffer of what they announce', async () => {
  await using station = await TestStation.start({ host });
  const link = openPty(station.portPath(1));
  const huge = encodeConsoleFrame(new Uint8Array(60_000));
  const held = storeOf({ 'A.MP4': 5000 });
  const camera = quickCamera({ serialNumber: 'BC-1', store: held.store });
  // In front of every answer, a frame that announces 60,000 bytes and breaks off.
  const camera2 = scripted(camera, (request) => {
    void link.write(huge[0] ?? new Uint8Array());
    return request.honest();
  });
  void serveCamera(camera2, link, systemRandom);
  await station.untilPhase(1, 'ready');
  await expectStoredOnce(station, digestsOf(held));
  await link[Symbol.asyncDispose]();
});
