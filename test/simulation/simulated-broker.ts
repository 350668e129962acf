import {
  acknowledgeTimeoutMs,
  connectTimeoutMs,
  type BrokerConnection,
  type BrokerOptions,
  type OpenBroker,
} from '../../agent/report/broker-connection.ts';
import { withDeadline, type Clock } from '../../dock/clock.ts';
import { DockError } from '../../protocol/errors.ts';
import type { Draws } from './draws.ts';
import type { Life } from './life.ts';
import type { Scheduler } from './scheduler.ts';
import type { Story } from './story.ts';

export interface BrokerFaults {
  state: 'up' | 'refuses' | 'silent';
  /** About one of N publications ends the connection, taken or not; 0 for none. */
  dropOneIn: number;
  /** About one of N acknowledgements never comes. */
  loseAckOneIn: number;
  /** About one of N acknowledgements comes seconds later. */
  lateOneIn: number;
}

export interface ReceivedEvent {
  readonly id: string;
  readonly seq: number;
  readonly previousSeq: number;
  readonly type: string;
  readonly data: unknown;
}

const wayMs = 5;

/** A broker in memory: takes messages in the order they were sent, and remembers every event. */
export class SimulatedBroker {
  readonly faults: BrokerFaults = { state: 'up', dropOneIn: 0, loseAckOneIn: 0, lateOneIn: 0 };
  readonly received: ReceivedEvent[] = [];
  readonly #draws: Draws;
  readonly #scheduler: Scheduler;
  readonly #story: Story;
  readonly #connections = new Set<SimulatedConnection>();

  constructor(draws: Draws, scheduler: Scheduler, story: Story) {
    this.#draws = draws.stream('broker');
    this.#scheduler = scheduler;
    this.#story = story;
  }

  /** Ends every connection, as a broker that goes down does. */
  hangUp(): void {
    for (const connection of this.#connections) connection.end();
  }

  for(life: Life): OpenBroker {
    return async ({ onMessage }, clock, signal) => {
      if (this.faults.state !== 'up') {
        this.#story.count(`broker: ${this.faults.state}`);
        await clock.sleep(this.faults.state === 'silent' ? connectTimeoutMs : 50, signal);
        throw new DockError('broker.unreachable', `simulated: ${this.faults.state}`);
      }
      return life.operate('connect to the broker', wayMs, () => {
        const connection = new SimulatedConnection(clock, {
          end: () => this.#connections.delete(connection),
          publish: (topic, payload) => this.#publish(life, { connection, onMessage }, topic, payload),
        });
        this.#connections.add(connection);
        return connection;
      });
    };
  }

  #publish(
    life: Life,
    { connection, onMessage }: { connection: SimulatedConnection; onMessage: BrokerOptions['onMessage'] },
    topic: string,
    payload: string,
  ): Promise<void> {
    const { promise: acknowledged, resolve, reject } = Promise.withResolvers<void>();
    const sent = life.operate('publish', wayMs, () => {
      if (connection.isEnded) throw new DockError('broker.unreachable', 'the connection is closed');
      const isDropped = this.#happens(this.faults.dropOneIn);
      if (!isDropped || this.#draws.chance(0.5)) {
        this.#take(topic, payload);
        // The one topic a station listens to.
        if (topic.endsWith('/status') && !isDropped)
          onMessage?.({ topic, payload: Buffer.from(payload), isRetained: false });
      }
      if (isDropped) {
        this.#story.count('broker: dropped the connection');
        connection.end();
      } else if (this.#happens(this.faults.loseAckOneIn)) {
        this.#story.count('broker: lost an acknowledgement');
      } else {
        const isLate = this.#happens(this.faults.lateOneIn);
        if (isLate) this.#story.count('broker: late acknowledgement');
        this.#scheduler.after(isLate ? this.#draws.between(500, 30_000) : wayMs, resolve, life);
      }
    });
    sent.catch(reject);
    return acknowledged;
  }

  #take(topic: string, payload: string): void {
    if (topic.includes('/event/')) this.received.push(JSON.parse(payload) as ReceivedEvent);
  }

  #happens(oneIn: number): boolean {
    return oneIn > 0 && this.#draws.below(oneIn) === 0;
  }
}

class SimulatedConnection implements BrokerConnection {
  readonly protocolVersion = 5;
  readonly receiveMaximum = 65_535;
  readonly closed: Promise<void>;
  isEnded = false;
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  readonly #publish: (topic: string, payload: string) => Promise<void>;
  readonly #close: () => void;

  constructor(
    clock: Clock,
    broker: { end: () => void; publish: (topic: string, payload: string) => Promise<void> },
  ) {
    const closed = Promise.withResolvers<void>();
    this.closed = closed.promise;
    this.#close = closed.resolve;
    this.#clock = clock;
    this.#onEnd = broker.end;
    this.#publish = broker.publish;
  }

  end(): void {
    this.isEnded = true;
    this.#onEnd();
    this.#close();
  }

  async publish(topic: string, payload: string, { signal }: { signal: AbortSignal }): Promise<void> {
    if (this.isEnded) throw closedError();
    const limits = { ms: acknowledgeTimeoutMs, signal, what: `publishing to ${topic}` };
    await withDeadline(this.#clock, limits, (deadline) => {
      const { promise: failed, reject } = Promise.withResolvers<never>();
      deadline.addEventListener('abort', () => reject(deadline.reason), { once: true });
      void this.closed.then(() => reject(closedError()));
      return Promise.race([this.#publish(topic, payload), failed]);
    });
  }

  /** It hears its own status, asked or not. */
  async subscribe(): Promise<void> {
    if (this.isEnded) throw closedError();
  }

  async disconnect(): Promise<void> {
    this.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end();
  }
}

function closedError(): DockError {
  return new DockError('broker.unreachable', 'the connection is closed');
}
