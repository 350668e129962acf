import { dirname } from 'node:path';
import type { Disk, DiskFile } from '../../agent/vault/disk.ts';
import { DockError } from '../../protocol/errors.ts';
import type { Draws } from './draws.ts';
import type { Life } from './life.ts';
import type { Story } from './story.ts';

/** A file by its content, whatever names it has. */
interface Inode {
  bytes: Uint8Array;
  /** What a power cut leaves of it at least. */
  durable: Uint8Array;
  /** After a sync that failed the system believes what never reached the disk to be there. */
  isUnsyncable: boolean;
  rot: { readonly position: number; wasRead: boolean } | undefined;
}

interface NameChange {
  readonly path: string;
  readonly inode: Inode | undefined;
}

export interface DiskFaults {
  /** About one of N operations fails; 0 for none. */
  failOneIn: number;
  /** About one of N operations takes seconds; 0 for none. */
  slowOneIn: number;
  /** About one of N writes puts down something else than it was given; 0 for none. */
  corruptOneIn: number;
  /** What others have taken of the room. */
  othersBytes: number;
}

const capacityBytes = 10_000_000;

/**
 * A file system in memory with what it shows now and what a power cut would leave: bytes are durable after `sync`,
 * names after `syncFolder`, folders at once.
 */
export class SimulatedDisk {
  readonly faults: DiskFaults = { failOneIn: 0, slowOneIn: 0, corruptOneIn: 0, othersBytes: 0 };
  readonly #draws: Draws;
  readonly #story: Story;
  readonly #folders = new Set<string>();
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #unsynced: NameChange[] = [];

  constructor(draws: Draws, story: Story) {
    this.#draws = draws.stream('disk');
    this.#story = story;
  }

