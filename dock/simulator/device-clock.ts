import type { Clock } from '../clock.ts';

/**
 * The clock of a simulated camera: off by `offsetMs`, running fast by `driftPpm`, showing whole units of
 * `resolutionMs`. A clock that was never set shows nothing.
 */
export class DeviceClock {
  readonly resolutionMs: number;
  readonly #host: Clock;
  readonly #driftPpm: number;
  #setAt: { readonly monotonicMs: number; readonly shownMs: number } | undefined;

  constructor(
    host: Clock,
    options: { offsetMs: number; driftPpm: number; resolutionMs: number; isSet?: boolean },
  ) {
    this.#host = host;
    this.#driftPpm = options.driftPpm;
    this.resolutionMs = options.resolutionMs;
    if (options.isSet !== false) this.#start(host.now() + options.offsetMs);
  }

  /** UTC milliseconds, or undefined when it was never set. */
  read(): number | undefined {
    const exact = this.exact();
    return exact === undefined ? undefined : Math.floor(exact / this.resolutionMs) * this.resolutionMs;
  }

  /** Without the rounding to what is shown: for tests that know better than the agent. */
  exact(): number | undefined {
    if (!this.#setAt) return undefined;
    const elapsedMs = this.#host.monotonic() - this.#setAt.monotonicMs;
    return this.#setAt.shownMs + elapsedMs * (1 + this.#driftPpm / 1e6);
  }

  set(at: number): void {
    this.#start(Math.floor(at / this.resolutionMs) * this.resolutionMs);
  }

  #start(shownMs: number): void {
    this.#setAt = { monotonicMs: this.#host.monotonic(), shownMs };
  }
}
