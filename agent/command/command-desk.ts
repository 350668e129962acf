import { asDockError, DockError } from '../../protocol/errors.ts';
import {
  commandRequest,
  commands,
  isCommandName,
  type CommandArgs,
  type CommandName,
  type CommandRequest,
  type CommandResponse,
} from '../../protocol/mqtt/commands.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { Clock } from '../../dock/clock.ts';
import type { StationClockCheck, StationClockState } from '../clock/station-clock.ts';
import type { Log } from '../log.ts';
import type { BrokerMessage } from '../report/broker-connection.ts';
import type { Outbox } from '../report/outbox.ts';
import { Progress } from '../service/progress.ts';
import type { Database } from '../state/database.ts';
import { CommandAnswers } from './command-answers.ts';
import { TokenBucket } from './token-bucket.ts';

/** What each command does; its result is the `data` of the answer. */
export type CommandEffects = {
  readonly [N in CommandName]: (args: CommandArgs<N>, by: string) => object | Promise<object>;
};

export interface CommandDeskParts {
  readonly clock: Clock;
  readonly db: Database;
  readonly outbox: Outbox;
  readonly log: Log;
  readonly topics: StationTopics;
  readonly checkStationClock: StationClockCheck;
  readonly enabled: readonly CommandName[];
  readonly boot: number;
}

/** An answer on its way to the broker. */
export interface OutgoingAnswer {
  readonly topics: readonly string[];
  readonly payload: string;
  readonly correlationData?: Uint8Array;
}

/** What a consumer needs to take over what waits: done also where nothing more may be recorded, and no event then. */
const drains: ReadonlySet<string> = new Set<CommandName>(['acknowledge', 'replay']);

type Answer = Pick<CommandResponse, 'status' | 'error' | 'data'>;

/** What came in, as long as nobody had time for it. */
interface Waiting extends Pick<BrokerMessage, 'isRetained' | 'responseTopic' | 'correlationData'> {
  readonly name: string;
  /** Undefined where it was too large. */
  readonly text: string | undefined;
}

const mostWaiting = 100;
const mostAnswers = 200;
const burst = 20;
const perSecond = 2;
const effectTimeoutMs = 20_000;
const longestStepMs = 5 * 60_000;
/** Sender and station may differ by so much. */
const clocksDifferMs = 60_000;
const clockCheckedForMs = 30_000;
const mostCorrelationBytes = 256;
/** Of one sender's receipts, and of what cannot be read, one an hour is an event: each would be waiting for a receipt. */
const toldEveryMs = 3_600_000;
const mostTold = 100;

/**
 * Takes what comes in on `cmd/{name}`, one at a time, and answers each on `rsp/{name}`. A request is done once: one with
 * an id that was answered gets that answer again, also after a restart. Who may ask is decided by the broker; what, by
 * the configuration.
 */
export class CommandDesk {
  readonly progress: Progress;
  readonly #parts: CommandDeskParts;
  readonly #kept: CommandAnswers;
  readonly #tokens: TokenBucket;
  readonly #waiting: Waiting[] = [];
  readonly #outgoing: OutgoingAnswer[] = [];
  readonly #listeners = new Set<() => void>();
  #dropped = 0;
  #answered = 0;
  /** When this was last an event. */
  readonly #told = new Map<string, number>();
  #wake = Promise.withResolvers<void>();
  #clockState: { readonly state: StationClockState; readonly checkedMs: number } | undefined;

  constructor(parts: CommandDeskParts) {
    this.#parts = parts;
    this.#kept = new CommandAnswers(parts.db);
    this.#tokens = new TokenBucket(parts.clock, { burst, perSecond });
    this.progress = new Progress('commands', parts.clock);
  }

  /** What to subscribe to. */
  get filter(): string {
    return this.#parts.topics.command('+');
  }

  /** Only enqueues; what is no command is not taken. A flood is dropped here. */
  take({ topic, payload, ...rest }: BrokerMessage): void {
    const prefix = this.#parts.topics.command('');
    // An empty retained one only clears.
    if (!topic.startsWith(prefix) || payload.length === 0) return;
    if (this.#waiting.length >= mostWaiting) {
      this.#dropped++;
      return;
    }
    const text = payload.length > maxPayloadBytes ? undefined : Buffer.from(payload).toString('utf8');
    this.#waiting.push({ ...rest, name: topic.slice(prefix.length), text });
    this.#wake.resolve();
  }

