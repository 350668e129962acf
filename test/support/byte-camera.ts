import { createHash } from 'node:crypto';
import type { Camera, CameraIdentity, ListedRecording } from '../../dock/camera/camera.ts';
import { isVerifiedCopy, type VerifiedCopy } from '../../dock/camera/verified-copy.ts';
import { bytesOf } from './recordings.ts';

export interface ByteCameraOptions {
  readonly serialNumber?: string;
  readonly chunkBytes?: number;
  /** Whether the camera computes digests when asked. */
  readonly computesDigest?: boolean;
  /** Told of a removal before it happens; the camera forgets the recording afterwards. */
  readonly onRemove?: (recording: ListedRecording, proof: VerifiedCopy) => void;
  /** May throw, or change what is sent. */
  readonly onRead?: (chunk: Uint8Array, offset: number, recording: ListedRecording) => Uint8Array;
}

/** A camera without a wire: recordings are byte arrays in memory, answers come at once. */
export class ByteCamera implements Camera {
  readonly identity: CameraIdentity;
  readonly digest?: NonNullable<Camera['digest']>;
  readonly remove?: NonNullable<Camera['remove']>;
  /** The serial number it answers with from now on, as one that was swapped does. */
  answersAs: string;
  readonly #options: ByteCameraOptions;
  readonly #held: { readonly recording: ListedRecording; readonly bytes: Uint8Array }[] = [];
  /** Offsets at which reading began, by path. */
  readonly readFrom: { readonly path: string; readonly offset: number }[] = [];

  constructor(options: ByteCameraOptions = {}) {
    this.#options = options;
    const serialNumber = options.serialNumber ?? 'BC-1';
    const statedSerialNumber = serialNumber;
    this.identity = { serialNumber, statedSerialNumber, model: 'byte', firmware: '1', hardwareRevision: '1' };
    this.answersAs = serialNumber;
    if (options.computesDigest) this.digest = async (recording) => sha256(this.bytes(recording));
    const { onRemove } = options;
    if (onRemove) {
      this.remove = async (recording, proof) => {
        if (!isVerifiedCopy(proof)) throw new Error('no proof');
        onRemove(recording, proof);
        this.#held.splice(this.#indexOf(recording), 1);
      };
    }
  }

  /** Adds a recording whose bytes follow from its path. */
  add(path: string, sizeBytes: number, fields: Partial<ListedRecording> = {}): ListedRecording {
    const bytes = bytesOf(path.slice(0, 200), sizeBytes);
    const recording: ListedRecording = {
      id: `R${this.#held.length}`,
      path,
      sizeBytes,
      kind: 'video',
      isProtected: false,
      startedAt: Date.UTC(2026, 10, 22) + this.#held.length * 60_000,
      sha256: sha256(bytes),
      ...fields,
    };
    this.#held.push({ recording, bytes });
    return recording;
  }

  bytes(recording: ListedRecording): Uint8Array {
    const held = this.#held[this.#indexOf(recording)];
    if (!held) throw new Error(`no recording ${recording.id}`);
    return held.bytes;
  }

  async readIdentity(): Promise<CameraIdentity> {
    return { ...this.identity, serialNumber: this.answersAs };
  }

  async *recordings(): AsyncGenerator<ListedRecording> {
    yield* this.#held.map(({ recording }) => recording);
  }

  async *read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    this.readFrom.push({ path: recording.path, offset });
    const bytes = this.bytes(recording);
    const chunkBytes = this.#options.chunkBytes ?? 100_000;
    for (let at = offset; at < bytes.length; at += chunkBytes) {
      signal.throwIfAborted();
      const chunk = bytes.subarray(at, at + chunkBytes);
      yield this.#options.onRead?.(chunk, at, recording) ?? chunk;
    }
  }

  #indexOf({ id }: ListedRecording): number {
    return this.#held.findIndex(({ recording }) => recording.id === id);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
