/**
 * What the vault asks of a file system. What counts is what survives a power cut: bytes of a file after `sync`,
 * names in a folder after `syncFolder`. Errors: `vault.disk-full`, `vault.disk-error`, `vault.read-only`,
 * `vault.file-missing`.
 */
export interface Disk {
  /** Makes a folder and its parents, durably. Existing ones are fine. */
  makeFolder(path: string): Promise<void>;
  /** Bytes that may still be written. */
  freeBytes(path: string): Promise<number>;
  /** `create` fails when the file exists, `extend` and `read` when it does not. */
  open(path: string, mode: 'create' | 'extend' | 'read'): Promise<DiskFile>;
  /** Size in bytes, or undefined when there is no such file. */
  size(path: string): Promise<number | undefined>;
  /** Gives a file a second name; fails when the name is taken. */
  link(existing: string, name: string): Promise<void>;
  /** Removes a file; fine when it is not there. */
  remove(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
  /** Makes the next read of a synced file come from the medium instead of memory, where the host can. */
  dropCache(path: string): Promise<void>;
  /** Paths of all files below a folder. */
  files(folder: string): AsyncIterable<string>;
}

export interface DiskFile extends AsyncDisposable {
  /** Appends all of `bytes`. */
  append(bytes: Uint8Array): Promise<void>;
  /** Reads at a position; fewer bytes than asked only at the end of the file. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  truncate(sizeBytes: number): Promise<void>;
  /** After it resolves, the bytes survive a power cut. After it failed, nothing is known: never try again. */
  sync(): Promise<void>;
}
