import mqtt, { type MqttClient } from 'mqtt';
import { commandResponse, type CommandName, type CommandResponse } from '../../protocol/mqtt/commands.ts';
import { until } from '../report/monitor.ts';

const base = 'dock/v1/department/post/station';

/** The control room: asks stations over a broker and hears what they answer. */
export class Commander implements AsyncDisposable {
  readonly answers: { readonly topic: string; readonly text: string; readonly body: CommandResponse }[] = [];
  readonly #client: MqttClient;
  #asked = 0;
  #isOnline = false;

  private constructor(client: MqttClient) {
    this.#client = client;
    client.on('message', (topic, payload) => {
      const text = payload.toString();
      if (topic === `${base}/status`) return void (this.#isOnline ||= text.includes('"state":"online"'));
      this.answers.push({ topic, text, body: commandResponse.parse(JSON.parse(text)) });
    });
  }

  /** Returns once the station takes commands. */
  static async on(url: string): Promise<Commander> {
    const commander = new Commander(await mqtt.connectAsync(url, { protocolVersion: 4, reconnectPeriod: 0 }));
    await commander.#client.subscribeAsync([`${base}/status`, `${base}/rsp/+`], { qos: 1 });
    await until('the station', () => commander.#isOnline);
    return commander;
  }

  nextId(): string {
    return `request-${++this.#asked}`;
  }

  /** Sends whatever it is given. */
  async send(name: string, payload: string | Buffer, { retain = false } = {}): Promise<void> {
    await this.#client.publishAsync(`${base}/cmd/${name}`, payload, { qos: 1, retain });
  }

  /** One request and the next answer to its id. */
  async ask(name: CommandName | 'nonsense', args: object = {}, other: object = {}): Promise<CommandResponse> {
    const request = {
      v: 1,
      id: this.nextId(),
      ts: new Date().toISOString(),
      by: 'control-room',
      args,
      ...other,
    };
    const before = this.answers.length;
    await this.send(name, JSON.stringify(request));
    return await this.answerTo(request.id, before);
  }

  async answerTo(id: string, after = 0): Promise<CommandResponse> {
    return await until(
      `the answer to ${id}`,
      () => this.answers.slice(after).find(({ body }) => body.id === id)?.body,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true);
  }
}
