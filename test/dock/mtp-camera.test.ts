// MTP responders agree on little: where a packet ends, what a size means, what a handle stands for and whether they
// answer at all. The camera keeps the contract of every camera on all of them. What each of them does was read in its
// source or measured (reference/mtp.md); the responder here does it on demand.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import { openMtpCamera, type MtpCameraOptions } from '../../dock/camera/mtp-camera.ts';
import { defaultPtpTimings, type PtpTimings } from '../../dock/camera/ptp-timings.ts';
import { attestVerifiedCopy } from '../../dock/camera/verified-copy.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { DeviceClock } from '../../dock/simulator/device-clock.ts';
import type { PtpFaults } from '../../dock/simulator/ptp-faults.ts';
import { PtpResponder, type PtpResponderOptions } from '../../dock/simulator/ptp-responder.ts';
import type { SimulatedObject } from '../../dock/simulator/ptp-objects.ts';
import {
  MemoryStore,
  type HeldRecording,
  type RecordingStore,
} from '../../dock/simulator/recording-store.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import {
  cameraConformance,
  type ConformanceBench,
  type ConformanceRequest,
} from '../support/camera-conformance.ts';
import { storeOf } from '../support/recordings.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const { signal } = new AbortController();

/** Real time, as short as a loaded machine allows. */
const quick: PtpTimings = {
  ...defaultPtpTimings,
  commandMs: 40,
  openMs: 40,
  answerMs: 40,
  windowMs: 40,
  removeMs: 40,
  longMs: 40,
  closeMs: 20,
  peekMs: 5,
  quietMs: 5,
  cancelPollMs: 1,
  reopenPauseMs: 5,
  graceMs: 10,
  busyFromMs: 1,
  busyToMs: 5,
  busyForMs: 100,
  storagesForMs: 100,
  storagesFromMs: 1,
  attempts: 5,
};

const options: MtpCameraOptions = {
  isRecording: (path) => /\.mp4$/i.test(path),
  zoneMinutes: 300,
  mayRemove: true,
};

const recordings = () =>
  storeOf(
    { 'A.MP4': 30_000, 'B.MP4': 1, 'EMPTY.MP4': 0, 'C.MP4': 4097 },
    { isProtected: (name) => name === 'B.MP4' },
  );

const lacking = {
  health: { without: [ptpOperation.getStorageInfo], withoutProperties: [0x5001] },
  clock: { withoutProperties: [0x5011] },
  remove: { without: [ptpOperation.deleteObject] },
  challenge: {},
  digest: {},
} as const;

cameraConformance('MTP', {
  recordings,
  capabilities: ['health', 'clock', 'remove'],
  open: async ({ held, without = [] }: ConformanceRequest): Promise<ConformanceBench> => {
    const clock = new DeviceClock(systemClock, { offsetMs: 2000, driftPpm: 0, resolutionMs: 1000 });
    const pipe = new PtpResponder({
      store: held.store,
      hostClock: systemClock,
      clock,
      ...Object.assign({}, ...without.map((capability) => lacking[capability])),
    });
    const camera = await openMtpCamera(pipe, systemClock, { ...options, timings: quick }, signal);
    const { faults } = pipe;
    return {
      camera,
      serialNumber: 'BC-77',
      loseOneIn: (answers) => {
        faults.loseOneIn = answers;
      },
      fallSilent: (what) => {
        faults.silent = what;
      },
      speakAgain: () => {
        faults.silent = undefined;
      },
      becomeAnother: () => pipe.becomeAnother('BC-78'),
      refuseRemoval: () => {
        faults.refuseRemoval = ptpResponse.objectWriteProtected;
      },
      forgetClock: () => {
        faults.clockNeverSet = true;
      },
      unplug: async () => pipe.unplug(),
      [Symbol.asyncDispose]: () => camera[Symbol.asyncDispose](),
    };
  },
});

interface Opened {
  readonly camera: Camera;
  readonly pipe: PtpResponder;
  readonly held: ReturnType<typeof storeOf>;
  readonly clock: VirtualClock;
}

/** A camera on a responder in virtual time: waiting costs nothing. */
async function opened(
  responder: Partial<PtpResponderOptions> = {},
  change: {
    options?: Partial<MtpCameraOptions>;
    before?: (pipe: PtpResponder) => void;
    held?: Opened['held'];
  } = {},
): Promise<Opened> {
  const held = change.held ?? recordings();
  const clock = new VirtualClock();
  const device = new DeviceClock(clock, { offsetMs: 0, driftPpm: 0, resolutionMs: 1000 });
  const pipe = new PtpResponder({ store: held.store, hostClock: clock, clock: device, ...responder });
  change.before?.(pipe);
  const camera = await openMtpCamera(pipe, clock, { ...options, ...change.options }, signal);
  return { camera, pipe, held, clock };
}

