import { CommandDesk, type CommandEffects, type OutgoingAnswer } from '../../agent/command/command-desk.ts';
import type { BrokerMessage } from '../../agent/report/broker-connection.ts';
import { usualLimits, type OutboxLimits } from '../../agent/report/outbox-limits.ts';
import { Outbox } from '../../agent/report/outbox.ts';
import type { StoredEvent } from '../../agent/report/stored-event.ts';
import { Database } from '../../agent/state/database.ts';
import { systemClock, systemRandom } from '../../dock/host/system-clock.ts';
import { commandResponse, commands, type CommandName } from '../../protocol/mqtt/commands.ts';
import { stationTopics } from '../../protocol/mqtt/topics.ts';

export interface QuickDeskOptions {
  /** What every command does besides being counted. */
  readonly effect?: (count: number) => object | Promise<object>;
  readonly limits?: Partial<OutboxLimits>;
  readonly db?: Database;
  readonly now?: () => number;
}

/** A command desk on a real database whose effects only count, with a clock on which the next request is never too soon. */
export class QuickDesk implements AsyncDisposable {
  readonly db: Database;
  readonly topics = stationTopics({ department: 'd', post: 'p', station: 's' });
  /** How often each command was done, by who asked. */
  readonly done: { readonly name: string; readonly by: string }[] = [];
  readonly outbox: Outbox;
  #run: { desk: CommandDesk; stopping: AbortController; ended: Promise<void> } | undefined;
  #boot = 0;
  #monotonicMs = 0;
  readonly #effect: (count: number) => object | Promise<object>;
  readonly #now: () => number;

  constructor({
    effect = (count) => ({ count }),
    limits = {},
    db = new Database(':memory:'),
    now = () => systemClock.now(),
  }: QuickDeskOptions = {}) {
    this.#effect = effect;
    this.#now = now;
    this.db = db;
    this.outbox = new Outbox(db, systemClock, systemRandom, { ...usualLimits, ...limits });
    this.#start();
  }

  /** The desk of the next run of the agent, on the same database. */
  async restart(): Promise<void> {
    await this.#stop();
    this.#start();
  }

  /** Well formed, sent now. */
  request(id: string, other: object = {}): Buffer {
    return Buffer.from(
      JSON.stringify({ v: 1, id, ts: new Date(this.#now()).toISOString(), by: 'x', ...other }),
    );
  }

  /** What was answered and why, in short: `ok`, or the code of the error. */
  async outcome(name: CommandName, payload: Uint8Array): Promise<string> {
    const { status, error } = commandResponse.parse(JSON.parse((await this.answer(name, payload)).payload));
    return error?.code ?? status;
  }

  /** The one answer to a message. */
  async answer(
    name: string,
    payload: Uint8Array,
    properties: Pick<BrokerMessage, 'responseTopic' | 'correlationData'> = {},
  ): Promise<OutgoingAnswer> {
    const [answer, second] = await this.answers(name, [payload], properties);
    if (!answer || second) throw new Error('not one answer');
    return answer;
  }

  /** The answers to messages that come at once. */
  async answers(
    name: string,
    payloads: readonly Uint8Array[],
    properties: Pick<BrokerMessage, 'responseTopic' | 'correlationData'> = {},
  ): Promise<OutgoingAnswer[]> {
    const desk = this.#run?.desk;
    if (!desk) throw new Error('the desk is closed');
    const { promise, resolve } = Promise.withResolvers<void>();
    let left = payloads.length;
    const stopListening = desk.onAnswer(() => --left === 0 && resolve());
    for (const payload of payloads)
      desk.take({ topic: this.topics.command(name), payload, isRetained: false, ...properties });
    await promise;
    stopListening();
    const answers: OutgoingAnswer[] = [];
    for (let answer = desk.nextAnswer(); answer; answer = desk.nextAnswer()) {
      answers.push(answer);
      desk.sent(answer);
    }
    return answers;
  }

  /** What the outbox tells of requests. */
  told(): StoredEvent['data'][] {
    const events = this.outbox.after(0, 100_000).filter(({ type }) => type === 'command-received');
    return events.map(({ data }) => data);
  }

  #start(): void {
    const clock = {
      now: this.#now,
      // A step of a second for each look at it; what would be waited for is over at once.
      sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(50, signal),
      monotonic: () => (this.#monotonicMs += 1000),
    };
    const desk = new CommandDesk({
      clock,
      db: this.db,
      outbox: this.outbox,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      topics: this.topics,
      checkStationClock: async () => ({ isTrusted: true, evidence: '' }),
      enabled: Object.keys(commands) as CommandName[],
      boot: ++this.#boot,
    });
    const effect = (name: string) => (_: unknown, by: string) => {
      this.done.push({ name, by });
      return this.#effect(this.done.length);
    };
    const effects = Object.fromEntries(Object.keys(commands).map((name) => [name, effect(name)]));
    const stopping = new AbortController();
    this.#run = { desk, stopping, ended: desk.run(effects as unknown as CommandEffects, stopping.signal) };
  }

  async #stop(): Promise<void> {
    this.#run?.stopping.abort();
    await this.#run?.ended;
    this.#run = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stop();
    this.db[Symbol.dispose]();
  }
}
