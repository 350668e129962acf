import { lstat, readFile, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DockError } from '../../protocol/errors.ts';
import type { StorageMount } from '../camera/storage-mount.ts';
import { withDeadline, type Clock } from '../clock.ts';
import type { BayDisk, MountedVolume, WritableWindow } from './privileged-helper.ts';
import { readUsbDevice, type BlockDevice, type UsbDevice } from './usb-tree.ts';

/** The part of `PrivilegedHelper` that mounting needs. */
export interface MountHelper {
  mount(disk: BayDisk, signal?: AbortSignal): Promise<MountedVolume>;
  writable(disk: BayDisk, signal?: AbortSignal): Promise<WritableWindow>;
  unmount(portPath: string, logicalUnit?: number, signal?: AbortSignal): Promise<void>;
}

/** Disks appear a second or more after their device: the kernel waits before it scans for them. */
const diskWaitMs = 10_000;
const diskPollMs = 200;
/** A disk without a size may be a slot without a card, or one whose card is still being looked at. */
const emptySlotWaitMs = 3000;
const presencePollMs = 1000;
const unmountWaitMs = 5000;
const { signal: neverAborted } = new AbortController();

/**
 * Mounts every disk of a device that has a medium, read-only; waits for the first one to appear. When one of them
 * cannot be mounted, none is: a camera of which a part cannot be seen must not look emptied.
 * Errors: `mount.no-medium`, `mount.refused`, `mount.helper-missing`, `link.closed`, the reason of the signal.
 */
export async function mountStorage(
  device: Pick<UsbDevice, 'portPath' | 'address'>,
  helper: MountHelper,
  clock: Clock,
  { sysRoot = '/sys', signal = neverAborted } = {},
): Promise<StorageMount[]> {
  const { portPath, address } = device;
  const mounts: StorageMount[] = [];
  try {
    for (const disk of await disksWithMedium(device, clock, { sysRoot, signal })) {
      const key = { portPath, address, diskSequence: disk.diskSequence, diskName: disk.name, sysRoot };
      mounts.push(await HelperMount.open(key, { helper, clock, signal }));
    }
    signal.throwIfAborted();
  } catch (error) {
    await Promise.all(mounts.map((mount) => mount[Symbol.asyncDispose]()));
    throw error;
  }
  return mounts.toSorted((a, b) => a.logicalUnit - b.logicalUnit);
}

async function disksWithMedium(
  { portPath, address }: Pick<UsbDevice, 'portPath' | 'address'>,
  clock: Clock,
  { sysRoot, signal }: { sysRoot: string; signal: AbortSignal },
): Promise<BlockDevice[]> {
  const deadline = clock.monotonic() + diskWaitMs;
  let before = '';
  let steadySinceMs: number | undefined;
  for (;;) {
    signal.throwIfAborted();
    const device = await readUsbDevice(portPath, { sysRoot });
    if (device?.address !== address) throw new DockError('link.closed', `the device on ${portPath} is gone`);
    const disks = device.interfaces.flatMap(({ blockDevices }) => blockDevices);
    const ready = disks.filter(({ sizeBytes }) => sizeBytes > 0);
    // A second disk may follow the first: the list is taken once it has stayed the same.
    const seen = JSON.stringify(disks);
    const now = clock.monotonic();
    if (ready.length === 0 || seen !== before) steadySinceMs = undefined;
    else {
      steadySinceMs ??= now;
      if (ready.length === disks.length || now - steadySinceMs >= emptySlotWaitMs) return ready;
    }
    before = seen;
    if (now >= deadline + (ready.length > 0 ? emptySlotWaitMs : 0)) {
      const detail = `${disks.length} disks, ${ready.length} with a medium, and they do not settle`;
      throw new DockError('mount.no-medium', `${portPath}: ${detail}`);
    }
    await clock.sleep(diskPollMs, signal);
  }
}

interface AttachKey extends BayDisk {
  readonly address: number;
  readonly diskName: string;
  readonly sysRoot: string;
}

class HelperMount implements StorageMount {
  readonly name: string;
  readonly logicalUnit: number;
  readonly folder: string;
  readonly fileSystem: 'vfat' | 'exfat';
  readonly isDirty: boolean;
  readonly closed: Promise<void>;
  readonly #key: AttachKey;
  readonly #helper: MountHelper;
  readonly #clock: Clock;
  readonly #deviceNumber: bigint;
  readonly #disposed = new AbortController();

