import { crc16 } from './crc16.ts';
import { DockError } from '../errors.ts';

/**
 * SMP over console: a packet is length, message and CRC in base64, cut into lines of at most 127 bytes.
 * The first line of a packet starts with 06 09, the others with 04 14; log text may stand between packets.
 */
export const consoleLineLimit = 127;

/** Length field and CRC share the receiver's buffer with the message. */
export const consoleOverheadBytes = 4;

/** 93 raw bytes make 124 base64 characters; with marker and newline a line of 127. */
const rawBytesPerLine = 93;

/** Errors: `wire.too-large`. */
export function encodeConsoleFrame(message: Uint8Array): Uint8Array[] {
  if (message.length + 2 > 0xffff)
    throw new DockError('wire.too-large', `message of ${message.length} bytes`);
  const raw = new Uint8Array(message.length + consoleOverheadBytes);
  const view = new DataView(raw.buffer);
  view.setUint16(0, message.length + 2);
  raw.set(message, 2);
  view.setUint16(message.length + 2, crc16(message));
  const lines: Uint8Array[] = [];
  for (let start = 0; start < raw.length; start += rawBytesPerLine) {
    const marker = start === 0 ? '\x06\x09' : '\x04\x14';
    const text = Buffer.from(raw.buffer, start, Math.min(rawBytesPerLine, raw.length - start)).toString(
      'base64',
    );
    lines.push(Buffer.from(`${marker}${text}\n`, 'latin1'));
  }
  return lines;
}

export type ConsoleItem =
  | { readonly kind: 'message'; readonly bytes: Uint8Array }
  /** A line that is no frame: log output of the camera. Cut to the line limit of the deframer. */
  | { readonly kind: 'text'; readonly line: string }
  /** A frame or part of one that had to be dropped. The sender learns of it by silence. */
  | { readonly kind: 'damaged'; readonly reason: string };

export interface ConsoleLimits {
  /** The largest message accepted, header included. */
  readonly maxMessageBytes: number;
  /** Longest line accepted; Zephyr before 2.7 and MCUboot sent lines over 127. */
  readonly maxLineBytes: number;
}

/**
 * Turns chunks of a console line into messages. Holds at most one line and one message; whatever does not
 * fit a frame is reported as text or damage and forgotten. Never throws.
 */
export class ConsoleDeframer {
  readonly #limits: ConsoleLimits;
  #line: Uint8Array;
  #lineBytes = 0;
  #isLineTooLong = false;
  #packet: { readonly bytes: Uint8Array; filled: number } | undefined;

  constructor(limits: ConsoleLimits) {
    this.#limits = limits;
    this.#line = new Uint8Array(limits.maxLineBytes);
  }

  push(chunk: Uint8Array): ConsoleItem[] {
    const items: ConsoleItem[] = [];
    let start = 0;
    while (start < chunk.length) {
      const newline = chunk.indexOf(0x0a, start);
      const end = newline < 0 ? chunk.length : newline;
      this.#append(chunk.subarray(start, end));
      if (newline < 0) break;
      this.#endLine(items);
      start = newline + 1;
    }
    return items;
  }

  #append(part: Uint8Array): void {
    const room = this.#line.length - this.#lineBytes;
    if (part.length > room) this.#isLineTooLong = true;
    const kept = part.length > room ? part.subarray(0, room) : part;
    this.#line.set(kept, this.#lineBytes);
    this.#lineBytes += kept.length;
  }

  #endLine(items: ConsoleItem[]): void {
    let line = this.#line.subarray(0, this.#lineBytes);
    if (line.at(-1) === 0x0d) line = line.subarray(0, -1);
    const isTooLong = this.#isLineTooLong;
    this.#lineBytes = 0;
    this.#isLineTooLong = false;

    const isFirst = line[0] === 0x06 && line[1] === 0x09;
    const isNext = line[0] === 0x04 && line[1] === 0x14;
    if (!isFirst && !isNext) {
      if (line.length > 0) items.push({ kind: 'text', line: Buffer.from(line).toString('latin1') });
      return;
    }
    if (isTooLong) return this.#drop(items, 'line too long');
    if (isFirst && this.#packet) this.#drop(items, 'packet cut short by another');
    if (isNext && !this.#packet) return this.#drop(items, 'continuation without a start');

    const raw = decodeBase64(line.subarray(2));
    if (!raw) return this.#drop(items, 'not base64');
    if (isFirst) this.#startPacket(raw, items);
    else this.#continuePacket(raw, items);
  }

  #startPacket(raw: Uint8Array, items: ConsoleItem[]): void {
    if (raw.length < 2) return this.#drop(items, 'no length field');
    const length = ((raw[0] ?? 0) << 8) | (raw[1] ?? 0);
    if (length < 2) return this.#drop(items, 'length field too small');
    if (length > this.#limits.maxMessageBytes + 2) return this.#drop(items, `message of ${length - 2} bytes`);
    this.#packet = { bytes: new Uint8Array(length), filled: 0 };
    this.#continuePacket(raw.subarray(2), items);
  }

  #continuePacket(raw: Uint8Array, items: ConsoleItem[]): void {
    const packet = this.#packet;
    if (!packet) return;
    if (packet.filled + raw.length > packet.bytes.length)
      return this.#drop(items, 'more bytes than announced');
    packet.bytes.set(raw, packet.filled);
    packet.filled += raw.length;
    if (packet.filled < packet.bytes.length) return;
    this.#packet = undefined;
    if (crc16(packet.bytes) !== 0) return this.#drop(items, 'CRC wrong');
    items.push({ kind: 'message', bytes: packet.bytes.subarray(0, -2) });
  }

  #drop(items: ConsoleItem[], reason: string): void {
    this.#packet = undefined;
    items.push({ kind: 'damaged', reason });
  }
}

/** Node's own decoder skips what is not base64; a frame with such bytes is damaged. */
function decodeBase64(text: Uint8Array): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.at(-1) !== 0x3d ? 0 : text.at(-2) === 0x3d ? 2 : 1;
  const raw = Buffer.from(
    Buffer.from(text.buffer, text.byteOffset, text.length).toString('latin1'),
    'base64',
  );
  return raw.length === (text.length / 4) * 3 - padding ? raw : undefined;
}
