/**
 * The file system of a camera that shows itself as a disk, mounted read-only by the privileged helper. The real one
 * is dock/host/storage-mount.ts. Contract:
 *
 * - `folder` is readable until the mount is disposed of or the device goes away.
 * - A path that is missing proves nothing while `isPresent` is false: after an unplug, look-ups say ENOENT.
 * - Errors: `link.closed` when the device is gone, `mount.refused`, `mount.helper-missing`.
 */
export interface StorageMount extends AsyncDisposable {
  /** For people and logs, such as `1-1.2 sda1`. */
  readonly name: string;
  /** Which disk of the camera: 0 is the first; internal memory and card are two. Part of the paths of its files. */
  readonly logicalUnit: number;
  readonly folder: string;
  readonly fileSystem: 'vfat' | 'exfat';
  /** The volume was not unmounted in order: its last file may be cut off. */
  readonly isDirty: boolean;
  /** Resolves when the device is gone or the mount was disposed of; never rejects. */
  readonly closed: Promise<void>;
  /**
   * Whether this very attach of the block device is still there, and `folder` still its file system; asks the
   * kernel, not the device, so that it answers also while the device hangs.
   */
  isPresent(): Promise<boolean>;
  /**
   * Makes the volume writable while `work` runs in `folder`, then read-only again, synced and looked at afresh from
   * the device; the window closes also when `work` fails, or when this process dies. Rejects when any step fails;
   * then nothing is known about what `work` did.
   */
  writable<Result>(work: (folder: string) => Promise<Result>): Promise<Result>;
  /**
   * How many commands the device has failed so far; undefined where nobody counts them. FAT passes over blocks of a
   * folder that cannot be read: only this number tells that files were left out.
   */
  errorCount?(): Promise<number | undefined>;
  /** Bytes of the whole volume and free ones. */
  capacity(): Promise<{ totalBytes: number; freeBytes: number }>;
}
