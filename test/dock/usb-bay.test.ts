// What a bay makes of the device on its port: by profile, over as many channels as it has, and across an unlock that
// turns it into another device. The host is scripted; families and protocol are the real ones.
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { openUsbBay, type UsbHost } from '../../dock/bay/usb-bay.ts';
import { builtInProfiles } from '../../dock/camera/built-in-profiles.ts';
import { cameraProfileSchema } from '../../dock/camera/profile.ts';
import type { StorageMount } from '../../dock/camera/storage-mount.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import type { UsbDevice } from '../../dock/host/usb-tree.ts';
import { memoryHidPipes } from '../../dock/simulator/memory-hid-pipes.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCamera, serveCameraOverHid } from '../../dock/simulator/serve.ts';
import { memoryLinks } from '../support/memory-link.ts';
import { storeOf } from '../support/recordings.ts';
import { usbInterface } from '../support/usb-interface.ts';

const { signal } = new AbortController();
const cleanUps: (() => void)[] = [];
afterEach(() => cleanUps.splice(0).forEach((cleanUp) => cleanUp()));

function device(change: Partial<UsbDevice> & { shows: readonly string[] }): UsbDevice {
  const { shows, ...rest } = change;
  const interfaces = shows.map((classTriple, number) => usbInterface(number, { classTriple }));
  return {
    portPath: '1-1',
    busNumber: 1,
    address: 5,
    attachId: '500',
    vendorId: 0x1209,
    productId: 1,
    manufacturer: 'Maker',
    product: 'Camera',
    serialNumber: 'BC-1',
    speedMbps: 480,
    maxPowerMa: 500,
    isHub: false,
    isAuthorized: true,
    interfaces,
    ...rest,
  };
}

