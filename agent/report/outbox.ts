import {
  eventTypes,
  type EventData,
  type EventEnvelope,
  type EventType,
} from '../../protocol/mqtt/events.ts';
import { DockError } from '../../protocol/errors.ts';
import { uuidV7, type Clock, type RandomSource } from '../../dock/clock.ts';
import type { Database, Row } from '../state/database.ts';

export interface StoredEvent {
  readonly seq: number;
  readonly id: string;
  readonly type: EventType;
  readonly at: number;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An event delivered later than this is marked historical. */
const historicalAfterMs = 60_000;

const keptEvents = 100_000;
/** Pruning rides along with recording, every so many events. */
const pruneEvery = 1000;

/**
 * The transactional outbox: whoever states a fact records its event in the same transaction, so that neither is
 * ever there without the other. Events leave in the order of `seq`, and are kept after the broker acknowledged
 * them so that they can be read and replayed.
 */
export class Outbox {
  readonly #db: Database;
  readonly #clock: Clock;
  readonly #random: RandomSource;
  readonly #listeners = new Set<() => void>();

  constructor(db: Database, clock: Clock, random: RandomSource) {
    this.#db = db;
    this.#clock = clock;
    this.#random = random;
  }

  /** To be called inside the transaction of the fact, or alone where the event is the fact. */
  record<T extends EventType>(type: T, data: EventData<T>): void {
    const parsed = eventTypes[type].data.safeParse(data);
    if (!parsed.success) throw new DockError('internal.bug', `event ${type}: ${parsed.error.message}`);
    const row = this.#db.get(
      'INSERT INTO event (id, type, at, data) VALUES (?, ?, ?, ?) RETURNING seq',
      uuidV7(this.#clock, this.#random),
      type,
      Math.floor(this.#clock.now()),
      JSON.stringify(data),
    );
    if (Number(row?.['seq']) % pruneEvery === 0) this.prune();
    // Listeners only enqueue; they see the event once its transaction is committed.
    for (const listener of this.#listeners) listener();
  }

  /** Events after `seq`, oldest first. */
  after(seq: number, limit: number): StoredEvent[] {
    return this.#db
      .all('SELECT * FROM event WHERE seq > ? ORDER BY seq LIMIT ?', seq, limit)
      .map(storedEvent);
  }

  /** The newest events, oldest first. */
  latest(limit: number): StoredEvent[] {
    return this.#db.all('SELECT * FROM event ORDER BY seq DESC LIMIT ?', limit).map(storedEvent).toReversed();
  }

  /** Events that the broker has not acknowledged, after `seq`. */
  unacknowledged(seq: number, limit: number): StoredEvent[] {
    return this.#db
      .all('SELECT * FROM event WHERE acknowledged_at IS NULL AND seq > ? ORDER BY seq LIMIT ?', seq, limit)
      .map(storedEvent);
  }

  acknowledge(seq: number): void {
    this.#db.run('UPDATE event SET acknowledged_at = ? WHERE seq = ?', Math.floor(this.#clock.now()), seq);
  }

  /** Forgets the oldest acknowledged events beyond what is kept for reading and replay. */
  prune(): void {
    this.#db.run(
      'DELETE FROM event WHERE acknowledged_at IS NOT NULL AND seq <= (SELECT max(seq) FROM event) - ?',
      keptEvents,
    );
  }

  depth(): number {
    return Number(this.#db.get('SELECT count(*) AS n FROM event WHERE acknowledged_at IS NULL')?.['n']);
  }

  /** Calls `listener` whenever there may be new events; returns the way to stop. */
  onRecorded(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  envelope(event: StoredEvent): EventEnvelope {
    return {
      v: 1,
      id: event.id,
      seq: event.seq,
      ts: new Date(event.at).toISOString(),
      historical: this.#clock.now() - event.at > historicalAfterMs,
      type: event.type,
      data: { ...event.data },
    };
  }
}

function storedEvent(row: Row): StoredEvent {
  return {
    seq: Number(row['seq']),
    id: String(row['id']),
    type: String(row['type']) as EventType,
    at: Number(row['at']),
    data: JSON.parse(String(row['data'])),
  };
}
