import { withDeadline, type Clock } from '../clock.ts';

/**
 * One piece of work on a disk at a time. Calls into a disk that hangs cannot be taken back: each holds a thread of
 * this process until the kernel gives up. So a caller that stops waiting leaves at most one behind, and the next
 * piece of work waits for it.
 */
export class DiskLane {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #occupied: Promise<unknown> = Promise.resolve();

  constructor(clock: Clock, { timeoutMs }: { timeoutMs: number }) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Errors: `wire.timeout`, the signal's reason, and what the work fails with. */
  async run<Result>(what: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    await this.inTime(what, signal, this.#occupied);
    const running = work();
    this.#occupied = running.catch(() => undefined);
    return this.inTime(what, signal, running);
  }

  /** Runs after whatever the disk is busy with, and nobody waits for it: for closing files. */
  afterwards(work: () => Promise<unknown>): void {
    this.#occupied = this.#occupied.then(work).catch(() => undefined);
  }

  /** Waits for something that cannot be stopped, no longer than the signal and the deadline allow. */
  async inTime<Result>(what: string, signal: AbortSignal, running: Promise<Result>): Promise<Result> {
    running.catch(() => undefined); // seen by whoever still waits
    return withDeadline(this.#clock, { ms: this.#timeoutMs, signal, what }, (stop) => {
      const { promise, reject } = Promise.withResolvers<never>();
      stop.addEventListener('abort', () => reject(stop.reason as Error), { once: true });
      return Promise.race([running, promise]);
    });
  }
}
