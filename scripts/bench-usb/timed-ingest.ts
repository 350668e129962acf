import { join } from 'node:path';
import { pullRecording } from '../../agent/ingest/pull.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { SessionLog } from '../../agent/session/session-log.ts';
import { Database } from '../../agent/state/database.ts';
import type { Disk } from '../../agent/vault/disk.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { Vault } from '../../agent/vault/vault.ts';
import type { Camera, ListedRecording } from '../../dock/camera/camera.ts';
import { openMtpCamera } from '../../dock/camera/mtp-camera.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { openUsbPipe } from '../../dock/host/usb-pipe.ts';
import { readUsbDevice } from '../../dock/host/usb-tree.ts';
import { budget, isRecording } from './raw-link.ts';

/** Where the time of an ingest went; seconds, summed over cameras. */
export interface IngestTimes {
  /** Claim, ladder, DeviceInfo, listing. */
  readonly openSeconds: number;
  /** From the first command for data until the last byte is written; checkpoints included. */
  readonly transferSeconds: number;
  readonly transferCpuSeconds: number;
  /** The ingest stood still for the camera: the window ahead was not there yet. */
  readonly waitedForCamera: number;
  readonly append: number;
  readonly sync: number;
  readonly dropCache: number;
  readonly readBack: number;
}

type Spent = Record<'camera' | 'append' | 'sync' | 'dropCache' | 'readBack', number>;

interface Opened {
  readonly camera: Camera;
  readonly recording: ListedRecording;
}

/** The agent's way of a recording from the cable into the catalogue, from all ports at once. */
export async function timedIngest(ports: readonly string[], folder: string, cpuSeconds: () => number) {
  const spent: Spent = { camera: 0, append: 0, sync: 0, dropCache: 0, readBack: 0 };
  const { signal } = new AbortController();
  using db = new Database(join(folder, 'station.db'));
  const outbox = new Outbox(db, systemClock, systemRandom);
  const parts = { db, outbox, disk: timedDisk(spent), clock: systemClock, random: systemRandom };
  const vault = new Vault(parts, { folder: join(folder, 'vault'), reserveBytes: 0 });
  await using stack = new AsyncDisposableStack();
  const beforeMs = performance.now();
  const opened: Opened[] = [];
  for (const port of ports) opened.push(await open(port, stack, signal));

  const start = { ms: performance.now(), cpu: cpuSeconds() };
  const windows = new Map<number, number[]>();
  const transfer = { startMs: Infinity, endMs: 0, cpu: 0 };
  await Promise.all(
    opened.map(async ({ camera, recording }, index) => {
      const sizeBytes = Number(recording.sizeBytes);
      const lengths: number[] = [];
      windows.set(sizeBytes, lengths);
      const session = SessionLog.open(parts, { bay: index + 1, isFirst: true }, camera.identity);
      const copy = await pullRecording({
        camera: timedCamera(camera, spent, lengths),
        vault,
        recording,
        context: { serialNumber: session.serialNumber, sessionId: session.id },
        onProgress: (receivedBytes) => {
          if (receivedBytes === 0) transfer.startMs = Math.min(transfer.startMs, performance.now());
          if (receivedBytes !== sizeBytes) return;
          transfer.endMs = performance.now();
          transfer.cpu = cpuSeconds() - start.cpu;
        },
        signal,
      });
      if (copy?.sizeBytes !== sizeBytes) throw new Error('the vault stored something else');
    }),
  );
  const wallSeconds = (performance.now() - start.ms) / 1000;
  const times: IngestTimes = {
    openSeconds: (start.ms - beforeMs) / 1000,
    transferSeconds: (transfer.endMs - transfer.startMs) / 1000,
    transferCpuSeconds: transfer.cpu,
    waitedForCamera: spent.camera / 1000,
    append: spent.append / 1000,
    sync: spent.sync / 1000,
    dropCache: spent.dropCache / 1000,
    readBack: spent.readBack / 1000,
  };
  const bytes = opened.reduce((sum, { recording }) => sum + Number(recording.sizeBytes), 0);
  return { bytes, wallSeconds, cpu: cpuSeconds() - start.cpu, windows, times };
}

async function open(port: string, stack: AsyncDisposableStack, signal: AbortSignal): Promise<Opened> {
  const place = await readUsbDevice(port);
  if (!place) throw new Error(`nothing on ${port}`);
  const pipe = await openUsbPipe(place, 'auto', { budget });
  const options = { isRecording, zoneMinutes: 0, mayRemove: false };
  const camera = stack.use(await openMtpCamera(pipe, systemClock, options, signal));
  const [recording] = await Array.fromAsync(camera.recordings(signal));
  if (!recording) throw new Error(`no recording on ${port}`);
  return { camera, recording };
}

function timedCamera(camera: Camera, spent: Spent, lengths: number[]): Camera {
  return {
    identity: camera.identity,
    readIdentity: (signal) => camera.readIdentity(signal),
    recordings: (signal) => camera.recordings(signal),
    read: async function* (recording, offset, signal) {
      const pieces = camera.read(recording, offset, signal)[Symbol.asyncIterator]();
      try {
        for (;;) {
          const step = await timed(spent, 'camera', () => pieces.next());
          if (step.done) return;
          lengths.push(step.value.length);
          yield step.value;
        }
      } finally {
        await pieces.return?.();
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function timedDisk(spent: Spent): Disk {
  return {
    ...nodeDisk,
    dropCache: (path) => timed(spent, 'dropCache', () => nodeDisk.dropCache(path)),
    open: async (path, mode) => {
      const file = await nodeDisk.open(path, mode);
      return {
        append: (bytes) => timed(spent, 'append', () => file.append(bytes)),
        read: (buffer, position) => timed(spent, 'readBack', () => file.read(buffer, position)),
        truncate: (sizeBytes) => file.truncate(sizeBytes),
        sync: () => timed(spent, 'sync', () => file.sync()),
        [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
      };
    },
  };
}

async function timed<T>(spent: Spent, what: keyof Spent, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  try {
    return await work();
  } finally {
    spent[what] += performance.now() - startMs;
  }
}
