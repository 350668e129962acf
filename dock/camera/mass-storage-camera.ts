import { createHash } from 'node:crypto';
import { DockError, hasCode } from '../../protocol/errors.ts';
import type { Clock } from '../clock.ts';
import {
  listLimit,
  type Camera,
  type CameraHealth,
  type CameraIdentity,
  type ListedRecording,
  type RecordingKind,
} from './camera.ts';
import { parseSerialNumber } from './serial-number.ts';
import { StorageAccess, systemCode } from './storage-access.ts';
import { nodeStorageFiles, type FileFacts, type OpenFile, type StorageFiles } from './storage-files.ts';
import type { StorageMount } from './storage-mount.ts';
import { below, nameAsText, namesOfPath } from './storage-path.ts';
import { isVerifiedCopy, type VerifiedCopy } from './verified-copy.ts';

/** As the device states it over USB: untrusted. */
export interface MassStorageIdentity {
  readonly serialNumber: string;
  readonly model: string;
  readonly firmware?: string;
}

/** What a model of this family brings; comes from its profile. */
export interface MassStorageOptions {
  /** Which files are recordings, by path below the root of a storage. */
  isRecording(path: string): boolean;
  /** The zone of the times of FAT, minutes east of UTC: it keeps local time. */
  readonly zoneMinutes: number;
  readonly mayRemove: boolean;
  readonly files?: StorageFiles;
  /** A disk that does nothing for so long hangs; the kernel itself gives up a command after 30 s. */
  readonly answerTimeoutMs?: number;
}

const chunkBytes = 1024 * 1024;
const deepestFolder = 16;
/** Entries of any kind on one storage: a damaged folder may hold itself, over and over. */
const mostEntries = 400_000;

/**
 * Opens a camera that shows itself as one or more disks. Takes over the mounts, also when it fails. It has no clock,
 * no key and no digest. Errors: `camera.identity-invalid`, `link.closed`.
 */
export async function openMassStorageCamera(
  mounts: readonly StorageMount[],
  identity: MassStorageIdentity,
  clock: Clock,
  options: MassStorageOptions,
  signal: AbortSignal,
): Promise<Camera> {
  try {
    const camera = new MassStorageCamera(mounts, identityOf(identity), clock, options);
    await camera.start(signal);
    return camera;
  } catch (error) {
    await disposeAll(mounts);
    throw error;
  }
}

/** A recording on its volume. */
interface Place {
  readonly mount: StorageMount;
  readonly path: Buffer;
}

/** What a file was when all of it was read. */
interface ReadCopy {
  readonly facts: FileFacts;
  readonly sha256: string;
}

class MassStorageCamera implements Camera {
  readonly identity: CameraIdentity;
  readonly remove?: NonNullable<Camera['remove']>;
  readonly #mounts: readonly StorageMount[];
  readonly #options: MassStorageOptions;
  readonly #files: StorageFiles;
  readonly #access: StorageAccess;
  /** Commands that each disk had failed when its volume was mounted afresh. */
  readonly #errorsAtMount = new Map<StorageMount, number | undefined>();
  /** By recording id; lets a removal go without reading the file once more. */
  readonly #readCopies = new Map<string, ReadCopy>();

  constructor(
    mounts: readonly StorageMount[],
    identity: CameraIdentity,
    clock: Clock,
    options: MassStorageOptions,
  ) {
    this.identity = identity;
    this.#mounts = mounts;
    this.#options = options;
    this.#files = options.files ?? nodeStorageFiles;
    this.#access = new StorageAccess(mounts, clock, { timeoutMs: options.answerTimeoutMs ?? 60_000 });
    // What was not unmounted in order may be damaged: nothing is written to it, and health says so.
    const isWhole = mounts.every(({ isDirty }) => !isDirty);
    if (options.mayRemove && isWhole) this.remove = (...args) => this.#remove(...args);
  }

  async start(signal: AbortSignal): Promise<void> {
    await this.#access.expectPresent(signal);
    for (const mount of this.#mounts) {
      this.#errorsAtMount.set(mount, await this.#access.errorCount(mount, signal));
    }
  }

  /** Another camera in the same bay is another attach: this one is gone then. */
  async readIdentity(signal: AbortSignal): Promise<CameraIdentity> {
    await this.#access.expectPresent(signal);
    return this.identity;
  }

