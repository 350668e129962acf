/** Helper of the bench: the real way of a recording into the vault, from a camera that costs next to nothing. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { pullRecording } from '../../agent/ingest/pull.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import { SessionLog } from '../../agent/session/session-log.ts';
import { Database } from '../../agent/state/database.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';
import { Vault } from '../../agent/vault/vault.ts';
import type { Camera, CameraIdentity, ListedRecording } from '../../dock/camera/camera.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { helperTask, sendToBench } from './helper-process.ts';
import { ownCpuSeconds, type CpuSeconds } from './process-status.ts';
import { sampleBytes } from './sample-bytes.ts';

export interface IngestTask {
  readonly folder: string;
  readonly sizeBytes: number;
  readonly chunkBytes: number;
}

export interface IngestResult {
  readonly wallSeconds: number;
  /** User and system time of this process and of those it started. */
  readonly cpuSeconds: CpuSeconds;
}

/** What the camera hands out again and again; small enough to be at hand, larger than the caches near the cores. */
export const sourceBytes = 32 * 1024 * 1024;

if (import.meta.main) {
  const { folder, sizeBytes, chunkBytes } = helperTask<IngestTask>();
  using db = new Database(join(folder, 'station.db'));
  const parts = {
    db,
    clock: systemClock,
    random: systemRandom,
    disk: nodeDisk,
    outbox: new Outbox(db, systemClock, systemRandom),
  };
  const vault = new Vault(parts, { folder: join(folder, 'vault'), reserveBytes: 0 });
  const recording: ListedRecording = {
    id: 'R0001',
    path: '/DCIM/REC0001.MP4',
    sizeBytes,
    kind: 'video',
    isProtected: false,
  };
  const camera = memoryCamera(sampleBytes(sourceBytes), chunkBytes);
  const session = SessionLog.open(parts, { bay: 1, isFirst: true }, camera.identity);

  const before = { wallMs: performance.now(), cpu: ownCpuSeconds() };
  const copy = await pullRecording({
    camera,
    vault,
    recording,
    context: { serialNumber: session.serialNumber, sessionId: session.id },
    onProgress: () => undefined,
    signal: new AbortController().signal,
  });
  const cpu = ownCpuSeconds();
  const result: IngestResult = {
    wallSeconds: (performance.now() - before.wallMs) / 1000,
    cpuSeconds: { user: cpu.user - before.cpu.user, system: cpu.system - before.cpu.system },
  };
  if (copy?.sizeBytes !== sizeBytes || copy.sha256 !== expectedSha256(sizeBytes)) {
    throw new Error('the vault stored other bytes');
  }
  rmSync(folder, { recursive: true });
  sendToBench(result);
}

function memoryCamera(source: Uint8Array, chunkBytes: number): Camera {
  const identity: CameraIdentity = {
    serialNumber: 'BENCH-1',
    model: 'memory',
    firmware: '1',
    hardwareRevision: 'A',
  };
  return {
    identity,
    readIdentity: () => Promise.resolve(identity),
    recordings: async function* () {},
    read: async function* ({ sizeBytes }, offset) {
      for (let next = offset; next < Number(sizeBytes);) {
        const start = next % source.length;
        const chunk = source.subarray(start, start + Math.min(chunkBytes, Number(sizeBytes) - next));
        next += chunk.length;
        yield chunk;
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function expectedSha256(sizeBytes: number): string {
  const source = sampleBytes(sourceBytes);
  const hash = createHash('sha256');
  for (let left = sizeBytes; left > 0; left -= source.length) hash.update(source.subarray(0, left));
  return hash.digest('hex');
}
