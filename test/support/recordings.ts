import { createHash } from 'node:crypto';
import { MemoryStore } from '../../dock/simulator/recording-store.ts';

/** Recordings of given names and sizes with bytes that follow from the name, and their digests by path. */
export function storeOf(
  sizes: Readonly<Record<string, number>>,
  options: { knowsDigest?: boolean; isProtected?: (name: string) => boolean; startedAt?: number } = {},
): { store: MemoryStore; sha256: (path: string) => string } {
  const store = new MemoryStore();
  const digests = new Map<string, string>();
  for (const [index, [name, sizeBytes]] of Object.entries(sizes).entries()) {
    const bytes = bytesOf(name, sizeBytes);
    const path = name.startsWith('/') ? name : `/DCIM/${name}`;
    digests.set(path, createHash('sha256').update(bytes).digest('hex'));
    store.add(
      {
        id: `R${index}`,
        path,
        kind: 'video',
        isProtected: options.isProtected?.(name) ?? false,
        startedAt: (options.startedAt ?? Date.UTC(2026, 10, 22)) + index * 60_000,
        knowsDigest: options.knowsDigest ?? true,
      },
      bytes,
    );
  }
  return { store, sha256: (path) => digests.get(path) ?? `no recording at ${path}` };
}

/** Reproducible bytes without patterns a copy could get right by accident. */
export function bytesOf(seed: string, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  for (let offset = 0, block = 0; offset < sizeBytes; offset += 64, block++) {
    const digest = createHash('sha512').update(`${seed} ${block}`).digest();
    bytes.set(digest.subarray(0, Math.min(64, sizeBytes - offset)), offset);
  }
  return bytes;
}
