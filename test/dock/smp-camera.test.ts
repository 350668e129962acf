// The camera of the camera group keeps the contract of every camera, with a fine clock and with a coarse one, with
// the smallest buffers and with large ones, over a console and over HID reports.
import { afterEach, describe, expect, test } from 'vitest';
import { consoleTransport, defaultConsoleOptions } from '../../dock/camera/console-transport.ts';
import { hidTransport } from '../../dock/camera/hid-transport.ts';
import { openSmpCamera } from '../../dock/camera/smp-camera.ts';
import type { Camera } from '../../dock/camera/camera.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { memoryHidPipes } from '../../dock/simulator/memory-hid-pipes.ts';
import { sampleCamera, type SampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCamera, serveCameraOverHid, type ServedCamera } from '../../dock/simulator/serve.ts';
import * as group from '../../protocol/smp/camera-group.ts';
import { fsDownload, fsStatus } from '../../protocol/smp/fs-group.ts';
import { osReadDatetime } from '../../protocol/smp/os-group.ts';
import type { AnySmpCommand } from '../../protocol/smp/command.ts';
import {
  cameraConformance,
  type ConformanceBench,
  type ConformanceRequest,
} from '../support/camera-conformance.ts';
import { memoryLinks } from '../support/memory-link.ts';
import { bytesOf, storeOf } from '../support/recordings.ts';
import { scripted } from '../support/scripted-camera.ts';

const { signal } = new AbortController();
const quick = { answerTimeoutMs: 60, attempts: 5 };

async function openOnMemory(camera: ServedCamera): Promise<{ camera: Camera; unplug: () => Promise<void> }> {
  const [host, device] = memoryLinks();
  void serveCamera(camera, device, systemRandom);
  const transport = consoleTransport(host, systemClock, { ...defaultConsoleOptions, lineGapMs: 0 });
  const opened = await openSmpCamera(transport, systemClock, signal, quick);
  return { camera: opened, unplug: async () => device[Symbol.asyncDispose]() };
}

const openOnHid =
  (reportBytes: number): typeof openOnMemory =>
  async (camera) => {
    const { host, device } = memoryHidPipes({ reportBytes });
    void serveCameraOverHid(camera, device, systemRandom);
    const opened = await openSmpCamera(hidTransport(host, systemClock), systemClock, signal, quick);
    return { camera: opened, unplug: async () => device[Symbol.asyncDispose]() };
  };

const recordings = () =>
  storeOf(
    { 'A.MP4': 30_000, 'B.MP4': 1, 'EMPTY.MP4': 0, 'C.MP4': 4097 },
    { knowsDigest: false, isProtected: (name) => name === 'B.MP4' },
  );

const commands: Readonly<Record<string, readonly AnySmpCommand[]>> = {
  health: [group.cameraHealth],
  clock: [group.cameraReadClock, group.cameraSetClock, osReadDatetime],
  digest: [group.cameraStartDigest, group.cameraPollDigest],
  remove: [group.cameraRemove],
};

interface Variant {
  readonly sample: Partial<SampleCamera>;
  readonly openOn: typeof openOnMemory;
}

const fine = { clockResolutionMs: 1 };
const small = { clockResolutionMs: 1000, bufferBytes: 384, bufferCount: 1 };

for (const [name, { sample, openOn }] of Object.entries<Variant>({
  'SMP, fine clock, large buffers': { sample: fine, openOn: openOnMemory },
  'SMP, whole seconds, small buffers': { sample: small, openOn: openOnMemory },
  'SMP over HID, reports of 64 bytes': { sample: fine, openOn: openOnHid(64) },
  'SMP over HID, reports of 8 bytes, small buffers': { sample: small, openOn: openOnHid(8) },
  'SMP over HID, reports of 1024 bytes': { sample: fine, openOn: openOnHid(1024) },
})) {
  cameraConformance(name, {
    recordings,
    open: async ({ held, without = [] }: ConformanceRequest): Promise<ConformanceBench> => {
      const serialNumber = 'BC-77';
      const simulated = sampleCamera(
        { serialNumber, store: held.store, hasKey: !without.includes('challenge'), ...sample },
        systemClock,
      );
      const lacking = without.flatMap((capability) => commands[capability] ?? []);
      const can = [0, 1, 2, 3, 4, 5, 6, 7, 8].filter(
        (id) =>
          !lacking.some(({ groupId, commandId }) => groupId === group.cameraGroupId && commandId === id),
      );
      let silent: 'everything' | 'downloads' | undefined;
      let loseOneIn = 0;
      let answers = 0;
      let stated = serialNumber;
      const script = scripted(simulated, (request) => {
        const isDownload = request.is(fsDownload) || request.is(fsStatus);
        if (silent === 'everything' || (silent === 'downloads' && isDownload)) return [];
        if (loseOneIn > 0 && ++answers % loseOneIn === 0) return [];
        if (lacking.some((command) => request.is(command))) return [request.answer({ rc: 8 })];
        if (request.is(group.cameraIdentity)) {
          return [
            request.answer({ ...request.honestBody(), serial: stated, ...(lacking.length > 0 && { can }) }),
          ];
        }
        return undefined;
      });
      const { camera, unplug } = await openOn(script);
      return {
        camera,
        serialNumber,
        loseOneIn: (count) => {
          loseOneIn = count;
        },
        fallSilent: (what) => {
          silent = what;
        },
        speakAgain: () => {
          silent = undefined;
        },
        becomeAnother: () => {
          stated = 'BC-78';
        },
        refuseRemoval: () => {
          simulated.faults.refuseRemoval = true;
        },
        forgetClock: () => {
          simulated.faults.clockNeverSet = true;
        },
        unplug,
        [Symbol.asyncDispose]: () => camera[Symbol.asyncDispose](),
      };
    },
  });
}