  readonly health = async (signal: AbortSignal): Promise<CameraHealth> => {
    let storageTotalBytes = 0;
    let storageFreeBytes = 0;
    let dirtyVolumes = 0;
    await this.#access.expectPresent(signal);
    for (const mount of this.#mounts) {
      const { totalBytes, freeBytes } = await this.#access.onDisk(mount, 'capacity', signal, () =>
        mount.capacity(),
      );
      storageTotalBytes += totalBytes;
      storageFreeBytes += freeBytes;
      if (mount.isDirty) dirtyVolumes++;
    }
    await this.#access.expectPresent(signal);
    const errorCounters = dirtyVolumes > 0 ? { 'dirty-volume': dirtyVolumes } : {};
    return { storageTotalBytes, storageFreeBytes, errorCounters };
  };

  async *recordings(signal: AbortSignal): AsyncGenerator<ListedRecording> {
    await this.#access.expectPresent(signal);
    const isTooMany = listLimit();
    for (const mount of this.#mounts) {
      const errors = await this.#access.errorCount(mount, signal);
      for await (const recording of this.#walk(mount, signal)) {
        yield recording;
        if (isTooMany(recording)) return; // one too many: the session sees that it is endless
      }
      if ((await this.#access.errorCount(mount, signal)) !== errors) {
        await this.#access.expectPresent(signal);
        yield unreadable(`${volumePrefix(mount)}/`, `${mount.name} failed to read while it was listed`);
      }
    }
    // Folders of a device that is gone look empty: only now is the list known to be whole.
    await this.#access.expectPresent(signal);
  }

  /** All recordings of a volume, folder by folder, in the order of their names. */
  async *#walk(mount: StorageMount, signal: AbortSignal): AsyncGenerator<ListedRecording> {
    const prefix = volumePrefix(mount);
    const folders: { at: Buffer; path: string; depth: number }[] = [
      { at: Buffer.from(mount.folder), path: '', depth: 0 },
    ];
    let room = mostEntries;
    for (let folder = folders.pop(); folder; folder = folders.pop()) {
      const { at, path, depth } = folder;
      const names = await this.#entry(mount, 'list', signal, () => this.#files.names(at, room));
      if (typeof names === 'string') {
        yield unreadable(`${prefix}${path}/`, names);
        continue;
      }
      room -= names.length;
      if (room < 0 || depth > deepestFolder) {
        yield unreadable(`${prefix}${path}/`, room < 0 ? 'folders without end' : 'folders too deep');
        if (room < 0) return;
        continue;
      }
      const inside: typeof folders = [];
      for (const name of names) {
        const file = { at: below(at, name), path: `${path}/${nameAsText(name)}`, depth: depth + 1 };
        const facts = await this.#entry(mount, 'look', signal, () => this.#files.facts(file.at));
        if (typeof facts === 'string') yield unreadable(`${prefix}${file.path}`, facts);
        else if (facts.kind === 'folder') inside.push(file);
        else if (facts.kind === 'file' && this.#options.isRecording(file.path)) {
          yield this.#listed(`${prefix}${file.path}`, facts);
        }
      }
      folders.push(...inside.toReversed());
    }
  }

  /** One entry that cannot be read is no reason to give up the others: the reason is returned. */
  async #entry<Result>(
    mount: StorageMount,
    what: string,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result | string> {
    try {
      return await this.#access.onDisk(mount, what, signal, work);
    } catch (error) {
      if (!(error instanceof DockError)) throw error;
      if (hasCode(error.cause, 'wire.timeout')) throw error.cause;
      if (systemCode(error.cause) === undefined) throw error;
      return error.message.slice(0, 200);
    }
  }

  #listed(path: string, facts: FileFacts): ListedRecording {
    const { sizeBytes } = facts;
    return {
      id: path,
      path,
      sizeBytes: sizeBytes <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(sizeBytes) : sizeBytes,
      kind: kindOf(path),
      isProtected: !facts.isWritable,
      // A camera writes to a file until its recording ends.
      endedAt: this.#endOf(facts),
      statedTimes: {
        modified: new Date(facts.modifiedMs).toISOString().replace('Z', ''),
        zoneMinutes: this.#options.zoneMinutes,
      },
    };
  }

  #endOf({ modifiedMs }: FileFacts): number {
    return modifiedMs - this.#options.zoneMinutes * 60_000;
  }

  async *read(recording: ListedRecording, offset: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    await this.#access.expectPresent(signal);
    const place = this.#placeOf(recording);
    const file = await this.#openFile(place, recording, signal);
    const hash = offset === 0 && this.remove ? createHash('sha256') : undefined;
    try {
      const facts = await this.#factsOf(file, place, signal);
      this.#expectAsListed(facts, recording);
      const sizeBytes = Number(recording.sizeBytes);
      for (let position = offset; position < sizeBytes;) {
        const chunk = await this.#readChunk(file, place, { position, sizeBytes }, signal);
        position += chunk.length;
        hash?.update(chunk);
        yield chunk;
      }
      this.#expectAsListed(await this.#factsOf(file, place, signal), recording);
      if (hash) this.#readCopies.set(recording.id, { facts, sha256: hash.digest('hex') });
    } finally {
      this.#access.afterwards(() => file.close());
    }
  }

  async #openFile(
    { mount, path }: Place,
    recording: ListedRecording,
    signal: AbortSignal,
  ): Promise<OpenFile> {
    let wanted = true;
    const opening = async (): Promise<OpenFile> => {
      const file = await this.#files.open(path);
      if (!wanted) await file.close();
      return file;
    };
    try {
      return await this.#access.onDisk(mount, nameOf(recording), signal, opening);
    } catch (error) {
      wanted = false;
      throw error;
    }
  }

  #factsOf(file: OpenFile, { mount }: Place, signal: AbortSignal): Promise<FileFacts> {
    return this.#access.onDisk(mount, 'look', signal, () => file.facts());
  }

  /** Errors: `recording.size-mismatch` for a file that has grown, shrunk, or was written to. */
  #expectAsListed(facts: FileFacts, recording: ListedRecording): void {
    if (facts.kind !== 'file') throw new DockError('recording.vanished', `${nameOf(recording)} is no file`);
    if (facts.sizeBytes !== BigInt(recording.sizeBytes)) {
      throw new DockError(
        'recording.size-mismatch',
        `listed ${recording.sizeBytes} bytes, the file has ${facts.sizeBytes}`,
      );
    }
    if (this.#endOf(facts) !== recording.endedAt) {
      throw new DockError('recording.size-mismatch', 'written to since it was listed');
    }
  }

  async #readChunk(
    file: OpenFile,
    { mount }: Place,
    { position, sizeBytes }: { position: number; sizeBytes: number },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const buffer = new Uint8Array(Math.min(chunkBytes, sizeBytes - position));
    const count = await this.#access.onDisk(mount, `read at ${position}`, signal, () =>
      file.read(buffer, position),
    );
    if (count === 0) throw new DockError('recording.size-mismatch', `ends at ${position}`);
    return buffer.subarray(0, count);
  }

  /**
   * Removes a file only when its bytes are those of the proof: those that were read since the camera was opened, or
   * else all of it is read again. Names, sizes and times come back on a camera whose clock was lost.
   */
  async #remove(recording: ListedRecording, proof: VerifiedCopy, signal: AbortSignal): Promise<void> {
    if (!isVerifiedCopy(proof)) throw new DockError('internal.bug', 'removal without a verified copy');
    await this.#access.expectPresent(signal);
    const { mount, path } = this.#placeOf(recording);
    const read = await this.#readCopyOf(recording, signal);
    // The kernel remembers what it did not find, though a folder could not be read then.
    if (!read) return this.#expectAbsent({ mount, path }, recording, this.#errorsAtMount.get(mount), signal);
    if (read.sha256 !== proof.sha256 || read.facts.sizeBytes !== BigInt(proof.sizeBytes)) {
      throw new DockError('removal.refused', `${nameOf(recording)} is not what the copy was made of`);
    }
    const errors = await this.#access.errorCount(mount, signal);
    await this.#unlink(mount, path, read.facts, signal);
    this.#readCopies.delete(recording.id);
    this.#errorsAtMount.set(mount, await this.#access.errorCount(mount, signal));
    await this.#expectAbsent({ mount, path }, recording, errors, signal);
  }

  /** Undefined when the file is not there. */
  async #readCopyOf(recording: ListedRecording, signal: AbortSignal): Promise<ReadCopy | undefined> {
    try {
      if (!this.#readCopies.has(recording.id)) for await (const _ of this.read(recording, 0, signal));
    } catch (error) {
      if (hasCode(error, 'recording.vanished')) return undefined;
      if (!hasCode(error, 'recording.size-mismatch')) throw error;
      throw new DockError('removal.refused', nameOf(recording), { cause: error });
    }
    return this.#readCopies.get(recording.id);
  }

  /** The window is as short as it can be: one look, one unlink. */
  async #unlink(mount: StorageMount, path: Buffer, expected: FileFacts, signal: AbortSignal): Promise<void> {
    const inside = path.subarray(Buffer.byteLength(mount.folder));
    const work = async (folder: string): Promise<void> => {
      const file = Buffer.concat([Buffer.from(folder), inside]);
      const facts = await this.#files.facts(file);
      const isSame =
        facts.kind === 'file' &&
        facts.sizeBytes === expected.sizeBytes &&
        facts.modifiedMs === expected.modifiedMs;
      if (!isSame) throw new DockError('removal.refused', 'the file has changed since it was read');
      signal.throwIfAborted();
      await this.#files.unlink(file);
    };
    try {
      await this.#access.once('removal', signal, () => mount.writable(work));
    } catch (error) {
      signal.throwIfAborted();
      await this.#access.expectPresent(signal);
      // Whether it is gone nevertheless is for the next look to say: a list shows what is there.
      const isClear = hasCode(
        error,
        'removal.refused',
        'mount.helper-missing',
        'wire.timeout',
        'link.closed',
      );
      throw isClear ? error : new DockError('removal.refused', messageOf(error), { cause: error });
    }
  }

  /**
   * Errors: `removal.refused` when it is there; `link.closed` when the device is not, and `recording.stalled` when
   * the device has failed commands since there were `errors`: nothing is known then.
   */
  async #expectAbsent(
    { mount, path }: Place,
    recording: ListedRecording,
    errors: number | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#access.expectPresent(signal);
    const found = await this.#access
      .onDisk(mount, nameOf(recording), signal, () => this.#files.facts(path))
      .catch((error: unknown) => {
        if (hasCode(error, 'recording.vanished')) return undefined;
        throw error;
      });
    if (found) throw new DockError('removal.refused', `${nameOf(recording)}: still there after its removal`);
    if ((await this.#access.errorCount(mount, signal)) !== errors) {
      await this.#access.expectPresent(signal);
      const detail = `${nameOf(recording)}: ${mount.name} has failed to read, so nothing proves it absent`;
      throw new DockError('recording.stalled', detail);
    }
    await this.#access.expectPresent(signal);
  }

  /** Only what a list of this camera may hold leads anywhere. */
  #placeOf(recording: ListedRecording): Place {
    const [prefix = ''] = /^\/\d+:(?=\/)/.exec(recording.path) ?? [];
    const mount = this.#mounts.find((each) => volumePrefix(each) === prefix);
    const names = namesOfPath(recording.path.slice(prefix.length));
    // Not vanished: a removal must not take what was never there for gone.
    if (!mount || !names) throw new DockError('recording.unreadable-entry', nameOf(recording));
    return { mount, path: below(Buffer.from(mount.folder), ...names) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#mounts);
  }
}

