import { DockError } from '../../protocol/errors.ts';
import { ptpResponse, rootParent } from '../../protocol/ptp/codes.ts';
import type { ObjectInfo } from '../../protocol/ptp/datasets.ts';
import { instantOf, parsePtpDate } from '../../protocol/ptp/datetime.ts';
import { listLimit, mostRecordings, type ListedRecording } from './camera.ts';
import type { MtpDevice } from './mtp-device.ts';
import {
  readChildren,
  readObject,
  readSize,
  readStorageIds,
  SessionLost,
  type HandleOptions,
} from './mtp-objects.ts';

export interface MtpListingOptions {
  /** Whether a path below the root of a storage names a recording. */
  isRecording(path: string): boolean;
  /** What a date without a zone means, minutes east of UTC. */
  readonly zoneMinutes: number;
}

/** Where an object is in the session of `epoch`. */
export interface FoundObject {
  readonly handle: number;
  readonly parent: number;
  readonly storageId: number;
  readonly epoch: number;
  readonly name: string;
}

interface Folder {
  readonly handle: number;
  /** Undefined for the root. */
  readonly parent?: Folder;
  /** Below the root of the storage, without it `''`. */
  readonly path: string;
  readonly depth: number;
}

type Walked =
  | { readonly kind: 'file'; readonly path: string; readonly info: ObjectInfo; readonly found: FoundObject }
  | {
      readonly kind: 'defect';
      readonly path: string;
      readonly defect: string;
      /** It may be anything, also what is looked for. */
      readonly isUntold: boolean;
    };

const deepestFolder = 12;
/** Objects that are no recordings count too. */
const mostObjects = 4 * mostRecordings;
const listRestarts = 5;
const failuresUntilRecovery = 3;
const unknownHandle = `0x${ptpResponse.invalidObjectHandle.toString(16)}`;
/**
 * The first volume, by the standard and by umtprd 1.3: its paths are given as they are, those of others behind their
 * storage id. By id and not by place in the list, so that a card that is missing once does not rename the rest.
 */
const firstStorageIds = [0x0001_0001, 0xffff_0001];

/**
 * What a camera holds, by path. Handles are looked up anew in each session, because responders renumber; they walk
 * folder by folder with concrete storage ids, the only listing that every responder gets right.
 */
export class MtpListing {
  readonly #device: MtpDevice;
  readonly #options: MtpListingOptions;
  /**
   * Of the session of `#epoch`, each from a walk that came to its end. The first of several with one path: the planner
   * refuses the others.
   */
  readonly #found = new Map<string, FoundObject>();
  /** What several objects were seen at, for good: which of them is which cannot be told in another session. */
  readonly #ambiguous = new Set<string>();
  #epoch = 0;

  constructor(device: MtpDevice, options: MtpListingOptions) {
    this.#device = device;
    this.#options = options;
  }

  /** Errors: `ptp.*`, `wire.*`, `link.closed`. */
  async list(signal: AbortSignal): Promise<ListedRecording[]> {
    return this.#inOneSession(signal, () => this.#list(signal));
  }

  /**
   * The object at a path as `list` gives it, undefined when there is none. `isFresh` asks the camera in any case.
   * Errors: `ptp.access-denied` when its storage is not there, `recording.stalled` when several objects share the path
   * or one that cannot be told may be it.
   */
  async find(path: string, signal: AbortSignal, { isFresh = false } = {}): Promise<FoundObject | undefined> {
    return this.#inOneSession(signal, async () => {
      const known = this.#found.get(path);
      if (known && !isFresh && known.epoch === this.#device.session.epoch) return known;
      this.#found.delete(path);
      const storageIds = (await this.#storageIds(signal)).filter((id) => isBelow(path, rootOf(id)));
      if (storageIds.length === 0)
        throw new DockError('ptp.access-denied', `no storage for ${path.slice(0, 200)}`);
      return this.#findIn(storageIds, path, signal);
    });
  }

