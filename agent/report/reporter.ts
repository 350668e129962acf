import { hasCode } from '../../protocol/errors.ts';
import { channels, type Channel } from '../../protocol/mqtt/channels.ts';
import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { StatusMessage } from '../../protocol/mqtt/documents.ts';
import { maxPayloadBytes } from '../../protocol/mqtt/head.ts';
import type { Clock, RandomSource } from '../../dock/clock.ts';
import type { Log } from '../log.ts';
import { Progress } from '../service/progress.ts';
import { GrowingNumbers } from '../state/counters.ts';
import type { Database } from '../state/database.ts';
import type { AssignmentInbox } from '../enrolment/assignment-inbox.ts';
import type { CommandDesk } from '../command/command-desk.ts';
import type { BrokerConnection, BrokerMessage, BrokerOptions, OpenBroker } from './broker-connection.ts';
import type { HealthProblem } from '../health/assess.ts';
import { expectUsable, type BrokerCredentials } from './broker-credentials.ts';
import { EventPump } from './event-pump.ts';
import type { Outbox } from './outbox.ts';
import { OwnIdentity } from './own-identity.ts';
import { Replay, type ReplayRange } from './replay.ts';
import type { StateDocuments } from './state-documents.ts';

export interface ReporterParts {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly db: Database;
  readonly outbox: Outbox;
  readonly documents: StateDocuments;
  readonly log: Log;
  readonly topics: StationTopics;
  /** Who answers what comes in; nobody listens without it. */
  readonly commands?: Pick<CommandDesk, 'filter' | 'take' | 'onAnswer' | 'nextAnswer' | 'sent'>;
  /** Who takes the assignments that the broker keeps; undefined where nobody could check them. */
  readonly assignmentInbox?: Pick<AssignmentInbox, 'filter' | 'take'> | undefined;
  readonly broker: Omit<BrokerOptions, 'will'>;
  /** Read afresh for each connection, and looked at meanwhile: they are renewed while the station runs. */
  readonly credentials?: () => BrokerCredentials;
  readonly openBroker: OpenBroker;
  readonly boot: number;
  readonly version: string;
  /** Messages in flight at most; a broker that takes less says so. */
  readonly windowSize?: number;
}

const shortestBackOffMs = 1000;
const longestBackOffMs = 60_000;
/** State documents leave on change, but at most so often. */
const stateIntervalMs = 500;
/** A connection that lasted so long was a good one: the next failure is a new one. */
const steadyAfterMs = 60_000;
/** Saturates a broker. */
const usualWindowSize = 10;
const drainMs = 3000;
/** Beyond the time to drain: so that whatever waits, the last word is said. */
const farewellMs = 1000;
const credentialsCheckMs = 30_000;
/** Connecting and publishing have deadlines of their own that are shorter. */
const longestStepMs = 5 * 60_000;

/**
 * Keeps one connection to the broker, afresh after every fault, and brings out what the outbox and the state
 * documents hold. An event counts as delivered only when the broker acknowledged it.
 */
export class Reporter {
  readonly progress: Progress;
  readonly #parts: ReporterParts;
  readonly #instance: string;
  readonly #identity: OwnIdentity;
  readonly #replay: Replay;
  readonly #sessions: GrowingNumbers;
  #connections = 0;
  #isStopping = false;
  #wake = Promise.withResolvers<void>();
  #state: { isConnected: boolean; protocolVersion?: 4 | 5; problem?: string } = { isConnected: false };

  constructor(parts: ReporterParts) {
    this.#parts = parts;
    this.#instance = Buffer.from(parts.random.bytes(8)).toString('hex');
    this.#identity = new OwnIdentity(this.#instance, parts.topics, parts.clock);
    this.#replay = new Replay(parts.outbox);
    this.#sessions = new GrowingNumbers(parts.db, 'mqtt-session');
    this.progress = new Progress('reporter', parts.clock);
  }

  /** What of the broker a person has to look at. */
  problems(): HealthProblem[] {
    return this.#identity.problems();
  }

  /** Sends kept events once more, in order and marked historical; a newer request takes the place of an older. */
  replay(request: { fromSeq: number; limit?: number | undefined }): ReplayRange {
    const range = this.#replay.ask(request);
    this.#wake.resolve();
    return range;
  }

  /** The stop begins: monitoring hears it first. */
  stopping(): void {
    this.#isStopping = true;
    this.#wake.resolve();
  }

  get state(): Readonly<{ isConnected: boolean; protocolVersion?: 4 | 5; problem?: string }> {
    return this.#state;
  }

