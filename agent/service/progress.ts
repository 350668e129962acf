import type { Clock } from '../../dock/clock.ts';

/**
 * What a loop that never ends says of itself: by when it will be heard of again. One that is late by its own word is
 * stuck, however busy the rest of the agent is.
 */
export class Progress {
  readonly name: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #dueMs = Infinity;

  constructor(name: string, clock: Pick<Clock, 'monotonic'>) {
    this.name = name;
    this.#clock = clock;
  }

  /** It goes on, and will be heard of again within `ms`; Infinity while it waits on purpose for something to do. */
  within(ms: number): void {
    this.#dueMs = this.#clock.monotonic() + ms;
  }

  get isOverdue(): boolean {
    return this.#clock.monotonic() > this.#dueMs;
  }
}
