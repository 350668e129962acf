import { encodePtpString } from './datasets.ts';

/** Writes little-endian PTP values one behind the other: the responder's side of ByteReader. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  u8(value: number): this {
    return this.#put(Uint8Array.of(value));
  }

  u16(value: number): this {
    return this.#number(2, (view) => view.setUint16(0, value, true));
  }

  u32(value: number): this {
    return this.#number(4, (view) => view.setUint32(0, value, true));
  }

  u64(value: number | bigint): this {
    return this.#number(8, (view) => view.setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true));
  }

  string(text: string): this {
    return this.#put(encodePtpString(text));
  }

  u16Array(values: Iterable<number>): this {
    const all = [...values];
    this.u32(all.length);
    for (const value of all) this.u16(value);
    return this;
  }

  u32Array(values: Iterable<number>): this {
    const all = [...values];
    this.u32(all.length);
    for (const value of all) this.u32(value);
    return this;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.#parts);
  }

  #number(size: number, set: (view: DataView) => void): this {
    const bytes = new Uint8Array(size);
    set(new DataView(bytes.buffer));
    return this.#put(bytes);
  }

  #put(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    return this;
  }
}
