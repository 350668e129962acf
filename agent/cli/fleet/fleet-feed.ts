import type { Clock, RandomSource } from '../../../dock/clock.ts';
import { DockError, hasCode } from '../../../protocol/errors.ts';
import type { CommandName } from '../../../protocol/mqtt/commands.ts';
import { stationTopics, type StationAddress } from '../../../protocol/mqtt/topics.ts';
import type { BrokerConnection, BrokerOptions, OpenBroker } from '../../report/broker-connection.ts';
import type { FleetMessage } from './fleet-model.ts';

export interface FeedParts {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly openBroker: OpenBroker;
  readonly broker: Omit<BrokerOptions, 'clientId' | 'onMessage' | 'will'>;
  readonly scope: { readonly department?: string; readonly post?: string; readonly station?: string };
  readonly channels: readonly string[];
  readonly onMessage: (message: FleetMessage) => void;
  /** Subscribed; everything retained is about to come, also what was known before. */
  readonly onSubscribed: () => void;
}

export type FeedState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'connected'; readonly protocolVersion: 4 | 5 }
  | { readonly kind: 'away'; readonly problem: string };

const shortestBackOffMs = 1000;
const longestBackOffMs = 30_000;
/** A connection that lasted so long was a good one: the next failure is a new one. */
const steadyAfterMs = 60_000;
const requestSeconds = 60;

/** What a broker tells of the fleet, for as long as it is wanted: connected afresh after every fault. */
export class FleetFeed {
  readonly #parts: FeedParts;
  readonly #name: string;
  #connection: BrokerConnection | undefined;
  #state: FeedState = { kind: 'connecting' };
  #hasBegun = false;
  #requests = 0;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#name = `dockctl-fleet-${Buffer.from(parts.random.bytes(6)).toString('hex')}`;
  }

  get state(): FeedState {
    return this.#state;
  }

  /**
   * Until `signal` aborts. Errors: `fleet.broker-away` where `mustBegin` and the first connection fails, later ones are
   * made again; `fleet.forbidden`, which does not pass by itself.
   */
  async run(signal: AbortSignal, { mustBegin }: { mustBegin: boolean }): Promise<void> {
    const { clock, broker } = this.#parts;
    for (let failures = 0; !signal.aborted;) {
      const since = clock.monotonic();
      try {
        await this.#once(signal);
      } catch (error) {
        if (signal.aborted) return;
        const fault = asFleetError(error, broker.url);
        if ((mustBegin && !this.#hasBegun) || fault.code === 'fleet.forbidden') throw fault;
        this.#state = { kind: 'away', problem: fault.message };
      }
      failures = clock.monotonic() - since >= steadyAfterMs ? 1 : failures + 1;
      await clock.sleep(this.#backOffMs(failures), signal).catch(() => undefined);
    }
  }

  newRequestId(): string {
    return `${this.#name}-${++this.#requests}`;
  }

  /** Sends a request to a station; the answer carries its id. Errors: `fleet.broker-away` and those of publishing. */
  async request(
    to: StationAddress,
    { name, args }: { name: CommandName; args: object },
    { id, by, signal }: { id: string; by: string; signal: AbortSignal },
  ): Promise<void> {
    if (!this.#connection) throw new DockError('fleet.broker-away', this.#parts.broker.url);
    const ts = new Date(this.#parts.clock.now()).toISOString();
    const payload = JSON.stringify({ v: 1, id, ts, expiresSeconds: requestSeconds, by, args });
    const options = { retain: false, signal, expirySeconds: requestSeconds };
    await this.#connection.publish(stationTopics(to).command(name), payload, options);
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { openBroker, broker, clock, onMessage, onSubscribed, channels } = this.#parts;
    const { department = '+', post = '+', station = '+' } = this.#parts.scope;
    await using connection = await openBroker({ ...broker, clientId: this.#name, onMessage }, clock, signal);
    onSubscribed();
    const filters = channels.map((channel) => `dock/v1/${department}/${post}/${station}/${channel}`);
    await connection.subscribe(filters, { signal });
    this.#connection = connection;
    this.#hasBegun = true;
    this.#state = { kind: 'connected', protocolVersion: connection.protocolVersion };
    const over = new AbortController();
    try {
      const stopped = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => stopped.resolve(), { signal: over.signal });
      await Promise.race([connection.closed, stopped.promise]);
    } finally {
      over.abort();
      this.#connection = undefined;
    }
    if (!signal.aborted) throw new Error('the broker closed the connection');
  }

  /** Exponential with full jitter. */
  #backOffMs(failures: number): number {
    const ceiling = Math.min(longestBackOffMs, shortestBackOffMs * 2 ** Math.min(failures - 1, 10));
    return (ceiling * (1 + (this.#parts.random.bytes(1)[0] ?? 0))) / 256;
  }
}

function asFleetError(error: unknown, url: string): DockError {
  const [cause, ...behind] = causes(error);
  if (hasCode(error, 'broker.forbidden')) return new DockError('fleet.forbidden', undefined, { cause });
  // The innermost says what the network or TLS said; one for several addresses has only a code.
  const why = [...(cause ? [cause] : []), ...behind]
    .map((each) => each.message || ((each as NodeJS.ErrnoException).code ?? ''))
    .findLast((text) => text !== '');
  return new DockError('fleet.broker-away', `${url}: ${(why ?? String(error)).trim()}`, { cause: error });
}

function causes(error: unknown): Error[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : [];
}