async function list(camera: Camera): Promise<ListedRecording[]> {
  return Array.fromAsync(camera.recordings(signal));
}

async function read(camera: Camera, recording: ListedRecording, offset = 0): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(camera.read(recording, offset, signal)));
}

async function expectAllReadable({ camera, held }: Opened): Promise<void> {
  const listed = await list(camera);
  expect(listed.map(({ path }) => path)).toEqual(held.store.list().map(({ path }) => path));
  for (const recording of listed) {
    const bytes = await read(camera, recording);
    expect(createHash('sha256').update(bytes).digest('hex'), recording.path).toBe(
      held.sha256(recording.path),
    );
  }
}

async function first(camera: Camera): Promise<ListedRecording> {
  const [recording] = await list(camera);
  if (!recording) throw new Error('nothing listed');
  return recording;
}

function proofOf(recording: ListedRecording) {
  return attestVerifiedCopy({
    recordingId: 'R',
    sizeBytes: Number(recording.sizeBytes),
    sha256: '00'.repeat(32),
  });
}

/** Sizes around the places where packets and containers end; made once, because nothing removes them. */
const awkwardSizes = storeOf({
  'A.MP4': 500,
  'B.MP4': 512,
  'C.MP4': 1024 * 1024 - 12,
  'D.MP4': 1024 * 1024,
  'E.MP4': 1_300_000,
});
const awkward = () => awkwardSizes;

const only101b = { without: [ptpOperation.getPartialObject64] };
const onlyWhole = { without: [ptpOperation.getPartialObject64, ptpOperation.getPartialObject] };

describe('a responder that', () => {
  test.each<[string, Partial<PtpFaults>]>([
    ['ends aligned data with an empty packet', { afterAligned: 'empty packet' }],
    ['ends aligned data with nothing', { afterAligned: 'nothing' }],
    ['ends aligned data with one byte more', { afterAligned: 'one byte' }],
    ['sends the header of its data alone', { splitHeader: true }],
    ['glues its response to the data', { gluedResponse: true }],
    ['answers earlier transactions again', { strayResponses: true }],
    ['floods the pipe with events', { eventsBeforeAnswer: 100 }],
    ['sends sizes of 64 bits in ObjectInfo', { wideObjectInfo: true }],
    ['sends sizes modulo 2^32', { sizesModulo32: true }],
    ['keeps its handles from session to session', { renumbers: false }],
  ])('%s is read like any other', async (_name, faults) => {
    for (const without of [{}, only101b, onlyWhole]) {
      await expectAllReadable(await opened({ faults, ...without }, { held: awkward() }));
    }
  });

  test.each<[string, number, number, number]>([
    ['is busy for a while', ptpOperation.getObjectHandles, ptpResponse.deviceBusy, 20],
    ['once counts transactions differently', ptpOperation.getObjectInfo, ptpResponse.invalidTransactionId, 1],
    [
      'counts transactions differently for good',
      ptpOperation.getObjectInfo,
      ptpResponse.invalidTransactionId,
      2,
    ],
    ['fails once for no reason', ptpOperation.getObjectInfo, ptpResponse.generalError, 1],
    ['loses its session while it is listed', ptpOperation.getObjectInfo, ptpResponse.sessionNotOpen, 1],
    ['loses its session while it is read', ptpOperation.getPartialObject64, ptpResponse.sessionNotOpen, 2],
    ['ends a transfer early', ptpOperation.getPartialObject64, ptpResponse.incompleteTransfer, 2],
    ['has cancelled a transfer', ptpOperation.getPartialObject64, ptpResponse.transactionCancelled, 1],
    ['has forgotten a handle', ptpOperation.getPartialObject64, ptpResponse.invalidObjectHandle, 1],
    [
      'names partial reads of 64 bits and refuses them',
      ptpOperation.getPartialObject64,
      ptpResponse.operationNotSupported,
      9,
    ],
    ['cannot tell a size after all', ptpOperation.getObjectPropValue, ptpResponse.operationNotSupported, 1],
    ['has its card back in a moment', ptpOperation.getObjectHandles, ptpResponse.storeNotAvailable, 3],
  ])('%s is read all the same', async (_name, operation, code, times) => {
    const bench = await opened();
    bench.pipe.faults.refuse.push({ operation, code, times });
    await expectAllReadable(bench);
  });

  test.each([false, true])('loses a packet is asked again; hides lengths: %s', async (hidesLengths) => {
    const bench = await opened({ faults: { hidesLengths } });
    const recording = await first(bench.camera);
    bench.pipe.faults.losesPacketAt = 10 * bench.pipe.maxPacketBytes;
    const bytes = await read(bench.camera, recording);
    expect(bench.pipe.faults.losesPacketAt).toBeUndefined();
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(bench.held.sha256(recording.path));
  });

  test('refuses partial reads is asked only once', async () => {
    const bench = await opened();
    bench.pipe.faults.refuse.push({
      operation: ptpOperation.getPartialObject64,
      code: ptpResponse.operationNotSupported,
      times: 99,
    });
    await expectAllReadable(bench);
    expect(bench.pipe.calls.filter((call) => call === '95c1')).toHaveLength(1);
  });

  test('is busy for good fails as ptp.busy, after a minute', async () => {
    const { camera, pipe, clock } = await opened();
    pipe.faults.refuse.push({
      operation: ptpOperation.getObjectHandles,
      code: ptpResponse.deviceBusy,
      times: Infinity,
    });
    const before = clock.monotonic();
    await expect(list(camera)).rejects.toMatchObject({ code: 'ptp.busy' });
    expect(clock.monotonic() - before).toBeGreaterThanOrEqual(60_000);
    expect(clock.monotonic() - before).toBeLessThan(70_000);
  });

  test('is locked fails as ptp.access-denied', async () => {
    const { camera, pipe } = await opened();
    pipe.faults.refuse.push({
      operation: ptpOperation.getObjectHandles,
      code: ptpResponse.accessDenied,
      times: 1,
    });
    await expect(list(camera)).rejects.toMatchObject({ code: 'ptp.access-denied' });
  });

  test('shows its storages late is waited for', async () => {
    const bench = await opened({ faults: { lateStorages: 5 } });
    await expectAllReadable(bench);
  });

  test('never shows a storage is no camera without recordings', async () => {
    const { camera } = await opened({ faults: { lateStorages: Infinity } });
    await expect(list(camera)).rejects.toMatchObject({ code: 'ptp.access-denied' });
  });

  test('hangs behind the end of a file is never asked there', async () => {
    const bench = await opened({ faults: { hangAfterEnd: true } }, { held: awkward() });
    await expectAllReadable(bench);
    expect(bench.pipe.calls).not.toContain('cancel');
  });
});

