import { createHash } from 'node:crypto';
import type { Disk, DiskFile } from './disk.ts';

const readBytes = 1024 * 1024;

/** What a file holds, by reading all of it. Errors: `vault.file-missing`, `vault.disk-error`. */
export async function readBack(
  disk: Disk,
  path: string,
  signal: AbortSignal,
): Promise<{ sha256: string; sizeBytes: number }> {
  await using file = await disk.open(path, 'read');
  return await hashFile(file, signal);
}

/** The same for an open file. */
export async function hashFile(
  file: DiskFile,
  signal: AbortSignal,
): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of chunksOf(file)) {
    signal.throwIfAborted();
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** The chunk is only valid until the next one is asked for. */
export async function* chunksOf(file: DiskFile): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(readBytes);
  for (let position = 0; ;) {
    const count = await file.read(buffer, position);
    if (count === 0) return;
    position += count;
    yield buffer.subarray(0, count);
  }
}
