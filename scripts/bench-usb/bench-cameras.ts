import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { mtpGadget } from '../../test/usb/gadgets.ts';
import { labIds } from '../../test/usb/lab-cameras.ts';
import { sampleBytes } from '../bench/sample-bytes.ts';
import { mebibyte } from './task.ts';

/** What recordings are made of, again and again. */
const sample = sampleBytes(8 * mebibyte);

/** Fills a folder for cameras to show: sizes in bytes by path. */
export async function fillStorage(folder: string, files: Readonly<Record<string, number>>): Promise<void> {
  for (const [path, sizeBytes] of Object.entries(files)) {
    const full = join(folder, path);
    await mkdir(dirname(full), { recursive: true });
    await using file = await open(full, 'wx');
    for (let written = 0; written < sizeBytes; written += sample.length) {
      await file.write(sample, 0, Math.min(sample.length, sizeBytes - written));
    }
  }
}

/**
 * A camera served by umtprd that shows a folder, read-only. Several may show the same one: the files are in memory
 * once, and no camera waits for a medium.
 */
export function benchCamera(options: { udc: number; serialNumber: string; folder: string }) {
  const { udc, serialNumber, folder } = options;
  return mtpGadget({
    udc,
    serialNumber,
    productId: labIds.mtp,
    storages: [{ path: folder, isReadOnly: true }],
  });
}

export type BenchCamera = Awaited<ReturnType<typeof benchCamera>>;
