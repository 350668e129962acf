import mqtt, { type MqttClient } from 'mqtt';
import { expect } from 'vitest';
import { eventEnvelope, type EventEnvelope } from '../../protocol/mqtt/events.ts';
import type { Mosquitto } from './mosquitto.ts';

interface Heard {
  readonly topic: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** The control room: a client with a session that the broker keeps, so that it misses nothing the broker has. */
export class Consumer implements AsyncDisposable {
  /** In the order of their arrival. */
  readonly events: EventEnvelope[] = [];
  /** The rest, also in that order; an empty body for what was cleared. */
  readonly others: Heard[] = [];
  readonly client: MqttClient;

  private constructor(client: MqttClient) {
    this.client = client;
    client.on('error', () => undefined);
    client.on('message', (topic, payload) => {
      const body = JSON.parse(payload.toString() || '{}') as Heard['body'];
      if (topic.includes('/event/')) this.events.push(eventEnvelope.parse(body));
      else this.others.push({ topic, body });
    });
  }

  static async of(broker: Mosquitto): Promise<Consumer> {
    const client = await mqtt.connectAsync(broker.url, {
      ...broker.credentials('control-room'),
      clientId: 'control-room',
      clean: false,
      protocolVersion: 4,
      reconnectPeriod: 100,
    });
    const consumer = new Consumer(client);
    await client.subscribeAsync('dock/v1/#', { qos: 1 });
    return consumer;
  }

  /** What came on topics that end so, oldest first. */
  on(ending: string): Heard['body'][] {
    return this.others.filter(({ topic }) => topic.endsWith(ending)).map(({ body }) => body);
  }

  /** Sequence numbers up to `last` that did not come. */
  missing(last: number): number[] {
    const heard = new Set(this.events.map(({ seq }) => seq));
    return Array.from({ length: last }, (_, index) => index + 1).filter((seq) => !heard.has(seq));
  }

  /** Every event up to `last` is here, each for the first time in its place; what came again is the same event. */
  expectWhole(last: number): void {
    const ids = new Map<number, string>();
    let lastSeq = 0;
    for (const { id, seq, previousSeq } of this.events) {
      expect(ids.get(seq) ?? id, `the id of ${seq}`).toBe(id);
      if (!ids.has(seq)) expect(previousSeq, `what is before ${seq}`).toBe(lastSeq);
      ids.set(seq, id);
      lastSeq = Math.max(lastSeq, seq);
    }
    expect(lastSeq).toBe(last);
  }

  /** Messages that came more than once. */
  get duplicates(): number {
    return this.events.length - new Set(this.events.map(({ id }) => id)).size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.endAsync(true);
  }
}