describe('windows', () => {
  test('grow from 1 to 4 MiB while all goes well', async () => {
    const { camera, pipe } = await opened({ store: new SparseStore(20 * 1024 * 1024) });
    const recording = await first(camera);
    const sizes: number[] = [];
    for await (const window of camera.read(recording, 0, signal)) sizes.push(window.length / 1024 / 1024);
    expect(sizes).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 4, 4]);
    expect(pipe.longestPartBytes).toBe(4 * 1024 * 1024);
  });

  test('end off a packet boundary on Samsung', async () => {
    const held = storeOf({ 'A.MP4': 500, 'B.MP4': 2 * 1024 * 1024 - 12 });
    const bench = await opened({ vendorId: 0x04e8, faults: { afterAligned: 'nothing' } }, { held });
    for (const recording of await list(bench.camera)) {
      for await (const window of bench.camera.read(recording, 0, signal))
        expect((12 + window.length) % 512).not.toBe(0);
    }
    await expectAllReadable(bench);
  });

  test('stay long when a read is left in the middle', async () => {
    const { camera, pipe } = await opened({ store: new SparseStore(20 * 1024 * 1024) });
    const recording = await first(camera);
    await read(camera, recording);
    for (let round = 0; round < 5; round++) for await (const _ of camera.read(recording, 0, signal)) break;
    const window = await camera.read(recording, 0, signal)[Symbol.asyncIterator]().next();
    expect(window.value).toHaveLength(4 * 1024 * 1024);
    expect(pipe.calls).not.toContain('cancel');
  });

  test('fit into reads that another camera makes shorter', async () => {
    const bench = await opened({}, { held: awkward() });
    bench.pipe.longestReadBytes = 16 * 1024;
    await expectAllReadable(bench);
  });
});

/** As many zeros as wanted, with one byte that is none at the very end. */
class SparseStore implements RecordingStore {
  readonly #recording: HeldRecording;

