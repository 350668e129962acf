import { DockError, hasCode } from '../../protocol/errors.ts';
import {
  ptpDeviceProperty,
  ptpObjectProperty,
  ptpOperation,
  ptpResponse,
  rootParent,
} from '../../protocol/ptp/codes.ts';
import { ByteReader } from '../../protocol/ptp/byte-reader.ts';
import {
  decodeDeviceInfo,
  decodeDevicePropDesc,
  decodeObjectInfo,
  decodeStorageInfo,
  encodePtpString,
  type DeviceInfo,
  type ObjectInfo,
} from '../../protocol/ptp/datasets.ts';
import { formatPtpDate, instantOf, parsePtpDate } from '../../protocol/ptp/datetime.ts';
import { quirksFor, type PtpQuirks } from '../../protocol/ptp/quirks.ts';
import type { Clock } from '../clock.ts';
import {
  mostRecordings,
  type Camera,
  type CameraClock,
  type CameraHealth,
  type CameraIdentity,
  type ListedRecording,
} from './camera.ts';
import { PtpSession, responseError, type PtpResult } from './ptp-session.ts';
import type { PtpPipe } from './ptp-pipe.ts';
import { parseSerialNumber } from './serial-number.ts';
import { isVerifiedCopy, type VerifiedCopy } from './verified-copy.ts';

/** What a model of this family brings; comes from its profile. */
export interface MtpCameraOptions {
  /** Which files are recordings, by path below the storage. */
  readonly recordingPattern: RegExp;
  /** What a date without a zone means, minutes east of UTC. */
  readonly zoneMinutes: number;
}

const deepestFolder = 12;
/** Storages appear seconds after the device does. */
const storageTries = 15;
const storagePauseMs = 2000;

/** Opens a camera that speaks MTP or PTP. Takes over the pipe, also when it fails. */
export async function openMtpCamera(pipe: PtpPipe, clock: Clock, options: MtpCameraOptions): Promise<Camera> {
  const session = new PtpSession(pipe, clock);
  try {
    await session.recover();
    const info = decodeDeviceInfo(
      (await expectOk(session, 'GetDeviceInfo', ptpOperation.getDeviceInfo, [])).data,
    );
    const quirks = quirksFor({ ...info, vendorId: pipe.vendorId, productId: pipe.productId });
    const camera = new MtpCamera({ pipe, session, clock, info, quirks, options });
    await camera.findClock();
    return camera;
  } catch (error) {
    await pipe[Symbol.asyncDispose]();
    throw error;
  }
}

interface Parts {
  readonly pipe: PtpPipe;
  readonly session: PtpSession;
  readonly clock: Clock;
  readonly info: DeviceInfo;
  readonly quirks: PtpQuirks;
  readonly options: MtpCameraOptions;
}