  /** Calls `listener` when there is an answer to bring out; it must only enqueue. */
  onAnswer(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The oldest answer that is not sent yet. */
  nextAnswer(): OutgoingAnswer | undefined {
    return this.#outgoing[0];
  }

  sent(answer: OutgoingAnswer): void {
    if (this.#outgoing[0] === answer) this.#outgoing.shift();
  }

  /** Resolves when `signal` aborts; never rejects. */
  async run(effects: CommandEffects, signal: AbortSignal): Promise<void> {
    const { log } = this.#parts;
    const wake = (): void => this.#wake.resolve();
    signal.addEventListener('abort', wake, { once: true });
    while (!signal.aborted) {
      const waiting = this.#waiting.shift();
      if (!waiting) {
        if (this.#dropped > 0) log.warn('commands-dropped', { count: this.#dropped });
        this.#dropped = 0;
        this.#wake = Promise.withResolvers();
        this.progress.within(Infinity);
        await this.#wake.promise;
        continue;
      }
      this.progress.within(longestStepMs);
      try {
        await this.#serve(waiting, effects);
      } catch (error) {
        log.error('command-failed', { command: waiting.name.slice(0, 100), error });
      }
    }
  }

  async #serve(waiting: Waiting, effects: CommandEffects): Promise<void> {
    const { name, text } = waiting;
    const command = shortName(name);
    let id = '';
    let by = '';
    try {
      const isTooFast = !this.#tokens.take();
      const body = readBody(text);
      id = textOf(body, 'id', 64);
      by = textOf(body, 'by', 128);
      if (isTooFast) throw new DockError('command.too-many');
      if (waiting.isRetained) throw new DockError('command.malformed', 'a command must not be retained');
      const request = commandRequest.safeParse(body);
      if (!request.success) throw malformed(request.error);
      const known = this.#kept.find(command, request.data);
      if (known !== undefined) this.#send(waiting, known);
      else await this.#perform(waiting, request.data, effects);
    } catch (error) {
      const { code } = asDockError(error);
      this.#send(waiting, this.#response({ id, command, ...failure(error) }));
      if (this.#isNews(code))
        this.#parts.outbox.record('command-received', { command, id, by, status: 'error', code });
    }
  }

  /** Of what comes as often as its sender likes. An outbox that must be drained takes none. */
  #isNews(what: string): boolean {
    const now = this.#parts.clock.monotonic();
    if (now - (this.#told.get(what) ?? -Infinity) < toldEveryMs || this.#isOverfull()) return false;
    if (this.#told.size >= mostTold) this.#told.clear();
    this.#told.set(what, now);
    return true;
  }

  #isOverfull(): boolean {
    return this.#parts.outbox.backlog() === 'overfull';
  }

  async #perform(waiting: Waiting, request: CommandRequest, effects: CommandEffects): Promise<void> {
    const { db, outbox, clock } = this.#parts;
    const { id, by } = request;
    const command = shortName(waiting.name);
    // A request is an event, and those are kept: whoever asks cannot fill the station.
    if (this.#isOverfull() && !drains.has(command)) throw new DockError('report.full');
    let answer = await this.#effect(waiting.name, request, effects).catch(failure);
    let response = this.#response({ id, command, ...answer });
    if (Buffer.byteLength(response) > maxPayloadBytes) {
      answer = failure(new DockError('command.unsupported', 'the answer is too large for one message'));
      response = this.#response({ id, command, ...answer });
    }
    db.transaction(() => {
      const { status, error } = answer;
      const isEvent = command === 'acknowledge' ? this.#isNews(`${command} ${by}`) : !this.#isOverfull();
      if (isEvent)
        outbox.record('command-received', { command, id, by, status, ...(error && { code: error.code }) });
      this.#kept.keep({ id, command, by, at: Math.floor(clock.now()), response });
    });
    this.#send(waiting, response);
  }

  async #effect(name: string, request: CommandRequest, effects: CommandEffects): Promise<Answer> {
    if (!isCommandName(name)) throw new DockError('command.unknown', name.slice(0, 100));
    if (!this.#parts.enabled.includes(name)) throw new DockError('command.disabled', name);
    await this.#expectTimely(name, request);
    const args = commands[name].args.safeParse(request.args);
    if (!args.success) throw malformed(args.error);
    const effect = Promise.try(effects[name] as (args: unknown, by: string) => object, args.data, request.by);
    return { status: 'ok', data: { ...(await this.#inTime(effect)) } };
  }

  /**
   * A clean session keeps no request for a station that is away, so that one is old only by what a connection may hold
   * back. Where the clock of the station cannot tell, what has no lasting effect is done.
   */
  async #expectTimely(name: CommandName, { ts, expiresSeconds }: CommandRequest): Promise<void> {
    const { isTrusted, evidence } = await this.#stationClock();
    if (!isTrusted) {
      if (commands[name].isLasting) throw new DockError('command.clock-untrusted', evidence);
      return;
    }
    const ageMs = this.#parts.clock.now() - Date.parse(ts);
    if (ageMs > expiresSeconds * 1000 || ageMs < -clocksDifferMs) {
      throw new DockError('command.expired', `it says it is ${(ageMs / 1000).toFixed(1)} s old`);
    }
  }

  /** Asking the machine starts a process. */
  async #stationClock(): Promise<StationClockState> {
    const { clock, checkStationClock } = this.#parts;
    const checkedMs = clock.monotonic();
    if (!this.#clockState || checkedMs - this.#clockState.checkedMs > clockCheckedForMs)
      this.#clockState = { state: await checkStationClock(), checkedMs };
    return this.#clockState.state;
  }

  async #inTime<T>(effect: Promise<T>): Promise<T> {
    const ended = new AbortController();
    const late = this.#parts.clock.sleep(effectTimeoutMs, ended.signal).then(() => {
      throw new DockError('command.timeout');
    });
    late.catch(() => undefined);
    return await Promise.race([effect, late]).finally(() => ended.abort());
  }

  #response(answer: Omit<CommandResponse, 'v' | 'ts' | 'seq'>): string {
    const { clock, boot } = this.#parts;
    // Grows also over a restart, without a write for each.
    const seq = boot * 2 ** 24 + this.#answered++;
    const response: CommandResponse = { v: 1, ts: new Date(clock.now()).toISOString(), seq, ...answer };
    return JSON.stringify(response);
  }

  #send({ name, responseTopic, correlationData }: Waiting, payload: string): void {
    const { topics } = this.#parts;
    if (this.#outgoing.length >= mostAnswers) {
      this.#dropped++;
      return;
    }
    const own = topics.response(/^[a-z-]{1,64}$/.test(name) ? name : 'unknown');
    // Another topic than an answer's would let a sender speak in the name of the station.
    const isOther =
      responseTopic !== undefined &&
      responseTopic !== own &&
      responseTopic.length <= 256 &&
      responseTopic.startsWith(topics.response('')) &&
      !/[+#\p{C}]/u.test(responseTopic);
    const isCorrelated = correlationData !== undefined && correlationData.length <= mostCorrelationBytes;
    this.#outgoing.push({
      topics: isOther ? [own, responseTopic] : [own],
      payload,
      ...(isCorrelated && { correlationData }),
    });
    for (const listener of this.#listeners) listener();
  }
}

function readBody(text: string | undefined): unknown {
  if (text === undefined) throw new DockError('command.malformed', `more than ${maxPayloadBytes} bytes`);
  try {
    return JSON.parse(text, wellFormed);
  } catch (cause) {
    throw new DockError('command.malformed', 'not JSON', { cause });
  }
}

/** Half a character would come back from the database as another one. */
function wellFormed(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.toWellFormed() : value;
}

function shortName(name: string): string {
  return name.slice(0, 64).toWellFormed();
}

/** What can be repeated of a request, whatever else is wrong with it. */
function textOf(body: unknown, key: 'id' | 'by', longest: number): string {
  const text = typeof body === 'object' && body !== null ? (body as Record<string, unknown>)[key] : undefined;
  return typeof text === 'string' ? text.slice(0, longest).toWellFormed() : '';
}

function malformed({ issues }: { issues: readonly { path: PropertyKey[]; message: string }[] }): DockError {
  const [issue] = issues;
  return new DockError(
    'command.malformed',
    `${issue?.path.join('.')} ${issue?.message}`.trim().slice(0, 500),
  );
}

function failure(thrown: unknown): Answer {
  const { code, message, nextStep } = asDockError(thrown);
  return { status: 'error', error: { code, message: message.slice(0, 2000), nextStep } };
}
