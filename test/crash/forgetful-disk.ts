import type { Disk, DiskFile } from '../../agent/vault/disk.ts';
import { nodeDisk } from '../../agent/vault/node-disk.ts';

export type Forgotten = 'file-sync' | 'folder-sync';

const nothing = async (): Promise<void> => undefined;

/** The host's disk but for one thing that it leaves out: tests of power cuts must tell it from the right one. */
export const forgetfulDisks: Readonly<Record<Forgotten, Disk>> = {
  // Dropping the cache syncs as well: left alone it would make up for the sync.
  'file-sync': {
    ...nodeDisk,
    dropCache: nothing,
    open: async (path, mode) => unsynced(await nodeDisk.open(path, mode)),
  },
  'folder-sync': { ...nodeDisk, syncFolder: nothing },
};

function unsynced(file: DiskFile): DiskFile {
  return {
    append: (bytes) => file.append(bytes),
    read: (buffer, position) => file.read(buffer, position),
    truncate: (sizeBytes) => file.truncate(sizeBytes),
    sync: nothing,
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}
