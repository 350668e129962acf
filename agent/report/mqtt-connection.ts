import mqtt, { type IClientOptions, type MqttClient, type IClientPublishOptions } from 'mqtt';
import { DockError } from '../../protocol/errors.ts';
import { withDeadline, type Clock } from '../../dock/clock.ts';

export interface MqttOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly will: { readonly topic: string; readonly payload: string };
}

const connectTimeoutMs = 15_000;
const acknowledgeTimeoutMs = 20_000;
const keepaliveSeconds = 30;

/**
 * One MQTT connection, used once. The library's own reconnection, queueing and stores are switched off: after a
 * reconnection one message that is never acknowledged blocks all others for good, its default packet ids collide
 * when many wait, and nothing ever times out (mqtt 5.16). Whoever wants to go on after a fault connects afresh.
 */
export class MqttConnection implements AsyncDisposable {
  readonly protocolVersion: 4 | 5;
  readonly closed: Promise<void>;
  readonly #client: MqttClient;
  readonly #clock: Clock;

  private constructor(client: MqttClient, clock: Clock, protocolVersion: 4 | 5) {
    this.#client = client;
    this.#clock = clock;
    this.protocolVersion = protocolVersion;
    this.closed = new Promise((resolve) => client.once('close', () => resolve()));
  }

  /** MQTT 5, or 3.1.1 where the broker knows no 5. Errors: `broker.unreachable`. */
  static async open(options: MqttOptions, clock: Clock, signal: AbortSignal): Promise<MqttConnection> {
    try {
      return await connect(options, 5, clock, signal);
    } catch (error) {
      if (!(error instanceof UnknownProtocolVersion)) throw error;
      return await connect(options, 4, clock, signal);
    }

    async function connect(
      { url, will, ...rest }: MqttOptions,
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
        messageIdProvider: new mqtt.UniqueMessageIdProvider(),
        will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true },
      };
      const client = mqtt.connect(url, clientOptions);
      const connection = new MqttConnection(client, clock, protocolVersion);
      // The library also emits errors after the connection was given up; they say nothing new.
      client.on('error', () => undefined);
      try {
        await withDeadline(
          clock,
          { ms: connectTimeoutMs, signal, what: 'connecting to the broker' },
          (deadline) => untilConnected(client, deadline),
        );
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

  /** Resolves when the broker acknowledged; after an error the connection is of no more use. */
  async publish(
    topic: string,
    payload: string,
    options: { retain: boolean; signal: AbortSignal },
  ): Promise<void> {
    const publishOptions: IClientPublishOptions = {
      qos: 1,
      retain: options.retain,
      ...(this.protocolVersion === 5 && {
        properties: { contentType: 'application/json', payloadFormatIndicator: true },
      }),
    };
    const limits = { ms: acknowledgeTimeoutMs, signal: options.signal, what: `publishing to ${topic}` };
    await withDeadline(this.#clock, limits, (deadline) => {
      const sent = Promise.withResolvers<void>();
      const onEnd = (): void => sent.reject(deadline.reason ?? new DockError('broker.unreachable', 'closed'));
      deadline.addEventListener('abort', onEnd, { once: true });
      this.#client.once('close', onEnd);
      this.#client.publish(topic, payload, publishOptions, (error) =>
        error
          ? sent.reject(new DockError('broker.unreachable', error.message, { cause: error }))
          : sent.resolve(),
      );
      return sent.promise.finally(() => this.#client.off('close', onEnd));
    });
  }

  /** Closes in order: the broker does not send the will. */
  async [Symbol.asyncDispose](): Promise<void> {
    // end() without force never returns while a message is not acknowledged.
    await new Promise<void>((resolve) => {
      this.#client.end(true, () => resolve());
    });
  }
}

class UnknownProtocolVersion extends Error {}

/** CONNACK: "unacceptable protocol version" of 3.1.1 and its successor in 5. */
const unknownVersionCodes = [1, 0x84];

function untilConnected(client: MqttClient, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    client.once('connect', () => resolve());
    client.once('error', (error) => {
      const code = (error as { code?: unknown }).code;
      const isVersion = typeof code === 'number' && unknownVersionCodes.includes(code);
      reject(isVersion ? new UnknownProtocolVersion() : error);
    });
    client.once('close', () => reject(new Error('the broker closed the connection')));
    client.connect();
  });
}
