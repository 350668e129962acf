import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { Clock } from '../../dock/clock.ts';
import type { Outbox } from './outbox.ts';
import type { OutgoingEvent } from './stored-event.ts';

interface PumpParts {
  readonly outbox: Outbox;
  readonly topics: StationTopics;
  /** False when the broker forbids it; it is not acknowledged then, and holds up no other. */
  readonly publish: (topic: string, payload: string, signal: AbortSignal) => Promise<boolean>;
  /** Forbidden a while ago, not to be tried now. */
  readonly isHeld: (topic: string) => boolean;
  readonly clock: Clock;
  /** Messages in flight at most. */
  readonly windowSize: number;
}

interface Sent {
  readonly seq: number;
  state: 'waiting' | 'acknowledged' | 'forbidden';
}

/** Read at a time. */
const pageSize = 100;
/** What the broker acknowledged is marked together: it costs a write to the disk, and forgetting it only a repetition. */
const markTogether = 2000;

/**
 * Brings events out over one connection, in order, the window always full. None is sent that is further than the
 * window from the oldest that the broker has not answered.
 */
export class EventPump {
  readonly #parts: PumpParts;
  /** Sent and not marked, oldest first. */
  #sent: Sent[] = [];
  /** How many of these, from the oldest, are answered without a gap. */
  #whole = 0;
  #page: OutgoingEvent[] = [];
  #next = 0;
  #lastSeq = 0;
  #failure: { readonly error: unknown } | undefined;
  #landed = Promise.withResolvers<void>();

  constructor(parts: PumpParts) {
    this.#parts = parts;
    parts.outbox.takeBack();
  }

  /**
   * Sends what waits, for `ms` or until nothing waits: false when something still does. All that was sent is acknowledged
   * and durably marked so when it returns. Errors: those of publishing; the connection is of no more use then.
   */
  async run(ms: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts;
    const deadline = clock.monotonic() + ms;
    let isDone = false;
    try {
      for (;;) {
        this.#landed = Promise.withResolvers();
        isDone = this.#fill(signal, deadline);
        if (this.#whole === this.#sent.length) break;
        await this.#landed.promise;
        if (this.#failure) throw this.#failure.error;
        if (this.#whole >= markTogether) this.#mark();
      }
    } finally {
      this.#mark();
    }
    return isDone;
  }

  /** What was forbidden is tried again. */
  startOver(): void {
    this.#parts.outbox.takeBack();
    this.#page = [];
    this.#next = 0;
    this.#lastSeq = 0;
  }

  /** True when nothing waits that was not sent. */
  #fill(signal: AbortSignal, deadline: number): boolean {
    const { windowSize, clock } = this.#parts;
    while (this.#sent.length - this.#whole < windowSize) {
      if (this.#failure || signal.aborted || clock.monotonic() >= deadline) return false;
      const event = this.#take();
      if (!event) return true;
      this.#send(event, signal);
    }
    return false;
  }

  #take(): OutgoingEvent | undefined {
    if (this.#next === this.#page.length) {
      this.#page = this.#parts.outbox.outgoing(this.#lastSeq, pageSize);
      this.#next = 0;
    }
    const event = this.#page[this.#next];
    if (!event) return undefined;
    this.#next += 1;
    this.#lastSeq = event.seq;
    return event;
  }

  #send({ seq, type, payload }: OutgoingEvent, signal: AbortSignal): void {
    const { topics, publish, isHeld } = this.#parts;
    const topic = topics.event(type);
    const sent: Sent = { seq, state: 'waiting' };
    this.#sent.push(sent);
    const settle = (isTaken: boolean): void => {
      sent.state = isTaken ? 'acknowledged' : 'forbidden';
      while ((this.#sent[this.#whole]?.state ?? 'waiting') !== 'waiting') this.#whole += 1;
      this.#landed.resolve();
    };
    if (isHeld(topic)) return settle(false);
    publish(topic, payload, signal).then(settle, (error: unknown) => {
      this.#failure ??= { error };
      this.#landed.resolve();
    });
  }

  #mark(): void {
    const { outbox } = this.#parts;
    const answered = this.#sent.splice(0, this.#failure ? this.#sent.length : this.#whole);
    const unbroken = answered.findIndex(({ state }) => state !== 'acknowledged');
    const together = answered.slice(0, unbroken < 0 ? undefined : unbroken);
    const [first, last] = [together[0], together.at(-1)];
    if (first && last) outbox.acknowledgeRange(first.seq, last.seq);
    const others = answered.slice(together.length).filter(({ state }) => state === 'acknowledged');
    outbox.acknowledge(others.map(({ seq }) => seq));
    this.#whole = 0;
  }
}