/** A storage with one recording, in a plain folder. */
function folderMount(): StorageMount {
  const folder = mkdtempSync(join(tmpdir(), 'dock-usb-bay-'));
  cleanUps.push(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'DCIM'));
  writeFileSync(join(folder, 'DCIM/A.MP4'), 'recording');
  writeFileSync(join(folder, 'DCIM/A.LOG'), 'no recording');
  return {
    name: '1-1 sda1',
    logicalUnit: 0,
    folder,
    fileSystem: 'vfat',
    isDirty: false,
    closed: new Promise(() => undefined),
    isPresent: async () => true,
    writable: (work) => work(folder),
    capacity: async () => ({ totalBytes: 1000, freeBytes: 500 }),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

const unlockable = cameraProfileSchema.parse({
  name: 'unlockable',
  modes: [
    { match: { product_id: '0001' }, control: 'smp-hid', unlock: 'mass-storage' },
    { match: { product_id: '0002' }, recordings: 'mass-storage' },
    { match: { product_id: '0003' } },
  ],
});

/** A port whose device can be changed, with a HID camera that becomes a disk when it is told to. */
function port(first: UsbDevice | undefined) {
  const state = { device: first, opened: [] as string[], onSwitch: (): void => undefined };
  const served = () =>
    sampleCamera(
      {
        serialNumber: 'BC-1',
        store: storeOf({ 'A.MP4': 1000 }).store,
        clockResolutionMs: 1,
        storageModes: ['mass-storage'],
        onModeSwitch: () => state.onSwitch(),
      },
      systemClock,
    );
  const host: UsbHost = {
    attachment: async ({ portPath, attachId }) => ({
      place: `boot-1 ${portPath}`,
      id: attachId,
      attachedAt: 0,
    }),
    readDevice: async () => state.device,
    openPtp: () => Promise.reject(new Error('not asked for')),
    openHid: async () => {
      state.opened.push('hid');
      const pipes = memoryHidPipes();
      void serveCameraOverHid(served(), pipes.device, systemRandom);
      return pipes.host;
    },
    openSerial: async (_, baudRate) => {
      state.opened.push(`serial ${baudRate}`);
      const [near, far] = memoryLinks();
      void serveCamera(served(), far, systemRandom);
      return near;
    },
    mount: async () => {
      state.opened.push('mount');
      return [folderMount()];
    },
    powerCycle: async () => false,
  };
  return { state, host };
}

function look(host: UsbHost, profiles = [unlockable, ...builtInProfiles({ generic: false })]) {
  const bay = { usbPort: '1-1', profiles, reenumerationMs: 1500 };
  return openUsbBay(bay, host, systemClock, signal);
}

async function openedCamera(host: UsbHost) {
  const content = await look(host);
  if (content.kind !== 'camera') throw new Error(content.kind);
  return content.camera;
}

test('an empty port is an empty bay', async () => {
  expect(await look(port(undefined).host)).toEqual({ kind: 'empty' });
});

test('a device that goes away while its contacts bounce is not touched', async () => {
  const { state, host } = port(device({ shows: ['03/00/00'] }));
  setTimeout(() => (state.device = undefined), 100);
  expect(await look(host)).toEqual({ kind: 'empty' });
  expect(state.opened).toEqual([]);
});

test('a mode without channels is a camera that charges', async () => {
  const { host } = port(device({ productId: 3, shows: [] }));
  expect(await look(host)).toEqual({ kind: 'charging', detail: 'unlockable on 1-1' });
});

test.for([
  ['a keyboard', device({ vendorId: 1, productId: 9, shows: ['03/01/01'] })],
  ['a known camera with a keyboard behind it', device({ shows: ['03/00/00', '03/01/01'] })],
  [
    'a known camera with a network card',
    device({ productId: 2, shows: ['08/06/50', '02/06/00', '0a/00/00'] }),
  ],
  ['a hub', device({ vendorId: 1, shows: ['09/00/00'], isHub: true })],
  ['an unknown composite', device({ vendorId: 1, productId: 9, shows: ['08/06/50', 'ff/00/00'] })],
  ['what the kernel holds back', { ...device({ shows: ['03/00/00'] }), isAuthorized: false }],
] as const)('%s is a stranger, and nothing of it is opened', async ([, stranger]) => {
  const { state, host } = port(stranger);
  await expect(look(host)).rejects.toMatchObject({ code: 'camera.stranger' });
  expect(state.opened).toEqual([]);
});

test('a disk without a profile is no camera, unless the station takes any', async () => {
  const { host } = port(device({ vendorId: 1, productId: 9, shows: ['08/06/50'] }));
  await expect(look(host)).rejects.toMatchObject({ code: 'camera.unknown-model' });
  const content = await look(host, builtInProfiles({ generic: true }));
  expect(content).toMatchObject({ kind: 'camera', camera: { identity: { serialNumber: 'BC-1' } } });
});

test('a camera whose serial number has not the form of its profile is refused before anything is asked of it', async () => {
  const { host } = port(device({ productId: 2, shows: ['08/06/50'] }));
  const [strict] = [{ ...unlockable, serial_numbers: ['BC-####'] }];
  await expect(look(host, [strict])).rejects.toMatchObject({ code: 'camera.identity-invalid' });
  expect(await look(host, [{ ...strict, serial_numbers: ['BC-####', 'BC-#'] }])).toMatchObject({
    kind: 'camera',
  });
});

test('a serial camera needs no profile of its own', async () => {
  const { state, host } = port(device({ vendorId: 1, productId: 9, shows: ['02/02/01', '0a/00/00'] }));
  await using camera = await openedCamera(host);
  expect(camera.identity.serialNumber).toBe('BC-1');
  expect(state.opened).toEqual(['serial 115200']);
});

describe('a camera that is unlocked over HID', () => {
  const locked = device({ shows: ['03/00/00'] });
  const unlocked = device({ productId: 2, address: 6, attachId: '600', shows: ['08/06/50'] });

  test('stays locked until its recordings are asked for, then comes back as a disk', async () => {
    const { state, host } = port(locked);
    state.onSwitch = () => {
      state.device = undefined;
      setTimeout(() => (state.device = unlocked), 200);
    };
    await using camera = await openedCamera(host);
    expect(state.opened).toEqual(['hid']);
    expect(await camera.clock?.read(signal)).toBeGreaterThan(0);
    expect(camera.remove).toBeUndefined();

    const listed = await Array.fromAsync(camera.recordings(signal));
    expect(listed.map(({ path }) => path)).toEqual([expect.stringMatching(/DCIM\/A\.MP4$/)]);
    expect(state.opened).toEqual(['hid', 'mount']);
    const [recording] = listed;
    const bytes = recording && (await Array.fromAsync(camera.read(recording, 0, signal)));
    expect(Buffer.concat(bytes ?? []).toString()).toBe('recording');
    expect(camera.clock).toBeUndefined();
    expect(camera.remove).toBeDefined();
    expect((await camera.readIdentity(signal)).serialNumber).toBe('BC-1');
    expect(camera.attachment).toEqual({ place: 'boot-1 1-1', id: '600', attachedAt: 0 });
  });

  test('and found unlocked, as after a restart of the agent, is emptied as it is', async () => {
    await using camera = await openedCamera(port(unlocked).host);
    expect(await Array.fromAsync(camera.recordings(signal))).toHaveLength(1);
  });

  test('and does not come back is told so', async () => {
    const { state, host } = port(locked);
    state.onSwitch = () => {
      state.device = undefined;
    };
    await using camera = await openedCamera(host);
    await expect(Array.fromAsync(camera.recordings(signal))).rejects.toMatchObject({
      code: 'camera.unlock-failed',
    });
    await expect(camera.readIdentity(signal)).rejects.toMatchObject({ code: 'link.closed' });
  });

  test('and comes back as another camera is not emptied', async () => {
    const { state, host } = port(locked);
    state.onSwitch = () => {
      state.device = { ...unlocked, serialNumber: 'BC-2' };
    };
    await using camera = await openedCamera(host);
    await expect(Array.fromAsync(camera.recordings(signal))).rejects.toMatchObject({
      code: 'camera.identity-changed',
    });
  });

  test('and comes back with a keyboard is a stranger', async () => {
    const { state, host } = port(locked);
    state.onSwitch = () => {
      state.device = device({ productId: 2, address: 6, attachId: '600', shows: ['08/06/50', '03/01/01'] });
    };
    await using camera = await openedCamera(host);
    await expect(Array.fromAsync(camera.recordings(signal))).rejects.toMatchObject({
      code: 'camera.stranger',
    });
  });
});

test('a model that must not be emptied has no removal', async () => {
  const kept = cameraProfileSchema.parse({ ...unlockable, removal: 'never' });
  const { host } = port(device({ productId: 2, shows: ['08/06/50'] }));
  const content = await look(host, [kept]);
  if (content.kind !== 'camera') throw new Error(content.kind);
  await using camera = content.camera;
  expect(camera.remove).toBeUndefined();
});
