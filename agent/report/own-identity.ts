import { z } from 'zod';
import type { StationTopics } from '../../protocol/mqtt/topics.ts';
import type { Clock } from '../../dock/clock.ts';
import type { HealthProblem } from '../health/assess.ts';
import type { BrokerMessage } from './broker-connection.ts';

const shortConnectionMs = 5000;
/** A broker that throws a client out for another one of its name does so at once, each time. */
const shortConnectionsUntilTwin = 5;
const echoWithinMs = 20_000;
/** What was seen so long ago, and not since, is over. */
const seenForMs = 10 * 60_000;
const mostForbidden = 20;
/** Shorter than `seenForMs`, so that the alarm stands until it is known to be over. */
const heldForMs = 5 * 60_000;

/** What is read of a status: who said it. */
const spokenStatus = z.object({ instance: z.string(), session: z.number(), ts: z.iso.datetime() });

/**
 * Hears what the broker holds as the status of this station. It comes back to where it was said; where it does not, the
 * broker drops what its access list forbids, which MQTT 3.1.1 never says. Where another run of an agent says it, later
 * than this one, another station goes by the same name.
 */
export class OwnIdentity {
  readonly #instance: string;
  readonly #topics: StationTopics;
  readonly #clock: Clock;
  #firstSession: number | undefined;
  /** Monotonic, as what follows. */
  #publishedMs: number | undefined;
  #connectedMs = -Infinity;
  #shortConnections = 0;
  #twin: { readonly seenMs: number; readonly detail: string } | undefined;
  #awaitedMs: number | undefined;
  readonly #forbidden = new Map<string, number>();
  readonly #held = new Set<string>();
  #heldUntilMs = 0;

  constructor(instance: string, topics: StationTopics, clock: Clock) {
    this.#instance = instance;
    this.#topics = topics;
    this.#clock = clock;
  }

  /** Returns what takes the messages of this connection. */
  beginConnection(session: number): (message: BrokerMessage) => void {
    this.#firstSession ??= session;
    this.#awaitedMs = undefined;
    return ({ topic, payload }) => {
      if (topic === this.#topics.status && payload.length > 0) this.#heard(Buffer.from(payload).toString());
    };
  }

  connected(): void {
    this.#connectedMs = this.#clock.monotonic();
  }

  published(): void {
    this.#publishedMs ??= this.#clock.monotonic();
    this.#awaitedMs ??= this.#clock.monotonic();
  }

  ended(): void {
    this.#awaitedMs = undefined;
  }

  closedByBroker(): void {
    const lastedMs = this.#clock.monotonic() - this.#connectedMs;
    this.#shortConnections = lastedMs < shortConnectionMs ? this.#shortConnections + 1 : 0;
    if (this.#shortConnections < shortConnectionsUntilTwin) return;
    this.#sawTwin(`the broker ended ${this.#shortConnections} connections in a row within seconds`);
  }

  /** The broker forbids this topic. */
  forbidden(topic: string): void {
    const now = this.#clock.monotonic();
    if (this.#held.size === 0) this.#heldUntilMs = now + heldForMs;
    this.#held.add(topic);
    if (this.#forbidden.size < mostForbidden || this.#forbidden.has(topic)) this.#forbidden.set(topic, now);
  }

  /** Forbidden a while ago. Some brokers hang up at it (Mosquitto 2.0.11 without a limit for queues): all else would wait. */
  isHeld(topic: string): boolean {
    return this.#held.has(topic);
  }

  /** True when what was held may be tried again. */
  release(): boolean {
    if (this.#held.size === 0 || this.#clock.monotonic() < this.#heldUntilMs) return false;
    this.#held.clear();
    return true;
  }

  problems(): HealthProblem[] {
    const now = this.#clock.monotonic();
    const problems: HealthProblem[] = [];
    if (this.#twin && now - this.#twin.seenMs < seenForMs) {
      const { detail } = this.#twin;
      problems.push({ level: 'critical', code: 'broker.identity-taken', subject: '', detail });
    }
    for (const [topic, seenMs] of this.#forbidden)
      if (now - seenMs >= seenForMs) this.#forbidden.delete(topic);
    const isMute = this.#awaitedMs !== undefined && now - this.#awaitedMs >= echoWithinMs;
    const forbidden = [
      ...this.#forbidden.keys(),
      ...(isMute ? [`${this.#topics.status} does not come back`] : []),
    ];
    if (forbidden.length > 0) {
      const detail = forbidden.join(', ').slice(0, 500);
      problems.push({ level: 'critical', code: 'broker.forbidden', subject: '', detail });
    }
    return problems;
  }

  #heard(text: string): void {
    const status = spokenStatus.safeParse(parsed(text)).data;
    if (!status) return;
    const { instance, session, ts } = status;
    if (instance === this.#instance) {
      this.#awaitedMs = Infinity;
      return;
    }
    // A broker that came back from an older state of its own may hold what an earlier run here said.
    if (this.#publishedMs === undefined) return;
    // By the clock as it is now: it may have been set since.
    const publishedAt = this.#clock.now() - (this.#clock.monotonic() - this.#publishedMs);
    if (session >= (this.#firstSession ?? 0) || Date.parse(ts) > publishedAt)
      this.#sawTwin(`another run ${instance} in session ${session}`);
  }

  #sawTwin(detail: string): void {
    this.#twin = { seenMs: this.#clock.monotonic(), detail };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