/** All at once: each may have to wait for the helper. */
async function disposeAll(mounts: readonly StorageMount[]): Promise<void> {
  await Promise.all(mounts.map((mount) => mount[Symbol.asyncDispose]()));
}

function identityOf({ serialNumber, model, firmware }: MassStorageIdentity): CameraIdentity {
  const parsed = parseSerialNumber(serialNumber);
  return {
    serialNumber: parsed,
    ...(parsed !== serialNumber && { statedSerialNumber: serialNumber }),
    model: model.slice(0, 128),
    firmware: firmware?.slice(0, 128) ?? '',
    hardwareRevision: '',
  };
}

/** No FAT name holds a colon: files of a second disk cannot be taken for those of a folder of the first. */
function volumePrefix({ logicalUnit }: StorageMount): string {
  return logicalUnit === 0 ? '' : `/${logicalUnit}:`;
}

function nameOf({ path }: ListedRecording): string {
  return path.slice(0, 200);
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

function kindOf(path: string): RecordingKind {
  if (/\.(mp4|mov|avi|mkv|ts|3gp|m4v)$/i.test(path)) return 'video';
  if (/\.(wav|mp3|aac|m4a|amr)$/i.test(path)) return 'audio';
  return /\.(jpe?g|png)$/i.test(path) ? 'photo' : 'other';
}

function unreadable(path: string, defect: string): ListedRecording {
  return { id: path, path, sizeBytes: 0, kind: 'other', isProtected: false, defect };
}
