import { DockError } from '../../protocol/errors.ts';
import type { ByteLink } from '../../dock/link.ts';

/** Two ends of a cable in memory; what one writes the other receives in the next turn. Disposing of one closes both. */
export function memoryLinks(): [ByteLink, ByteLink] {
  const closing = Promise.withResolvers<void>();
  let isClosed = false;
  const receivers: [((chunk: Uint8Array) => void) | undefined, ((chunk: Uint8Array) => void) | undefined] = [
    undefined,
    undefined,
  ];
  const end = (own: 0 | 1): ByteLink => ({
    name: `memory ${own}`,
    closed: closing.promise,
    onBytes: (receiver) => {
      receivers[own] = receiver;
    },
    write: async (bytes) => {
      if (isClosed) throw new DockError('link.closed', `memory ${own}`);
      const copy = Uint8Array.from(bytes);
      setImmediate(() => {
        if (!isClosed) receivers[1 - own]?.(copy);
      });
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      closing.resolve();
    },
  });
  return [end(0), end(1)];
}
