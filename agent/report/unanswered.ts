import { DockError } from '../../protocol/errors.ts';
import type { Clock } from '../../dock/clock.ts';

interface Waiting {
  readonly what: string;
  readonly deadline: number;
  readonly fail: (reason: unknown) => void;
}

/** Signals that are listened to for nobody. */
const mostIdle = 8;

/**
 * Requests that a peer has not answered yet. All have the same time, so one timer for the oldest serves all of them:
 * a timer and two signals for each cost more than sending a message does.
 */
export class Unanswered {
  readonly #clock: Clock;
  readonly #answerMs: number;
  /** Oldest first. */
  readonly #waiting = new Set<Waiting>();
  readonly #bySignal = new Map<AbortSignal, { readonly all: Set<Waiting>; readonly stop: () => void }>();
  readonly #ended = new AbortController();
  #isWatched = false;

  constructor(clock: Clock, answerMs: number) {
    this.#clock = clock;
    this.#answerMs = answerMs;
  }

  /** What `send` hands to its callback. Errors: `wire.timeout`, the signal's reason, that of `end`, that of the callback. */
  ask<T>(
    what: string,
    signal: AbortSignal,
    send: (resolve: (answer: T) => void, reject: (reason: unknown) => void) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (signal.aborted || this.#ended.signal.aborted) {
        const { reason } = signal.aborted ? signal : this.#ended.signal;
        reject(reason);
        return;
      }
      const waiting: Waiting = { what, deadline: this.#clock.monotonic() + this.#answerMs, fail: reject };
      this.#add(waiting, signal);
      send(
        (answer) => {
          this.#remove(waiting, signal);
          resolve(answer);
        },
        (reason) => {
          this.#remove(waiting, signal);
          reject(reason);
        },
      );
    });
  }

  /** Nothing is answered any more. */
  end(reason: DockError): void {
    for (const { fail } of this.#waiting) fail(reason);
    this.#waiting.clear();
    for (const { stop } of this.#bySignal.values()) stop();
    this.#bySignal.clear();
    this.#ended.abort(reason);
  }

  #add(waiting: Waiting, signal: AbortSignal): void {
    this.#waiting.add(waiting);
    const group = this.#bySignal.get(signal) ?? this.#group(signal);
    group.all.add(waiting);
    if (!this.#isWatched) void this.#watch();
  }

  #remove(waiting: Waiting, signal: AbortSignal): void {
    this.#waiting.delete(waiting);
    this.#bySignal.get(signal)?.all.delete(waiting);
    // One that is empty is most likely filled again at once.
    if (this.#bySignal.size > mostIdle) this.#sweep();
  }

  #sweep(): void {
    for (const [signal, { all, stop }] of this.#bySignal) {
      if (all.size > 0) continue;
      stop();
      this.#bySignal.delete(signal);
    }
  }

  #group(signal: AbortSignal): { readonly all: Set<Waiting>; readonly stop: () => void } {
    const all = new Set<Waiting>();
    const onAbort = (): void => {
      this.#bySignal.delete(signal);
      for (const waiting of all) {
        this.#waiting.delete(waiting);
        waiting.fail(signal.reason);
      }
    };
    signal.addEventListener('abort', onAbort, { once: true });
    const group = { all, stop: () => signal.removeEventListener('abort', onAbort) };
    this.#bySignal.set(signal, group);
    return group;
  }

  async #watch(): Promise<void> {
    this.#isWatched = true;
    for (;;) {
      const [oldest] = this.#waiting;
      if (!oldest) break;
      const { deadline } = oldest;
      const isEnded = await this.#clock
        .sleep(Math.ceil(deadline - this.#clock.monotonic()), this.#ended.signal)
        .then(
          () => false,
          () => true,
        );
      if (isEnded) break;
      for (const waiting of this.#waiting) {
        if (waiting.deadline > deadline) break;
        this.#waiting.delete(waiting);
        const text = `${waiting.what} took more than ${this.#answerMs} ms`;
        waiting.fail(new DockError('wire.timeout', text));
      }
    }
    this.#isWatched = false;
  }
}
