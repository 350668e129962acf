import { constants } from 'node:fs';
import { lstat, open, opendir, unlink, type FileHandle } from 'node:fs/promises';

/** What a mass-storage camera does with files; the tests bring one with faults. Paths and names are bytes, as read. */
export interface StorageFiles {
  /** Names in a folder, sorted by their bytes; ends with one more than `most` where there are more. */
  names(folder: Buffer, most: number): Promise<Buffer[]>;
  /** Of the path itself, never of what a link points at. */
  facts(path: Buffer): Promise<FileFacts>;
  open(path: Buffer): Promise<OpenFile>;
  unlink(path: Buffer): Promise<void>;
}

export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'other';
  readonly sizeBytes: bigint;
  /** Milliseconds since 1970 of whatever zone the volume is in. */
  readonly modifiedMs: number;
  readonly isWritable: boolean;
}

export interface OpenFile {
  facts(): Promise<FileFacts>;
  /** Bytes read into `into`; 0 at the end. */
  read(into: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

type BigStats = Awaited<ReturnType<typeof statOf>>;
const statOf = (path: Buffer) => lstat(path, { bigint: true });

export const nodeStorageFiles: StorageFiles = {
  async names(folder, most) {
    const names: Buffer[] = [];
    // One character for each byte: names need not be UTF-8.
    for await (const entry of await opendir(folder, { encoding: 'latin1' })) {
      names.push(Buffer.from(entry.name, 'latin1'));
      if (names.length > most) break;
    }
    return names.toSorted((a, b) => Buffer.compare(a, b));
  },
  facts: async (path) => factsOf(await statOf(path)),
  open: async (path) => {
    // Not blocking: opening a pipe would wait for a writer. Not following: a link may lead out of the volume.
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    return openFile(file);
  },
  unlink,
};

function openFile(file: FileHandle): OpenFile {
  return {
    facts: async () => factsOf(await file.stat({ bigint: true })),
    read: async (into, position) => (await file.read(into, 0, into.length, position)).bytesRead,
    close: () => file.close(),
  };
}

function factsOf(stats: BigStats): FileFacts {
  return {
    kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other',
    sizeBytes: stats.size,
    modifiedMs: Number(stats.mtimeMs),
    isWritable: (stats.mode & 0o200n) !== 0n,
  };
}