  static async open(
    key: AttachKey,
    { helper, clock, signal }: { helper: MountHelper; clock: Clock; signal: AbortSignal },
  ): Promise<HelperMount> {
    const volume = await helper.mount(key, signal);
    const { dev } = await lstat(volume.folder, { bigint: true }).catch((error: unknown) => {
      throw new DockError('mount.refused', `${volume.folder} cannot be seen`, { cause: error });
    });
    return new HelperMount(key, { helper, clock, volume, deviceNumber: dev });
  }

  private constructor(
    key: AttachKey,
    parts: { helper: MountHelper; clock: Clock; volume: MountedVolume; deviceNumber: bigint },
  ) {
    const { volume } = parts;
    this.#key = key;
    this.#helper = parts.helper;
    this.#clock = parts.clock;
    this.#deviceNumber = parts.deviceNumber;
    this.name = `${key.portPath} ${volume.device}`;
    this.logicalUnit = volume.logicalUnit;
    this.folder = volume.folder;
    this.fileSystem = volume.fileSystem;
    this.isDirty = volume.isDirty;
    this.closed = this.#watch();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#disposed;
    while (!signal.aborted && (await this.#isAttached())) {
      await this.#clock.sleep(presencePollMs, signal).catch(() => undefined);
    }
  }

  /** Two attributes of the kernel; the sequence number tells this disk from a later one of the same name. */
  async #isAttached(): Promise<boolean> {
    const { sysRoot, portPath, address, diskName, diskSequence } = this.#key;
    const disk = join(sysRoot, 'class/block', diskName);
    const [deviceNumber, sequence, size] = await Promise.all(
      [join(sysRoot, 'bus/usb/devices', portPath, 'devnum'), join(disk, 'diskseq'), join(disk, 'size')].map(
        async (path) => Number(await readFile(path, 'utf8').catch(() => '0')),
      ),
    );
    return deviceNumber === address && sequence === diskSequence && size !== undefined && size > 0;
  }

  /** A folder that is no longer the volume is an empty folder of the station: files would look removed. */
  async #isMounted(): Promise<boolean> {
    const [here, above] = await Promise.all(
      [this.folder, dirname(this.folder)].map((path) =>
        lstat(path, { bigint: true }).then(
          ({ dev }) => dev,
          () => undefined,
        ),
      ),
    );
    return here === this.#deviceNumber && here !== above;
  }

  async isPresent(): Promise<boolean> {
    if (this.#disposed.signal.aborted) return false;
    return (await this.#isMounted()) && (await this.#isAttached());
  }

  async writable<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
    const window = await this.#helper.writable(this.#key, this.#disposed.signal);
    let result: Result;
    try {
      result = await work(window.volume.folder);
    } catch (error) {
      await window.close().catch(() => undefined);
      throw error;
    }
    await window.close();
    return result;
  }

  async capacity(): Promise<{ totalBytes: number; freeBytes: number }> {
    const { bsize, blocks, bfree } = await statfs(this.folder);
    return { totalBytes: bsize * blocks, freeBytes: bsize * bfree };
  }

  async errorCount(): Promise<number | undefined> {
    const { sysRoot, diskName } = this.#key;
    const path = join(sysRoot, 'class/block', diskName, 'device/ioerr_cnt');
    // Worded as 0x1f. Nothing read is nothing known, and not zero.
    const text = (await readFile(path, 'utf8').catch(() => '')).trim();
    return /^(0x[0-9a-f]+|\d+)$/i.test(text) ? Number(text) : undefined;
  }

  /** The mount is read-only: one that stays behind is harmless, and the next mount takes it down. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed.abort(new DockError('link.closed', `${this.name} was given back`));
    const { portPath } = this.#key;
    const limits = { ms: unmountWaitMs, signal: neverAborted, what: `unmount ${this.name}` };
    await withDeadline(this.#clock, limits, (late) =>
      this.#helper.unmount(portPath, this.logicalUnit, late),
    ).catch(() => undefined);
    await this.closed;
  }
}
