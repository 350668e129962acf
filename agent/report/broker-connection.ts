import type { Clock } from '../../dock/clock.ts';

/** What came in on a topic that was subscribed to. */
export interface BrokerMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly isRetained: boolean;
  /** Of MQTT 5: where the sender would like the answer besides, and what it shall carry. */
  readonly responseTopic?: string;
  readonly correlationData?: Uint8Array;
}

export interface PublishOptions {
  readonly retain: boolean;
  readonly signal: AbortSignal;
  /** Kept by the broker for at most so long; only with MQTT 5. */
  readonly expirySeconds?: number;
  readonly correlationData?: Uint8Array;
}

export interface SubscribeOptions {
  readonly signal: AbortSignal;
  /** What this connection publishes does not come back to it; only with MQTT 5. */
  readonly withoutEcho?: boolean;
}

export interface BrokerOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  /** What the broker says for us when we vanish; who only listens has none. */
  readonly will?: { readonly topic: string; readonly payload: string };
  /** Must only enqueue. Messages that come faster than they are taken are acknowledged and dropped here. */
  readonly onMessage?: (message: BrokerMessage) => void;
}

export const connectTimeoutMs = 15_000;
export const acknowledgeTimeoutMs = 20_000;

/**
 * One connection to a broker, used once. The real one is mqtt-connection.ts. Errors of every call:
 * `broker.unreachable`, `wire.timeout`, the signal's reason.
 */
export interface BrokerConnection extends AsyncDisposable {
  readonly protocolVersion: 4 | 5;
  readonly closed: Promise<void>;
  /** How many messages the broker takes at a time before it has acknowledged any. */
  readonly receiveMaximum: number;
  /** Resolves when the broker acknowledged; after an error the connection is of no more use. */
  publish(topic: string, payload: string, options: PublishOptions): Promise<void>;
  /** Resolves when the broker granted all of them. Errors besides: `broker.forbidden`. */
  subscribe(filters: readonly string[], options: SubscribeOptions): Promise<void>;
  /** Says goodbye, so that the broker does not send the will. To be called when all is acknowledged. */
  disconnect(signal: AbortSignal): Promise<void>;
  /** Hangs up: without `disconnect` before, the broker sends the will. */
  [Symbol.asyncDispose](): Promise<void>;
}

export type OpenBroker = (
  options: BrokerOptions,
  clock: Clock,
  signal: AbortSignal,
) => Promise<BrokerConnection>;
