// Cases in which a name says less than it seems to: a serial number typed in before the camera was ever seen, a
// file name that a camera uses again, a refusal whose reason nobody could check.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { AgentHost } from '../../agent/agent-host.ts';
import type { CamerasAnswer, StatusAnswer } from '../../agent/cli/answers.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { DockError } from '../../protocol/errors.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { FaultDatabase } from '../support/fault-database.ts';
import { FaultDisk } from '../support/fault-disk.ts';
import { quickBay, quickCamera } from '../support/quick-bay.ts';
import { bytesOf, storeOf } from '../support/recordings.ts';
import { eventsOf } from '../support/station-facts.ts';
import { TestStation } from '../support/test-station.ts';

const host = { lookIntoBay: quickBay };
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

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

describe.each([
  ['without digests', false],
  ['that computes digests', true],
])('a camera %s whose recording has the name, size and time of a stored one', (_name, hasDigest) => {
  const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
    const content = await quickBay(bay, signal);
    if (content.kind === 'camera' && !hasDigest)
      Object.defineProperty(content.camera, 'digest', { value: undefined });
    return content;
  };

  function cameraWith(content: string) {
    const store = new MemoryStore();
    const entry = { id: 'R1', path: '/DCIM/REC0001.MP4', kind: 'video', isProtected: false } as const;
    store.add({ ...entry, startedAt: Date.UTC(2026, 0, 1), knowsDigest: false }, bytesOf(content, 5000));
    return { store, camera: quickCamera({ serialNumber: 'BC-1', store }) };
  }

  /** Stores monday's recording, leaves it on its camera, then docks the other one. */
  async function dockLater(content: string, removal = 'when-verified') {
    const station = await TestStation.start({ host: { lookIntoBay } });
    station.plug(1, cameraWith('monday').camera);
    await station.untilPhase(1, 'ready');
    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    Object.assign(station.config.vault, { removal });
    const { store, camera } = cameraWith(content);
    station.plug(1, camera);
    await station.untilPhase(1, 'ready');
    return { station, store };
  }

  test('has it removed when its bytes are the stored ones', async () => {
    const { station, store } = await dockLater('monday');
    await using _ = station;
    expect(store.list()).toEqual([]);
    expect(await station.sessions()).toMatchObject([{ stored: 0, held: 1, removed: 1 }, { stored: 1 }]);
  });

  test('has it pulled and then removed when its bytes are others', async () => {
    const { station, store } = await dockLater('tuesday');
    await using _ = station;
    expect(store.list()).toEqual([]);
    expect(await station.sessions()).toMatchObject([
      { stored: 1, held: 0, removed: 1, unaccounted: 0 },
      { stored: 1 },
    ]);
    const stored = (await eventsOf(station, 'recording-stored')).map((event) => event['sha256']);
    const digests = ['monday', 'tuesday'].map((text) => sha256(bytesOf(text, 5000)));
    expect(stored).toEqual(digests);
  });

  test('counts as held where nothing is removed only when its bytes are the stored ones', async () => {
    for (const [content, account] of [
      ['monday', { stored: 0, held: 1, unaccounted: 0 }],
      ['tuesday', { stored: 1, held: 0, unaccounted: 0 }],
    ] as const) {
      const { station, store } = await dockLater(content, 'never');
      await using _ = station;
      expect(store.list()).toHaveLength(1);
      expect(await station.sessions()).toMatchObject([account, { stored: 1 }]);
    }
  });

  test('is compared once in a stay, however often another recording is tried again', async () => {
    const { station } = await dockLater('monday', 'never');
    await using _ = station;
    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    const { store, camera } = cameraWith('monday');
    const bad = { id: 'R2', path: '/DCIM/REC0002.MP4', kind: 'video', isProtected: false } as const;
    store.add({ ...bad, knowsDigest: false }, bytesOf('bad', 100));
    let comparisons = 0;
    const read = store.read.bind(store);
    store.read = (recording, offset, length) => {
      if (recording.id === bad.id) return new Uint8Array(0);
      if (offset === 0) comparisons++;
      return read(recording, offset, length);
    };
    station.plug(1, camera);
    await station.until('a second try', async () => {
      const [last, first] = await station.sessions();
      return (last?.['quarantined'] === 1 && first?.['quarantined'] === 1) || undefined;
    });
    expect(comparisons).toBe(1);
  });

  test('is quarantined where nothing is removed and it cannot be compared', async () => {
    const { station } = await dockLater('monday', 'never');
    await using _ = station;
    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    const { store, camera } = cameraWith('monday');
    store.read = () => new Uint8Array(0);
    station.plug(1, camera);
    await station.untilPhase(1, 'attention');
    expect((await station.sessions())[0]).toMatchObject({ held: 0, quarantined: 1, unaccounted: 0 });
  });
});

