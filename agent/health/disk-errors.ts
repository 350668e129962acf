import { countOf, type SystemFiles } from './system-files.ts';

export interface DiskErrorReading {
  /** Errors that file systems and drivers of the station's own disks have counted; ext4 keeps its count for good. */
  readonly diskErrors?: number;
  /** Which, such as `sda1 (ext4) 2`. */
  readonly diskErrorPlaces?: readonly string[];
}

/** Disks on USB are cameras: their errors are told by their sessions. XFS keeps no count in sysfs. */
export async function readDiskErrors(files: SystemFiles): Promise<DiskErrorReading> {
  const counts: { place: string; count: number }[] = [];
  for (const name of await files.list('/sys/fs/ext4')) {
    const count = countOf(await files.read(`/sys/fs/ext4/${name}/errors_count`));
    if (count !== undefined && !(await isOnUsb(files, `/sys/class/block/${name}`)))
      counts.push({ place: `${name} (ext4)`, count });
  }
  for (const name of await ownDisks(files)) {
    const count = countOf(await files.read(`/sys/block/${name}/device/ioerr_cnt`));
    if (count !== undefined) counts.push({ place: name, count });
  }
  if (counts.length === 0) return {};
  return {
    diskErrors: counts.reduce((sum, { count }) => sum + count, 0),
    diskErrorPlaces: counts.filter(({ count }) => count > 0).map(({ place, count }) => `${place} ${count}`),
  };
}

/** Names of block devices that are disks of the station, not of a camera and not made of other devices. */
export async function ownDisks(files: SystemFiles): Promise<string[]> {
  const own: string[] = [];
  for (const name of await files.list('/sys/block')) {
    if (/^(loop|ram|zram|dm-|md|sr|fd|nbd)/.test(name)) continue;
    if (!(await isOnUsb(files, `/sys/block/${name}`))) own.push(name);
  }
  return own;
}

async function isOnUsb(files: SystemFiles, path: string): Promise<boolean> {
  return /\/usb\d+\//.test((await files.target(path)) ?? '');
}
