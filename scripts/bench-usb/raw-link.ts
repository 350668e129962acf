import { MtpDevice } from '../../dock/camera/mtp-device.ts';
import { MtpListing } from '../../dock/camera/mtp-listing.ts';
import { defaultPtpTimings } from '../../dock/camera/ptp-timings.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { systemUsb, type UsbHandle } from '../../dock/host/usb-backend.ts';
import { readUsbMemoryLimit, UsbBudget } from '../../dock/host/usb-budget.ts';
import { openUsbPipe } from '../../dock/host/usb-pipe.ts';
import { readUsbDevice } from '../../dock/host/usb-tree.ts';
import { RawReader } from './raw-reading.ts';
import { recordingName } from './task.ts';

/** One memory for all links of this process, as in the agent. */
export const budget = new UsbBudget(await readUsbMemoryLimit());

/** The recording of the bench, and nothing else a camera may hold. */
export const isRecording = (path: string): boolean => path.endsWith(recordingName);

export interface RawLink extends AsyncDisposable {
  readonly sizeBytes: number;
  readWindows(lengths: readonly number[]): Promise<void>;
  readObject(): Promise<void>;
}

/** Finds the recording with the agent's own parts, then leaves them idle and reads it with bare calls. */
export async function openRawLink(portPath: string): Promise<RawLink> {
  const place = await readUsbDevice(portPath);
  if (!place) throw new Error(`nothing on ${portPath}`);
  let handle: UsbHandle | undefined;
  const backend = {
    ...systemUsb,
    find: async (wanted: typeof place) => (handle = await systemUsb.find(wanted)),
  };
  const endpoints = await systemUsb.endpoints(portPath, 'auto');
  const pipe = await openUsbPipe(place, 'auto', { budget, backend });
  if (!handle || !endpoints) throw new Error(`nothing on ${portPath} any more`);
  const { signal } = new AbortController();
  const device = await MtpDevice.open(pipe, systemClock, { timings: defaultPtpTimings, signal });
  const listing = new MtpListing(device, { isRecording, zoneMinutes: 0 });
  const [recording] = await listing.list(signal);
  const object = recording && (await listing.find(recording.id, signal));
  if (!object) throw new Error(`no recording on ${portPath}`);
  const reader = new RawReader(handle, endpoints, pipe.longestReadBytes);
  const sizeBytes = Number(recording.sizeBytes);
  return {
    sizeBytes,
    readWindows: async (lengths) => {
      let offset = 0;
      for (const length of lengths) {
        await reader.window(object.handle, offset, length);
        offset += length;
      }
      if (offset !== sizeBytes) throw new Error(`windows of ${offset} bytes for ${sizeBytes}`);
    },
    readObject: () => reader.object(object.handle, sizeBytes),
    [Symbol.asyncDispose]: async () => {
      await device.session.close({ leavesOpen: false });
      await pipe[Symbol.asyncDispose]();
    },
  };
}
