import mqtt, {
  type IClientOptions,
  type IClientPublishOptions,
  type IConnackPacket,
  type ISubscriptionGrant,
  type MqttClient,
} from 'mqtt';
import { DockError } from '../../protocol/errors.ts';
import { withDeadline, type Clock } from '../../dock/clock.ts';
import {
  acknowledgeTimeoutMs,
  connectTimeoutMs,
  type BrokerConnection,
  type BrokerOptions,
  type PublishOptions,
  type SubscribeOptions,
} from './broker-connection.ts';
import { MessageIds } from './message-ids.ts';
import './mqtt-packet-memory.ts';
import { Unanswered } from './unanswered.ts';

const keepaliveSeconds = 30;
/** The contract has no payload above 64 KiB; a topic and properties come on top. */
const maximumPacketSize = 128 * 1024;

/**
 * One MQTT connection, used once. The library's own reconnection, queueing and stores are switched off: after a
 * reconnection one message that is never acknowledged blocks all others for good, its default packet ids collide
 * when many wait, and nothing ever times out (mqtt 5.16). Whoever wants to go on after a fault connects afresh.
 */
export class MqttConnection implements BrokerConnection {
  readonly protocolVersion: 4 | 5;
  readonly closed: Promise<void>;
  readonly #client: MqttClient;
  readonly #clock: Clock;
  readonly #unanswered: Unanswered;
  #receiveMaximum = 65_535;

  private constructor(client: MqttClient, clock: Clock, protocolVersion: 4 | 5) {
    this.#client = client;
    this.#clock = clock;
    this.protocolVersion = protocolVersion;
    this.#unanswered = new Unanswered(clock, acknowledgeTimeoutMs);
    this.closed = new Promise((resolve) => {
      let reason = new DockError('broker.unreachable', 'the connection is closed');
      // Some brokers hang up at what is forbidden instead of refusing it.
      client.once('disconnect', ({ reasonCode }) => {
        if (reasonCode === notAuthorized) reason = new DockError('broker.forbidden', 'the broker hung up');
      });
      client.once('close', () => {
        // The library would queue what comes now for a reconnection that never comes.
        this.#unanswered.end(reason);
        resolve();
      });
    });
  }

  get receiveMaximum(): number {
    return this.#receiveMaximum;
  }

  /** MQTT 5, or 3.1.1 where the broker knows no 5. Errors: `broker.unreachable`. */
  static async open(
    this: void,
    options: BrokerOptions,
    clock: Clock,
    signal: AbortSignal,
  ): Promise<MqttConnection> {
    try {
      return await connect(options, 5, clock, signal);
    } catch (error) {
      if (!(error instanceof UnknownProtocolVersion)) throw error;
      return await connect(options, 4, clock, signal);
    }

    async function connect(
      { url, will, onMessage, ...rest }: BrokerOptions,
      protocolVersion: 4 | 5,
      clock: Clock,
      signal: AbortSignal,
    ): Promise<MqttConnection> {
      const clientOptions: IClientOptions = {
        ...rest,
        protocolVersion,
        clean: true,
        keepalive: keepaliveSeconds,
        reconnectPeriod: 0,
        manualConnect: true,
        queueQoSZero: false,
        resubscribe: false,
        messageIdProvider: new MessageIds(),
        ...(protocolVersion === 5 && { properties: { maximumPacketSize } }),
        ...(will && {
          will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1 as const, retain: true },
        }),
      };
      const client = mqtt.connect(url, clientOptions);
      const connection = new MqttConnection(client, clock, protocolVersion);
      // The library also emits errors after the connection was given up; they say nothing new.
      client.on('error', () => undefined);
      client.on('message', (topic, payload, { retain, properties }) =>
        onMessage?.({
          topic,
          payload,
          isRetained: retain,
          ...(properties?.responseTopic !== undefined && { responseTopic: properties.responseTopic }),
          ...(properties?.correlationData && { correlationData: properties.correlationData }),
        }),
      );
      try {
        const { properties } = await withDeadline(
          clock,
          { ms: connectTimeoutMs, signal, what: 'connecting to the broker' },
          (deadline) => untilConnected(client, deadline),
        );
        connection.#receiveMaximum = properties?.receiveMaximum ?? connection.#receiveMaximum;
        // Nagle's algorithm with delayed acknowledgement costs 40 ms a message.
        (client.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
        return connection;
      } catch (error) {
        client.end(true);
        signal.throwIfAborted();
        if (error instanceof UnknownProtocolVersion) throw error;
        const detail = error instanceof Error ? error.message : String(error);
        throw new DockError('broker.unreachable', detail, { cause: error });
      }
    }
  }