  /** Walks on when it is found: a second one of its path would pass for it later. */
  async #findIn(
    storageIds: readonly number[],
    path: string,
    signal: AbortSignal,
  ): Promise<FoundObject | undefined> {
    const seen = new Map<string, FoundObject>();
    let untold: string | undefined;
    for (const storageId of storageIds) {
      for await (const walked of this.#walk(storageId, signal, path)) {
        if (walked.kind === 'file') this.#see(seen, walked.path, walked.found);
        else if (walked.isUntold) untold ??= `${walked.path}: ${walked.defect}`;
      }
    }
    this.#remember(seen);
    if (this.isAmbiguous(path))
      throw new DockError('recording.stalled', `${path.slice(0, 200)} is there twice`);
    const found = seen.get(path);
    if (!found && untold !== undefined) {
      throw new DockError('recording.stalled', `${path.slice(0, 200)} may be ${untold.slice(0, 200)}`);
    }
    return found;
  }

  forget(path: string): void {
    this.#found.delete(path);
  }

  /** Whether several objects were seen at this path. */
  isAmbiguous(path: string): boolean {
    return this.#ambiguous.has(path);
  }

  /** Storages appear seconds after the camera does: none is not the same as no recordings. */
  async #storageIds(signal: AbortSignal): Promise<number[]> {
    const { clock, timings } = this.#device;
    const until = clock.monotonic() + timings.storagesForMs;
    for (let pauseMs = timings.storagesFromMs; ; pauseMs = Math.min(pauseMs * 2, timings.busyToMs)) {
      const ids = await readStorageIds(this.#device, signal);
      if (ids.length > 0) return ids;
      if (clock.monotonic() >= until) throw new DockError('ptp.access-denied', 'the camera shows no storage');
      await clock.sleep(pauseMs, signal);
    }
  }

  async #inOneSession<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    for (let restart = 0; ; restart++) {
      await this.#device.session.ready(signal);
      if (this.#epoch !== this.#device.session.epoch) this.#found.clear();
      this.#epoch = this.#device.session.epoch;
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof SessionLost)) throw error;
        if (restart >= listRestarts) throw new DockError('ptp.busy', 'the camera keeps losing its session');
      }
    }
  }

  async #list(signal: AbortSignal): Promise<ListedRecording[]> {
    const listed: ListedRecording[] = [];
    const seen = new Map<string, FoundObject>();
    const isTooMany = listLimit();
    let unreadable = 0;
    let readable = 0;
    const storageIds = await this.#storageIds(signal);
    this.#found.clear();
    for (const storageId of storageIds) {
      for await (const walked of this.#walk(storageId, signal)) {
        if (walked.kind === 'file') readable++;
        else unreadable++;
        const entry = await this.#entry(walked, { storageId, seen, signal });
        if (!entry) continue;
        listed.push(entry);
        if (isTooMany(entry)) return listed; // one too many: the session sees that it is endless
      }
    }
    this.#remember(seen);
    if (
      unreadable > 0 &&
      readable === 0 &&
      listed.every(({ defect }) => defect?.startsWith('GetObjectInfo'))
    ) {
      throw new DockError('ptp.rejected', `nothing can be told of ${unreadable} objects`);
    }
    return listed;
  }

  async #entry(
    walked: Walked,
    { storageId, seen, signal }: { storageId: number; seen: Map<string, FoundObject>; signal: AbortSignal },
  ): Promise<ListedRecording | undefined> {
    if (walked.kind === 'defect') return unreadableEntry(walked.path, walked.defect);
    const { path, info, found } = walked;
    if (!this.#options.isRecording(path.slice(rootOf(storageId).length))) return undefined;
    this.#see(seen, path, found);
    const sizeBytes = await readSize(this.#device, found.handle, info, { epoch: this.#epoch, signal });
    if (sizeBytes === undefined) return unreadableEntry(path, 'the camera cannot tell the size');
    return {
      id: path,
      path,
      sizeBytes,
      kind: kindOf(info.name),
      isProtected: info.isProtected,
      ...this.#times(info),
    };
  }

  /** Most responders state the time of the last change for both; then it is the end. */
  #times({
    capturedAt,
    modifiedAt,
  }: ObjectInfo): Pick<ListedRecording, 'startedAt' | 'endedAt' | 'statedTimes'> {
    const captured = capturedAt === modifiedAt ? undefined : parsePtpDate(capturedAt);
    const modified = parsePtpDate(modifiedAt);
    const { zoneMinutes } = this.#options;
    return {
      ...(captured && { startedAt: instantOf(captured, zoneMinutes) }),
      ...(modified && { endedAt: instantOf(modified, zoneMinutes) }),
      statedTimes: { captured: capturedAt, modified: modifiedAt, zoneMinutes },
    };
  }

  /** `seen` is of one walk: the same object is seen again in the next one. */
  #see(seen: Map<string, FoundObject>, path: string, found: FoundObject): void {
    if (seen.has(path)) this.#ambiguous.add(path);
    else seen.set(path, found);
  }

  #remember(seen: ReadonlyMap<string, FoundObject>): void {
    for (const [path, found] of seen) if (!this.#found.has(path)) this.#found.set(path, found);
  }

  /** All files of a storage; with `towards`, only those in folders on the way to that path. */
  async *#walk(storageId: number, signal: AbortSignal, towards?: string): AsyncGenerator<Walked> {
    const options = { epoch: this.#epoch, signal };
    const visited = new Set<number>();
    const folders: Folder[] = [{ handle: rootParent, path: rootOf(storageId), depth: 0 }];
    let failures = 0;
    for (let folder = folders.shift(); folder; folder = folders.shift()) {
      const gone: number[] = [];
      const children = await readChildren(this.#device, { storageId, parent: folder.handle }, options);
      if (!children && (await this.#isThere(folder, storageId, options))) {
        yield untold(`${folder.path}/`, 'the camera lists this folder and does not know it');
      }
      for (const handle of children ?? []) {
        if (visited.has(handle)) continue;
        visited.add(handle);
        const place = `${folder.path}/#${handle}`;
        if (visited.size > mostObjects) {
          yield untold(place, 'more objects than a camera can hold');
          return;
        }
        if (handle === 0 || handle === rootParent) {
          yield untold(place, 'a handle that stands for everything');
          continue;
        }
        const answer = await readObject(this.#device, handle, options);
        if (answer.kind === 'gone') {
          gone.push(handle);
          continue;
        }
        if (answer.kind === 'unreadable') {
          if (answer.code === ptpResponse.generalError && ++failures % failuresUntilRecovery === 0) {
            this.#device.session.distrust();
          }
          yield untold(place, answer.reason);
          continue;
        }
        failures = 0;
        const { info } = answer;
        const defect = nameDefect(info.name);
        const path = `${folder.path}/${info.name}`;
        if (defect !== undefined) {
          yield { kind: 'defect', path: place, defect, isUntold: false };
        } else if (!info.isFolder) {
          const found = { handle, parent: folder.handle, storageId, epoch: options.epoch, name: info.name };
          yield { kind: 'file', path, info, found };
        } else if (towards !== undefined && !isBelow(towards, path)) {
          continue;
        } else if (folder.depth < deepestFolder) {
          folders.push({ handle, parent: folder, path, depth: folder.depth + 1 });
        } else {
          yield untold(place, `folders more than ${deepestFolder} deep`);
        }
      }
      for (const handle of await this.#listedStill(gone, { folder, storageId }, options)) {
        yield untold(`${folder.path}/#${handle}`, `GetObjectInfo: ${unknownHandle}, but its folder lists it`);
      }
    }
  }

  /** Of handles that the camera did not know: those that are not simply removed meanwhile. */
  async #listedStill(
    gone: readonly number[],
    { folder, storageId }: { folder: Folder; storageId: number },
    options: HandleOptions,
  ): Promise<readonly number[]> {
    if (gone.length === 0) return [];
    const children = await readChildren(this.#device, { storageId, parent: folder.handle }, options);
    if (!children) return (await this.#isThere(folder, storageId, options)) ? gone : [];
    const listed = new Set(children);
    return gone.filter((handle) => listed.has(handle));
  }

  /** Whether a folder that the camera does not know is listed all the same: by its parent, or that one by its own. */
  async #isThere(folder: Folder, storageId: number, options: HandleOptions): Promise<boolean> {
    if (!folder.parent) return true;
    const { parent } = folder;
    const siblings = await readChildren(this.#device, { storageId, parent: parent.handle }, options);
    return siblings ? siblings.includes(folder.handle) : this.#isThere(parent, storageId, options);
  }
}

function untold(path: string, defect: string): Walked {
  return { kind: 'defect', path, defect, isUntold: true };
}

function rootOf(storageId: number): string {
  return firstStorageIds.includes(storageId) ? '' : `/storage-${storageId.toString(16).padStart(8, '0')}`;
}

/** The root of the first storage is above everything but the other storages. */
function isBelow(path: string, folder: string): boolean {
  if (folder === '') return !/^\/storage-[0-9a-f]{8}\//.test(path);
  return path.startsWith(`${folder}/`);
}

/** Names become part of paths and of what people read: a camera has no say in where they lead. */
function nameDefect(name: string): string | undefined {
  if (name === '' || name === '.' || name === '..') return `the name ${JSON.stringify(name)}`;
  if (/[/\\\p{Cc}]/u.test(name)) return 'a name with a separator or a control character';
  if (!name.isWellFormed()) return 'a name that is not Unicode';
  return undefined;
}

function kindOf(name: string): ListedRecording['kind'] {
  if (/\.(mp4|mov|avi|mkv|3gp|ts|m4v)$/i.test(name)) return 'video';
  if (/\.(wav|mp3|aac|m4a|amr)$/i.test(name)) return 'audio';
  return /\.(jpe?g|png)$/i.test(name) ? 'photo' : 'other';
}

function unreadableEntry(path: string, defect: string): ListedRecording {
  return { id: path, path, sizeBytes: 0, kind: 'other', isProtected: false, defect: defect.slice(0, 200) };
}
