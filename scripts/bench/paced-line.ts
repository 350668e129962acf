import type { ByteLink } from '../../dock/link.ts';

/**
 * Below this distance to the end of a chunk the loop spins instead of sleeping: a timer may be a millisecond late,
 * which is longer than a whole request at 921600 bit/s.
 */
const spinMs = 2;

/**
 * One direction of a serial line. Bytes are delivered when their last bit has left a wire of that rate, never
 * earlier, and idle time is not saved up. The end of every chunk is delivered to the microsecond; the bytes before
 * it as they become due, about every millisecond.
 */
export class PacedQueue {
  readonly #bytesPerMs: number;
  readonly #deliver: (bytes: Uint8Array) => void;
  readonly #chunks: Uint8Array[] = [];
  #queuedBytes = 0;
  /** When the wire was done with all that was delivered. */
  #deliveredMs = 0;

  constructor(bytesPerSecond: number, deliver: (bytes: Uint8Array) => void) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#deliver = deliver;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#chunks.length > 1) return;
    this.#deliveredMs = Math.max(this.#deliveredMs, performance.now());
    this.#schedule();
  }

  #schedule(): void {
    const head = this.#chunks[0];
    if (!head) return;
    const remainingMs = this.#deliveredMs + head.length / this.#bytesPerMs - performance.now();
    if (remainingMs > spinMs) setTimeout(() => this.#deliverPart(), 1);
    else setImmediate(() => this.#deliverHead());
  }

  #deliverPart(): void {
    this.#take(Math.floor((performance.now() - this.#deliveredMs) * this.#bytesPerMs));
    this.#schedule();
  }

  #deliverHead(): void {
    const head = this.#chunks[0];
    const isDue = head && performance.now() >= this.#deliveredMs + head.length / this.#bytesPerMs;
    if (isDue) this.#take(head.length);
    this.#schedule();
  }

  /** Delivers up to `count` bytes; a loop that was held up catches up over several chunks. */
  #take(count: number): void {
    for (let left = count; left > 0;) {
      const head = this.#chunks[0];
      if (!head) return;
      const part = head.subarray(0, left);
      if (part.length === head.length) this.#chunks.shift();
      else this.#chunks[0] = head.subarray(left);
      left -= part.length;
      this.#queuedBytes -= part.length;
      this.#deliveredMs += part.length / this.#bytesPerMs;
      this.#deliver(part);
    }
  }
}

/** The device side of a link that carries `bytesPerSecond` each way, as a UART does. */
export function pacedLink(link: ByteLink, bytesPerSecond: number): ByteLink {
  const sending = new PacedQueue(bytesPerSecond, (bytes) => {
    link.write(bytes).catch(() => undefined); // the cable was pulled: `closed` tells
  });
  return {
    name: link.name,
    closed: link.closed,
    onBytes: (receiver) => {
      const receiving = new PacedQueue(bytesPerSecond, receiver);
      link.onBytes((chunk) => receiving.push(chunk));
    },
    write: (bytes) => {
      sending.push(bytes);
      return Promise.resolve();
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}