class MtpCamera implements Camera {
  readonly identity: CameraIdentity;
  clock?: CameraClock;
  readonly remove?: NonNullable<Camera['remove']>;
  readonly #parts: Parts;
  /** Handles of this session by recording id; never kept beyond it, because responders renumber. */
  readonly #handles = new Map<string, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.identity = identityOf(parts.info);
    if (parts.info.operations.has(ptpOperation.deleteObject)) {
      this.remove = (recording, proof) => this.#remove(recording, proof);
    }
  }

  async readIdentity(): Promise<CameraIdentity> {
    const { data } = await this.#expectOk('GetDeviceInfo', ptpOperation.getDeviceInfo, []);
    return identityOf(decodeDeviceInfo(data));
  }

  readonly health = async (): Promise<CameraHealth> => {
    const { info, quirks } = this.#parts;
    let storageTotalBytes = 0;
    let storageFreeBytes = 0;
    for (const storageId of await this.#storageIds()) {
      const { data } = await this.#expectOk('GetStorageInfo', ptpOperation.getStorageInfo, [storageId]);
      const storage = decodeStorageInfo(data);
      storageTotalBytes += Number(storage.capacityBytes);
      storageFreeBytes += Number(storage.freeBytes);
    }
    const hasBattery = info.deviceProperties.has(ptpDeviceProperty.batteryLevel) && !quirks.noBattery;
    const batteryPercent = hasBattery ? await this.#readBattery() : undefined;
    return {
      errorCounters: {},
      storageTotalBytes,
      storageFreeBytes,
      ...(batteryPercent !== undefined && { batteryPercent }),
    };
  };

  /** Whatever is outside the range that the property states itself is unknown. */
  async #readBattery(): Promise<number | undefined> {
    const { session } = this.#parts;
    const answer = await session.transact(ptpOperation.getDevicePropDesc, [ptpDeviceProperty.batteryLevel]);
    if (answer.code !== ptpResponse.ok) return undefined;
    const { current, range } = decodeDevicePropDesc(answer.data);
    const [value, min, max] = [Number(current), Number(range?.min ?? 0), Number(range?.max ?? 100)];
    if (!(value >= min && value <= max) || max <= min) return undefined;
    return Math.round(((value - min) / (max - min)) * 100);
  }

  /** Looks whether the camera has a clock that can be read; writing only where it says so itself. */
  async findClock(): Promise<void> {
    const { info, session, options } = this.#parts;
    const property = ptpDeviceProperty.dateTime;
    if (!info.deviceProperties.has(property)) return;
    const description = await session.transact(ptpOperation.getDevicePropDesc, [property]);
    if (description.code !== ptpResponse.ok) return;
    const { isWritable, current } = decodeDevicePropDesc(description.data);
    const shape = String(current);
    if (!isWritable || !info.operations.has(ptpOperation.setDevicePropValue)) return;
    this.clock = {
      resolutionMs: 1000,
      read: async () => {
        const { data } = await this.#expectOk('GetDevicePropValue', ptpOperation.getDevicePropValue, [
          property,
        ]);
        const date = parsePtpDate(new ByteReader(data).string('DateTime'));
        if (!date) throw new DockError('camera.clock-unset');
        return Math.floor(instantOf(date, options.zoneMinutes) / 1000) * 1000;
      },
      set: async (at) => {
        const send = encodePtpString(formatPtpDate(at, shape, options.zoneMinutes));
        await this.#expectOk('SetDevicePropValue', ptpOperation.setDevicePropValue, [property], { send });
      },
    };
  }

  /** Folder by folder with concrete storage ids: the only listing that every responder gets right. */
  async *recordings(signal: AbortSignal): AsyncGenerator<ListedRecording> {
    this.#handles.clear();
    let count = 0;
    for (const [index, storageId] of (await this.#storageIds()).entries()) {
      for await (const entry of this.#walk(storageId, `/${index}`, signal)) {
        yield entry;
        if (++count > mostRecordings) return;
      }
    }
  }

  async *#walk(storageId: number, base: string, signal: AbortSignal): AsyncGenerator<ListedRecording> {
    const visited = new Set<number>();
    const folders = [{ handle: rootParent, path: base, depth: 0 }];
    for (let folder = folders.shift(); folder; folder = folders.shift()) {
      for (const handle of await this.#children(storageId, folder.handle)) {
        signal.throwIfAborted();
        if (visited.has(handle) || visited.size > mostRecordings) continue;
        visited.add(handle);
        const info = await this.#objectInfo(handle);
        if (typeof info === 'string') {
          yield { ...unreadable(`${folder.path}/#${handle}`), defect: info };
          continue;
        }
        const path = `${folder.path}/${info.name}`;
        if (info.isFolder) {
          if (folder.depth < deepestFolder) folders.push({ handle, path, depth: folder.depth + 1 });
        } else if (this.#parts.options.recordingPattern.test(path)) {
          yield await this.#listed(handle, path, info);
        }
      }
    }
  }

  async #listed(handle: number, path: string, info: ObjectInfo): Promise<ListedRecording> {
    const sizeBytes = await this.#sizeOf(handle, info);
    if (sizeBytes === undefined) return { ...unreadable(path), defect: 'the size cannot be told' };
    const date = parsePtpDate(info.capturedAt) ?? parsePtpDate(info.modifiedAt);
    this.#handles.set(path, handle);
    return {
      id: path,
      path,
      sizeBytes,
      kind: kindOf(info.name),
      isProtected: info.isProtected,
      ...(date && { startedAt: instantOf(date, this.#parts.options.zoneMinutes) }),
    };
  }

  async *read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const { info, quirks } = this.#parts;
    const sizeBytes = Number(recording.sizeBytes);
    const handle = await this.#handleOf(recording, signal);
    const has64 = info.operations.has(ptpOperation.getPartialObject64);
    const has32 = info.operations.has(ptpOperation.getPartialObject) && sizeBytes < 2 ** 32;
    if ((has64 || has32) && quirks.maxPartialBytes > 0) {
      for (let next = offset; next < sizeBytes;) {
        signal.throwIfAborted();
        const window = await this.#readWindow(handle, {
          offset: next,
          bytes: windowBytes(next, sizeBytes, quirks),
          has64,
        });
        next += window.length;
        yield window;
      }
      return;
    }
    yield* this.#readWhole(handle, { offset, sizeBytes });
  }

  /** Bounded partial reads: never past the end, always checked against what was asked. */
  async #readWindow(
    handle: number,
    { offset, bytes, has64 }: { offset: number; bytes: number; has64: boolean },
  ): Promise<Uint8Array> {
    const window = new Uint8Array(bytes);
    let filled = 0;
    const parameters = has64
      ? [handle, offset % 2 ** 32, Math.floor(offset / 2 ** 32), bytes]
      : [handle, offset, bytes];
    const operation = has64 ? ptpOperation.getPartialObject64 : ptpOperation.getPartialObject;
    const answer = await this.#transact(operation, parameters, {
      expectedBytes: bytes,
      onData: (part) => {
        if (filled + part.length > bytes) throw new DockError('wire.malformed', 'more than was asked for');
        window.set(part, filled);
        filled += part.length;
      },
    });
    if (answer.code === ptpResponse.invalidObjectHandle)
      throw new DockError('recording.vanished', `handle ${handle}`);
    if (answer.code !== ptpResponse.ok) throw responseError('GetPartialObject', answer.code);
    if (filled === 0) throw new DockError('recording.size-mismatch', `ends at ${offset}`);
    return filled === bytes ? window : window.subarray(0, filled);
  }

  /**
   * For responders without partial reads: the whole object through memory in pieces, what lies before `offset` thrown
   * away. Cannot be stopped in between without a recovery, so the signal is not heeded.
   */
  async *#readWhole(
    handle: number,
    { offset, sizeBytes }: { offset: number; sizeBytes: number },
  ): AsyncGenerator<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let wake = Promise.withResolvers<void>();
    let position = 0;
    let result: PtpResult | undefined;
    const done = this.#transact(ptpOperation.getObject, [handle], {
      expectedBytes: sizeBytes,
      onData: (part) => {
        const from = Math.max(0, offset - position);
        position += part.length;
        if (from < part.length) pieces.push(Uint8Array.from(part.subarray(from)));
        wake.resolve();
      },
    }).then(
      (answer) => {
        result = answer;
        wake.resolve();
      },
      (error: unknown) => {
        wake.reject(error);
      },
    );
    while (!result || pieces.length > 0) {
      const piece = pieces.shift();
      if (piece) {
        yield piece;
        continue;
      }
      await wake.promise;
      wake = Promise.withResolvers();
    }
    await done;
    if (result.code !== ptpResponse.ok) throw responseError('GetObject', result.code);
  }

  async #remove(recording: ListedRecording, proof: VerifiedCopy): Promise<void> {
    if (!isVerifiedCopy(proof)) throw new DockError('internal.bug', 'removal without a verified copy');
    const handle = this.#handles.get(recording.id);
    // 0 and 0xFFFFFFFF mean everything: they never reach the wire.
    if (handle === undefined || handle === 0 || handle === 0xffff_ffff) {
      throw new DockError('removal.refused', `no handle for ${recording.path.slice(0, 200)}`);
    }
    const answer = await this.#transact(ptpOperation.deleteObject, [handle, 0]);
    const isGone = answer.code === ptpResponse.ok || answer.code === ptpResponse.invalidObjectHandle;
    if (!isGone) throw new DockError('removal.refused', `response 0x${answer.code.toString(16)}`);
    const after = await this.#transact(ptpOperation.getObjectInfo, [handle]);
    if (after.code !== ptpResponse.invalidObjectHandle) {
      throw new DockError(
        'removal.refused',
        `still there after it was removed: ${recording.path.slice(0, 200)}`,
      );
    }
    this.#handles.delete(recording.id);
  }

  async #handleOf(recording: ListedRecording, signal: AbortSignal): Promise<number> {
    let handle = this.#handles.get(recording.id);
    if (handle === undefined) {
      // The session was lost and handles with it: list again.
      for await (const _ of this.recordings(signal));
      handle = this.#handles.get(recording.id);
    }
    if (handle === undefined) throw new DockError('recording.vanished', recording.path.slice(0, 200));
    return handle;
  }

  async #storageIds(): Promise<number[]> {
    for (let attempt = 0; ; attempt++) {
      const { data } = await this.#expectOk('GetStorageIDs', ptpOperation.getStorageIds, []);
      // A low half of 0 is a slot without a medium.
      const ids = new ByteReader(data).u32Array('storage ids').filter((id) => (id & 0xffff) !== 0);
      if (ids.length > 0 || attempt >= storageTries) return ids;
      await this.#parts.clock.sleep(storagePauseMs);
    }
  }

  async #children(storageId: number, parent: number): Promise<number[]> {
    const parameters = [storageId, 0, parent];
    const { data } = await this.#expectOk('GetObjectHandles', ptpOperation.getObjectHandles, parameters);
    return new ByteReader(data).u32Array('object handles');
  }

  /** One object that cannot be told is recorded and passed over; the reason is returned. */
  async #objectInfo(handle: number): Promise<ObjectInfo | string> {
    const answer = await this.#transact(ptpOperation.getObjectInfo, [handle]);
    if (answer.code !== ptpResponse.ok) return `GetObjectInfo: 0x${answer.code.toString(16)}`;
    try {
      return decodeObjectInfo(answer.data);
    } catch (error) {
      if (hasCode(error, 'wire.malformed')) return (error as Error).message;
      throw error;
    }
  }

  /** Object property DC04 is right where ObjectInfo has 32 bits only, and where it wraps. */
  async #sizeOf(handle: number, info: ObjectInfo): Promise<number | undefined> {
    const { quirks, info: device } = this.#parts;
    if (quirks.noObjectSize || !device.operations.has(ptpOperation.getObjectPropValue)) return info.sizeBytes;
    const answer = await this.#transact(ptpOperation.getObjectPropValue, [
      handle,
      ptpObjectProperty.objectSize,
    ]);
    if (answer.code !== ptpResponse.ok || answer.data.length < 4) return info.sizeBytes;
    const reader = new ByteReader(answer.data);
    return answer.data.length >= 8 ? Number(reader.u64('size')) : reader.u32('size');
  }

  async #expectOk(what: string, ...args: Parameters<PtpSession['transact']>): Promise<PtpResult> {
    const answer = await this.#transact(...args);
    if (answer.code !== ptpResponse.ok) throw responseError(what, answer.code);
    return answer;
  }

  /** A transaction that broke leaves the stream in an unknown place: the ladder, then the error to the caller. */
  async #transact(...args: Parameters<PtpSession['transact']>): Promise<PtpResult> {
    try {
      return await this.#parts.session.transact(...args);
    } catch (error) {
      if (!hasCode(error, 'link.closed')) {
        this.#handles.clear();
        await this.#parts.session.recover();
      }
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#parts.quirks.noCloseSession) await this.#parts.session.close().catch(() => undefined);
    await this.#parts.pipe[Symbol.asyncDispose]();
  }
}

