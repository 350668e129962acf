import { DockError } from '../../protocol/errors.ts';
import type { HidPipe } from '../camera/hid-pipe.ts';

export interface MemoryHidOptions {
  /** Of both directions; 64 unless told. */
  readonly reportBytes?: number;
  /** Whether a report is lost on its way to that side, as when a full queue of the kernel drops it. */
  readonly loses?: (report: Uint8Array, to: 'host' | 'device') => boolean;
}

/** A HID cable in memory: what one end writes the other receives in the next turn. Disposing of one end closes both. */
export function memoryHidPipes({ reportBytes = 64, loses = () => false }: MemoryHidOptions = {}): {
  readonly host: HidPipe;
  readonly device: HidPipe;
} {
  const closing = Promise.withResolvers<void>();
  const receivers = new Map<'host' | 'device', (report: Uint8Array) => void>();
  let isClosed = false;
  const end = (own: 'host' | 'device', other: 'host' | 'device'): HidPipe => ({
    name: `memory HID ${own}`,
    reportBytes,
    reportIntervalMs: 0,
    closed: closing.promise,
    onReport: (receiver) => void receivers.set(own, receiver),
    write: async (report) => {
      if (isClosed) throw new DockError('link.closed', `memory HID ${own}`);
      if (report.length !== reportBytes) throw new DockError('internal.bug', `${report.length} bytes`);
      const copy = Uint8Array.from(report);
      if (loses(copy, other)) return;
      setImmediate(() => {
        if (!isClosed) receivers.get(other)?.(copy);
      });
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      closing.resolve();
    },
  });
  return { host: end('host', 'device'), device: end('device', 'host') };
}