  async publish(
    topic: string,
    payload: string,
    { retain, signal, expirySeconds, correlationData }: PublishOptions,
  ): Promise<void> {
    const publishOptions: IClientPublishOptions = {
      qos: 1,
      retain,
      ...(this.protocolVersion === 5 && {
        properties: {
          contentType: 'application/json',
          payloadFormatIndicator: true,
          ...(expirySeconds !== undefined && { messageExpiryInterval: expirySeconds }),
          ...(correlationData && { correlationData: Buffer.from(correlationData) }),
        },
      }),
    };
    await this.#answered(`publishing to ${topic}`, signal, (done) =>
      this.#client.publish(topic, payload, publishOptions, done),
    );
  }

  async subscribe(
    filters: readonly string[],
    { signal, withoutEcho = false }: SubscribeOptions,
  ): Promise<void> {
    const options = { qos: 1 as const, ...(this.protocolVersion === 5 && { nl: withoutEcho }) };
    const granted = await this.#answered<readonly ISubscriptionGrant[]>(
      `subscribing to ${filters.join(', ')}`,
      signal,
      (done) => this.#client.subscribe([...filters], options, done),
    );
    // The library reports a refusal as a grant of 128.
    const refused = granted.filter(({ qos }) => qos >= 128).map(({ topic }) => topic);
    if (refused.length > 0) throw new DockError('broker.forbidden', `subscribing to ${refused.join(', ')}`);
  }

  /** The library's answer to one request, within the time for an acknowledgement. */
  #answered<T = unknown>(
    what: string,
    signal: AbortSignal,
    send: (done: (error?: Error | null, answer?: T) => void) => void,
  ): Promise<T> {
    return this.#unanswered.ask<T>(what, signal, (resolve, reject) =>
      send((error, answer) => (error ? reject(failure(error)) : resolve(answer as T))),
    );
  }

  async disconnect(signal: AbortSignal): Promise<void> {
    const limits = { ms: acknowledgeTimeoutMs, signal, what: 'leaving the broker' };
    await withDeadline(this.#clock, limits, async (deadline) => {
      const left = Promise.withResolvers<void>();
      deadline.addEventListener('abort', () => left.reject(deadline.reason), { once: true });
      this.#client.end(false, () => left.resolve());
      await left.promise;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.stream.destroy();
    // end() without force never returns while a message is not acknowledged.
    await new Promise<void>((resolve) => {
      this.#client.end(true, () => resolve());
    });
  }
}

/** How MQTT 5 says that the access list of the broker forbids it; 3.1.1 says nothing. */
const notAuthorized = 135;

function failure(error: Error): DockError {
  const isForbidden = (error as { code?: unknown }).code === notAuthorized;
  return new DockError(isForbidden ? 'broker.forbidden' : 'broker.unreachable', error.message, {
    cause: error,
  });
}

class UnknownProtocolVersion extends Error {}

/** CONNACK: "unacceptable protocol version" of 3.1.1 and its successor in 5. */
const unknownVersionCodes = [1, 0x84];

function untilConnected(client: MqttClient, signal: AbortSignal): Promise<IConnackPacket> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    client.once('connect', resolve);
    client.once('error', (error) => {
      const code = (error as { code?: unknown }).code;
      const isVersion = typeof code === 'number' && unknownVersionCodes.includes(code);
      reject(isVersion ? new UnknownProtocolVersion() : error);
    });
    client.once('close', () => reject(new Error('the broker closed the connection')));
    client.connect();
  });
}
