import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { StatusMessage } from '../../protocol/mqtt/messages.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import type { Log } from '../log.ts';
import { nextCount } from '../state/counters.ts';
import type { Database } from '../state/database.ts';
import { MqttConnection, type MqttOptions } from './mqtt-connection.ts';
import type { Outbox } from './outbox.ts';
import type { StateDocuments } from './state-documents.ts';

export interface ReporterParts {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly db: Database;
  readonly outbox: Outbox;
  readonly documents: StateDocuments;
  readonly log: Log;
  readonly topics: StationTopics;
  readonly broker: Omit<MqttOptions, 'will'>;
  readonly boot: number;
  readonly version: string;
}

const shortestBackOffMs = 1000;
const longestBackOffMs = 60_000;
/** State documents leave on change, but at most so often. */
const stateIntervalMs = 500;
/** A connection that lasted so long was a good one: the next failure is a new one. */
const steadyAfterMs = 60_000;
/** A window of ten saturates a broker; one that takes less says so. */
const windowSize = 10;
const drainMs = 3000;

/**
 * Keeps one connection to the broker, afresh after every fault, and brings out what the outbox and the state
 * documents hold. An event counts as delivered only when the broker acknowledged it.
 */
export class Reporter {
  readonly #parts: ReporterParts;
  #wake = Promise.withResolvers<void>();
  #state: { isConnected: boolean; protocolVersion?: 4 | 5; problem?: string } = { isConnected: false };

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  get state(): Readonly<{ isConnected: boolean; protocolVersion?: 4 | 5; problem?: string }> {
    return this.#state;
  }

  /** Resolves when `signal` aborts, after a last `offline`; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, outbox, documents } = this.#parts;
    using draining = this.#draining(signal);
    const wake = (): void => this.#wake.resolve();
    const stopListening = [outbox.onRecorded(wake), documents.onChange(wake)];
    signal.addEventListener('abort', wake, { once: true });
    for (let failures = 0; !signal.aborted;) {
      const since = clock.monotonic();
      try {
        await this.#connection(signal, draining.signal);
      } catch (error) {
        if (signal.aborted) break;
        const problem = error instanceof Error ? error.message : String(error);
        if (problem !== this.#state.problem) log.warn('broker-lost', { error });
        this.#state = { isConnected: false, problem };
      }
      failures = clock.monotonic() - since >= steadyAfterMs ? 1 : failures + 1;
      await clock.sleep(this.#backOffMs(failures), signal).catch(() => undefined);
    }
    for (const stop of stopListening) stop();
  }

  /** Exponential with full jitter, so that the stations of a country do not come back in step. */
  #backOffMs(failures: number): number {
    const ceiling = Math.min(longestBackOffMs, shortestBackOffMs * 2 ** Math.min(failures - 1, 10));
    const draw = this.#parts.random.bytes(2);
    return (ceiling * (1 + (draw[0] ?? 0) + 256 * (draw[1] ?? 0))) / 65_536;
  }

  /** One connection for as long as it lasts; returns only after `signal` aborted. */
  async #connection(signal: AbortSignal, draining: AbortSignal): Promise<void> {
    const { db, broker, topics, clock, log, documents } = this.#parts;
    const session = nextCount(db, 'mqtt-session');
    const will = { topic: topics.status, payload: this.#status('lost', session) };
    await using connection = await MqttConnection.open({ ...broker, will }, clock, signal);
    this.#state = { isConnected: true, protocolVersion: connection.protocolVersion };
    log.info('broker-connected', { session, protocolVersion: connection.protocolVersion });
    let isLost = false;
    void connection.closed.then(() => {
      isLost = true;
      this.#wake.resolve();
    });
    const status = (state: StatusMessage['state']): Promise<void> =>
      connection.publish(topics.status, this.#status(state, session), { retain: true, signal: draining });
    await status('online');
    // The broker may know nothing.
    documents.forgetPublished();
    while (!isLost) {
      this.#wake = Promise.withResolvers();
      await this.#publishState(connection, draining);
      await this.#publishEvents(connection, draining);
      if (signal.aborted) break;
      await this.#pause(signal);
    }
    if (isLost) throw new Error('the connection to the broker is gone');
    await status('offline');
    await connection.disconnect(draining);
  }

  /** Until something is to be reported; then a little longer, so that a burst leaves as one. */
  async #pause(signal: AbortSignal): Promise<void> {
    await this.#wake.promise;
    await this.#parts.clock.sleep(stateIntervalMs, signal).catch(() => undefined);
  }

  /** A signal that aborts a little after `signal`: what is known at the stop is still brought out. */
  #draining(signal: AbortSignal): { readonly signal: AbortSignal } & Disposable {
    const drained = new AbortController();
    const ended = new AbortController();
    const onAbort = (): void =>
      void this.#parts.clock.sleep(drainMs, ended.signal).then(
        () => drained.abort(signal.reason),
        () => undefined,
      );
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return { signal: drained.signal, [Symbol.dispose]: () => ended.abort() };
  }

  async #publishState(connection: MqttConnection, signal: AbortSignal): Promise<void> {
    for (const document of await this.#parts.documents.takeChanged()) {
      await connection.publish(document.topic, JSON.stringify(document.payload), { retain: true, signal });
    }
  }

  /** In order, several in flight; only what the broker acknowledged is marked, the whole window at once. */
  async #publishEvents(connection: MqttConnection, signal: AbortSignal): Promise<void> {
    const { outbox, topics } = this.#parts;
    const window = Math.min(windowSize, connection.receiveMaximum);
    for (let batch = outbox.unacknowledged(window); batch.length > 0; batch = outbox.unacknowledged(window)) {
      const acknowledged: number[] = [];
      try {
        await Promise.all(
          batch.map(async (event) => {
            const payload = JSON.stringify(outbox.envelope(event));
            await connection.publish(topics.event(event.type), payload, { retain: false, signal });
            acknowledged.push(event.seq);
          }),
        );
      } finally {
        outbox.acknowledge(acknowledged);
      }
    }
  }

  #status(state: StatusMessage['state'], session: number): string {
    const { clock, boot, version } = this.#parts;
    const message: StatusMessage = {
      v: 1,
      ts: new Date(clock.now()).toISOString(),
      seq: session,
      state,
      session,
      boot,
      version,
    };
    return JSON.stringify(message);
  }
}