describe.each([
  ['lists digests', { lists: true, computes: true }],
  ['computes digests', { lists: false, computes: true }],
  ['has no digests', { lists: false, computes: false }],
])('a recording that was stored but for its row, on a camera that %s', (_name, { lists, computes }) => {
  const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
    const content = await quickBay(bay, signal);
    if (content.kind === 'camera' && !computes)
      Object.defineProperty(content.camera, 'digest', { value: undefined });
    return content;
  };

  test.each([
    ['is taken over and removed when the camera still holds it', 'monday', { listed: 1, stored: 1 }],
    [
      'is taken over, and another of its name stored and removed besides',
      'tuesday',
      { listed: 2, stored: 2 },
    ],
  ])('%s', async (_what, content, account) => {
    const disk = new FaultDisk(nodeDisk);
    let db: FaultDatabase | undefined;
    await using station = await TestStation.start({
      host: { lookIntoBay, disk, openDatabase: (path) => (db = new FaultDatabase(path)) },
      config: { vault: { removal: 'when-verified' } },
    });
    const dock = (text: string): MemoryStore => {
      const store = new MemoryStore();
      const entry = { id: 'R1', path: '/DCIM/REC0001.MP4', kind: 'video', isProtected: false } as const;
      store.add({ ...entry, startedAt: Date.UTC(2026, 0, 1), knowsDigest: lists }, bytesOf(text, 5000));
      station.plug(1, quickCamera({ serialNumber: 'BC-1', store }));
      return store;
    };
    const fault = new DockError('vault.disk-error', 'injected');
    let isFailed = false;
    Object.assign(db ?? {}, {
      plan: {
        before: () => {
          if (isFailed || !disk.steps.some(({ operation }) => operation === 'link')) return;
          isFailed = true;
          throw fault;
        },
      },
    });
    // Nor is it taken over while this camera is docked.
    disk.plan = {
      before: ({ path }) => {
        if (isFailed && path.endsWith('.MP4')) throw fault;
      },
    };
    dock('monday');
    await station.untilPhase(1, 'attention');
    await station.unplug(1);
    await station.untilPhase(1, 'empty');
    disk.plan = {};
    const store = dock(content);
    await station.untilPhase(1, 'ready');
    expect(store.list()).toEqual([]);
    const [last] = await station.sessions();
    expect(last).toMatchObject({ ...account, held: 0, removed: 1, quarantined: 0, unaccounted: 0 });
    const stored = (await eventsOf(station, 'recording-stored')).map((event) => event['sha256']);
    const texts = [...new Set(['monday', content])];
    expect(stored).toEqual(texts.map((text) => sha256(bytesOf(text, 5000))));
  });
});

test('a recording that comes a third time under a name that meant two is held, and removed', async () => {
  const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
    const content = await quickBay(bay, signal);
    if (content.kind === 'camera') Object.defineProperty(content.camera, 'digest', { value: undefined });
    return content;
  };
  await using station = await TestStation.start({
    host: { lookIntoBay },
    config: { vault: { removal: 'when-verified' } },
  });
  for (const content of ['monday', 'tuesday', 'monday']) {
    const store = new MemoryStore();
    const entry = { id: 'R1', path: '/DCIM/REC0001.MP4', kind: 'video', isProtected: false } as const;
    store.add({ ...entry, startedAt: Date.UTC(2026, 0, 1), knowsDigest: false }, bytesOf(content, 5000));
    station.plug(1, quickCamera({ serialNumber: 'BC-1', store }));
    await station.untilPhase(1, 'ready');
    expect(store.list()).toEqual([]);
    await station.unplug(1);
    await station.untilPhase(1, 'empty');
  }
  expect(await station.sessions()).toMatchObject([
    { stored: 0, held: 1, removed: 1, unaccounted: 0 },
    { stored: 1, held: 0, removed: 1 },
    { stored: 1, held: 0, removed: 1 },
  ]);
});

test('a recording that is another one by the time it is to be removed stays on its camera', async () => {
  const asked = new Set<string>();
  const lookIntoBay: AgentHost['lookIntoBay'] = async (bay, signal) => {
    const content = await quickBay(bay, signal);
    const digest = content.kind === 'camera' && content.camera.digest?.bind(content.camera);
    if (!digest) return content;
    const changed: typeof digest = async (recording, stop) => {
      const sha256 = await digest(recording, stop);
      return asked.size === asked.add(recording.id).size ? 'f'.repeat(64) : sha256;
    };
    Object.defineProperty(content.camera, 'digest', { value: changed });
    return content;
  };
  await using station = await TestStation.start({
    host: { lookIntoBay },
    config: { vault: { removal: 'when-verified' } },
  });
  const store = new MemoryStore();
  const entry = { id: 'R1', path: '/DCIM/REC0001.MP4', kind: 'video', isProtected: false } as const;
  store.add({ ...entry, startedAt: Date.UTC(2026, 0, 1), knowsDigest: false }, bytesOf('monday', 5000));
  station.plug(1, quickCamera({ serialNumber: 'BC-1', store }));
  expect(await station.untilPhase(1, 'attention')).toMatchObject({ code: 'recording.digest-mismatch' });
  expect(store.list()).toHaveLength(1);
  expect((await station.sessions()).at(-1)).toMatchObject({ stored: 1, removed: 0, unaccounted: 0 });
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
