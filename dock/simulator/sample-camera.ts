import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { DeviceClock } from './device-clock.ts';
import type { CameraFaults } from './faults.ts';
import { MemoryStore, type RecordingStore } from './recording-store.ts';
import { makeSampleRecording } from './sample-recordings.ts';
import { SimulatedCamera, type SimulatedCameraOptions } from './simulated-camera.ts';

/** What tells one simulated camera from another; everything else has a sensible default. */
export interface SampleCamera extends Partial<Omit<SimulatedCameraOptions, 'deviceClock'>> {
  readonly serialNumber: string;
  readonly clockOffsetMs?: number;
  readonly clockDriftPpm?: number;
  readonly clockResolutionMs?: number;
  readonly hasKey?: boolean;
  readonly faults?: CameraFaults;
}

/** A camera as an officer would bring it: with a key, a clock of whole seconds that is off, a half-empty battery. */
export function sampleCamera(sample: SampleCamera, clock: Clock): SimulatedCamera {
  const {
    serialNumber,
    clockOffsetMs = 0,
    clockDriftPpm = 20,
    clockResolutionMs = 1000,
    hasKey = true,
  } = sample;
  return new SimulatedCamera(
    {
      model: 'Sim BC-1',
      firmware: '1.4.2',
      hardwareRevision: 'C',
      store: new MemoryStore(),
      hasFineClock: clockResolutionMs < 1000,
      batteryPercent: 40,
      capacityBytes: 64 * 2 ** 30,
      bufferBytes: 2048,
      bufferCount: 4,
      storageModes: [],
      ...sample,
      deviceClock: new DeviceClock(clock, {
        offsetMs: clockOffsetMs,
        driftPpm: clockDriftPpm,
        resolutionMs: clockResolutionMs,
        isSet: !sample.faults?.clockNeverSet,
      }),
      // The key follows from the serial number: the same simulated camera proves itself again tomorrow.
      ...(hasKey && {
        keySeed:
          sample.keySeed ?? new Uint8Array(createHash('sha256').update(`key of ${serialNumber}`).digest()),
      }),
    },
    clock,
    sample.faults,
  );
}

/** Real MP4 files of a shift: one after another, the second one protected. */
export async function sampleStore(options: {
  readonly seed: number;
  readonly count: number;
  readonly sizeBytes: number;
  readonly startedAt: number;
}): Promise<RecordingStore> {
  const store = new MemoryStore();
  let startedAt = options.startedAt;
  for (let index = 0; index < options.count; index++) {
    const { bytes, durationMs } = await makeSampleRecording({
      seed: options.seed * 1000 + index,
      sizeBytes: options.sizeBytes,
      startedAt,
    });
    const number = String(index + 1).padStart(4, '0');
    const endedAt = startedAt + Math.round(durationMs);
    store.add(
      {
        id: `R${number}`,
        path: `/DCIM/100MEDIA/REC${number}.MP4`,
        kind: 'video',
        isProtected: index === 1,
        startedAt,
        endedAt,
        knowsDigest: index % 2 === 0,
      },
      bytes,
    );
    startedAt = endedAt + 60_000;
  }
  return store;
}
