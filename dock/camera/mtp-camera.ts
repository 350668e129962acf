import { hasCode } from '../../protocol/errors.ts';
import { ptpOperation } from '../../protocol/ptp/codes.ts';
import type { DeviceInfo } from '../../protocol/ptp/datasets.ts';
import type { Clock } from '../clock.ts';
import type { Camera, CameraClock, CameraHealthReader, CameraIdentity, ListedRecording } from './camera.ts';
import { findClock } from './mtp-clock.ts';
import { MtpDevice } from './mtp-device.ts';
import { findHealth } from './mtp-health.ts';
import { MtpListing } from './mtp-listing.ts';
import { MtpReader } from './mtp-reading.ts';
import { removeRecording } from './mtp-removal.ts';
import type { PtpPipe } from './ptp-pipe.ts';
import { defaultPtpTimings, type PtpTimings } from './ptp-timings.ts';
import { parseSerialNumber } from './serial-number.ts';

/** What a model of this family brings; comes from its profile and from its USB descriptor. */
export interface MtpCameraOptions {
  /** Whether a path below the root of a storage, such as `/DCIM/A.MP4`, names a recording. */
  isRecording(path: string): boolean;
  /** What a time without a zone means, minutes east of UTC. */
  readonly zoneMinutes: number;
  /** Counts where the camera states none that can be accepted over MTP. */
  readonly usbSerialNumber?: string;
  /** Without it recordings are only read. */
  readonly mayRemove: boolean;
  readonly timings?: PtpTimings;
}

/**
 * Opens a camera that speaks MTP or PTP, whatever a host before left behind. Takes over the pipe, also when it fails.
 * Errors: `camera.identity-invalid`, `ptp.*`, `wire.*`, `usb.*`, `link.closed`.
 */
export async function openMtpCamera(
  pipe: PtpPipe,
  clock: Clock,
  options: MtpCameraOptions,
  signal: AbortSignal,
): Promise<Camera> {
  try {
    const { timings = defaultPtpTimings, zoneMinutes } = options;
    const device = await MtpDevice.open(pipe, clock, { timings, signal });
    const cameraClock = await findClock(device, { zoneMinutes, signal });
    return new MtpCamera(pipe, device, { options, cameraClock });
  } catch (error) {
    await pipe[Symbol.asyncDispose]();
    throw error;
  }
}

class MtpCamera implements Camera {
  readonly identity: CameraIdentity;
  readonly health: CameraHealthReader | undefined;
  readonly clock: CameraClock | undefined;
  readonly remove: Camera['remove'];
  readonly #pipe: PtpPipe;
  readonly #device: MtpDevice;
  readonly #options: MtpCameraOptions;
  readonly #listing: MtpListing;
  readonly #reader: MtpReader;

  constructor(
    pipe: PtpPipe,
    device: MtpDevice,
    { options, cameraClock }: { options: MtpCameraOptions; cameraClock: CameraClock | undefined },
  ) {
    this.#pipe = pipe;
    this.#device = device;
    this.#options = options;
    this.#listing = new MtpListing(device, options);
    this.#reader = new MtpReader(device, this.#listing);
    this.identity = identityOf(device.info, options.usbSerialNumber);
    this.health = findHealth(device);
    this.clock = cameraClock;
    const canRemove = options.mayRemove && device.supports(ptpOperation.deleteObject);
    this.remove = canRemove
      ? (recording, proof, signal) => removeRecording(device, this.#listing, { recording, proof, signal })
      : undefined;
  }

  async readIdentity(signal: AbortSignal): Promise<CameraIdentity> {
    return identityOf(await this.#device.readInfo(signal), this.#options.usbSerialNumber);
  }

  /**
   * Ids and paths are the path on the storage and so the same in every session; behind `/storage-XXXXXXXX` on any
   * storage but the first. Listed before the first is given, because a lost session starts the list over.
   */
  async *recordings(signal: AbortSignal): AsyncGenerator<ListedRecording> {
    yield* await this.#listing.list(signal);
  }

  read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    return this.#reader.read(recording, offset, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const leavesOpen = this.#device.quirks.noCloseSession;
    await this.#device.session.close({ leavesOpen }).catch(() => undefined);
    await this.#pipe[Symbol.asyncDispose]();
  }
}

/** Errors: `camera.identity-invalid`. */
function identityOf(info: DeviceInfo, usbSerialNumber: string | undefined): CameraIdentity {
  return {
    serialNumber: serialNumberOf(info.serialNumber, usbSerialNumber),
    model: `${info.manufacturer} ${info.model}`.trim().slice(0, 128),
    firmware: info.version.slice(0, 128),
    hardwareRevision: '',
  };
}

/** Firmware that was never given a number repeats one character, mostly zeros. */
function serialNumberOf(stated: string, usbSerialNumber: string | undefined): string {
  const isPlaceholder = /^(.)\1*$/.test(stated) && stated.length > 1;
  try {
    if (!isPlaceholder || usbSerialNumber === undefined) return parseSerialNumber(stated);
  } catch (error) {
    if (!hasCode(error, 'camera.identity-invalid') || usbSerialNumber === undefined) throw error;
  }
  return parseSerialNumber(usbSerialNumber);
}
