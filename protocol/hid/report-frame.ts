import { DockError } from '../errors.ts';
import { crc16 } from '../smp/crc16.ts';

/**
 * SMP over HID: the packet of the console (length, message, CRC) cut into HID reports of one size, each with a
 * header of two bytes: kind and counter. The public specification with its vectors is smp-over-hid.md beside this file.
 */
export const hidReportSize = { leastBytes: 8, usualBytes: 64, mostBytes: 1024 } as const;

/** Length field and CRC share the receiver's buffer with the message, as on a console. */
export const hidOverheadBytes = 4;

/** Byte 0 of a report. Zero is neither: devices with nothing to say send zeros. 0x80 and above belong to the maker. */
export const hidReportKind = { first: 0x01, further: 0x02, maker: 0x80 } as const;

const headerBytes = 2;
const lengthBytes = 2;

/**
 * The reports that carry a message, the last one padded with zeros. `counter` is that of the first report: it runs on
 * over all reports of a direction, modulo 256. Errors: `wire.too-large`.
 */
export function encodeHidReports(
  message: Uint8Array,
  { reportBytes, counter = 0 }: { readonly reportBytes: number; readonly counter?: number },
): Uint8Array[] {
  if (!Number.isInteger(reportBytes) || reportBytes < hidReportSize.leastBytes) {
    throw new DockError('internal.bug', `reports of ${reportBytes} bytes`);
  }
  if (message.length + 2 > 0xffff)
    throw new DockError('wire.too-large', `message of ${message.length} bytes`);
  const packet = new Uint8Array(message.length + hidOverheadBytes);
  const view = new DataView(packet.buffer);
  view.setUint16(0, message.length + 2);
  packet.set(message, lengthBytes);
  view.setUint16(message.length + 2, crc16(message));
  const reports: Uint8Array[] = [];
  for (let start = 0; start < packet.length; start += reportBytes - headerBytes) {
    const report = new Uint8Array(reportBytes);
    report[0] = start === 0 ? hidReportKind.first : hidReportKind.further;
    report[1] = (counter + reports.length) & 0xff;
    report.set(packet.subarray(start, start + reportBytes - headerBytes), headerBytes);
    reports.push(report);
  }
  return reports;
}

/** How many reports a message of this size takes. */
export function hidReportCount(messageBytes: number, reportBytes: number): number {
  return Math.ceil((messageBytes + hidOverheadBytes) / (reportBytes - headerBytes));
}

export type HidItem =
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  /** A message that had to be dropped. The sender learns of it by silence. */
  | { readonly kind: 'damaged'; readonly reason: string };

/**
 * Turns reports into messages. Holds at most one message of `maxMessageBytes`; whatever is no part of one is dropped.
 * A first report starts afresh whatever came before. Never throws.
 */
export class HidReassembler {
  readonly #maxMessageBytes: number;
  #packet: { readonly bytes: Uint8Array; filled: number; nextCounter: number } | undefined;

  constructor({ maxMessageBytes }: { readonly maxMessageBytes: number }) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** A report as it came, without a report id; its size may be any. */
  push(report: Uint8Array): HidItem[] {
    const items: HidItem[] = [];
    const [kind, counter] = report;
    if (kind === undefined || counter === undefined) return items;
    if (kind === hidReportKind.first) this.#start(report, counter, items);
    else if (kind === hidReportKind.further) this.#continue(report, counter, items);
    return items;
  }

  #start(report: Uint8Array, counter: number, items: HidItem[]): void {
    if (this.#packet) this.#drop(items, 'message cut short by another');
    const [, , high, low] = report;
    if (high === undefined || low === undefined) return this.#drop(items, 'no length field');
    const length = (high << 8) | low;
    if (length < 2) return this.#drop(items, 'length field too small');
    if (length > this.#maxMessageBytes + 2) return this.#drop(items, `message of ${length - 2} bytes`);
    this.#packet = { bytes: new Uint8Array(length), filled: 0, nextCounter: (counter + 1) & 0xff };
    this.#fill(report.subarray(headerBytes + lengthBytes), items);
  }

  #continue(report: Uint8Array, counter: number, items: HidItem[]): void {
    const packet = this.#packet;
    if (!packet) return; // its first report was lost, or the message dropped
    if (counter !== packet.nextCounter) return this.#drop(items, 'a report is missing');
    packet.nextCounter = (counter + 1) & 0xff;
    this.#fill(report.subarray(headerBytes), items);
  }

  /** What is beyond the length is padding. */
  #fill(part: Uint8Array, items: HidItem[]): void {
    const packet = this.#packet;
    if (!packet) return;
    const used = part.subarray(0, packet.bytes.length - packet.filled);
    packet.bytes.set(used, packet.filled);
    packet.filled += used.length;
    if (packet.filled < packet.bytes.length) return;
    this.#packet = undefined;
    if (crc16(packet.bytes) !== 0) return this.#drop(items, 'CRC wrong');
    items.push({ kind: 'message', bytes: packet.bytes.subarray(0, -2) });
  }

  #drop(items: HidItem[], reason: string): void {
    this.#packet = undefined;
    items.push({ kind: 'damaged', reason });
  }
}
