import { createHash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { HeldRecording, RecordingStore } from './recording-store.ts';

const stepBytes = 1024 * 1024;

interface Digest {
  doneBytes: number;
  sha256?: Uint8Array;
}

/** Digests of a simulated camera's recordings: some known from the list, others computed when asked for. */
export class RecordingDigests {
  readonly #store: RecordingStore;
  readonly #clock: Clock;
  /** By id, size and end: a file that grew since is another. */
  readonly #digests = new Map<string, Digest>();

  constructor(store: RecordingStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Computes it now if need be: for recordings whose digest the camera knows while it records. */
  known(recording: HeldRecording): Uint8Array {
    const digest = this.#digests.get(keyOf(recording))?.sha256 ?? this.fresh(recording);
    this.#digests.set(keyOf(recording), { doneBytes: recording.sizeBytes, sha256: digest });
    return digest;
  }

  /** From the bytes as they are now, whatever was computed before. */
  fresh(recording: HeldRecording): Uint8Array {
    const hash = createHash('sha256');
    for (let offset = 0; offset < recording.sizeBytes; offset += stepBytes) {
      hash.update(this.#store.read(recording, offset, stepBytes));
    }
    return new Uint8Array(hash.digest());
  }

  /** Begins computing beside the answering of other requests; once begun, it goes on. */
  start(recording: HeldRecording): void {
    if (this.#digests.has(keyOf(recording))) return;
    const digest: Digest = { doneBytes: 0 };
    this.#digests.set(keyOf(recording), digest);
    void this.#compute(recording, digest);
  }

  /** How far it is; undefined when it was never started. */
  progress(recording: HeldRecording): Readonly<Digest> | undefined {
    return this.#digests.get(keyOf(recording));
  }

  forget(recording: HeldRecording): void {
    this.#digests.delete(keyOf(recording));
  }

  async #compute(recording: HeldRecording, digest: Digest): Promise<void> {
    const hash = createHash('sha256');
    while (digest.doneBytes < recording.sizeBytes) {
      const bytes = this.#store.read(recording, digest.doneBytes, stepBytes);
      if (bytes.length === 0) return this.forget(recording); // cut short meanwhile
      hash.update(bytes);
      digest.doneBytes += bytes.length;
      await this.#clock.sleep(0);
    }
    digest.sha256 = new Uint8Array(hash.digest());
  }
}

function keyOf({ id, sizeBytes, endedAt }: HeldRecording): string {
  return `${id} ${sizeBytes} ${endedAt ?? ''}`;
}
