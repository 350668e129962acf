// The station's side of the mass-storage lab, run as a user without privileges: takes commands as JSON lines on
// standard input and answers each with one line. Arguments: port path, socket of the helper.
import { createInterface } from 'node:readline';
import { createHash } from 'node:crypto';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import { openMassStorageCamera } from '../../dock/camera/mass-storage-camera.ts';
import { attestVerifiedCopy } from '../../dock/camera/verified-copy.ts';
import { PrivilegedHelper } from '../../dock/host/privileged-helper.ts';
import { mountStorage } from '../../dock/host/storage-mount.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { readUsbDevice } from '../../dock/host/usb-tree.ts';
import { asDockError } from '../../protocol/errors.ts';

const [portPath = '', socketPath = ''] = process.argv.slice(2);
const { signal } = new AbortController();
const helper = new PrivilegedHelper(systemClock, { socketPath });
let camera: Camera | undefined;
let listed: ListedRecording[] = [];

const commands: Readonly<Record<string, (...words: string[]) => Promise<unknown>>> = {
  ready: async () => 'ready',
  open: async () => {
    const device = await readUsbDevice(portPath);
    if (!device) throw new Error(`nothing on ${portPath}`);
    const mounts = await mountStorage(device, helper, systemClock);
    camera = await openMassStorageCamera(
      mounts,
      { serialNumber: device.serialNumber, model: device.product },
      systemClock,
      { isRecording: (path) => !path.endsWith('.txt'), zoneMinutes: 300, mayRemove: true },
      signal,
    );
    return mounts.map(({ name, folder, fileSystem, isDirty }) => ({ name, folder, fileSystem, isDirty }));
  },
  identity: () => expectOpen().readIdentity(signal),
  health: async () => expectOpen().health?.(signal),
  list: async () => {
    listed = await Array.fromAsync(expectOpen().recordings(signal));
    return listed;
  },
  read: async (path = '') => {
    const hash = createHash('sha256');
    for await (const chunk of expectOpen().read(recordingAt(path), 0, signal)) hash.update(chunk);
    return hash.digest('hex');
  },
  capabilities: async () =>
    (['health', 'clock', 'remove'] as const).filter((name) => expectOpen()[name] !== undefined),
  remove: async (path = '', sha256 = '') => {
    const recording = recordingAt(path);
    const proof = attestVerifiedCopy({ recordingId: 'R', sizeBytes: Number(recording.sizeBytes), sha256 });
    await expectOpen().remove?.(recording, proof, signal);
  },
  'power-cycle': () => helper.powerCycle(portPath),
  'usbfs-memory': (mib) => helper.raiseUsbfsMemory(Number(mib)),
  /** Opens a window and dies in it. */
  'die-in-window': async () => {
    const disk = (await readUsbDevice(portPath))?.interfaces.flatMap(({ blockDevices }) => blockDevices)[0];
    const { volume } = await helper.writable({ portPath, diskSequence: disk?.diskSequence ?? 0 });
    process.stdout.write(`${JSON.stringify({ result: volume })}\n`, () =>
      process.kill(process.pid, 'SIGKILL'),
    );
    return new Promise(() => undefined);
  },
  close: async () => camera?.[Symbol.asyncDispose](),
};

function expectOpen(): Camera {
  if (!camera) throw new Error('not open');
  return camera;
}

function recordingAt(path: string): ListedRecording {
  const found = listed.find((recording) => recording.path === path);
  if (!found) throw new Error(`${path} is not listed`);
  return found;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name = '', ...words] = JSON.parse(line) as string[];
  const answer = await (commands[name] ?? (() => Promise.reject(new Error(name))))(...words).then(
    (result) => ({ result: result ?? null }),
    (error: unknown) => ({ error: asDockError(error).code, message: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
