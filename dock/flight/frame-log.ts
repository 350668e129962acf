import type { Clock } from '../clock.ts';

export type FrameChannel = 'console' | 'hid' | 'ptp';

/** What went over a wire in one go: bytes of a serial line, a HID report, a PTP transfer. */
export interface RecordedFrame {
  readonly atMs: number;
  readonly channel: FrameChannel;
  readonly direction: 'in' | 'out';
  /** As far as they were kept. */
  readonly bytes: Uint8Array;
  /** On the wire. */
  readonly sizeBytes: number;
}

const mostFrames = 512;
const mostBytes = 64 * 1024;

interface Entry extends Omit<RecordedFrame, 'bytes'> {
  readonly keptBytes: number;
}

/**
 * The last frames of one bay, in memory: the oldest make way. Adding one copies its bytes into a ring and allocates
 * next to nothing.
 */
export class FrameLog {
  readonly #clock: Clock;
  readonly #ring = new Uint8Array(mostBytes);
  /** A ring as well: `#count` of them from `#first` on, whose bytes follow each other and end before `#end`. */
  readonly #entries: (Entry | undefined)[] = Array.from({ length: mostFrames });
  #first = 0;
  #count = 0;
  #end = 0;
  #usedBytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(
    channel: FrameChannel,
    direction: RecordedFrame['direction'],
    bytes: Uint8Array,
    sizeBytes = bytes.length,
  ): void {
    const kept = bytes.length > mostBytes ? bytes.subarray(0, mostBytes) : bytes;
    this.#makeWay(kept.length);
    const untilWrap = mostBytes - this.#end;
    if (kept.length <= untilWrap) this.#ring.set(kept, this.#end);
    else {
      this.#ring.set(kept.subarray(0, untilWrap), this.#end);
      this.#ring.set(kept.subarray(untilWrap), 0);
    }
    this.#end = (this.#end + kept.length) % mostBytes;
    this.#usedBytes += kept.length;
    const atMs = this.#clock.monotonic();
    const entry = { atMs, channel, direction, sizeBytes, keptBytes: kept.length };
    this.#entries[(this.#first + this.#count++) % mostFrames] = entry;
  }

  /** Oldest first. */
  frames(): RecordedFrame[] {
    let start = (this.#end - this.#usedBytes + mostBytes) % mostBytes;
    const entries = [...this.#entries.slice(this.#first), ...this.#entries.slice(0, this.#first)];
    const held = entries.slice(0, this.#count).filter((entry) => entry !== undefined);
    return held.map(({ keptBytes, ...entry }) => {
      const bytes = new Uint8Array(keptBytes);
      bytes.set(this.#ring.subarray(start, start + keptBytes));
      const wrapped = start + keptBytes - mostBytes;
      if (wrapped > 0) bytes.set(this.#ring.subarray(0, wrapped), keptBytes - wrapped);
      start = (start + keptBytes) % mostBytes;
      return { ...entry, bytes };
    });
  }

  #makeWay(bytes: number): void {
    while (this.#count === mostFrames || this.#usedBytes + bytes > mostBytes) {
      this.#usedBytes -= this.#entries[this.#first]?.keptBytes ?? 0;
      this.#entries[this.#first] = undefined;
      this.#first = (this.#first + 1) % mostFrames;
      this.#count--;
    }
  }
}
