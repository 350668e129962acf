import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { Outbox } from './outbox.ts';

export interface ReplayRange {
  readonly fromSeq: number;
  /** Below `fromSeq` where there is nothing to send. */
  readonly toSeq: number;
  readonly events: number;
}

const pageSize = 100;
const mostEvents = 1_000_000;

/**
 * Sends events once more, a page at a time between new ones. Goes on over the next connection where one breaks; after a
 * restart it is to be asked for anew. One at a time: a newer request takes the place of an older.
 */
export class Replay {
  readonly #outbox: Outbox;
  #left: { readonly fromSeq: number; readonly toSeq: number } | undefined;

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  get isWaiting(): boolean {
    return this.#left !== undefined;
  }

  ask({ fromSeq, limit = mostEvents }: { fromSeq: number; limit?: number | undefined }): ReplayRange {
    const range = this.#outbox.replayable(fromSeq, limit);
    this.#left = range.events > 0 ? range : undefined;
    return range;
  }

  /** One page, `windowSize` messages at a time. Errors: those of publishing; what it did not bring out stays to be sent. */
  async sendPage(
    publish: (topic: string, payload: string) => Promise<unknown>,
    { topics, windowSize }: { topics: StationTopics; windowSize: number },
  ): Promise<void> {
    const range = this.#left;
    if (!range) return;
    const events = this.#outbox.again(range, pageSize);
    for (let index = 0; index < events.length; index += windowSize) {
      const window = events.slice(index, index + windowSize);
      await Promise.all(window.map(({ type, payload }) => publish(topics.event(type), payload)));
      if (this.#left !== range) return; // another was asked for
    }
    const last = events.at(-1)?.seq ?? range.toSeq;
    this.#left = last < range.toSeq ? { ...range, fromSeq: last + 1 } : undefined;
  }
}
