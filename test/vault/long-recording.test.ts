// Sizes and offsets beyond 4 GiB meet 32-bit fields on the wire and in sloppy arithmetic. A whole shift in one file
// goes from an MTP responder over the camera and the pull into a vault on the real file system.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { openMtpCamera } from '../../dock/camera/mtp-camera.ts';
import { systemClock } from '../../dock/host/system-clock.ts';
import { PtpResponder } from '../../dock/simulator/ptp-responder.ts';
import type { HeldRecording, RecordingStore } from '../../dock/simulator/recording-store.ts';
import { bytesOf } from '../support/recordings.ts';
import { VaultBench } from './vault-bench.ts';

const { signal } = new AbortController();

/** One recording of any length without holding it: a block over and over, each time with its number in it. */
class EndlessStore implements RecordingStore {
  readonly recording: HeldRecording;
  readonly #block = bytesOf('block', 1024 * 1024 - 3);

  constructor(sizeBytes: number) {
    const names = { id: 'R', path: '/DCIM/SHIFT.MP4', kind: 'video' } as const;
    this.recording = { ...names, sizeBytes, isProtected: false, knowsDigest: false };
  }

  list(): readonly HeldRecording[] {
    return [this.recording];
  }

  find(): HeldRecording {
    return this.recording;
  }

  read(_recording: HeldRecording, offset: number, length: number): Uint8Array {
    const bytes = Buffer.alloc(Math.max(0, Math.min(length, this.recording.sizeBytes - offset)));
    for (let filled = 0; filled < bytes.length;) {
      const [number, within] = [
        Math.floor((offset + filled) / this.#block.length),
        (offset + filled) % this.#block.length,
      ];
      const part = Buffer.from(this.#block);
      part.writeUInt32BE(number);
      filled += part.copy(bytes, filled, within);
    }
    return bytes;
  }

  remove(): void {}

  sha256(): string {
    const hash = createHash('sha256');
    const step = 2 ** 22;
    for (let offset = 0; offset < this.recording.sizeBytes; offset += step)
      hash.update(this.read(this.recording, offset, step));
    return hash.digest('hex');
  }
}

test.runIf(process.env['DOCK_LONG_TESTS'] === '1')(
  'a recording above 4 GiB is stored whole (takes a minute and 5 GB of disk: with DOCK_LONG_TESTS=1)',
  { timeout: 600_000 },
  async () => {
    using bench = new VaultBench();
    const store = new EndlessStore(2 ** 32 + 40_000_077);
    const pipe = new PtpResponder({ store, hostClock: systemClock, serialNumber: 'BC-LONG' });
    const profile = { isRecording: () => true, zoneMinutes: 300, mayRemove: true };
    await using camera = await openMtpCamera(pipe, systemClock, profile, signal);
    const { copies, error, account } = await bench.dock(camera);
    expect(error).toBeUndefined();
    expect(account).toMatchObject({ listed: 1, stored: 1 });
    const { sizeBytes } = store.recording;
    expect(copies).toMatchObject([{ sizeBytes, sha256: store.sha256() }]);
    await bench.expectCatalogueAgrees();
  },
);
