/** What to do about a device that is in the bay and cannot be worked with. */
export type Rung = 'try-again' | 'power-cycle' | 'faulty';

/** Failures in a row on each rung. */
const failuresPerRung = 3;
/** A bay that was empty for so long starts afresh: what comes then is a new guest. */
const forgetAfterEmptyMs = 30_000;

/**
 * How far a bay has climbed: first trying again, then its power off and on once, then it is called faulty. An
 * opened camera that gets on takes it down again; a short gap does not, since a power cycle makes one itself.
 */
export class FailureLadder {
  #failures = 0;
  #emptySinceMs: number | undefined;

  /** The rung that this failure calls for. */
  failed(): Rung {
    this.#emptySinceMs = undefined;
    this.#failures++;
    if (this.#failures === failuresPerRung) return 'power-cycle';
    return this.#failures >= 2 * failuresPerRung ? 'faulty' : 'try-again';
  }

  worked(): void {
    this.#failures = 0;
    this.#emptySinceMs = undefined;
  }

  /** The bay is empty at `nowMs` of the monotonic clock. */
  empty(nowMs: number): void {
    this.#emptySinceMs ??= nowMs;
    if (nowMs - this.#emptySinceMs >= forgetAfterEmptyMs) this.#failures = 0;
  }
}
