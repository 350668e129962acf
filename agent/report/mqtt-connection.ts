import mqtt, {
  type IClientOptions,
  type IClientPublishOptions,
  type IConnackPacket,
  type MqttClient,
} from 'mqtt';
import { DockError } from '../../protocol/errors.ts';
import { withDeadline, type Clock } from '../../dock/clock.ts';
import './mqtt-packet-memory.ts';

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
  /** How each publication that is not acknowledged yet can be failed. */
  readonly #unanswered = new Set<(reason: DockError) => void>();
  #isClosed = false;
  #receiveMaximum = 65_535;

  private constructor(client: MqttClient, clock: Clock, protocolVersion: 4 | 5) {
    this.#client = client;
    this.#clock = clock;
    this.protocolVersion = protocolVersion;
    this.closed = new Promise((resolve) => {
      client.once('close', () => {
        this.#isClosed = true;
        for (const fail of this.#unanswered) fail(closed());
        resolve();
      });
    });
  }

  /** How many messages the broker takes at a time before it has acknowledged any. */
  get receiveMaximum(): number {
    return this.#receiveMaximum;
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
    // The library would queue the message for a reconnection that never comes.
    if (this.#isClosed) throw closed();
    const limits = { ms: acknowledgeTimeoutMs, signal: options.signal, what: `publishing to ${topic}` };
    await withDeadline(this.#clock, limits, async (deadline) => {
      const sent = Promise.withResolvers<void>();
      deadline.addEventListener('abort', () => sent.reject(deadline.reason), { once: true });
      this.#unanswered.add(sent.reject);
      this.#client.publish(topic, payload, publishOptions, (error) =>
        error
          ? sent.reject(new DockError('broker.unreachable', error.message, { cause: error }))
          : sent.resolve(),
      );
      await sent.promise.finally(() => this.#unanswered.delete(sent.reject));
    });
  }

  /** Says goodbye, so that the broker does not send the will. To be called when all is acknowledged. */
  async disconnect(signal: AbortSignal): Promise<void> {
    const limits = { ms: acknowledgeTimeoutMs, signal, what: 'leaving the broker' };
    await withDeadline(this.#clock, limits, async (deadline) => {
      const left = Promise.withResolvers<void>();
      deadline.addEventListener('abort', () => left.reject(deadline.reason), { once: true });
      this.#client.end(false, () => left.resolve());
      await left.promise;
    });
  }

  /** Hangs up: without `disconnect` before, the broker sends the will. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.stream.destroy();
    // end() without force never returns while a message is not acknowledged.
    await new Promise<void>((resolve) => {
      this.#client.end(true, () => resolve());
    });
  }
}

function closed(): DockError {
  return new DockError('broker.unreachable', 'the connection is closed');
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
