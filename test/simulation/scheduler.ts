import type { Clock } from '../../dock/clock.ts';

/** Whose timers never fire any more once it is dead. */
export interface Owner {
  readonly isDead: boolean;
}

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly owner: Owner;
  run: (() => void) | undefined;
}

const world: Owner = { isDead: false };

/** More turns in a simulation, or reads of a clock in one moment of it, are a loop that never ends. */
const mostSteps = 3_000_000;
const mostReadsAtOnce = 200_000;

/**
 * Virtual time for many sleepers. It passes only when nobody has anything left to do: all promises are settled first,
 * then the next timer fires. Timers of one moment fire in the order they were set.
 */
export class Scheduler {
  steps = 0;
  #nowMs = 0;
  #epochAt: number;
  #order = 0;
  #reads = 0;
  readonly #heap: Timer[] = [];

  constructor(startAt: number) {
    this.#epochAt = startAt;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Of the station, UTC milliseconds; `step` moves it. */
  get wallAt(): number {
    return this.#epochAt + this.#nowMs;
  }

  step(ms: number): void {
    this.#epochAt += ms;
  }

  after(ms: number, run: () => void, owner: Owner = world): () => void {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, ms), order: this.#order++, owner, run };
    push(this.#heap, timer);
    return () => {
      timer.run = undefined;
    };
  }

  /** Fires timers up to a moment, or until `isEnough`. False when that came first. */
  async runUntil(untilMs: number, isEnough: () => boolean = () => false): Promise<boolean> {
    for (;;) {
      await settled();
      if (isEnough()) return false;
      const next = this.#next(untilMs);
      if (!next) {
        this.#nowMs = Math.max(this.#nowMs, untilMs);
        return true;
      }
      if (++this.steps > mostSteps) throw new Error(`more than ${mostSteps} steps`);
      if (next.atMs > this.#nowMs) this.#reads = 0;
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run?.();
    }
  }

  #next(untilMs: number): Timer | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (!first) return undefined;
      if (first.run && !first.owner.isDead && first.atMs > untilMs) return undefined;
      pop(this.#heap);
      if (first.run && !first.owner.isDead) return first;
    }
  }

  clockOf(owner: Owner = world): Clock {
    const monotonic = (): number => {
      // Nothing else would ever end a loop that waits for time to pass without letting it.
      if (++this.#reads > mostReadsAtOnce) throw new Error('a loop waits for time without letting it pass');
      return this.#nowMs;
    };
    return {
      now: () => this.#epochAt + monotonic(),
      monotonic,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (owner.isDead) return;
          if (signal?.aborted) {
            reject(signal.reason);
            return;
          }
          const cancel = this.after(
            ms,
            () => {
              signal?.removeEventListener('abort', onAbort);
              resolve();
            },
            owner,
          );
          const onAbort = (): void => {
            cancel();
            reject(signal?.reason);
          };
          signal?.addEventListener('abort', onAbort, { once: true });
        }),
    };
  }
}

/** Resolves when every promise that can be settled is: ticks come after all microtasks. */
function settled(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Timer[], timer: Timer): void {
  let index = heap.length;
  heap.push(timer);
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent];
    if (!above || !isBefore(timer, above)) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = timer;
}

function pop(heap: Timer[]): void {
  const last = heap.pop();
  if (!last || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    const [a, b] = [heap[left], heap[left + 1]];
    if (!a) break;
    const [child, at] = b && isBefore(b, a) ? [b, left + 1] : [a, left];
    if (!isBefore(child, last)) break;
    heap[index] = child;
    index = at;
  }
  heap[index] = last;
}
