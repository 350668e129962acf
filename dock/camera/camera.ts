import type { VerifiedCopy } from './verified-copy.ts';

/**
 * One docked camera of any family. Contract for every implementation:
 *
 * - A capability that a family or a model lacks is absent, never a method that throws. A camera of two channels may
 *   gain or lose one when its recordings are first asked for: that may unlock it.
 * - Every method takes a signal, settles soon after it aborts, and may be called again afterwards.
 * - Reading never changes anything on the camera and may be repeated; lost answers are repeated inside.
 * - Errors are DockErrors. `link.closed` is final for this object: open a new one.
 * - One call at a time, except `stop` through the signal; callers serialise.
 */
export interface Camera extends AsyncDisposable {
  /** As read when the camera was opened. */
  readonly identity: CameraIdentity;
  /** Where and since when this device is attached; absent where that cannot be known. */
  readonly attachment?: Attachment | undefined;
  /** Reads the identity afresh, to notice a camera that was swapped for another. */
  readIdentity(signal: AbortSignal): Promise<CameraIdentity>;
  readonly health?: CameraHealthReader | undefined;
  readonly clock?: CameraClock | undefined;
  readonly challenge?: CameraChallenge | undefined;
  /** True while asking for recordings would unlock the camera and make it come back as a storage. */
  readonly isLocked?: boolean;
  /** Recordings as the camera lists them, untrusted: sizes, names and times are as read. */
  recordings(signal: AbortSignal): AsyncIterable<ListedRecording>;
  /**
   * The bytes of a recording from `offset` to its end, in order, in chunks of the family's own size.
   * Ends early only by throwing. Errors: `recording.vanished`, `recording.stalled`, `link.closed`, `wire.*`.
   */
  read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** The camera's own digest of a recording, where it can compute one. Lower-case hex SHA-256. */
  readonly digest?: (recording: ListedRecording, signal: AbortSignal) => Promise<string>;
  /** Removes a recording and makes sure that it is gone. Errors: `removal.refused`. */
  readonly remove?:
    ((recording: ListedRecording, proof: VerifiedCopy, signal: AbortSignal) => Promise<void>) | undefined;
}

/** One attach of a device: as long as it stays the same, it is the same piece of hardware. */
export interface Attachment {
  /** The port, and this start of the machine. */
  readonly place: string;
  /** Never given twice at a place. */
  readonly id: string;
  /** UTC milliseconds. */
  readonly attachedAt: number;
}

export interface CameraIdentity {
  /** In the one form used everywhere; see `parseSerialNumber` for what is accepted. */
  readonly serialNumber: string;
  /** As the camera states it, where that is a look-alike: what it signs in a challenge. */
  readonly statedSerialNumber?: string;
  readonly model: string;
  readonly firmware: string;
  readonly hardwareRevision: string;
  /** Raw Ed25519 public key, 32 bytes; absent for a camera without a key. */
  readonly publicKey?: Uint8Array;
}

export interface CameraHealth {
  readonly batteryPercent?: number;
  readonly batteryMillivolts?: number;
  readonly batteryCycles?: number;
  readonly isCharging?: boolean;
  readonly temperatureCelsius?: number;
  readonly storageTotalBytes?: number;
  readonly storageFreeBytes?: number;
  readonly uptimeSeconds?: number;
  /** Error counters by name, as the camera keeps them. */
  readonly errorCounters: Readonly<Record<string, number>>;
}

export type CameraHealthReader = (signal: AbortSignal) => Promise<CameraHealth>;

export interface CameraClock {
  /** The smallest step the camera shows: 1000 for whole seconds. */
  readonly resolutionMs: number;
  /** What the clock shows, UTC milliseconds. Errors: `camera.clock-unset`. */
  read(signal: AbortSignal): Promise<number>;
  /** Sets the clock; `at` is UTC milliseconds, a multiple of the resolution. */
  set(at: number, signal: AbortSignal): Promise<void>;
}

/** Takes a nonce, gives the Ed25519 signature over `challengeMessage(serialNumber as stated, nonce)`. */
export type CameraChallenge = (nonce: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>;

export type RecordingKind = 'video' | 'audio' | 'photo' | 'other';

/** A camera that lists more has a broken list; a session works on what was listed up to here. */
export const mostRecordings = 100_000;
/** All paths of a list together, in characters: the same for a list that is short but holds endless names. */
export const mostPathCharacters = 16 * 1024 * 1024;

/** Counts along a list; true from the entry on that is one too many. */
export function listLimit(): (recording: ListedRecording) => boolean {
  let recordings = 0;
  let characters = 0;
  return ({ path }) => {
    recordings++;
    characters += path.length;
    return recordings > mostRecordings || characters > mostPathCharacters;
  };
}

/** One entry of a camera's list, as read: nothing in it can be trusted. */
export interface ListedRecording {
  /** The camera's own id, unique on that camera. */
  readonly id: string;
  /** Path on the camera, as read. */
  readonly path: string;
  /** As stated; may exceed any disk. */
  readonly sizeBytes: number | bigint;
  readonly kind: RecordingKind;
  readonly isProtected: boolean;
  /** By the camera's clock, UTC milliseconds, as read. */
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** Times that say no zone, word for word; `startedAt` and `endedAt` follow from them and the zone assumed. */
  readonly statedTimes?: {
    readonly captured?: string;
    readonly modified?: string;
    readonly zoneMinutes: number;
  };
  /** Lower-case hex SHA-256, if the camera knows it without computing. */
  readonly sha256?: string;
  /** Why the entry could not be read; it is refused, and the other fields mean nothing. */
  readonly defect?: string;
}
