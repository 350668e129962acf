/** Helper of the bench: a simulated camera, or a mere source of bytes, at the far end of a rate-limited line. */
import { openPty } from '../../dock/host/pty.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCamera } from '../../dock/simulator/serve.ts';
import type { SimulatedCamera } from '../../dock/simulator/simulated-camera.ts';
import { helperTask, sendToBench } from './helper-process.ts';
import { pacedLink } from './paced-line.ts';
import { sampleBytes } from './sample-bytes.ts';

export interface SerialCameraTask {
  readonly bytesPerSecond: number;
  readonly sizeBytes: number;
  /** Absent: no camera; `send` makes it send the bytes as they are. */
  readonly bufferBytes?: number;
}

export interface SerialCameraReady {
  readonly path: string;
}

/** The length of a name counts on the wire; this is the one of the reference's figures. */
export const recordingPath = '/DCIM/REC0001.MP4';

export function benchCamera(sizeBytes: number, bufferBytes: number): SimulatedCamera {
  const store = new MemoryStore();
  store.add(
    { id: 'R0001', path: recordingPath, kind: 'video', isProtected: false, knowsDigest: false },
    sampleBytes(sizeBytes),
  );
  return sampleCamera({ serialNumber: 'BENCH-1', store, bufferBytes }, systemClock);
}

if (import.meta.main) {
  const { bytesPerSecond, sizeBytes, bufferBytes } = helperTask<SerialCameraTask>();
  const pty = openPty();
  const line = pacedLink(pty, bytesPerSecond);
  if (bufferBytes !== undefined) void serveCamera(benchCamera(sizeBytes, bufferBytes), line, systemRandom);
  else process.on('message', () => void line.write(sampleBytes(sizeBytes)));
  sendToBench({ path: pty.path } satisfies SerialCameraReady);
}
