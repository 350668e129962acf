import { DockError } from '../errors.ts';

/**
 * Reads little-endian PTP values. Past the end is an error that names field and offset; lengths are checked before
 * anything is allocated. Errors: `wire.malformed`.
 */
export class ByteReader {
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get remaining(): number {
    return this.#view.byteLength - this.#offset;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true);
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
  }

  skip(count: number, field: string): void {
    this.#take(count, field);
  }

  /** u8 count of UTF-16 units, the terminating zero included; an empty string is the single byte 0. */
  string(field: string): string {
    const units = this.u8(field);
    const start = this.#take(units * 2, field);
    let text = '';
    for (let index = 0; index < units; index++) {
      const unit = this.#view.getUint16(start + 2 * index, true);
      if (unit === 0) break;
      text += String.fromCharCode(unit);
    }
    return text;
  }

  u16Array(field: string): number[] {
    return this.#array(field, 2, () => this.u16(field));
  }

  u32Array(field: string): number[] {
    return this.#array(field, 4, () => this.u32(field));
  }

  #array(field: string, itemBytes: number, item: () => number): number[] {
    const count = this.u32(field);
    if (count * itemBytes > this.remaining) {
      throw new DockError('wire.malformed', `${field}: ${count} items in ${this.remaining} bytes`);
    }
    return Array.from({ length: count }, item);
  }

  #take(count: number, field: string): number {
    if (count > this.remaining) {
      throw new DockError(
        'wire.malformed',
        `${field} at ${this.#offset}: ${count} bytes, ${this.remaining} left`,
      );
    }
    const start = this.#offset;
    this.#offset += count;
    return start;
  }
}