  constructor(sizeBytes: number) {
    this.#recording = {
      id: 'R',
      path: '/DCIM/BIG.MP4',
      sizeBytes,
      kind: 'video',
      isProtected: false,
      knowsDigest: false,
    };
  }

  list(): readonly HeldRecording[] {
    return [this.#recording];
  }

  find(): HeldRecording {
    return this.#recording;
  }

  read(_recording: HeldRecording, offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.min(length, this.#recording.sizeBytes - offset));
    const last = this.#recording.sizeBytes - 1 - offset;
    if (last < bytes.length) bytes[last] = 0x5a;
    return bytes;
  }

  remove(): void {}
}

describe('a file above 4 GiB', () => {
  const sizeBytes = 5 * 2 ** 30 + 77;

  test.each<[string, Partial<PtpResponderOptions>]>([
    ['stated as unknown in ObjectInfo', {}],
    ['stated modulo 2^32', { faults: { sizesModulo32: true } }],
    ['stated in 64 bits', { faults: { wideObjectInfo: true }, without: [ptpOperation.getObjectPropValue] }],
    [
      'not stated anywhere, its end is looked for',
      { without: [ptpOperation.getObjectPropValue], faults: { hangAfterEnd: false } },
    ],
  ])('has its true size: %s', async (_name, responder) => {
    const { camera } = await opened({ store: new SparseStore(sizeBytes), ...responder });
    const recording = await first(camera);
    expect(recording.sizeBytes).toBe(sizeBytes);
    const tail = await read(camera, recording, sizeBytes - 3_000_000);
    expect(tail).toHaveLength(3_000_000);
    expect(tail.at(-1)).toBe(0x5a);
  });

  test('whose size nothing can tell is listed with the defect', async () => {
    const without = [ptpOperation.getObjectPropValue, ptpOperation.getPartialObject64];
    const { camera } = await opened({ store: new SparseStore(sizeBytes), without });
    expect(await list(camera)).toMatchObject([
      { path: '/DCIM/BIG.MP4', defect: expect.stringContaining('size') },
    ]);
  });
});

describe('a read without partial reads', () => {
  test('waits for its consumer instead of piling up', async () => {
    const { camera, pipe } = await opened({ ...onlyWhole, store: new SparseStore(8_000_000) });
    pipe.longestReadBytes = 64 * 1024;
    const chunks = camera.read(await first(camera), 0, signal)[Symbol.asyncIterator]();
    await chunks.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(pipe.pendingBytes).toBeGreaterThan(7_500_000);
    await chunks.return?.();
  });

  test.each([false, true])(
    'that is left in the middle is cancelled (cancel ignored: %s)',
    async (ignoresCancel) => {
      const { camera, pipe } = await opened({
        ...onlyWhole,
        store: new SparseStore(30_000_000),
        faults: { ignoresCancel },
      });
      for await (const _ of camera.read(await first(camera), 0, signal)) break;
      expect((await camera.readIdentity(signal)).serialNumber).toBe('BC-77');
      expect(pipe.calls).toContain('cancel');
    },
  );

  test('goes on from where a dead transfer stopped', async () => {
    const bench = await opened({ ...onlyWhole }, { held: awkward() });
    bench.pipe.faults.dieAfterBytes = 2_500_000;
    await expectAllReadable(bench);
  });
});

describe('a read that loses its session in the middle', () => {
  test.each([
    ['windows', {}, ptpOperation.getPartialObject64],
    ['the whole object', onlyWhole, ptpOperation.getObject],
  ] as const)('does not go on in another recording of the same name: %s', async (_name, kind, operation) => {
    const held = storeOf({ 'A.MP4': 5_000_000 });
    const { camera, pipe } = await opened({ ...kind, faults: { dieAfterBytes: 3_000_000 } }, { held });
    pipe.longestReadBytes = 64 * 1024;
    const recording = await first(camera);
    const [before] = held.store.list();
    if (!before) throw new Error('nothing held');
    const reading = async (): Promise<void> => {
      let chunks = 0;
      for await (const _ of camera.read(recording, 0, signal)) {
        if (++chunks > 1) continue;
        pipe.faults.refuse.push({ operation, code: ptpResponse.sessionNotOpen, times: 1 });
        held.store.add({ ...before, startedAt: Date.UTC(2026, 10, 23) }, new Uint8Array(5_000_000));
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'recording.vanished' });
  });

  test('does not go on where two objects share the path', async () => {
    const store = new TwinStore();
    const { camera, pipe } = await opened({ store, strange: store.strange });
    const recording = await first(camera);
    const reading = async (): Promise<void> => {
      let isLost = false;
      for await (const _ of camera.read(recording, 0, signal)) {
        if (isLost) continue;
        isLost = true;
        pipe.faults.refuse.push({
          operation: ptpOperation.getPartialObject64,
          code: ptpResponse.sessionNotOpen,
          times: 1,
        });
      }
    };
    await expect(reading()).rejects.toMatchObject({ code: 'recording.stalled' });
  });
});

/** Two objects of one name, size and date in one folder, as a FAT that is broken may hold them. */
class TwinStore extends MemoryStore {
  readonly strange: SimulatedObject[] = [];
  readonly removed: string[] = [];

  constructor() {
    super();
    const twin = {
      path: '/A.MP4',
      kind: 'video',
      isProtected: false,
      startedAt: 0,
      knowsDigest: false,
    } as const;
    this.add({ ...twin, id: 'first' }, new Uint8Array(3_000_000).fill(1));
    this.addSecond();
  }

  addSecond(): void {
    const [twin] = this.list();
    if (!twin) throw new Error('nothing held');
    const recording = { ...twin, id: 'second' };
    this.strange.push({ handle: 9001, parent: 0, name: 'A.MP4', isFolder: false, recording });
  }

  override read(recording: HeldRecording, offset: number, length: number): Uint8Array {
    if (recording.id === 'first') return super.read(recording, offset, length);
    return new Uint8Array(Math.max(0, Math.min(length, recording.sizeBytes - offset))).fill(2);
  }

  override remove(recording: HeldRecording): void {
    this.removed.push(recording.id);
    if (recording.id === 'second') this.strange.length = 0;
    else super.remove(recording);
  }
}

describe('recovery', () => {
  test('a fresh camera hears of no cancel: old umtprd would leave the bus', async () => {
    const { pipe } = await opened({ faults: { leavesWhenCancelledIdle: true } });
    expect(pipe.calls.slice(0, 2)).toEqual(['1002', '1001']);
  });

  test('a session left open by a dead host is closed and opened again', async () => {
    const bench = await opened({}, { before: (pipe) => pipe.leaveBehind(0) });
    expect(bench.pipe.calls.slice(0, 3)).toEqual(['1002', '1003', '1002']);
    await expectAllReadable(bench);
  });

  test.each([false, true])(
    'what a dead host left in the pipe is read away (cancel ignored: %s)',
    async (ignoresCancel) => {
      const bench = await opened(
        { faults: { ignoresCancel } },
        { before: (pipe) => pipe.leaveBehind(20_000_000) },
      );
      expect(bench.pipe.calls[0]).toBe('cancel');
      await expectAllReadable(bench);
    },
  );

  test.each([0, 247, 4 * 1024 * 1024])(
    '%i late bytes and a response are read away without a cancel',
    async (bytes) => {
      const before = (pipe: PtpResponder): void => {
        pipe.leaveBehind(bytes);
        pipe.sendStrayResponse(9);
      };
      const bench = await opened({}, { before });
      expect(bench.pipe.calls).not.toContain('cancel');
      await expectAllReadable(bench);
    },
  );

  test('a transfer that dies in the middle is cancelled and its window read again', async () => {
    const bench = await opened({}, { held: awkward() });
    bench.pipe.faults.dieAfterBytes = 1_234_567;
    await expectAllReadable(bench);
    expect(bench.pipe.calls.filter((call) => call === 'cancel')).toHaveLength(1);
    expect(bench.pipe.calls).not.toContain('release');
  });

  test.each([
    ['until reopened', 'claim'],
    ['until reset', 'reset'],
    ['until class reset', 'class reset'],
  ] as const)('climbs as far as it must: a camera silent %s', async (silent, last) => {
    const bench = await opened();
    await list(bench.camera);
    bench.pipe.faults.silent = silent;
    bench.pipe.calls.length = 0;
    expect((await bench.camera.readIdentity(signal)).serialNumber).toBe('BC-77');
    const rungs = bench.pipe.calls.filter((call) => !/^[0-9a-f]{4}$/.test(call));
    expect(rungs.at(-1)).toBe(last);
    await expectAllReadable(bench);
  });

  test('a camera that nothing brings back is asked in every way once, then left', async () => {
    const { camera, pipe } = await opened();
    pipe.faults.silent = 'everything';
    pipe.calls.length = 0;
    await expect(camera.readIdentity(signal)).rejects.toMatchObject({ code: 'usb.unresponsive' });
    expect(pipe.calls.filter((call) => call === 'claim')).toHaveLength(3);
    expect(pipe.calls.filter((call) => call === 'reset')).toHaveLength(1);
    expect(pipe.calls.filter((call) => call === 'class reset')).toHaveLength(1);
  });

  test('handles hold over a recovery that kept the session, so that nothing is listed again', async () => {
    const bench = await opened();
    const recording = await first(bench.camera);
    bench.pipe.faults.dieAfterBytes = 100;
    bench.pipe.calls.length = 0;
    await read(bench.camera, recording);
    expect(bench.pipe.calls).not.toContain('1007');
  });

  test('pulling the cable at any byte ends in link.closed', async () => {
    const whole = await opened();
    await expectAllReadable(whole);
    const totalBytes = whole.pipe.sentBytes;
    expect(totalBytes).toBeGreaterThan(30_000);
    const places = Array.from({ length: 60 }, (_, index) => 1 + Math.floor((index * (totalBytes - 2)) / 59));
    for (const unplugAfterBytes of [...places, 2, 11, 12, 13]) {
      const outcome = await opened({ faults: { unplugAfterBytes } })
        .then(expectAllReadable)
        .then(
          () => 'read',
          (error: { code?: string }) => error.code,
        );
      expect(outcome, `after ${unplugAfterBytes} bytes`).toBe('link.closed');
    }
  });
});

describe('a list', () => {
  const strange = [
    { handle: 900, parent: 0, name: '..', isFolder: true },
    { handle: 901, parent: 0, name: 'a/../../etc.MP4', isFolder: false },
    { handle: 902, parent: 0, name: 'back\\slash.MP4', isFolder: false },
    { handle: 903, parent: 0, name: 'line\nbreak.MP4', isFolder: false },
    { handle: 904, parent: 0, name: '\ud800.MP4', isFolder: false },
    { handle: 905, parent: 0, name: '', isFolder: false },
    { handle: 906, parent: 906, name: 'itself', isFolder: true },
    { handle: 907, parent: 0, name: 'loop', isFolder: true },
    { handle: 907, parent: 907, name: 'loop', isFolder: true },
    { handle: 0, parent: 0, name: 'NULL.MP4', isFolder: false },
    { handle: 0xffff_ffff, parent: 0, name: 'ALL.MP4', isFolder: false },
  ];

  test('with names and folders that no file system has is walked to its end', async () => {
    const bench = await opened({ strange });
    const listed = await list(bench.camera);
    expect(listed.filter(({ defect }) => defect === undefined)).toHaveLength(4);
    expect(listed.filter(({ defect }) => defect !== undefined).map(({ path }) => path)).toEqual(
      [900, 901, 902, 903, 904, 905, 0, 0xffff_ffff].map((handle) => `/#${handle}`),
    );
  });

  test('of folders in folders without end stops', async () => {
    const nested = Array.from({ length: 40 }, (_, depth) => ({
      handle: 500 + depth,
      parent: depth === 0 ? 0 : 499 + depth,
      name: 'deeper',
      isFolder: true,
    }));
    const { camera } = await opened({ strange: nested });
    const listed = await list(camera);
    expect(listed.filter(({ defect }) => defect?.includes('deep'))).toHaveLength(1);
    expect(listed).toHaveLength(5);
  });

  test('keeps a name that comes twice: the planner refuses the second', async () => {
    const twice = [
      { handle: 500, parent: 0, name: 'X.MP4', isFolder: false },
      { handle: 501, parent: 0, name: 'X.MP4', isFolder: false },
    ];
    const { camera } = await opened({ strange: twice });
    expect((await list(camera)).filter(({ id }) => id === '/X.MP4')).toHaveLength(2);
  });

  test('shows an object that cannot be told, and fails when none can', async () => {
    const beside = [{ handle: 700, parent: 0, name: 'NEXT.MP4', isFolder: false }];
    for (const strange of [beside, []]) {
      const { camera, pipe } = await opened({ strange });
      pipe.faults.refuse.push({
        operation: ptpOperation.getObjectInfo,
        code: ptpResponse.parameterNotSupported,
        times: 1,
      });
      const listed = list(camera);
      if (strange.length === 0) {
        await expect(listed).rejects.toMatchObject({ code: 'ptp.rejected' });
      } else {
        expect(await listed).toMatchObject([{ defect: 'GetObjectInfo: 0x2006' }, { path: '/NEXT.MP4' }]);
      }
    }
  });

  const { getObjectInfo, getObjectHandles } = ptpOperation;
  const { invalidObjectHandle } = ptpResponse;

  test('shows an object that the camera does not know although its folder lists it', async () => {
    const { camera, pipe } = await opened();
    pipe.faults.refuse.push({
      operation: getObjectInfo,
      parameter: 102,
      code: invalidObjectHandle,
      times: 1,
    });
    const listed = await list(camera);
    expect(listed.map(({ path }) => path)).toEqual([
      '/DCIM/B.MP4',
      '/DCIM/EMPTY.MP4',
      '/DCIM/C.MP4',
      '/DCIM/#102',
    ]);
    expect(listed.at(-1)?.defect).toContain('its folder lists it');
  });

  test('fails when the camera does not know its own root', async () => {
    const { camera, pipe } = await opened();
    pipe.faults.refuse.push({ operation: getObjectHandles, code: invalidObjectHandle, times: 1 });
    await expect(list(camera)).rejects.toMatchObject({ code: 'ptp.rejected' });
  });

  test('shows a folder that the camera does not know although the root lists it', async () => {
    const { camera, pipe } = await opened();
    pipe.faults.refuse.push({
      operation: getObjectHandles,
      parameter: 101,
      code: invalidObjectHandle,
      times: 1,
    });
    expect(await list(camera)).toMatchObject([{ path: '/DCIM/', defect: expect.stringContaining('folder') }]);
  });

  test.each([
    ['an object', getObjectInfo],
    ['a folder', getObjectHandles],
  ] as const)('leaves out %s that is removed in the middle', async (_name, operation) => {
    const isFolder = operation === getObjectHandles;
    const passing: SimulatedObject[] = [{ handle: 900, parent: 0, name: 'X.MP4', isFolder }];
    const { camera, pipe } = await opened({ strange: passing });
    pipe.faults.refuse.push({
      operation,
      parameter: 900,
      get code() {
        passing.length = 0;
        return invalidObjectHandle;
      },
      times: 1,
    });
    expect((await list(camera)).map(({ defect }) => defect)).toEqual(Array(4).fill(undefined));
    expect(passing).toEqual([]);
  });

  test('gives the same ids in another session', async () => {
    const held = recordings();
    const before = await list((await opened({}, { held })).camera);
    const after = await list((await opened({}, { held, before: (pipe) => pipe.leaveBehind(0) })).camera);
    expect(after).toEqual(before);
  });

  test('leaves out what the profile does not call a recording', async () => {
    const held = storeOf({ 'A.MP4': 1, 'LOG.TXT': 1 });
    const seen: string[] = [];
    const isRecording = (path: string): boolean => {
      seen.push(path);
      return path.endsWith('.MP4');
    };
    const { camera } = await opened({}, { held, options: { isRecording } });
    expect((await list(camera)).map(({ path }) => path)).toEqual(['/DCIM/A.MP4']);
    expect(seen).toEqual(['/DCIM/A.MP4', '/DCIM/LOG.TXT']);
  });
});

describe('times', () => {
  test.each(['', 'Z', '+0600', '-0330', '.0'])(
    'of recordings and clock mean the same with suffix %j',
    async (timeSuffix) => {
      const { camera, clock, held } = await opened({ faults: { timeSuffix } });
      expect(await list(camera)).toMatchObject(held.store.list().map(({ startedAt }) => ({ startedAt })));
      const shown = await camera.clock?.read(signal);
      expect(shown).toBe(Math.floor(clock.now() / 1000) * 1000);
      const at = Date.UTC(2031, 1, 28, 23, 59, 58);
      await camera.clock?.set(at, signal);
      expect(await camera.clock?.read(signal)).toBe(at);
    },
  );

  test('a clock that cannot be set is none', async () => {
    const { camera } = await opened({ without: [ptpOperation.setDevicePropValue] });
    expect(camera.clock).toBeUndefined();
  });

  test('a second answer to setting the clock is passed over', async () => {
    const bench = await opened({ faults: { answersDataTwice: true } });
    await bench.camera.clock?.set(Date.UTC(2030, 0, 1), signal);
    await expectAllReadable(bench);
    expect(bench.pipe.calls).not.toContain('cancel');
  });
});

describe('health', () => {
  test('holds the battery and the storages', async () => {
    const { camera } = await opened();
    expect(await camera.health?.(signal)).toEqual({
      batteryPercent: 80,
      storageTotalBytes: 32_000_000_000,
      storageFreeBytes: 8_000_000_000,
      errorCounters: {},
    });
  });

  test('leaves out a battery level without a range: umtprd always states 0', async () => {
    const { camera } = await opened({ faults: { batteryLevel: 0, hasBatteryRange: false } });
    expect(await camera.health?.(signal)).not.toHaveProperty('batteryPercent');
  });

  test('leaves out a battery level outside its own range', async () => {
    const { camera } = await opened({ faults: { batteryLevel: 0x8000 } });
    expect(await camera.health?.(signal)).not.toHaveProperty('batteryPercent');
  });
});

describe('identity', () => {
  test.each(['', '0000000000', 'no/number'])(
    'comes from the USB descriptor when MTP states %j',
    async (serialNumber) => {
      const { camera } = await opened({ serialNumber }, { options: { usbSerialNumber: 'usb-1' } });
      expect(camera.identity).toMatchObject({ serialNumber: 'USB-1', model: 'Maker Camera' });
    },
  );

  test('that neither states is refused, and the pipe given back', async () => {
    const pipe = new PtpResponder({
      store: recordings().store,
      hostClock: new VirtualClock(),
      serialNumber: '',
    });
    await expect(openMtpCamera(pipe, new VirtualClock(), options, signal)).rejects.toMatchObject({
      code: 'camera.identity-invalid',
    });
    await pipe.closed;
  });
});

describe('removal', () => {
  test('is absent where the profile does not want it', async () => {
    const { camera } = await opened({}, { options: { mayRemove: false } });
    expect(camera.remove).toBeUndefined();
  });

  test.each([ptpResponse.objectWriteProtected, ptpResponse.storeReadOnly, ptpResponse.accessDenied])(
    'refused with 0x%s is removal.refused',
    async (refuseRemoval) => {
      const { camera, held } = await opened({ faults: { refuseRemoval } });
      const recording = await first(camera);
      await expect(camera.remove?.(recording, proofOf(recording), signal)).rejects.toMatchObject({
        code: 'removal.refused',
      });
      expect(held.store.list()).toHaveLength(4);
    },
  );

  test('that the camera only claims to have done is removal.refused', async () => {
    const { camera } = await opened({ faults: { keepsRemoved: true } });
    const recording = await first(camera);
    await expect(camera.remove?.(recording, proofOf(recording), signal)).rejects.toMatchObject({
      code: 'removal.refused',
    });
  });

  test('whose answer is lost is looked for, not repeated blindly', async () => {
    const { camera, pipe, held } = await opened();
    const recording = await first(camera);
    pipe.calls.length = 0;
    pipe.loseAnswerTo(ptpOperation.deleteObject);
    await camera.remove?.(recording, proofOf(recording), signal);
    expect(pipe.calls.filter((call) => call === '100b')).toHaveLength(1);
    expect(held.store.list()).toHaveLength(3);
  });

  test('after the session was lost finds the recording by its path, never by an old handle', async () => {
    const { camera, pipe, held } = await opened();
    const recording = await first(camera);
    pipe.faults.refuse.push({
      operation: ptpOperation.getObjectInfo,
      code: ptpResponse.sessionNotOpen,
      times: 1,
    });
    await camera.remove?.(recording, proofOf(recording), signal);
    expect(held.store.list().map(({ path }) => path)).toEqual([
      '/DCIM/B.MP4',
      '/DCIM/EMPTY.MP4',
      '/DCIM/C.MP4',
    ]);
  });

  test('of a recording that was replaced by another of its name is refused', async () => {
    const { camera, held } = await opened();
    const recording = await first(camera);
    const [before] = held.store.list();
    if (!before) throw new Error('nothing held');
    held.store.add(before, new Uint8Array(77));
    await expect(camera.remove?.(recording, proofOf(recording), signal)).rejects.toMatchObject({
      code: 'removal.refused',
    });
    expect(held.store.list()).toHaveLength(4);
  });

  test('of one of two objects that share a path is refused, whether they were listed or not', async () => {
    for (const isListed of [true, false]) {
      const store = new TwinStore();
      const responder = { store, strange: store.strange };
      const recording = await first((await opened(responder)).camera);
      const { camera, pipe } = await opened(responder);
      if (isListed) await list(camera);
      pipe.loseAnswerTo(ptpOperation.deleteObject);
      await expect(camera.remove?.(recording, proofOf(recording), signal)).rejects.toMatchObject({
        code: 'removal.refused',
      });
      expect(store.removed).toEqual([]);
    }
  });

  test('whose answer is lost spares what has come in its place meanwhile', async () => {
    const store = new (class extends TwinStore {
      override remove(recording: HeldRecording): void {
        if (recording.id === 'first') this.addSecond();
        super.remove(recording);
      }
    })();
    store.strange.length = 0;
    const { camera, pipe } = await opened({ store, strange: store.strange });
    const recording = await first(camera);
    pipe.loseAnswerTo(ptpOperation.deleteObject);
    await expect(camera.remove?.(recording, proofOf(recording), signal)).rejects.toMatchObject({
      code: 'removal.refused',
    });
    expect(store.removed).toEqual(['first']);
  });

  test('of a recording that was replaced by another of its name and size is refused', async () => {
    const { camera, held } = await opened();
    const recording = await first(camera);
    const [before] = held.store.list();
    if (!before) throw new Error('nothing held');
    held.store.add({ ...before, startedAt: Date.UTC(2026, 10, 23) }, new Uint8Array(30_000));
    await expect(camera.remove?.(recording, proofOf(recording), signal)).rejects.toMatchObject({
      code: 'removal.refused',
    });
    expect(held.store.list()).toHaveLength(4);
  });

  test.each([
    ['not known for a moment', [ptpResponse.invalidObjectHandle]],
    ['not readable in a new session', [ptpResponse.sessionNotOpen, ptpResponse.generalError]],
  ] as const)('of a recording that is %s is not taken for done', async (_name, codes) => {
    const { camera, pipe, held } = await opened({}, { held: storeOf({ '/A.MP4': 3000 }) });
    const recording = await first(camera);
    for (const code of codes) {
      const times = code === ptpResponse.sessionNotOpen ? 1 : 2;
      pipe.faults.refuse.push({ operation: ptpOperation.getObjectInfo, code, times });
    }
    await expect(camera.remove?.(recording, proofOf(recording), signal)).rejects.toMatchObject({
      code: 'recording.stalled',
    });
    expect(held.store.list()).toHaveLength(1);
    await camera.remove?.(recording, proofOf(recording), signal);
    expect(held.store.list()).toEqual([]);
  });

  test('of the last recording in a folder that goes with it is done', async () => {
    const { camera, pipe, held } = await opened({}, { held: storeOf({ 'A.MP4': 3000 }) });
    const recording = await first(camera);
    pipe.faults.refuse.push({
      operation: ptpOperation.getObjectHandles,
      parameter: 101,
      code: ptpResponse.invalidObjectHandle,
      times: Infinity,
    });
    await camera.remove?.(recording, proofOf(recording), signal);
    expect(held.store.list()).toEqual([]);
  });
});
