/** Helper of the bench: simulated cameras on pseudo-terminals, one for each path given. */
import { openPty } from '../../dock/host/pty.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';
import { sampleCamera } from '../../dock/simulator/sample-camera.ts';
import { serveCamera } from '../../dock/simulator/serve.ts';
import { helperTask, sendToBench } from './helper-process.ts';
import { sampleBytes } from './sample-bytes.ts';

export interface IdleCamerasTask {
  /** Where the agent looks for the cameras. */
  readonly paths: readonly string[];
  readonly recordingBytes: number;
}

if (import.meta.main) {
  const { paths, recordingBytes } = helperTask<IdleCamerasTask>();
  for (const [index, path] of paths.entries()) {
    const store = new MemoryStore();
    store.add(
      { id: 'R0001', path: '/DCIM/REC0001.MP4', kind: 'video', isProtected: false, knowsDigest: true },
      sampleBytes(recordingBytes),
    );
    const camera = sampleCamera({ serialNumber: `BENCH-${index + 1}`, store }, systemClock);
    void serveCamera(camera, openPty(path), systemRandom);
  }
  sendToBench({ isReady: true });
}
