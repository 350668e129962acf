import {
  eventTypes,
  isEventType,
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
  /** When the broker acknowledged it; absent while it waits. */
  readonly acknowledgedAt?: number;
}

type EventListener = (type: EventType, data: Readonly<Record<string, unknown>>) => void;

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
  readonly #listeners = new Set<EventListener>();

  constructor(db: Database, clock: Clock, random: RandomSource) {
    this.#db = db;
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * To be called inside the transaction of the fact, or alone where the event is the fact. What its schema does not
   * name is left out. Errors: `internal.bug` for data that does not fit.
   */
  record<T extends EventType>(type: T, data: EventData<T>): void {
    if (!isEventType(type)) throw new DockError('internal.bug', `no event ${String(type)}`);
    const parsed = eventTypes[type].data.safeParse(data);
    if (!parsed.success) throw new DockError('internal.bug', `event ${type}: ${parsed.error.message}`);
    // A transaction of its own where there is none: the commit of a lone RETURNING statement fails unheard.
    const seq = this.#db.transaction(() =>
      this.#db.get(
        'INSERT INTO event (id, type, at, data) VALUES (?, ?, ?, ?) RETURNING seq',
        uuidV7(this.#clock, this.#random),
        type,
        Math.floor(this.#clock.now()),
        JSON.stringify(parsed.data),
      ),
    )?.['seq'];
    if (Number(seq) % pruneEvery === 0) this.prune();
    // Listeners only enqueue; they see the event once its transaction is committed.
    for (const listener of this.#listeners) listener(type, parsed.data);
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

  /** The oldest events that the broker has not acknowledged. */
  unacknowledged(limit: number): StoredEvent[] {
    return this.#db
      .all('SELECT * FROM event WHERE acknowledged_at IS NULL ORDER BY seq LIMIT ?', limit)
      .map(storedEvent);
  }

  acknowledge(seqs: readonly number[]): void {
    if (seqs.length === 0) return;
    this.#db.run(
      'UPDATE event SET acknowledged_at = ? WHERE seq IN (SELECT value FROM json_each(?))',
      Math.floor(this.#clock.now()),
      JSON.stringify(seqs),
    );
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

  /** Calls `listener` whenever there may be a new event; returns the way to stop. */
  onRecorded(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  envelope(event: StoredEvent): EventEnvelope {
    return {
      v: 1,
      id: event.id,
      seq: event.seq,
      ts: new Date(event.at).toISOString(),
      historical: (event.acknowledgedAt ?? this.#clock.now()) - event.at > historicalAfterMs,
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
    ...(row['acknowledged_at'] !== null && { acknowledgedAt: Number(row['acknowledged_at']) }),
  };
}
