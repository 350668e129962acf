import { createCipheriv } from 'node:crypto';

/** Reproducible bytes that look random: nothing on the way can compress or escape them by luck. */
export function sampleBytes(sizeBytes: number): Uint8Array {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}
