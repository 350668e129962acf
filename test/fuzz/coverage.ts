import { Session } from 'node:inspector';

interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly {
    readonly ranges: readonly {
      readonly startOffset: number;
      readonly endOffset: number;
      readonly count: number;
    }[];
  }[];
}

/** With the libraries that decode for us: their paths lead to ours. */
const ours = /\/(?:protocol|dock|agent)\/[^?]*\.ts$|\/node_modules\/(?:cborg|smol-toml|mqtt-packet)\//;

/**
 * Which blocks of the agent's code have run, as V8 counts them: what an input is kept for. Counts are told apart by
 * their order of magnitude, so that a loop that turns more often counts as new. Reading it takes about a millisecond.
 */
export class Coverage implements Disposable {
  readonly #session = new Session();
  readonly #seen = new Set<string>();

  constructor() {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  get blocks(): number {
    return this.#seen.size;
  }

  /** Blocks that ran since the last call; `isNew` when one of them never did before. */
  take(): { readonly isNew: boolean; readonly keep: () => void } {
    const found = new Set<string>();
    // The answer comes before post returns: the inspector of the same thread is synchronous.
    this.#session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error) throw error;
      for (const { url, functions } of (answer as { result: readonly ScriptCoverage[] }).result) {
        if (!ours.test(url)) continue;
        for (const { ranges } of functions) {
          for (const { startOffset, endOffset, count } of ranges) {
            if (count === 0) continue;
            const block = `${url}:${startOffset}-${endOffset}:${Math.min(Math.floor(Math.log2(count)), 6)}`;
            if (!this.#seen.has(block)) found.add(block);
          }
        }
      }
    });
    return {
      isNew: found.size > 0,
      keep: () => {
        for (const block of found) this.#seen.add(block);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#session.disconnect();
  }
}