  /** Resolves when `signal` aborts, after a last `offline`; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, outbox, documents, commands } = this.#parts;
    using draining = this.#draining(signal, drainMs);
    using leaving = this.#draining(signal, drainMs + farewellMs);
    const wake = (): void => this.#wake.resolve();
    const stopListening = [outbox.onRecorded(wake), documents.onChange(wake), commands?.onAnswer(wake)];
    signal.addEventListener('abort', wake, { once: true });
    for (let failures = 0; !signal.aborted;) {
      this.progress.within(longestStepMs);
      const since = clock.monotonic();
      try {
        await this.#connection(signal, { draining: draining.signal, leaving: leaving.signal });
        continue;
      } catch (error) {
        if (signal.aborted) break;
        const problem = error instanceof Error ? error.message : String(error);
        if (problem !== this.#state.problem) log.warn('broker-lost', { error });
        this.#state = { isConnected: false, problem };
      } finally {
        this.#identity.ended();
      }
      failures = clock.monotonic() - since >= steadyAfterMs ? 1 : failures + 1;
      const backOffMs = this.#backOffMs(failures);
      this.progress.within(backOffMs + longestStepMs);
      await clock.sleep(backOffMs, signal).catch(() => undefined);
    }
    for (const stop of stopListening) stop?.();
  }

  /** Exponential with full jitter, so that the stations of a country do not come back in step. */
  #backOffMs(failures: number): number {
    const ceiling = Math.min(longestBackOffMs, shortestBackOffMs * 2 ** Math.min(failures - 1, 10));
    const draw = this.#parts.random.bytes(2);
    return (ceiling * (1 + (draw[0] ?? 0) + 256 * (draw[1] ?? 0))) / 65_536;
  }

  /** One connection for as long as it lasts; returns after `signal` aborted, or to go on with new credentials. */
  async #connection(
    signal: AbortSignal,
    { draining, leaving }: { draining: AbortSignal; leaving: AbortSignal },
  ): Promise<void> {
    const { broker, openBroker, topics, clock, log, documents, outbox, commands, assignmentInbox } =
      this.#parts;
    const session = this.#sessions.next();
    const reason = this.#connections++ === 0 ? 'start' : 'reconnect';
    const will = { topic: topics.status, payload: this.#status('lost', 'connection-lost', session) };
    const credentials = this.#parts.credentials?.();
    const hear = this.#identity.beginConnection(session);
    const onMessage = (message: BrokerMessage): void => {
      hear(message);
      commands?.take(message);
      assignmentInbox?.take(message);
      documents.hear(message);
    };
    await using connection = await openBroker({ ...broker, ...credentials, onMessage, will }, clock, signal);
    this.#state = { isConnected: true, protocolVersion: connection.protocolVersion };
    log.info('broker-connected', { session, protocolVersion: connection.protocolVersion });
    this.#identity.connected();
    let isLost = false;
    void connection.closed.then(() => {
      isLost = true;
      this.#wake.resolve();
    });
    let told: StatusMessage['state'] | undefined;
    const tell = async (state: StatusMessage['state'], because: StatusMessage['reason']): Promise<void> => {
      told = state;
      const { isRetained: retain } = channels.status;
      const payload = this.#status(state, because, session);
      await connection.publish(topics.status, payload, { retain, signal: leaving });
      this.#identity.published();
    };
    const tellStopping = async (): Promise<void> => {
      if (this.#isStopping && told !== 'stopping')
        await this.#orForbidden(() => tell('stopping', 'shutdown'));
    };
    // Before it says anything: what the broker holds then is of an earlier run, or of a twin.
    const filters = [topics.status, commands?.filter, assignmentInbox?.filter];
    for (const filter of filters.filter((one) => one !== undefined))
      await this.#orForbidden(() => connection.subscribe([filter], { signal: draining }), filter);
    await connection
      .subscribe(documents.filters, { signal: draining, withoutEcho: true })
      // What stands there from before a loss of the database stays there then.
      .catch((error: unknown) => {
        if (!hasCode(error, 'broker.forbidden')) throw error;
      });
    if (!this.#isStopping) await this.#orForbidden(() => tell('online', reason));
    // The broker may know nothing.
    documents.forgetPublished(connection.protocolVersion);
    const windowSize = Math.min(this.#parts.windowSize ?? usualWindowSize, connection.receiveMaximum);
    const publish = (topic: string, payload: string, stop: AbortSignal): Promise<boolean> =>
      this.#orForbidden(
        () => connection.publish(topic, payload, { retain: channels.event.isRetained, signal: stop }),
        topic,
      );
    const isHeld = (topic: string): boolean => this.#identity.isHeld(topic);
    const pump = new EventPump({ outbox, topics, publish, isHeld, clock, windowSize });
    let checkedMs = clock.monotonic();
    while (!isLost) {
      this.#wake = Promise.withResolvers();
      await tellStopping();
      const isAnswered = await this.#publishAnswers(connection, draining);
      if (this.#identity.release()) {
        documents.forgetPublished(connection.protocolVersion);
        pump.startOver();
      }
      await this.#publishState(connection, draining);
      this.progress.within(longestStepMs);
      // A long backlog must not keep the state documents waiting.
      const isDone = await pump.run(stateIntervalMs, draining).catch((error: unknown) => {
        if (!draining.aborted || isLost) throw error;
        return false;
      });
      if (signal.aborted && (isDone || draining.aborted)) break;
      if (clock.monotonic() - checkedMs >= credentialsCheckMs) {
        checkedMs = clock.monotonic();
        if (this.#isRenewed(credentials)) {
          log.info('broker-credentials-renewed');
          // Should the new ones be refused, this is what the broker goes on saying.
          await this.#orForbidden(() => tell('offline', 'reconnect'));
          return await connection.disconnect(draining);
        }
      }
      if (this.#replay.isWaiting && !signal.aborted)
        await this.#replay.sendPage((topic, text) => publish(topic, text, draining), { topics, windowSize });
      else if (isDone && isAnswered) await this.#pause(signal);
    }
    if (isLost) {
      this.#identity.closedByBroker();
      throw new Error('the connection to the broker is gone');
    }
    await tellStopping();
    await this.#orForbidden(() => tell('offline', 'shutdown'));
    await connection.disconnect(leaving);
  }

  /** What the access list forbids is an alarm, and keeps nothing else from being told: false. */
  async #orForbidden(what: () => Promise<void>, topic = this.#parts.topics.status): Promise<boolean> {
    try {
      await what();
      return true;
    } catch (error) {
      if (!hasCode(error, 'broker.forbidden')) throw error;
      this.#identity.forbidden(topic);
      return false;
    }
  }

  /** Files that cannot be read, or do not go together, are in the middle of being renewed. */
  #isRenewed(before: BrokerCredentials | undefined): boolean {
    try {
      const now = this.#parts.credentials?.();
      if (JSON.stringify(now) === JSON.stringify(before)) return false;
      if (now) expectUsable(now);
      return true;
    } catch (error) {
      this.#parts.log.warn('broker-credentials-unusable', { error });
      return false;
    }
  }

  /** Until something is to be reported; then a little longer, so that a burst leaves as one. */
  async #pause(signal: AbortSignal): Promise<void> {
    this.progress.within(Infinity);
    await this.#wake.promise;
    this.progress.within(longestStepMs);
    await this.#parts.clock.sleep(stateIntervalMs, signal).catch(() => undefined);
  }

  /** A signal that aborts a little after `signal`: what is known at the stop is still brought out. */
  #draining(signal: AbortSignal, ms: number): { readonly signal: AbortSignal } & Disposable {
    const drained = new AbortController();
    const ended = new AbortController();
    const onAbort = (): void =>
      void this.#parts.clock.sleep(ms, ended.signal).then(
        () => drained.abort(signal.reason),
        () => undefined,
      );
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    return { signal: drained.signal, [Symbol.dispose]: () => ended.abort() };
  }

  /** False when some still wait: whoever asks without end must not keep events and documents waiting. */
  async #publishAnswers(connection: BrokerConnection, signal: AbortSignal): Promise<boolean> {
    const { commands, clock } = this.#parts;
    const { isRetained: retain, expirySeconds } = channels.response;
    const deadline = clock.monotonic() + stateIntervalMs;
    for (let answer = commands?.nextAnswer(); answer; answer = commands?.nextAnswer()) {
      if (clock.monotonic() >= deadline) return false;
      this.progress.within(longestStepMs);
      const { topics, payload, correlationData } = answer;
      const options = { retain, signal, expirySeconds, ...(correlationData && { correlationData }) };
      for (const topic of topics)
        await this.#orForbidden(() => connection.publish(topic, payload, options), topic);
      commands?.sent(answer);
    }
    return true;
  }

  async #publishState(connection: BrokerConnection, signal: AbortSignal): Promise<void> {
    const { documents, log } = this.#parts;
    for await (const { topic, channel, payload } of documents.takeChanged()) {
      this.progress.within(longestStepMs);
      if (this.#identity.isHeld(topic)) continue;
      const text = payload === undefined ? '' : JSON.stringify(payload);
      if (Buffer.byteLength(text) > maxPayloadBytes) {
        log.error('document-too-large', { topic, bytes: Buffer.byteLength(text) });
        continue;
      }
      const { isRetained: retain, expirySeconds }: Channel = channels[channel];
      const options = { retain, signal, ...(expirySeconds !== undefined && { expirySeconds }) };
      const isTaken = await this.#orForbidden(() => connection.publish(topic, text, options), topic);
      if (payload === undefined && isTaken) documents.cleared(topic);
    }
  }

  #status(state: StatusMessage['state'], reason: StatusMessage['reason'], session: number): string {
    const { clock, boot, version, outbox } = this.#parts;
    const message: StatusMessage = {
      v: 1,
      ts: new Date(clock.now()).toISOString(),
      seq: session,
      state,
      reason,
      session,
      boot,
      instance: this.#instance,
      version,
      lastEventSeq: outbox.lastSeq(),
    };
    return JSON.stringify(message);
  }
}
