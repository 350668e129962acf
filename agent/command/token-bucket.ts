import type { Clock } from '../../dock/clock.ts';

/** So many at once, and so many a second for as long as it takes. */
export class TokenBucket {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledMs: number;

  constructor(clock: Pick<Clock, 'monotonic'>, { burst, perSecond }: { burst: number; perSecond: number }) {
    this.#clock = clock;
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#filledMs = clock.monotonic();
  }

  /** False when there is none left. */
  take(): boolean {
    const nowMs = this.#clock.monotonic();
    const gained = ((nowMs - this.#filledMs) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
