/** Numbers at which decoders break: borders of sizes and signs. */
const borders = [0, 1, 2, 7, 8, 11, 12, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 512, 1024, 4096, 65_535]
  .concat([0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff])
  .map((value) => value >>> 0);

/** Makes inputs out of inputs; the same seed makes the same ones. */
export class Mutator {
  #state: number;
  readonly #words: readonly Uint8Array[];
  readonly #mostBytes: number;

  constructor(seed: number, { words, mostBytes }: { words: readonly Uint8Array[]; mostBytes: number }) {
    this.#state = seed >>> 0 || 1;
    this.#words = words;
    this.#mostBytes = mostBytes;
  }

  /** Up to, but not including, `end`. */
  below(end: number): number {
    // Xorshift, period 2^32 - 1.
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return end <= 0 ? 0 : this.#state % end;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  /** One of the corpus, changed a few times. */
  next(corpus: readonly Uint8Array[]): Uint8Array {
    if (this.below(50) === 0) return this.#random(this.below(64));
    let bytes: Uint8Array = Uint8Array.from(this.pick(corpus));
    const changes = 1 << this.below(5);
    for (let change = 0; change < changes; change++) bytes = this.#change(bytes, corpus);
    return bytes.length > this.#mostBytes ? bytes.subarray(0, this.#mostBytes) : bytes;
  }

  #random(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  #change(bytes: Uint8Array, corpus: readonly Uint8Array[]): Uint8Array {
    const at = this.below(bytes.length + 1);
    switch (this.below(11)) {
      case 0:
        return changed(bytes, at, (byte) => byte ^ (1 << this.below(8)));
      case 1:
        return changed(bytes, at, () => this.below(256));
      case 2:
        return changed(bytes, at, (byte) => byte + this.pick([-1, 1, 16, -16]));
      case 3:
        return this.#number(bytes, at);
      case 4:
        return spliced(bytes, at, this.below(1 + this.below(32)), new Uint8Array(0));
      case 5:
        return spliced(bytes, at, 0, this.#random(1 + this.below(16)));
      case 6:
        return spliced(bytes, at, 0, this.#partOf(bytes));
      case 7:
        return spliced(bytes, at, this.below(16), this.#partOf(this.pick(corpus)));
      case 8:
        return bytes.subarray(0, at);
      case 9:
        return this.#repeated(bytes, at);
      default: {
        const word = this.#words.length > 0 ? this.pick(this.#words) : this.#random(4);
        return spliced(bytes, at, this.below(2) * word.length, word);
      }
    }
  }

  #partOf(bytes: Uint8Array): Uint8Array {
    const from = this.below(bytes.length);
    return bytes.subarray(from, from + 1 + this.below(64));
  }

  #repeated(bytes: Uint8Array, at: number): Uint8Array {
    const part = bytes.subarray(at, at + 1 + this.below(8));
    const times = 1 + this.below(this.below(10) === 0 ? 2000 : 20);
    return spliced(bytes, at, 0, Buffer.concat(Array.from({ length: times }, () => part)));
  }

  /** A whole number over 1, 2, 4 or 8 bytes, either end first. */
  #number(bytes: Uint8Array, at: number): Uint8Array {
    const size = this.pick([1, 2, 4, 8]);
    const value = new DataView(new ArrayBuffer(8));
    const isLittle = this.below(2) === 0;
    const border = this.below(4) === 0 ? this.below(bytes.length * 2 + 2) : this.pick(borders);
    value.setBigUint64(0, BigInt(border), isLittle);
    const start = isLittle ? 0 : 8 - size;
    return spliced(bytes, at, size, new Uint8Array(value.buffer, start, size));
  }
}

function changed(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const byte = bytes[at];
  if (byte !== undefined) bytes[at] = change(byte);
  return bytes;
}

function spliced(bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]);
}
