import { mkdir, mkdtemp, open, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { run } from './lab.ts';

export interface DiskImageOptions {
  readonly format: 'fat32' | 'exfat';
  readonly sizeBytes?: number;
  readonly label?: string;
  /** Contents by path, folders made as needed. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Fills the mounted file system with what `files` cannot say: large files, times. */
  readonly fill?: (folder: string) => Promise<void>;
  /** As left by a camera that was pulled while recording: only the flag is set, nothing is broken. */
  readonly isDirty?: boolean;
  /** One partition in an MBR, or a file system on the bare disk, as many cameras format their cards. */
  readonly isPartitioned?: boolean;
}

const mebibyte = 1024 * 1024;
const partitionStart = mebibyte;

/** Makes (or overwrites) a sparse image file of a memory card, 64 MiB unless told. */
export async function makeDiskImage(path: string, options: DiskImageOptions): Promise<void> {
  const { format, sizeBytes = 64 * mebibyte, label = 'CAMERA', isPartitioned = false } = options;
  await using image = await open(path, 'w');
  await image.truncate(sizeBytes);
  if (isPartitioned) await image.write(masterBootRecord(format, sizeBytes), 0, 512, 0);
  {
    await using disk = await attachLoop(path, isPartitioned ? partitionStart : 0);
    if (format === 'fat32') await run('mkfs.vfat', '-F', '32', '-n', label, disk.path);
    else await run('mkfs.exfat', '-L', label, disk.path);
  }
  if (options.files ?? options.fill) {
    await using mounted = await mountImage(path, { isPartitioned });
    for (const [name, content] of Object.entries(options.files ?? {})) {
      await mkdir(dirname(join(mounted.path, name)), { recursive: true });
      await writeFile(join(mounted.path, name), content);
    }
    await options.fill?.(mounted.path);
  }
  if (options.isDirty) await setDirty(path, format, isPartitioned ? partitionStart : 0);
}

/** Mounts an image, writable, to see or change what is on it; only while no gadget shows it. */
export async function mountImage(
  path: string,
  { isPartitioned = false } = {},
): Promise<AsyncDisposable & { readonly path: string }> {
  const disk = await attachLoop(path, isPartitioned ? partitionStart : 0);
  const folder = await mkdtemp('/run/image-');
  await run('mount', '-o', 'rw', disk.path, folder);
  return {
    path: folder,
    async [Symbol.asyncDispose]() {
      await run('umount', folder);
      await rmdir(folder);
      await disk[Symbol.asyncDispose]();
    },
  };
}

async function attachLoop(path: string, offset: number): Promise<AsyncDisposable & { path: string }> {
  const device = await run('losetup', '-f', '--show', '-o', `${offset}`, path);
  return {
    path: device,
    async [Symbol.asyncDispose]() {
      await run('losetup', '-d', device);
    },
  };
}

/** One active partition from the first mebibyte to the end. */
function masterBootRecord(format: DiskImageOptions['format'], sizeBytes: number): Uint8Array {
  const record = Buffer.alloc(512);
  record[446 + 4] = format === 'fat32' ? 0x0c : 0x07;
  record.writeUInt32LE(partitionStart / 512, 446 + 8);
  record.writeUInt32LE((sizeBytes - partitionStart) / 512, 446 + 12);
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

/** FAT32 keeps the flag in the boot sector at 0x41, bit 0; exFAT in VolumeFlags at 0x6A, bit 1, which no checksum covers. */
async function setDirty(path: string, format: DiskImageOptions['format'], offset: number): Promise<void> {
  const [position, bit] = format === 'fat32' ? [offset + 0x41, 1] : [offset + 0x6a, 2];
  await using image = await open(path, 'r+');
  const byte = Buffer.alloc(1);
  await image.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) | bit;
  await image.write(byte, 0, 1, position);
}