describe('the SMP camera', () => {
  const open: Camera[] = [];
  afterEach(async () => {
    for (const camera of open.splice(0)) await camera[Symbol.asyncDispose]();
  });
  async function opened(camera: ServedCamera): Promise<Camera> {
    const { camera: result } = await openOnMemory(camera);
    open.push(result);
    return result;
  }

  test('goes on when the server changes the size of its chunks in the middle', async () => {
    const held = storeOf({ 'A.MP4': 20_000 });
    let downloads = 0;
    const camera = await opened(
      scripted(sampleCamera({ serialNumber: 'BC-1', store: held.store }, systemClock), (request) => {
        if (!request.is(fsDownload)) return undefined;
        const { off, data } = request.honestBody() as { off: number; data: Uint8Array };
        const size = [700, 300, 1500][Math.floor(downloads++ / 4) % 3];
        return [request.answer({ off, data: data.subarray(0, size), ...(off === 0 && { len: 20_000 }) })];
      }),
    );
    const [recording] = await Array.fromAsync(camera.recordings(signal));
    if (!recording) throw new Error('no recording');
    const bytes = Buffer.concat(await Array.fromAsync(camera.read(recording, 0, signal)));
    expect(bytes.equals(bytesOf('A.MP4', 20_000))).toBe(true);
  });

  test('lists hundreds of recordings over small buffers, each once', async () => {
    const names = Array.from({ length: 300 }, (_, index) => `REC${index}.MP4`);
    const held = storeOf(Object.fromEntries(names.map((name) => [name, 3])), { knowsDigest: false });
    const camera = await opened(
      sampleCamera({ serialNumber: 'BC-1', store: held.store, bufferBytes: 384 }, systemClock),
    );
    const listed = await Array.fromAsync(camera.recordings(signal));
    expect(listed.map(({ path }) => path)).toEqual(names.map((name) => `/DCIM/${name}`));
  });

  test.for<[string, Record<string, unknown>]>([
    ['makes no progress', { done: 5 }],
    ['counts on for ever', {}],
  ])('gives up a digest that %s', async ([, fixed]) => {
    const held = storeOf({ 'A.MP4': 100 });
    let done = 0;
    const [host, device] = memoryLinks();
    const simulated = sampleCamera({ serialNumber: 'BC-1', store: held.store }, systemClock);
    void serveCamera(
      scripted(simulated, (request) =>
        request.is(group.cameraPollDigest) ? [request.answer({ done: ++done, ...fixed })] : undefined,
      ),
      device,
      systemRandom,
    );
    // Polls at once: what counts is how many.
    const hasty = {
      ...systemClock,
      sleep: (ms: number, stop?: AbortSignal) => systemClock.sleep(ms === 200 ? 0 : ms, stop),
    };
    const camera = await openSmpCamera(
      consoleTransport(host, hasty, defaultConsoleOptions),
      hasty,
      signal,
      quick,
    );
    open.push(camera);
    const [recording] = await Array.fromAsync(camera.recordings(signal));
    if (!recording) throw new Error('no recording');
    await expect(camera.digest?.(recording, signal)).rejects.toMatchObject({ code: 'recording.stalled' });
  });

  test('has no remove where the profile forbids it', async () => {
    const [host, device] = memoryLinks();
    void serveCamera(sampleCamera({ serialNumber: 'BC-1' }, systemClock), device, systemRandom);
    const transport = consoleTransport(host, systemClock, defaultConsoleOptions);
    const camera = await openSmpCamera(transport, systemClock, signal, { ...quick, mayRemove: false });
    open.push(camera);
    expect(camera.remove).toBeUndefined();
    expect(camera.digest).toBeDefined();
  });

  test('is not opened, and its link not left open, when it does not answer', async () => {
    const [host, device] = memoryLinks();
    const transport = consoleTransport(host, systemClock, defaultConsoleOptions);
    const opening = openSmpCamera(transport, systemClock, signal, { answerTimeoutMs: 5, attempts: 2 });
    await expect(opening).rejects.toMatchObject({ code: 'wire.timeout' });
    await device.closed;
  });
});
