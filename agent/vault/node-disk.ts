import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { link, mkdir, open, opendir, rm, stat, statfs, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DockError } from '../../protocol/errors.ts';
import type { Disk, DiskFile } from './disk.ts';

/** The file system of the host. */
export const nodeDisk: Disk = {
  makeFolder: (path) =>
    guarded(async () => {
      const firstMade = await mkdir(path, { recursive: true });
      if (firstMade === undefined) return;
      // Every folder from the first new one down is an entry in its parent that must survive as well.
      for (let made = path; made.length >= firstMade.length; made = dirname(made)) {
        await syncFolder(dirname(made));
      }
    }),
  freeBytes: (path) =>
    guarded(async () => {
      const { bavail, bsize } = await statfs(path);
      return bavail * bsize;
    }),
  open: (path, mode) => guarded(async () => new NodeFile(await open(path, openFlags[mode], 0o640))),
  size: (path) =>
    guarded(async () => {
      try {
        return (await stat(path)).size;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
        throw error;
      }
    }),
  link: (existing, name) => guarded(() => link(existing, name)),
  remove: (path) => guarded(() => rm(path, { force: true })),
  syncFolder: (path) => guarded(() => syncFolder(path)),
  // Node has no posix_fadvise; `dd` of GNU coreutils does POSIX_FADV_DONTNEED for the whole file this way.
  dropCache: (path) =>
    new Promise((resolve) => {
      const options = ['oflag=nocache', 'conv=nocreat,notrunc,fdatasync', 'count=0', 'status=none'];
      execFile('dd', [`of=${path}`, ...options], { timeout: 10_000 }, () => resolve());
    }),
  async *files(folder) {
    const entries = await guarded(() => opendir(folder));
    try {
      for await (const entry of entries) {
        const path = join(folder, entry.name);
        if (entry.isFile()) yield path;
        // Belongs to the file system, and nobody but root may look into it.
        else if (entry.isDirectory() && entry.name !== 'lost+found') yield* nodeDisk.files(path);
      }
    } catch (error) {
      throw error instanceof DockError ? error : diskError(error);
    }
  },
};

const openFlags = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_APPEND,
  extend: constants.O_RDWR | constants.O_APPEND,
  read: constants.O_RDONLY,
};

class NodeFile implements DiskFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  append(bytes: Uint8Array): Promise<void> {
    return guarded(async () => {
      for (let sent = 0; sent < bytes.length;) {
        const { bytesWritten } = await this.#handle.write(bytes, sent);
        sent += bytesWritten;
      }
    });
  }

  read(buffer: Uint8Array, position: number): Promise<number> {
    return guarded(async () => (await this.#handle.read(buffer, 0, buffer.length, position)).bytesRead);
  }

  truncate(sizeBytes: number): Promise<void> {
    return guarded(() => this.#handle.truncate(sizeBytes));
  }

  sync(): Promise<void> {
    return guarded(() => this.#handle.datasync());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await guarded(() => this.#handle.close());
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw diskError(error);
  }
}

function diskError(error: unknown): DockError {
  const { code, message } = error as NodeJS.ErrnoException;
  const options = { cause: error };
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') {
    return new DockError('vault.disk-full', message, options);
  }
  if (code === 'EROFS') return new DockError('vault.read-only', message, options);
  if (code === 'ENOENT') return new DockError('vault.file-missing', message, options);
  return new DockError('vault.disk-error', message, options);
}