async function expectOk(
  session: PtpSession,
  what: string,
  ...args: Parameters<PtpSession['transact']>
): Promise<PtpResult> {
  const answer = await session.transact(...args);
  if (answer.code !== ptpResponse.ok) throw responseError(what, answer.code);
  return answer;
}

function identityOf(info: DeviceInfo): CameraIdentity {
  return {
    serialNumber: parseSerialNumber(info.serialNumber),
    model: `${info.manufacturer} ${info.model}`.trim().slice(0, 128),
    firmware: info.version.slice(0, 128),
    hardwareRevision: '',
  };
}

function windowBytes(offset: number, sizeBytes: number, quirks: PtpQuirks): number {
  const bytes = Math.min(quirks.maxPartialBytes, sizeBytes - offset);
  const endsAligned = (12 + bytes) % 512 === 0;
  return quirks.avoidAlignedTail && endsAligned && bytes > 1 ? bytes - 1 : bytes;
}

function kindOf(name: string): ListedRecording['kind'] {
  if (/\.(mp4|mov|avi|mkv|3gp|ts)$/i.test(name)) return 'video';
  if (/\.(wav|mp3|aac|m4a|amr)$/i.test(name)) return 'audio';
  return /\.(jpe?g|png)$/i.test(name) ? 'photo' : 'other';
}

function unreadable(path: string): ListedRecording {
  return { id: path, path, sizeBytes: 0, kind: 'other', isProtected: false };
}