  files(): string[] {
    return [...this.#names.keys()];
  }

  bytesOf(path: string): Uint8Array | undefined {
    return this.#names.get(path)?.bytes;
  }

  /** Whether these bytes are under this name whatever happens now; else what is missing. */
  lacks(path: string, bytes: Uint8Array): string | undefined {
    const inode = this.#names.get(path);
    if (!inode) return 'there is no such file';
    // A defect of the medium that nobody could have seen yet is nobody's fault.
    if (inode.rot && !inode.rot.wasRead) return undefined;
    if (!isSame(inode.bytes, bytes)) return 'the file holds something else';
    if (!isSame(inode.durable, bytes)) return 'its bytes are not synced';
    const isNamed =
      this.#durableNames.get(path) === inode && this.#unsynced.every((change) => change.path !== path);
    return isNamed ? undefined : 'its name is not synced';
  }

  /** Others leave only so much room. */
  fill(leftBytes: number): void {
    this.faults.othersBytes += this.#freeBytes() - leftBytes;
  }

  isRotten(path: string): boolean {
    return this.#names.get(path)?.rot !== undefined;
  }

  /** Flips a bit of a file that is durable; false when there is none. */
  rot(draws: Draws): string | undefined {
    const stored = [...this.#durableNames].filter(([, { bytes, rot }]) => !rot && bytes.length > 0);
    if (stored.length === 0) return undefined;
    const [path, inode] = draws.pick(stored);
    const position = draws.below(inode.bytes.length);
    inode.bytes = Uint8Array.from(inode.bytes);
    inode.bytes[position] = (inode.bytes[position] ?? 0) ^ (1 << draws.below(8));
    inode.durable = inode.bytes;
    inode.rot = { position, wasRead: false };
    return path;
  }

  /** Power fails: of what was not synced any part may be there, and what was being written may be torn. */
  cutPower(draws: Draws): void {
    for (const { path, inode } of this.#unsynced) {
      const isKept = draws.chance(0.5);
      if (isKept && inode) this.#durableNames.set(path, inode);
      else if (isKept) this.#durableNames.delete(path);
      if (!isKept)
        this.#story.count(inode ? 'power cut: lost a name' : 'power cut: a removed name came back');
    }
    this.#unsynced = [];
    this.#names = new Map(this.#durableNames);
    for (const inode of new Set(this.#names.values())) {
      if (!isSame(inode.bytes, inode.durable)) this.#story.count('power cut: lost bytes');
      const left = inode.isUnsyncable ? inode.durable : remains(inode, draws);
      inode.bytes = left;
      inode.durable = left;
    }
  }

  /** The disk as one run of the agent has it. */
  for(life: Life): Disk {
    const act = <T>(name: string, path: string, effect: () => T, half?: () => void): Promise<T> =>
      life.operate(`${name} ${path.slice(path.indexOf('/vault') + 1)}`, this.#latencyMs(), () => {
        const fault = this.#draw(name, path);
        if (!fault) return effect();
        if (fault === 'all') effect();
        if (fault === 'half') half?.();
        throw new DockError('vault.disk-error', `simulated at ${name}`);
      });
    return {
      makeFolder: (path) =>
        act('makeFolder', path, () => {
          for (let folder = path; folder.length > 1; folder = dirname(folder)) this.#folders.add(folder);
        }),
      freeBytes: (path) => act('freeBytes', path, () => this.#freeBytes()),
      open: (path, mode) =>
        act(
          'open',
          path,
          () =>
            new OpenFile(this.#open(path, mode), path, {
              act,
              room: () => this.#freeBytes(),
              written: (bytes) => this.#written(bytes),
            }),
        ),
      size: (path) => act('size', path, () => this.#names.get(path)?.bytes.length),
      link: (existing, name) =>
        act('link', name, () => {
          const inode = this.#names.get(existing);
          if (!inode) throw new DockError('vault.file-missing', existing);
          if (this.#names.has(name)) throw new DockError('vault.disk-error', `${name} is taken`);
          this.#name(name, inode);
        }),
      remove: (path) =>
        act('remove', path, () => this.#names.has(path) && this.#name(path, undefined)).then(() => undefined),
      syncFolder: (path) =>
        act('syncFolder', path, () => {
          this.#expectFolder(path);
          const isHere = (change: NameChange): boolean => dirname(change.path) === path;
          for (const { path: name, inode } of this.#unsynced.filter(isHere)) {
            if (inode) this.#durableNames.set(name, inode);
            else this.#durableNames.delete(name);
          }
          this.#unsynced = this.#unsynced.filter((change) => !isHere(change));
        }),
      dropCache: () => life.operate('dropCache', this.#latencyMs(), () => undefined),
      files: (folder) => this.#list(folder, act),
    };
  }

  async *#list(folder: string, act: Act): AsyncGenerator<string> {
    yield* await act('files', folder, () => {
      this.#expectFolder(folder);
      return this.files().filter((path) => path.startsWith(`${folder}/`));
    });
  }

  #open(path: string, mode: 'create' | 'extend' | 'read'): Inode {
    const found = this.#names.get(path);
    if (mode !== 'create') {
      if (!found) throw new DockError('vault.file-missing', path);
      return found;
    }
    if (found) throw new DockError('vault.disk-error', `${path} exists`);
    this.#expectFolder(dirname(path));
    const empty = new Uint8Array();
    const inode: Inode = { bytes: empty, durable: empty, isUnsyncable: false, rot: undefined };
    this.#name(path, inode);
    return inode;
  }

  #name(path: string, inode: Inode | undefined): void {
    if (inode) this.#names.set(path, inode);
    else this.#names.delete(path);
    this.#unsynced.push({ path, inode });
  }

  #expectFolder(path: string): void {
    if (!this.#folders.has(path)) throw new DockError('vault.file-missing', path);
  }

  #freeBytes(): number {
    const inodes = new Set(this.#names.values());
    const used = [...inodes].reduce((sum, { bytes }) => sum + bytes.length, 0);
    return Math.max(0, capacityBytes - used - this.faults.othersBytes);
  }

  #written(bytes: Uint8Array): Uint8Array {
    const copy = Uint8Array.from(bytes);
    const { corruptOneIn } = this.faults;
    if (corruptOneIn === 0 || copy.length === 0 || this.#draws.below(corruptOneIn) > 0) return copy;
    const position = this.#draws.below(copy.length);
    copy[position] = (copy[position] ?? 0) ^ (1 << this.#draws.below(8));
    this.#story.count('disk: wrote something else');
    return copy;
  }

  #latencyMs(): number {
    const { slowOneIn } = this.faults;
    if (slowOneIn > 0 && this.#draws.below(slowOneIn) === 0) {
      this.#story.count('disk: slow operation');
      return this.#draws.between(1000, 8000);
    }
    return this.#draws.between(0.05, 2);
  }

  #draw(name: string, path: string): 'none' | 'half' | 'all' | undefined {
    const { failOneIn } = this.faults;
    if (failOneIn === 0 || this.#draws.below(failOneIn) > 0) return undefined;
    const effect = this.#draws.pick(['none', 'half', 'all'] as const);
    this.#story.count(`disk error: ${name}, effect ${effect}`);
    this.#story.tell(`disk: ${name} ${path} fails, effect ${effect}`);
    return effect;
  }
}

/** What an open file needs of its disk. */
interface OpenDisk {
  readonly act: Act;
  readonly room: () => number;
  /** A copy of the bytes as they reach the disk. */
  readonly written: (bytes: Uint8Array) => Uint8Array;
}

type Act = <T>(name: string, path: string, effect: () => T, half?: () => void) => Promise<T>;

class OpenFile implements DiskFile {
  readonly #inode: Inode;
  readonly #path: string;
  readonly #disk: OpenDisk;

  constructor(inode: Inode, path: string, disk: OpenDisk) {
    this.#inode = inode;
    this.#path = path;
    this.#disk = disk;
  }

  append(bytes: Uint8Array): Promise<void> {
    // The caller's buffer may change once this returned.
    const copy = this.#disk.written(bytes);
    const put = (count: number): void => {
      this.#inode.bytes = Uint8Array.from(Buffer.concat([this.#inode.bytes, copy.subarray(0, count)]));
    };
    return this.#disk.act(
      'append',
      this.#path,
      () => {
        const room = this.#disk.room();
        put(Math.min(copy.length, room));
        if (room < copy.length) throw new DockError('vault.disk-full', `simulated, ${room} bytes left`);
      },
      () => put(copy.length >> 1),
    );
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return this.#disk.act('read', this.#path, () => {
      const { bytes, rot } = this.#inode;
      const part = bytes.subarray(position, position + buffer.length);
      buffer.set(part);
      if (rot && rot.position >= position && rot.position < position + part.length) rot.wasRead = true;
      return part.length;
    });
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#disk.act('truncate', this.#path, () => {
      this.#inode.bytes = this.#inode.bytes.slice(0, sizeBytes);
    });
  }

  sync(): Promise<void> {
    const inode = this.#inode;
    let isDone = false;
    const synced = this.#disk.act('sync', this.#path, () => {
      isDone = true;
      if (!inode.isUnsyncable) inode.durable = inode.bytes;
    });
    return synced.catch((error: unknown) => {
      if (!isDone) inode.isUnsyncable = true;
      throw error;
    });
  }

  /** A close that fails has closed all the same. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#disk.act('close', this.#path, () => undefined);
  }
}

/** What is left of a file: something between what was synced and what was written, its end perhaps torn. */
function remains({ bytes, durable }: Inode, draws: Draws): Uint8Array {
  if (isSame(bytes, durable)) return durable;
  const isLonger = bytes.length > durable.length && isSame(bytes.subarray(0, durable.length), durable);
  if (!isLonger) return draws.chance(0.5) ? durable : bytes;
  const left = bytes.slice(0, durable.length + draws.below(bytes.length - durable.length + 1));
  const tornFrom = durable.length + draws.below(left.length - durable.length + 1);
  if (draws.chance(0.5)) left.fill(0, tornFrom);
  return left;
}

export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0);
}
