// What only a real responder on a real USB stack shows: umtprd 1.3.10 drops off the bus when it is cancelled at rest,
// keeps a file in flight over the death of its host, hangs while nobody reads its events and wraps sizes at 4 GiB.
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import { openMtpCamera } from '../../dock/camera/mtp-camera.ts';
import { attestVerifiedCopy } from '../../dock/camera/verified-copy.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { readUsbMemoryLimit, UsbBudget } from '../../dock/host/usb-budget.ts';
import { openUsbPipe } from '../../dock/host/usb-pipe.ts';
import { readUsbDevice } from '../../dock/host/usb-tree.ts';
import { mtpGadget } from './gadgets.ts';
import { labDisk, scratchFolder } from './lab.ts';

const { signal } = new AbortController();
const budget = new UsbBudget(await readUsbMemoryLimit());

async function cameraOn(portPath: string): Promise<Camera> {
  const device = await readUsbDevice(portPath);
  if (!device) throw new Error(`nothing on ${portPath}`);
  const pipe = await openUsbPipe(device, 'auto', { budget });
  const isRecording = (path: string): boolean => path.endsWith('.MP4');
  return openMtpCamera(pipe, systemClock, { isRecording, zoneMinutes: 300, mayRemove: true }, signal);
}

async function bench(files: Readonly<Record<string, number>>) {
  const storage = await scratchFolder(labDisk);
  await mkdir(join(storage.path, 'DCIM'));
  for (const [name, sizeBytes] of Object.entries(files)) {
    await writeFile(join(storage.path, 'DCIM', name), randomBytes(sizeBytes));
  }
  const gadget = await mtpGadget({ udc: 0, serialNumber: 'LAB-1', storages: [{ path: storage.path }] });
  return {
    storage: storage.path,
    gadget,
    async [Symbol.asyncDispose](): Promise<void> {
      await gadget[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}

function named(listed: readonly ListedRecording[], path: string): ListedRecording {
  const found = listed.find((recording) => recording.path === path);
  if (!found) throw new Error(`${path} is not listed`);
  return found;
}

const list = (camera: Camera) => Array.fromAsync(camera.recordings(signal));

async function digest(camera: Camera, recording: ListedRecording): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of camera.read(recording, 0, signal)) hash.update(chunk);
  return hash.digest('hex');
}

test('Everything a camera holds is listed, read as it is, and removed when asked', async () => {
  await using at = await bench({
    'A.MP4': 3_000_500,
    'P.MP4': 500,
    'EMPTY.MP4': 0,
    'W.MP4': 1024 * 1024 - 12,
  });
  await at.gadget.plug();
  await using camera = await cameraOn(at.gadget.portPath);
  expect(camera.identity.serialNumber).toBe('LAB-1');
  expect(camera.clock).toBeUndefined();
  expect(await camera.health?.(signal)).not.toHaveProperty('batteryPercent');
  const listed = await list(camera);
  expect(listed).toHaveLength(4);
  for (const recording of listed) {
    const file = await readFile(join(at.storage, recording.path));
    expect(recording.sizeBytes).toBe(file.length);
    expect(await digest(camera, recording)).toBe(createHash('sha256').update(file).digest('hex'));
  }
  const proof = attestVerifiedCopy({ recordingId: 'R', sizeBytes: 500, sha256: '' });
  await camera.remove?.(named(listed, '/DCIM/P.MP4'), proof, signal);
  expect((await list(camera)).map(({ path }) => path)).not.toContain('/DCIM/P.MP4');
  await expect(stat(join(at.storage, 'DCIM/P.MP4'))).rejects.toMatchObject({ code: 'ENOENT' });
  await camera.remove?.(named(listed, '/DCIM/P.MP4'), proof, signal);
});

test('A recording above 4 GiB has its true size and its true bytes on both sides of the border', async () => {
  await using at = await bench({});
  const sizeBytes = 5 * 2 ** 30 + 77;
  await using file = await open(join(at.storage, 'DCIM/BIG.MP4'), 'w');
  await file.truncate(sizeBytes);
  await file.write('MIDDLE', 2 ** 32);
  await file.write('END', sizeBytes - 3);
  await at.gadget.plug();
  await using camera = await cameraOn(at.gadget.portPath);
  const big = named(await list(camera), '/DCIM/BIG.MP4');
  expect(big.sizeBytes).toBe(sizeBytes);
  for await (const chunk of camera.read(big, 2 ** 32 - 3, signal)) {
    expect(Buffer.from(chunk.subarray(0, 10)).toString('latin1')).toBe('\0\0\0MIDDLE\0');
    break;
  }
  const tail = Buffer.concat(await Array.fromAsync(camera.read(big, sizeBytes - 700_000, signal)));
  expect(tail).toHaveLength(700_000);
  expect(tail.subarray(-4).toString('latin1')).toBe('\0END');
});

test('A camera that freezes lets its caller go, and is closed', async () => {
  await using at = await bench({ 'A.MP4': 100_000 });
  await at.gadget.plug();
  const camera = await cameraOn(at.gadget.portPath);
  await list(camera);
  at.gadget.function.freezeResponder();
  const stop = new AbortController();
  const asked = camera.readIdentity(stop.signal);
  setTimeout(() => stop.abort(new Error('stop')), 200);
  await expect(asked).rejects.toThrow('stop');
  await camera[Symbol.asyncDispose]();
  expect(budget.inFlightBytes).toBe(0);
  at.gadget.function.thawResponder();
});

test('What a killed host left in the middle of a file is no trouble to the next', async () => {
  await using at = await bench({ 'A.MP4': 40_000_000 });
  await at.gadget.plug();
  const script = `
    import { usb } from 'usb';
    const device = (await usb.getDevices()).find(({ serialNumber }) => serialNumber === 'LAB-1');
    await device.open();
    await device.claimInterface(0);
    const ask = (code, id, ...parameters) => {
      const words = Uint32Array.of(12 + 4 * parameters.length, 1 | (code << 16), id, ...parameters);
      return device.transferOut(2, new Uint8Array(words.buffer), 5000);
    };
    const received = async (bytes) => (await device.transferIn(1, bytes, 5000)).data;
    const firstIn = async (id, parent) => {
      await ask(0x1007, id, 0xffff0001, 0, parent);
      const handle = (await received(512)).getUint32(16, true);
      await received(512);
      return handle;
    };
    await ask(0x1002, 0, 1);
    await received(512);
    await ask(0x1009, 3, await firstIn(2, await firstIn(1, 0xffffffff)));
    if ((await received(65536)).byteLength === 65536) process.kill(process.pid, 'SIGKILL');`;
  const host = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  expect(await once(host, 'exit')).toEqual([null, 'SIGKILL']);
  await using camera = await cameraOn(at.gadget.portPath);
  const [recording] = await list(camera);
  const file = await readFile(join(at.storage, 'DCIM/A.MP4'));
  expect(recording && (await digest(camera, recording))).toBe(
    createHash('sha256').update(file).digest('hex'),
  );
});

test('A second program is told that the camera is in use', async () => {
  await using at = await bench({});
  await at.gadget.plug();
  await using _ = await cameraOn(at.gadget.portPath);
  await expect(cameraOn(at.gadget.portPath)).rejects.toMatchObject({ code: 'usb.in-use' });
});

test('Files that appear while nobody asks do not hold the camera up', async () => {
  await using at = await bench({ 'A.MP4': 1 });
  await at.gadget.plug();
  await using camera = await cameraOn(at.gadget.portPath);
  expect(await list(camera)).toHaveLength(1);
  for (let index = 0; index < 50; index++) await writeFile(join(at.storage, `DCIM/N${index}.MP4`), 'new');
  expect(await list(camera)).toHaveLength(51);
});

test('A camera that is pulled while it is read is gone for good, and comes back as another', async () => {
  await using at = await bench({ 'A.MP4': 30_000_000 });
  await at.gadget.plug();
  {
    await using camera = await cameraOn(at.gadget.portPath);
    const [recording] = await list(camera);
    const reading = async (): Promise<void> => {
      for await (const _ of camera.read(recording as ListedRecording, 0, signal)) await at.gadget.unplug();
    };
    await expect(reading()).rejects.toMatchObject({ code: 'link.closed' });
    await expect(camera.readIdentity(signal)).rejects.toMatchObject({ code: 'link.closed' });
  }
  await at.gadget.plug();
  await systemClock.sleep(2000);
  await using again = await cameraOn(at.gadget.portPath);
  expect(await list(again)).toHaveLength(1);
  expect(budget.inFlightBytes).toBe(0);
});
