import mqtt, { type MqttClient } from 'mqtt';
import { systemClock } from '../../dock/host/system-clock.ts';

export interface Received {
  readonly topic: string;
  readonly isRetained: boolean;
  readonly body: Record<string, unknown>;
}

/** Central monitoring: an ordinary MQTT client that hears everything of the station. */
export class Monitor implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #client: MqttClient;

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload, { retain }) => {
      // An empty payload clears a retained one.
      const body = (payload.length === 0 ? {} : JSON.parse(payload.toString())) as Received['body'];
      this.received.push({ topic, isRetained: retain, body });
    });
  }

  static async on(url: string): Promise<Monitor> {
    const monitor = new Monitor(await mqtt.connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0 }));
    await monitor.#client.subscribeAsync('dock/v1/#', { qos: 1 });
    return monitor;
  }

  /** What came on topics that end so, oldest first. */
  on(ending: string): Received[] {
    return this.received.filter(({ topic }) => topic.endsWith(ending));
  }

  events(): Received[] {
    return this.received.filter(({ topic }) => topic.includes('/event/'));
  }

  async until<T>(what: string, look: () => T | undefined | false, withinMs = 50_000): Promise<T> {
    return await until(what, look, withinMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }
}

/** Looks every 10 ms until `look` gives something. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false,
  withinMs = 50_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms`);
    await systemClock.sleep(10);
  }
}
