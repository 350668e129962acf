import type { CameraClock } from '../../dock/camera/camera.ts';
import type { Clock } from '../../dock/clock.ts';
import { DockError } from '../../protocol/errors.ts';

/**
 * Time that passes only when somebody waits, for one line of work at a time: a sleep advances it at once. The wall
 * clock may be stepped and shows whole milliseconds, as the host's does.
 */
export class VirtualClock implements Clock {
  #elapsedMs = 0;
  #epochAt: number;
  readonly #oversleepMs: () => number;

  constructor({
    startAt = Date.UTC(2026, 10, 22, 8),
    oversleepMs = () => 0,
  }: { startAt?: number; oversleepMs?: () => number } = {}) {
    this.#epochAt = startAt;
    this.#oversleepMs = oversleepMs;
  }

  now(): number {
    return Math.floor(this.exactNow());
  }

  /** True station time, for tests that know better than the agent. */
  exactNow(): number {
    return this.#epochAt + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.pass(Math.max(0, ms) + this.#oversleepMs());
  }

  pass(ms: number): void {
    this.#elapsedMs += ms;
  }

  /** A step of the wall clock, as a bad NTP server or a person causes it. */
  step(ms: number): void {
    this.#epochAt += ms;
  }
}

export interface VirtualCameraOptions {
  readonly resolutionMs: number;
  /** Camera minus station at the start; absent for a clock that was never set. */
  readonly offsetMs?: number;
  readonly driftPpm?: number;
  /** Time on the way of the next message, in either direction. */
  readonly delayMs: () => number;
  /** A cheap clock chip: setting its seconds leaves its fraction of a second running on. */
  readonly keepsFraction?: boolean;
  /** Called before each read with how many there were. */
  readonly beforeRead?: (reads: number, camera: VirtualCameraClock) => void;
}

/** A camera clock behind a line with delays, on a VirtualClock. */
export class VirtualCameraClock implements CameraClock {
  readonly resolutionMs: number;
  reads = 0;
  sets = 0;
  readonly #station: VirtualClock;
  readonly #options: VirtualCameraOptions;
  #setAt: { readonly monotonicMs: number; readonly shownMs: number } | undefined;

  constructor(station: VirtualClock, options: VirtualCameraOptions) {
    this.#station = station;
    this.#options = options;
    this.resolutionMs = options.resolutionMs;
    if (options.offsetMs !== undefined) this.#start(station.exactNow() + options.offsetMs);
  }

  /** What the clock would show if it showed everything. */
  exact(): number {
    if (!this.#setAt) throw new Error('never set');
    const elapsedMs = this.#station.monotonic() - this.#setAt.monotonicMs;
    return this.#setAt.shownMs + elapsedMs * (1 + (this.#options.driftPpm ?? 0) / 1e6);
  }

  /** Camera minus station, truly. */
  trueOffsetMs(): number {
    return this.exact() - this.#station.exactNow();
  }

  jump(ms: number): void {
    this.#start(this.exact() + ms);
  }

  async read(signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    this.reads++;
    this.#options.beforeRead?.(this.reads, this);
    this.#station.pass(this.#options.delayMs());
    if (!this.#setAt) throw new DockError('camera.clock-unset');
    const shownMs = Math.floor(this.exact() / this.resolutionMs) * this.resolutionMs;
    this.#station.pass(this.#options.delayMs());
    return shownMs;
  }

  async set(at: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.sets++;
    this.#station.pass(this.#options.delayMs());
    const whole = Math.floor(at / this.resolutionMs) * this.resolutionMs;
    const fraction = this.#options.keepsFraction ? this.exact() % this.resolutionMs : 0;
    this.#start(whole + fraction);
    this.#station.pass(this.#options.delayMs());
  }

  #start(shownMs: number): void {
    this.#setAt = { monotonicMs: this.#station.monotonic(), shownMs };
  }
}

/** A small generator of numbers in [0, 1) that replays from its seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
