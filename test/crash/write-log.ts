import { closeSync, openSync, readSync, writeSync } from 'node:fs';

/** One entry of the log: bytes that became durable at `byteOffset`, or a mark. */
export type LogEntry =
  | {
      readonly kind: 'write';
      readonly byteOffset: number;
      readonly logOffset: number;
      readonly sizeBytes: number;
    }
  | { readonly kind: 'discard' }
  | { readonly kind: 'mark'; readonly name: string };

/** Linux, Documentation/admin-guide/device-mapper/log-writes.rst and drivers/md/dm-log-writes.c. */
const magic = 0x6a736677736872n;
const flags = { discard: 4n, mark: 8n };
const entryBytes = 32;

/**
 * What the device-mapper target log-writes has written to its log device, in the order in which it became durable: a
 * write counts from the flush that followed it, so the log up to any entry is what a power cut there had left.
 */
export function readWriteLog(path: string): LogEntry[] {
  const file = openSync(path, 'r');
  try {
    const head = readAt(file, 0, 28);
    if (head.readBigUInt64LE(0) !== magic) throw new Error(`${path}: no write log`);
    const count = Number(head.readBigUInt64LE(16));
    const sectorBytes = head.readUInt32LE(24);
    const entries: LogEntry[] = [];
    for (let logOffset = sectorBytes; entries.length < count; logOffset += sectorBytes) {
      const entry = readAt(file, logOffset, sectorBytes);
      const [sector, sectors, flag, inlineBytes] = [0, 8, 16, 24].map((at) => entry.readBigUInt64LE(at)) as [
        bigint,
        bigint,
        bigint,
        bigint,
      ];
      if (flag & flags.mark) {
        const name = entry
          .toString('latin1', entryBytes, entryBytes + Number(inlineBytes))
          .replace(/\0.*$/s, '');
        entries.push({ kind: 'mark', name });
      } else if (flag & flags.discard) {
        entries.push({ kind: 'discard' });
      } else {
        const sizeBytes = Number(sectors) * sectorBytes;
        const byteOffset = Number(sector) * sectorBytes;
        entries.push({ kind: 'write', byteOffset, logOffset: logOffset + sectorBytes, sizeBytes });
        logOffset += sizeBytes;
      }
    }
    return entries;
  } finally {
    closeSync(file);
  }
}

/** Writes entries of a log onto an image. */
export function replay(logPath: string, imagePath: string, entries: readonly LogEntry[]): void {
  const [log, image] = [openSync(logPath, 'r'), openSync(imagePath, 'r+')];
  try {
    for (const entry of entries) {
      if (entry.kind !== 'write') continue;
      writeSync(image, readAt(log, entry.logOffset, entry.sizeBytes), 0, entry.sizeBytes, entry.byteOffset);
    }
  } finally {
    closeSync(log);
    closeSync(image);
  }
}

function readAt(file: number, offset: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  if (readSync(file, bytes, 0, sizeBytes, offset) !== sizeBytes) throw new Error('the log ends early');
  return bytes;
}
