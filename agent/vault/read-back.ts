import { createHash } from 'node:crypto';
import type { Disk, DiskFile } from './disk.ts';

const readBytes = 1024 * 1024;

interface Reading {
  readonly signal: AbortSignal;
  /** What it should hold: a small file needs no large buffer. */
  readonly expectedBytes: number;
  /** May hold it back after each chunk. */
  readonly pace?: ((bytes: number) => Promise<void>) | undefined;
}

/** What a file holds, by reading all of it. Errors: `vault.file-missing`, `vault.disk-error`. */
export async function readBack(
  disk: Disk,
  path: string,
  reading: Reading,
): Promise<{ sha256: string; sizeBytes: number }> {
  await using file = await disk.open(path, 'read');
  return await hashFile(file, reading);
}

/** The same for an open file. */
export async function hashFile(
  file: DiskFile,
  { signal, expectedBytes, pace }: Reading,
): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunksOf(file, expectedBytes)) {
    signal.throwIfAborted();
    hash.update(chunk);
    sizeBytes += chunk.length;
    await pace?.(chunk.length);
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** The chunk is only valid until the next one is asked for; that one is read while the caller works on this one. */
export async function* chunksOf(file: DiskFile, expectedBytes: number): AsyncGenerator<Uint8Array> {
  const length = Math.min(expectedBytes + 1, readBytes);
  let [current, next] = [new Uint8Array(length), new Uint8Array(length)];
  let reading = file.read(next, 0);
  try {
    for (let position = 0; ;) {
      const count = await reading;
      if (count === 0) return;
      position += count;
      [current, next] = [next, current];
      reading = file.read(next, position);
      yield current.subarray(0, count);
    }
  } finally {
    // The file must not be closed under it; whoever stops early has a reason of their own to tell.
    await reading.catch(() => undefined);
  }
}
