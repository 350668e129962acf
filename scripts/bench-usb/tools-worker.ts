/** One copy by the agent's own code, or the same windows thrown away, as a program that starts, copies and ends. */
import { readFileSync, writeFileSync } from 'node:fs';
import { MtpDevice } from '../../dock/camera/mtp-device.ts';
import { MtpListing } from '../../dock/camera/mtp-listing.ts';
import { defaultPtpTimings } from '../../dock/camera/ptp-timings.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { systemUsb, type UsbHandle } from '../../dock/host/usb-backend.ts';
import { openUsbPipe } from '../../dock/host/usb-pipe.ts';
import { readUsbDevice } from '../../dock/host/usb-tree.ts';
import { ptpOperation, ptpResponse } from '../../protocol/ptp/codes.ts';
import { containerHeaderBytes, containerType, encodeCommand } from '../../protocol/ptp/container.ts';
import { ownCpuSeconds } from '../bench/process-status.ts';
import { budget, isRecording } from './raw-link.ts';
import { timedIngest } from './timed-ingest.ts';

const timeoutMs = 60_000;
/** Far from those of the session that found the object. */
const firstTransactionId = 0x0100_0000;

export interface ToolsJob {
  readonly kind: 'ingest' | 'raw';
  readonly portPath: string;
  /** For vault and database of an ingest, on a real disk. */
  readonly folder: string;
  /** CutIngest: an ingest writes it, `raw` reads it. */
  readonly windowsFile: string;
}

export interface CutIngest {
  /** The lengths of its windows. */
  readonly lengths: readonly number[];
  /** From opening the camera to the proven copy. */
  readonly openedSeconds: number;
}

async function main({ kind, portPath, folder, windowsFile }: ToolsJob): Promise<void> {
  if (kind === 'raw') {
    const { lengths } = JSON.parse(readFileSync(windowsFile, 'utf8')) as CutIngest;
    await discardWindows(portPath, lengths);
    return;
  }
  const { windows, wallSeconds, times } = await timedIngest([portPath], folder, () => {
    const { user, system } = ownCpuSeconds();
    return user + system;
  });
  const [lengths = []] = windows.values();
  const cut: CutIngest = { lengths, openedSeconds: times.openSeconds + wallSeconds };
  writeFileSync(windowsFile, JSON.stringify(cut));
}

/** Finds the recording with the agent's own parts, then reads it with bare calls: QEMU has GetPartialObject alone. */
async function discardWindows(portPath: string, lengths: readonly number[]): Promise<void> {
  const place = await readUsbDevice(portPath);
  if (!place) throw new Error(`nothing on ${portPath}`);
  let handle: UsbHandle | undefined;
  const backend = {
    ...systemUsb,
    find: async (wanted: typeof place) => (handle = await systemUsb.find(wanted)),
  };
  const endpoints = await systemUsb.endpoints(portPath, 'auto');
  await using pipe = await openUsbPipe(place, 'auto', { budget, backend });
  if (!handle || !endpoints) throw new Error(`nothing on ${portPath} any more`);
  const { signal } = new AbortController();
  const device = await MtpDevice.open(pipe, systemClock, { timings: defaultPtpTimings, signal });
  const listing = new MtpListing(device, { isRecording, zoneMinutes: 0 });
  const [recording] = await listing.list(signal);
  const object = recording && (await listing.find(recording.id, signal));
  if (!object) throw new Error(`no recording on ${portPath}`);
  let offset = 0;
  let transactionId = firstTransactionId;
  for (const length of lengths) {
    const parameters = [object.handle, offset, length];
    const command = encodeCommand(ptpOperation.getPartialObject, ++transactionId, parameters);
    await handle.nativeTransferOut(endpoints.bulkOut, timeoutMs, command);
    const dataBytes = length + containerHeaderBytes;
    let received = 0;
    for (;;) {
      // Like the real reader: one packet more than is due, so that an empty packet comes with the data.
      const due = Math.max(dataBytes - received, 0) + 1;
      const wanted = Math.ceil(due / endpoints.bulkInPacketBytes) * endpoints.bulkInPacketBytes;
      const most = Math.min(wanted, pipe.longestReadBytes);
      const chunk = await handle.nativeTransferIn(endpoints.bulkIn, timeoutMs, most);
      if (!chunk) throw new Error('no data');
      const isResponse = received >= dataBytes && chunk.length > 0;
      received += chunk.length;
      if (!isResponse && received < containerHeaderBytes + 1)
        throw new Error(`an answer of ${received} bytes instead of data`);
      if (!isResponse) continue;
      const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length);
      const [type, code] = [view.getUint16(4, true), view.getUint16(6, true)];
      if (type !== containerType.response || code !== ptpResponse.ok || received < dataBytes)
        throw new Error(`container of type ${type}, code 0x${code.toString(16)} instead of OK`);
      break;
    }
    offset += length;
  }
  if (offset !== Number(recording.sizeBytes))
    throw new Error(`windows of ${offset} bytes for ${recording.sizeBytes}`);
}

main(JSON.parse(process.argv[2] ?? '{}') as ToolsJob).then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
